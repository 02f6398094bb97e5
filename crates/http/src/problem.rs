//! Relay-plane errors: a closed list of codes, carried as RFC 9457 problem documents (spec/http.md, section 6).

use std::fmt;

use http::StatusCode;
use sealwire::RelayCode;
use serde::{Deserialize, Serialize};

use crate::carriage::{from_base64url, to_base64url};

/// Media type of a problem document.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// The HTTP status that goes with a code.
#[must_use]
pub const fn status_of(code: RelayCode) -> StatusCode {
    match code {
        RelayCode::Busy => StatusCode::SERVICE_UNAVAILABLE,
        RelayCode::Gone => StatusCode::BAD_GATEWAY,
        RelayCode::KeyUnknown | RelayCode::Replayed => StatusCode::CONFLICT,
        RelayCode::Auth => StatusCode::UNAUTHORIZED,
        RelayCode::Quota => StatusCode::TOO_MANY_REQUESTS,
        RelayCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RelayCode::Refused => StatusCode::BAD_REQUEST,
        RelayCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Whether a client may make a fresh attempt by itself.
#[must_use]
pub const fn allows_fresh_attempt(code: RelayCode) -> bool {
    matches!(
        code,
        RelayCode::Busy | RelayCode::Gone | RelayCode::KeyUnknown
    )
}

/// A relay-plane error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which of the closed list; a name that is not on it was read as [`RelayCode::Internal`].
    pub code: RelayCode,
    /// One sentence for people; carries nothing of the request.
    pub detail: String,
    /// A fresh bundle, with [`RelayCode::KeyUnknown`].
    pub bundle: Option<Vec<u8>>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(default)]
    title: String,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    detail: String,
    code: String,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    bundle: serde_json::Value,
}

impl Problem {
    /// A problem without a bundle.
    #[must_use]
    pub fn new(code: RelayCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            bundle: None,
        }
    }

    /// Adds the fresh bundle of a [`RelayCode::KeyUnknown`].
    #[must_use]
    pub fn with_bundle(mut self, bundle: Option<Vec<u8>>) -> Self {
        self.bundle = bundle;
        self
    }

    /// The JSON document, with this status (a few places use another than the code's own).
    #[must_use]
    pub fn to_json(&self, status: StatusCode) -> Vec<u8> {
        let document = Document {
            title: self.code.as_str().replace('-', " "),
            status: status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.as_str().to_owned(),
            bundle: self
                .bundle
                .as_deref()
                .map_or(serde_json::Value::Null, |bytes| to_base64url(bytes).into()),
        };
        // Strings and a number: serialising them cannot fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// Reads a document. `None` if it is not JSON or has no `code`; a bundle that is not base64url, or stands beside another code than
    /// `key-unknown`, is dropped.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(json).ok()?;
        let code = RelayCode::from_name(&document.code).unwrap_or(RelayCode::Internal);
        let bundle = document
            .bundle
            .as_str()
            .filter(|_| code == RelayCode::KeyUnknown)
            .and_then(from_base64url);
        Some(Self {
            code,
            detail: document.detail,
            bundle,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_goes_there_and_back() {
        for code in [
            RelayCode::Busy,
            RelayCode::Gone,
            RelayCode::KeyUnknown,
            RelayCode::Auth,
            RelayCode::Quota,
            RelayCode::TooLarge,
            RelayCode::Refused,
            RelayCode::Replayed,
            RelayCode::Internal,
        ] {
            let problem = Problem::new(code, "why");
            assert_eq!(
                Problem::from_json(&problem.to_json(status_of(code))),
                Some(problem.clone())
            );
            let with_bundle = problem.with_bundle(Some(vec![1, 2, 3]));
            let read = Problem::from_json(&with_bundle.to_json(status_of(code)));
            let kept = read.and_then(|problem| problem.bundle);
            assert_eq!(kept.is_some(), code == RelayCode::KeyUnknown, "{code}");
        }
    }

    #[test]
    fn unknown_code_is_internal() {
        let problem = Problem::from_json(br#"{"code":"shiny"}"#).expect("a document");
        assert_eq!(problem.code, RelayCode::Internal);
        assert!(!allows_fresh_attempt(problem.code));
    }

    #[test]
    fn what_is_no_document_is_none() {
        for bad in [&b"<html>"[..], b"{}", b"[]", br#"{"code":7}"#] {
            assert_eq!(Problem::from_json(bad), None);
        }
    }

    #[test]
    fn a_bad_bundle_is_dropped_and_the_document_stays() {
        for bad in [
            &br#"{"code":"key-unknown","bundle":"***"}"#[..],
            br#"{"code":"key-unknown","bundle":7}"#,
        ] {
            let problem = Problem::from_json(bad).expect("a document");
            assert_eq!(
                (problem.code, problem.bundle),
                (RelayCode::KeyUnknown, None)
            );
        }
    }
}
