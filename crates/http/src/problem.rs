//! Relay-plane errors: a closed list of codes, carried as RFC 9457 problem documents (spec/http.md, section 6).

use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::carriage::{from_base64url, to_base64url};

/// Media type of a problem document.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// What a relay, or an instance before H2, may say went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemCode {
    /// No capacity now; another attempt, elsewhere or later, may pass.
    Busy,
    /// The instance is not reachable or died before H2.
    Gone,
    /// The bundle of this H1 is not (or no longer) known; the answer carries a fresh one.
    KeyUnknown,
    /// The relay wants a key, or another one.
    Auth,
    /// The key's allowance is used up.
    Quota,
    /// The request is larger than the server takes.
    TooLarge,
    /// H1, context or header fields are not acceptable; one code for all causes.
    Refused,
    /// This very H1 was accepted before.
    Replayed,
    /// Anything else. Codes that a client does not know are read as this one.
    Internal,
}

impl ProblemCode {
    /// All codes, in the order of the specification.
    pub const ALL: [Self; 9] = [
        Self::Busy,
        Self::Gone,
        Self::KeyUnknown,
        Self::Auth,
        Self::Quota,
        Self::TooLarge,
        Self::Refused,
        Self::Replayed,
        Self::Internal,
    ];

    /// The code as it stands in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Gone => "gone",
            Self::KeyUnknown => "key-unknown",
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::TooLarge => "too-large",
            Self::Refused => "refused",
            Self::Replayed => "replayed",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Gone => StatusCode::BAD_GATEWAY,
            Self::KeyUnknown | Self::Replayed => StatusCode::CONFLICT,
            Self::Auth => StatusCode::UNAUTHORIZED,
            Self::Quota => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused => StatusCode::BAD_REQUEST,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether a client may make a fresh attempt by itself.
    #[must_use]
    pub const fn allows_fresh_attempt(self) -> bool {
        matches!(self, Self::Busy | Self::Gone | Self::KeyUnknown)
    }

    /// Reads a code; one that is not on the list is [`ProblemCode::Internal`].
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|code| code.as_str() == text)
            .unwrap_or(Self::Internal)
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A relay-plane error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which of the closed list.
    pub code: ProblemCode,
    /// One sentence for people; carries nothing of the request.
    pub detail: String,
    /// A fresh bundle, with [`ProblemCode::KeyUnknown`].
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
}

impl Problem {
    /// A problem without a bundle.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            bundle: None,
        }
    }

    /// Adds the fresh bundle of a [`ProblemCode::KeyUnknown`].
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
            bundle: self.bundle.as_deref().map(to_base64url),
        };
        // Strings and a number: serialising them cannot fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// Reads a document. `None` if it is not JSON, has no `code`, or its bundle is not base64url.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(json).ok()?;
        let bundle = match document.bundle {
            Some(text) => Some(from_base64url(&text)?),
            None => None,
        };
        Some(Self {
            code: ProblemCode::from_text(&document.code),
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
        for code in ProblemCode::ALL {
            let problem = Problem::new(code, "why").with_bundle(Some(vec![1, 2, 3]));
            assert_eq!(Problem::from_json(&problem.to_json(code.status())), Some(problem));
        }
    }

    #[test]
    fn unknown_code_is_internal() {
        let problem = Problem::from_json(br#"{"code":"shiny"}"#).expect("a document");
        assert_eq!(problem.code, ProblemCode::Internal);
        assert!(!problem.code.allows_fresh_attempt());
    }

    #[test]
    fn what_is_no_document_is_none() {
        for bad in [
            &b"<html>"[..],
            b"{}",
            b"[]",
            br#"{"code":7}"#,
            br#"{"code":"key-unknown","bundle":"***"}"#,
        ] {
            assert_eq!(Problem::from_json(bad), None);
        }
    }
}
