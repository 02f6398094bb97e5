//! What every profile does with an application's request before it looks inside: whom it serves, what it takes, how much.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use http::Request;
use http::header::{HOST, HeaderMap};
use sealwire::crypto::Verification;
use sealwire_http::access::{Access, bearer};
use sealwire_http::net::{Incoming, ServerLimits};
use sealwire_http::openai::ApiError;

use crate::StartError;
use crate::apps::Applications;

/// Fields in which clients show their key, beside `Authorization: Bearer`.
const KEY_FIELDS: [&str; 2] = ["x-api-key", "api-key"];

/// The applications' side of a proxy of any profile: where it is reached, by whom, and what they get.
#[derive(Clone)]
pub struct FrontSettings {
    /// Where applications reach it.
    pub listen: SocketAddr,
    /// Whether `listen` may be other than loopback: whoever reaches the port can then use it, unencrypted.
    pub allow_remote: bool,
    /// The key that applications must show; needed where `listen` is not loopback.
    pub app_key: Option<String>,
    /// The key that the relay asks for.
    pub relay_key: Option<String>,
    /// Hands the application's own key to the relay if there is no `relay_key`. The relay is not trusted: give it no key that is worth something elsewhere.
    pub forward_key: bool,
    /// What applications get beside their answers.
    pub apps: Applications,
    /// Connections of applications at a time; more wait.
    pub connections: usize,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            allow_remote: false,
            app_key: None,
            relay_key: None,
            forward_key: false,
            apps: Applications::default(),
            connections: ServerLimits::default().connections,
        }
    }
}

impl std::fmt::Debug for FrontSettings {
    // Keys are nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontSettings")
            .field("listen", &self.listen)
            .field("allow_remote", &self.allow_remote)
            .field("forward_key", &self.forward_key)
            .field("apps", &self.apps)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// The door to the applications' side.
pub(crate) struct Front {
    allow_remote: bool,
    access: Access,
    relay_key: Option<String>,
    forward_key: bool,
}

impl Front {
    /// Off loopback only if that is meant, and never without a key; what applications show to the proxy is no key for the relay.
    pub(crate) fn new(
        verification: Verification,
        settings: &FrontSettings,
    ) -> Result<Self, StartError> {
        let listen = settings.listen;
        if !listen.ip().is_loopback() {
            if !settings.allow_remote {
                return Err(StartError::NotLoopback(listen));
            }
            if settings.app_key.is_none() {
                return Err(StartError::NoAppKey(listen));
            }
        }
        if settings.app_key.is_some() && settings.forward_key && settings.relay_key.is_none() {
            return Err(StartError::ForwardsAppKey);
        }
        Ok(Self {
            allow_remote: settings.allow_remote,
            access: Access::new(verification, settings.app_key.as_deref()),
            relay_key: settings.relay_key.clone(),
            forward_key: settings.forward_key,
        })
    }

    /// Lets a request of this machine in, or says why not. It may be without a key.
    pub(crate) fn admit_host(&self, request: &Request<Incoming>) -> Result<(), ApiError> {
        if !self.allow_remote && !host_is_local(request) {
            return Err(ApiError::invalid_request(
                403,
                "bad_host",
                "the Host field does not name this machine; a web page may be trying to use the proxy",
            )
            .with_retry(false));
        }
        Ok(())
    }

    /// Lets a request with the key in, or says why not.
    pub(crate) fn admit_key(&self, request: &Request<Incoming>) -> Result<(), ApiError> {
        self.access
            .check_key(app_key(request.headers()))
            .map_err(|denied| {
                ApiError::invalid_request(401, "invalid_api_key", denied.to_string())
                    .with_retry(false)
            })?;
        Ok(())
    }

    /// The key for the relay that is this proxy's own.
    pub(crate) fn own_relay_key(&self) -> Option<&str> {
        self.relay_key.as_deref()
    }

    /// The key for the relay: its own, or the application's if that may be handed on.
    pub(crate) fn relay_key(&self, headers: &HeaderMap) -> Option<String> {
        if let Some(key) = &self.relay_key {
            return Some(key.clone());
        }
        if !self.forward_key {
            return None;
        }
        app_key(headers).map(str::to_owned)
    }
}

/// The key that an application shows: OpenAI clients as a bearer, Anthropic's and Azure's in fields of their own.
fn app_key(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).or_else(|| {
        KEY_FIELDS.iter().find_map(|name| {
            let mut values = headers.get_all(*name).iter();
            let only = values.next().filter(|_| values.next().is_none())?;
            only.to_str().ok()
        })
    })
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
}
