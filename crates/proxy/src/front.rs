//! What every profile does with an application's request before it looks inside: whom it serves, what it takes, how much.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap};
use http::{Request, Response, StatusCode};
use sealwire::crypto::Verification;
use sealwire_http::access::{Access, bearer};
use sealwire_http::json_body::JsonBody;
use sealwire_http::net::{Body, Incoming, ReadError, discard, json, read_all};
use sealwire_http::openai::ApiError;

/// What a proxy takes of the OpenAI API, beside the model list.
pub(crate) const POSTS: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];
pub(crate) const MODELS: &str = "/v1/models";
/// What was verified, for people and programs.
pub(crate) const ATTESTATION: &str = "/attestation";
/// Longest name of a model, in bytes.
const MAX_MODEL: usize = 255;

/// The door to the applications' side.
pub(crate) struct Front {
    allow_remote: bool,
    access: Access,
    relay_key: Option<String>,
    forward_key: bool,
}

/// A request of the API, read whole.
pub(crate) struct Question {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Bytes,
    pub(crate) model: String,
}

impl Front {
    pub(crate) fn new(
        verification: Verification,
        app_key: Option<&str>,
        allow_remote: bool,
        relay_key: Option<String>,
        forward_key: bool,
    ) -> Self {
        Self {
            allow_remote,
            access: Access::new(verification, app_key),
            relay_key,
            forward_key,
        }
    }

    /// Lets a request in, or discards it.
    pub(crate) fn admit(&self, request: Request<Incoming>) -> Result<Request<Incoming>, ApiError> {
        if !self.allow_remote && !host_is_local(&request) {
            discard(request.into_body());
            return Err(ApiError::invalid_request(
                403,
                "bad_host",
                "the Host field does not name this machine; a web page may be trying to use the proxy",
            ));
        }
        if let Err(denied) = self.access.check(request.headers()) {
            discard(request.into_body());
            return Err(ApiError::invalid_request(
                401,
                "invalid_api_key",
                denied.to_string(),
            ));
        }
        Ok(request)
    }

    /// The key for the relay: its own, or the application's if that may be handed on.
    pub(crate) fn relay_key(&self, headers: &HeaderMap) -> Option<String> {
        if let Some(key) = &self.relay_key {
            return Some(key.clone());
        }
        if !self.forward_key {
            return None;
        }
        bearer(headers).map(str::to_owned)
    }
}

/// Reads a request's body, which must be a JSON object with a model.
pub(crate) async fn read_question(
    request: Request<Incoming>,
    most: usize,
    idle: Duration,
) -> Result<Question, ApiError> {
    let (parts, mut body) = request.into_parts();
    // A web page can send other types to this port without asking; this one it cannot.
    if !is_json(&parts.headers) {
        discard(body);
        return Err(ApiError::invalid_request(
            415,
            "bad_content_type",
            "the request's Content-Type must be application/json",
        ));
    }
    let content = match read_all(&mut body, most, idle).await {
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
    let model = JsonBody::parse(&content)
        .map_err(|error| ApiError::invalid_request(400, "bad_json", error.to_string()))?
        .model()
        .ok_or_else(|| ApiError::invalid_request(400, "no_model", "the request names no model"))?;
    if model.is_empty() || model.len() > MAX_MODEL || model.bytes().any(|b| b.is_ascii_control()) {
        return Err(ApiError::invalid_request(
            400,
            "bad_model",
            "the request's model must have 1 to 255 bytes and no control characters",
        ));
    }
    Ok(Question {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        content,
        model,
    })
}

/// What is not served.
pub(crate) fn unknown_url(request: Request<Incoming>) -> ApiError {
    let message = format!(
        "{} {} is not served by this proxy; it takes POST {} and GET {MODELS}, {ATTESTATION}",
        request.method(),
        request.uri().path(),
        POSTS.join(", "),
    );
    discard(request.into_body());
    ApiError::invalid_request(404, "unknown_url", message)
}

/// An error as the application sees it.
pub(crate) fn refusal(error: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, error.to_json())
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let only = values.next().filter(|_| values.next().is_none());
    only.and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Against DNS rebinding: every name that the client used must be this machine's, and there must be only one.
fn host_is_local(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => match host.to_str() {
            Ok(host) => Some(host),
            Err(_) => return false,
        },
        (Some(_), Some(_)) => return false,
    };
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    match (host, target) {
        (Some(host), Some(target)) => host.eq_ignore_ascii_case(target) && authority_is_local(host),
        (Some(only), None) | (None, Some(only)) => authority_is_local(only),
        (None, None) => false,
    }
}

/// `localhost` or a loopback address, with or without a port, and nothing else.
fn authority_is_local(authority: &str) -> bool {
    let (name, rest) = match authority.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((name, rest)) if name.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()) => {
                ("localhost", rest)
            }
            _ => return false,
        },
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_sound = match rest.strip_prefix(':') {
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => rest.is_empty(),
    };
    port_is_sound
        && (name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_this_machine_are_local() {
        for good in [
            "localhost",
            "LocalHost:8000",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(authority_is_local(good), "{good}");
        }
        for bad in [
            "",
            "evil@localhost",
            "localhost:evil.example",
            "localhost:",
            "localhost:+1",
            "localhost:65536",
            "localhost.",
            "evil.example",
            "127.0.0.1.evil.example",
            "[::1]evil",
            "[::1",
            "[::2]",
            "10.0.0.1",
            "::1",
        ] {
            assert!(!authority_is_local(bad), "{bad}");
        }
    }

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
