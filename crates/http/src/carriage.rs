//! Paths, header fields and media types of the carriage (spec/http.md, sections 2 and 3).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sealwire::limits::MAX_CONTEXT;

use crate::problem::PROBLEM_MEDIA_TYPE;

/// Where sealed requests are posted, on a relay and on an instance.
pub const REQUESTS_PATH: &str = "/sealwire/v1/requests";
/// Where bundles are discovered, on a relay and on an instance.
pub const BUNDLES_PATH: &str = "/sealwire/v1/bundles";
/// Where an instance describes itself.
pub const INSTANCE_PATH: &str = "/sealwire/v1/instance";
/// Where evidence for an instance's identity is asked for, on a relay and on an instance.
pub const EVIDENCE_PATH: &str = "/sealwire/v1/evidence";
/// Where a relay shows what it has metered.
pub const USAGE_PATH: &str = "/usage";
/// Liveness, on every server.
pub const HEALTH_PATH: &str = "/healthz";

/// Media type of a sealed request: H1 and client-to-server frames.
pub const REQUEST_MEDIA_TYPE: &str = "application/vnd.sealwire.request";
/// Media type of a sealed response: H2 and server-to-client frames.
pub const RESPONSE_MEDIA_TYPE: &str = "application/vnd.sealwire.response";
/// Value of `Cache-Control` in both directions.
pub const CACHE_CONTROL_VALUE: &str = "no-store, no-transform";

/// Carries the context's bytes, base64url without padding.
pub const CONTEXT_HEADER: HeaderName = HeaderName::from_static("sealwire-context");
/// Asks buffering front ends to pass bytes on at once.
pub const ACCEL_BUFFERING_HEADER: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Strict base64url without padding: other alphabets, padding and stray trailing bits are refused.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(false),
);

/// Encodes bytes as base64url without padding.
#[must_use]
pub fn to_base64url(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}

/// Decodes strict base64url without padding; anything else is `None`.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

/// Why the header part of a message is not the carriage's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarriageError {
    /// `Content-Type` is absent, given twice, or another one.
    #[error("the media type is {found:?}, expected {expected}")]
    MediaType {
        /// What the carriage asks for.
        expected: &'static str,
        /// What came, cut to 80 characters.
        found: String,
    },
    /// `Sealwire-Context` is absent or given twice.
    #[error("exactly one Sealwire-Context field is needed, {0} came")]
    ContextCount(usize),
    /// `Sealwire-Context` is not base64url without padding, or too long.
    #[error("Sealwire-Context is not base64url without padding of at most {MAX_CONTEXT} bytes")]
    ContextEncoding,
}

/// Reads the context's bytes from the header fields of a sealed request.
///
/// # Errors
///
/// [`CarriageError`] if there is not exactly one well-formed field.
pub fn context_bytes(headers: &HeaderMap) -> Result<Vec<u8>, CarriageError> {
    let mut values = headers.get_all(CONTEXT_HEADER).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        _ => {
            return Err(CarriageError::ContextCount(
                headers.get_all(CONTEXT_HEADER).iter().count(),
            ));
        }
    };
    let bytes = value
        .to_str()
        .ok()
        .and_then(from_base64url)
        .ok_or(CarriageError::ContextEncoding)?;
    if bytes.len() > MAX_CONTEXT {
        return Err(CarriageError::ContextEncoding);
    }
    Ok(bytes)
}

/// Checks that the only `Content-Type` is the expected one: no parameters, case ignored.
///
/// # Errors
///
/// [`CarriageError::MediaType`] otherwise.
pub fn check_media_type(headers: &HeaderMap, expected: &'static str) -> Result<(), CarriageError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let found = values.next();
    if values.next().is_none()
        && found.is_some_and(|value| {
            value
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(expected.as_bytes())
        })
    {
        return Ok(());
    }
    let found = found.map_or_else(String::new, |value| {
        String::from_utf8_lossy(value.as_bytes())
            .chars()
            .take(80)
            .collect()
    });
    Err(CarriageError::MediaType { expected, found })
}

/// What a client got, by status and media type (spec/http.md section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// A sealed response: its body is H2 and frames.
    Sealed,
    /// A problem document of the relay plane.
    Problem,
}

/// Sorts a response. Whatever is an error here is `internal` to a client, and its body is shown to nobody.
///
/// # Errors
///
/// [`CarriageError::MediaType`] if it is neither.
pub fn answer_kind(status: StatusCode, headers: &HeaderMap) -> Result<AnswerKind, CarriageError> {
    if status == StatusCode::OK && check_media_type(headers, RESPONSE_MEDIA_TYPE).is_ok() {
        return Ok(AnswerKind::Sealed);
    }
    check_media_type(headers, PROBLEM_MEDIA_TYPE).map(|()| AnswerKind::Problem)
}

/// The header fields of a sealed request with this context.
#[must_use]
pub fn request_headers(context: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(REQUEST_MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL_VALUE));
    if let Ok(value) = HeaderValue::from_str(&to_base64url(context)) {
        headers.insert(CONTEXT_HEADER, value);
    }
    headers
}

/// The header fields of a sealed response.
#[must_use]
pub fn response_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(RESPONSE_MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL_VALUE));
    headers.insert(ACCEL_BUFFERING_HEADER, HeaderValue::from_static("no"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_goes_there_and_back() {
        for bytes in [&b""[..], b"\x00", b"\xff\xfe\xfd", &[7; 1_024]] {
            assert_eq!(context_bytes(&request_headers(bytes)).as_deref(), Ok(bytes));
        }
    }

    #[test]
    fn context_that_is_not_strict_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(context_bytes(&headers), Err(CarriageError::ContextCount(0)));
        for bad in ["AA==", "A", "+/8", "AB", "AA AA"] {
            headers.insert(CONTEXT_HEADER, HeaderValue::from_static(bad));
            assert_eq!(
                context_bytes(&headers),
                Err(CarriageError::ContextEncoding),
                "{bad}"
            );
        }
        headers.insert(CONTEXT_HEADER, HeaderValue::from_static("AA"));
        headers.append(CONTEXT_HEADER, HeaderValue::from_static("AA"));
        assert_eq!(context_bytes(&headers), Err(CarriageError::ContextCount(2)));
        let long = HeaderValue::from_str(&to_base64url(&[0; 1_025])).expect("ASCII");
        headers.insert(CONTEXT_HEADER, long);
        assert_eq!(context_bytes(&headers), Err(CarriageError::ContextEncoding));
    }

    #[test]
    fn media_type_is_exact() {
        let mut headers = response_headers();
        assert_eq!(check_media_type(&headers, RESPONSE_MEDIA_TYPE), Ok(()));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("Application/VND.sealwire.Response"),
        );
        assert_eq!(check_media_type(&headers, RESPONSE_MEDIA_TYPE), Ok(()));
        for bad in [
            "text/html",
            "application/vnd.sealwire.response; charset=utf-8",
            "application/vnd.sealwire.request",
            "",
        ] {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(bad));
            assert!(
                check_media_type(&headers, RESPONSE_MEDIA_TYPE).is_err(),
                "{bad}"
            );
        }
        headers.remove(CONTENT_TYPE);
        assert!(check_media_type(&headers, RESPONSE_MEDIA_TYPE).is_err());
    }
}
