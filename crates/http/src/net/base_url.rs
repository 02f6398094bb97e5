//! The address of a server: scheme, authority and an optional path prefix.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// Where a server is: `http://host:port`, maybe with a path prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
}

/// The text is no address of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as http://127.0.0.1:8000, without query and without user name")]
pub struct BaseUrlError;

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let uri: Uri = text.parse().map_err(|_| BaseUrlError)?;
        let parts = uri.into_parts();
        let scheme = parts
            .scheme
            .filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
            .ok_or(BaseUrlError)?;
        let authority = parts
            .authority
            .filter(|authority| !authority.as_str().contains('@') && !authority.host().is_empty())
            .ok_or(BaseUrlError)?;
        let prefix = match parts.path_and_query {
            Some(path) if path.query().is_some() => return Err(BaseUrlError),
            Some(path) => path.path().trim_end_matches('/').to_owned(),
            None => String::new(),
        };
        Ok(Self {
            scheme,
            authority,
            prefix,
        })
    }
}

impl BaseUrl {
    /// The address of a path (and query) on this server; the path begins with `/`.
    ///
    /// # Errors
    ///
    /// [`BaseUrlError`] if the path holds characters that a target may not have.
    pub fn join(&self, path: &str) -> Result<Uri, BaseUrlError> {
        let path: PathAndQuery = format!("{}{path}", self.prefix)
            .parse()
            .map_err(|_| BaseUrlError)?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| BaseUrlError)
    }

    /// Host and port, as they stand in the address.
    #[must_use]
    pub(crate) const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether it is reached without TLS.
    #[must_use]
    pub(crate) fn is_plain(&self) -> bool {
        self.scheme == Scheme::HTTP
    }

    /// Whether the server is on this machine: a loopback address or `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(self.authority.host())
    }
}

/// Whether a host, as it stands in an address, is this machine: a loopback address or `localhost`.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_below_a_prefix() {
        let base: BaseUrl = "http://h:1/api/".parse().expect("an address");
        assert_eq!(
            base.join("/v1/models?x=1").map(|uri| uri.to_string()),
            Ok("http://h:1/api/v1/models?x=1".to_owned())
        );
        assert!(base.join("/a b").is_err());
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for bad in [
            "",
            "h:1",
            "/x",
            "ftp://h",
            "http://u:p@h",
            "http://h?x",
            "http://",
        ] {
            assert!(bad.parse::<BaseUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_known() {
        for (text, loopback) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://LOCALHOST", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example", false),
        ] {
            let base: BaseUrl = text.parse().expect("an address");
            assert_eq!(base.is_loopback(), loopback, "{text}");
        }
    }
}
