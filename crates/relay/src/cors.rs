//! Which web pages may use the relay (spec/http.md, section 10): exact origins, named one by one; none by default.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Response, StatusCode};
use sealwire_http::carriage::{BUNDLES_PATH, EVIDENCE_PATH, HEALTH_PATH, REQUESTS_PATH};
use sealwire_http::net::{Body, empty};

use crate::handler::MODELS_PATH;

/// What a page may use. What was metered is none of its business.
const RESOURCES: [&str; 5] = [
    REQUESTS_PATH,
    BUNDLES_PATH,
    EVIDENCE_PATH,
    MODELS_PATH,
    HEALTH_PATH,
];
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const FIELDS: HeaderValue =
    HeaderValue::from_static("content-type, sealwire-context, cache-control, authorization");
/// Seconds that a browser may keep the answer to a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origin of web pages, as browsers send it: `scheme://host` or `scheme://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// The text is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// `*` or `null`: that would be any page.
    #[error(
        "\"*\" and \"null\" would let any web page use the relay; name each origin, such as https://chat.example.com"
    )]
    Any,
    /// Something else.
    #[error(
        "expected an origin as browsers send it: scheme://host or scheme://host:port, in lower case, without a path, a slash at the end or the scheme's own port"
    )]
    Malformed,
}

impl FromStr for Origin {
    type Err = OriginError;

    // What a browser would never send is refused here: it would match nothing, and nobody would be told.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text.contains('*') || text == "null" {
            return Err(OriginError::Any);
        }
        let (scheme, authority) = text.split_once("://").ok_or(OriginError::Malformed)?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(OriginError::Malformed)?;
                let sound = address.parse::<Ipv6Addr>().is_ok()
                    && !address.bytes().any(|byte| byte.is_ascii_uppercase());
                (sound, port)
            }
            None => {
                let (name, port) =
                    authority.split_at(authority.find(':').unwrap_or(authority.len()));
                (is_host(name), port)
            }
        };
        let port = match port.strip_prefix(':') {
            Some(port) => is_port(port) && default_port(scheme) != Some(port),
            None => port.is_empty(),
        };
        if !is_scheme(scheme) || !host || !port {
            return Err(OriginError::Malformed);
        }
        HeaderValue::from_str(text)
            .map(Self)
            .map_err(|_| OriginError::Malformed)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>()
        .is_ok_and(|port| port != 0 && port.to_string() == text)
}

fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    }
}

/// What browsers are told about one request.
pub(crate) enum Verdict<'a> {
    /// Nothing: no origin is allowed at all, or the resource is not for pages.
    Silent,
    /// The answer would be another one for another origin, and that is all.
    Other,
    /// The page may read the answer.
    Allowed(&'a Origin),
}

/// Judges a request by its path and its `Origin`.
pub(crate) fn judge<'a>(allowed: &'a [Origin], path: &str, headers: &HeaderMap) -> Verdict<'a> {
    if allowed.is_empty() || !RESOURCES.contains(&path) {
        return Verdict::Silent;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => allowed
            .iter()
            .find(|allowed| allowed.0 == origin)
            .map_or(Verdict::Other, Verdict::Allowed),
        _ => Verdict::Other,
    }
}

impl Verdict<'_> {
    /// The answer to a preflight of an allowed origin. It comes before the key is asked for: browsers send none with it.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        let asked = matches!(self, Self::Allowed(_))
            && method == Method::OPTIONS
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        asked.then(|| {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, FIELDS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            response
        })
    }

    /// Adds what the browser is told to an answer.
    pub(crate) fn mark(&self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers_mut();
        match self {
            Self::Silent => return response,
            Self::Other => {}
            Self::Allowed(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.0.clone());
            }
        }
        headers.append(VARY, HeaderValue::from_static("Origin"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_origins_are_taken() {
        for good in [
            "https://chat.example.com",
            "http://localhost:5173",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://[2001:db8::1]",
            "https://example.com:80",
            "tauri://localhost",
            "chrome-extension://abcdefghijklmnop",
        ] {
            let origin: Origin = good.parse().expect(good);
            assert_eq!(origin.to_string(), good);
        }
        for bad in ["*", "https://*.example.com", "https://*", "null"] {
            assert_eq!(bad.parse::<Origin>(), Err(OriginError::Any), "{bad}");
        }
        for bad in [
            "",
            "example.com",
            "https://",
            "://example.com",
            "https://example.com/",
            "https://example.com/chat",
            "https://example.com?x",
            "https://user@example.com",
            "https://Example.com",
            "HTTPS://example.com",
            "https://example.com:443",
            "http://example.com:80",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:08080",
            "https://example.com:65536",
            "https://example.com:1:2",
            "https://[::1",
            "https://[::G]",
            "https://[::1]x",
            "https://bücher.example",
            "https://a.example https://b.example",
            "1http://example.com",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(OriginError::Malformed), "{bad}");
        }
    }
}
