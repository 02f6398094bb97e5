//! The relay's API: lookups, and how its errors read.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use sealwire_http::net::{BaseUrl, HttpClient, empty, read_all};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::error::Fault;
use crate::relay::authorize;

/// Characters of a relay's own words that are kept.
const MAX_DETAIL: usize = 256;
/// Largest body of an error.
pub(super) const MAX_ERROR: usize = 64 * 1_024;

/// A user at the relay: the hash of the key, so that what belongs to one is never used for another.
pub(crate) type User = [u8; 32];

/// Fetches from the relay.
pub(crate) struct Api {
    pub(crate) client: HttpClient,
    pub(crate) api_base: BaseUrl,
    pub(crate) e2e_base: BaseUrl,
    pub(crate) time: Duration,
}

impl Api {
    /// GETs JSON of at most `limit` bytes.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        base: &BaseUrl,
        path: &str,
        key: Option<&str>,
        limit: usize,
    ) -> Result<T, Fault> {
        let fetched = fetch(&self.client, base, path, key, limit);
        let (status, body) = timeout(self.time, fetched)
            .await
            .map_err(|_| Fault::Timeout {
                what: "answer",
                seconds: self.time.as_secs(),
            })??;
        if status != StatusCode::OK {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|_| Fault::NotApi {
            status: status.as_u16(),
            why: format!("no JSON as expected at {}", path_of(path)),
        })
    }
}

/// GETs a body of at most `limit` bytes.
pub(super) async fn fetch(
    client: &HttpClient,
    base: &BaseUrl,
    path: &str,
    key: Option<&str>,
    limit: usize,
) -> Result<(StatusCode, Bytes), Fault> {
    let uri = base
        .join(path)
        .map_err(|error| Fault::Unreachable(error.to_string()))?;
    let mut request = Request::new(empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri;
    authorize(request.headers_mut(), key);
    let response = client
        .send(request)
        .await
        .map_err(|error| Fault::Unreachable(error.to_string()))?;
    let status = response.status();
    let mut body = response.into_body();
    // The caller's time-out bounds the whole.
    let body = read_all(&mut body, limit, Duration::from_secs(60))
        .await
        .map_err(|error| Fault::NotApi {
            status: status.as_u16(),
            why: error.to_string(),
        })?;
    Ok((status, body))
}

/// An answer other than 200.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> Fault {
    let status = status.as_u16();
    match detail(body) {
        Some(detail) => Fault::Relay { status, detail },
        None => Fault::NotApi {
            status,
            why: "no JSON with a detail".to_owned(),
        },
    }
}

/// `{"detail": ..}`: a string, an object with a message, or something else. Other APIs' errors, `{"error":{"message": ..}}`, are read too. `None` if it is no JSON object.
fn detail(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let body = body.as_object()?;
    let said = body.get("detail").or_else(|| body.get("error"));
    let text = said.and_then(|said| {
        said.as_str()
            .or_else(|| said.get("message").and_then(Value::as_str))
    });
    Some(match text {
        Some(text) => words(text),
        None => "it gives no reason".to_owned(),
    })
}

/// A relay's own words, bounded, on one line. A long run without a blank is no sentence: it is left out, it may be something sealed.
pub(super) fn words(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .map(|word| if word.len() > 80 { "[..]" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_DETAIL)
        .collect()
}

fn path_of(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_relay_are_read_whatever_their_shape() {
        let read = |body: &str| refused(StatusCode::FORBIDDEN, body.as_bytes());
        let relay = |detail: &str| Fault::Relay {
            status: 403,
            detail: detail.to_owned(),
        };
        assert_eq!(read(r#"{"detail":"no"}"#), relay("no"));
        assert_eq!(read(r#"{"detail":{"message":"no"}}"#), relay("no"));
        assert_eq!(read(r#"{"error":{"message":"no"}}"#), relay("no"));
        assert_eq!(read(r#"{"detail":[1]}"#), relay("it gives no reason"));
        assert_eq!(read(r#"{"x":1}"#), relay("it gives no reason"));
        assert!(matches!(read("<html>"), Fault::NotApi { status: 403, .. }));
        assert!(matches!(read("[]"), Fault::NotApi { .. }));
    }

    #[test]
    fn a_relays_words_are_bounded_and_on_one_line() {
        assert_eq!(words("a\r\nb\u{1b}[31m  c"), "a b [31m c");
        assert_eq!(words(&"long ".repeat(1_000)).len(), MAX_DETAIL);
        assert_eq!(
            words(&format!("error: {}", "QUJD".repeat(500))),
            "error: [..]"
        );
    }
}
