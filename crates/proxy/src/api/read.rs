//! Reads an application's request: its body, unpacked, as one JSON object.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Request, request};
use sealwire_http::json_body::JsonBody;
use sealwire_http::net::{Incoming, ReadError, discard, read_all};
use sealwire_http::openai::ApiError;

use super::coding;

/// Longest name of a model, in bytes.
const MAX_MODEL: usize = 255;

/// A request of an API, read whole.
pub(super) struct Read {
    pub(super) headers: HeaderMap,
    /// One JSON object whose names are unique.
    pub(super) content: Bytes,
    /// Its model, if it names one.
    pub(super) model: Option<String>,
}

/// Reads a request's body, which must be a JSON object of at most `most` bytes, packed or not.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn read(
    request: Request<Incoming>,
    most: usize,
    idle: Duration,
) -> Result<Read, ApiError> {
    let (parts, body) = request.into_parts();
    let content = content(&parts, body, most, idle).await?;
    let model = JsonBody::parse(&content)
        .map_err(|error| ApiError::invalid_request(400, "bad_json", error.to_string()))?
        .get("model")
        .filter(|model| *model != "null")
        .map(model)
        .transpose()?;
    Ok(Read {
        headers: parts.headers,
        content,
        model,
    })
}

async fn content(
    parts: &request::Parts,
    mut body: Incoming,
    most: usize,
    idle: Duration,
) -> Result<Bytes, ApiError> {
    // A web page can send other types to this port without asking; this one it cannot.
    if !is_json(&parts.headers) {
        discard(body);
        return Err(ApiError::invalid_request(
            415,
            "bad_content_type",
            "the request's Content-Type must be application/json",
        ));
    }
    let codings = match coding::of(&parts.headers) {
        Ok(codings) => codings,
        Err(error) => {
            discard(body);
            return Err(error);
        }
    };
    let packed = match read_all(&mut body, most, idle).await {
        Ok(content) => content,
        Err(error) => {
            discard(body);
            let status = match error {
                ReadError::TooLarge(_) => 413,
                ReadError::Idle(_) => 408,
                _ => 400,
            };
            return Err(ApiError::invalid_request(
                status,
                "bad_body",
                error.to_string(),
            ));
        }
    };
    coding::unpack(packed, &codings, most)
}

fn model(json: &str) -> Result<String, ApiError> {
    let bad = || {
        ApiError::invalid_request(
            400,
            "bad_model",
            "the request's model must be a string of 1 to 255 bytes without control characters",
        )
        .with_param("model")
    };
    let model: String = serde_json::from_str(json).map_err(|_| bad())?;
    if model.is_empty() || model.len() > MAX_MODEL || model.bytes().any(|b| b.is_ascii_control()) {
        return Err(bad());
    }
    Ok(model)
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let only = values.next().filter(|_| values.next().is_none());
    only.and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_content_types_are_none() {
        let mut headers = HeaderMap::new();
        assert!(!is_json(&headers));
        headers.insert(
            CONTENT_TYPE,
            "Application/JSON; charset=utf-8".parse().expect("ASCII"),
        );
        assert!(is_json(&headers));
        headers.append(CONTENT_TYPE, "text/plain".parse().expect("ASCII"));
        assert!(!is_json(&headers));
    }
}
