//! The proxies that the environment names, and which of them an address goes through.

use std::collections::BTreeMap;
use std::env;
use std::fmt;

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use sealwire_http::net::is_loopback_host;

use crate::error::SettingsError;

/// The addresses of proxies, as the variables hold them; `Debug` shows none, since they may hold credentials.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For `http` addresses: `HTTP_PROXY`.
    pub http: String,
    /// For `https` addresses: `HTTPS_PROXY`.
    pub https: String,
    /// For both, where there is none of their own: `ALL_PROXY`.
    pub all: String,
    /// Which hosts are asked directly: names (and all below them), addresses, CIDR networks, `*`, separated by commas: `NO_PROXY`. One with a port,
    /// `host:8443` or `[fd00::1]:8443`, is meant for that port alone.
    pub none_for: String,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies")
    }
}

impl Proxies {
    /// What the environment says; a name in capitals goes before the same in small letters.
    #[must_use]
    pub fn from_env() -> Self {
        let read = |name: &str| {
            env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .or_else(|| env::var(name.to_ascii_lowercase()).ok())
                .unwrap_or_default()
        };
        Self {
            http: read("HTTP_PROXY"),
            https: read("HTTPS_PROXY"),
            all: read("ALL_PROXY"),
            none_for: read("NO_PROXY"),
        }
    }

    /// The rules. With `tunnel_http`, plain addresses go through tunnels too.
    pub(crate) fn parse(&self, tunnel_http: bool) -> Result<Rules, SettingsError> {
        for (name, value) in [
            ("HTTP_PROXY", &self.http),
            ("HTTPS_PROXY", &self.https),
            ("ALL_PROXY", &self.all),
        ] {
            // The matcher passes over what it cannot read, and the request would go out directly.
            let scheme = Matcher::builder()
                .all(value.as_str())
                .build()
                .intercept(&Uri::from_static("http://host.invalid"))
                .and_then(|found| found.uri().scheme_str().map(str::to_owned));
            if !value.is_empty() && !matches!(scheme.as_deref(), Some("http" | "https")) {
                return Err(SettingsError::Proxy(name));
            }
        }
        let mut exempt: BTreeMap<Option<u16>, Vec<&str>> = BTreeMap::new();
        for entry in self.none_for.split(',') {
            let (host, port) = split_port(entry.trim());
            exempt.entry(port).or_default().push(host);
        }
        let without_port = exempt.remove(&None).unwrap_or_default().join(",");
        let matcher = Matcher::builder()
            .http(self.http.as_str())
            .https(self.https.as_str())
            .all(self.all.as_str())
            .no(without_port)
            .build();
        let ports = exempt.into_iter().filter_map(|(port, hosts)| {
            // Only whether it passes over a host is asked; the proxy is any.
            let matcher = Matcher::builder()
                .all("http://host.invalid")
                .no(hosts.join(","));
            Some((port?, matcher.build()))
        });
        Ok(Rules {
            matcher,
            exempt_at: ports.collect(),
            tunnel_http,
        })
    }
}

/// An entry of `NO_PROXY` without its port, and the port if it has one. Bare addresses of IPv6 have colons of their own.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let Some((host, port)) = entry.rsplit_once(':') else {
        return (entry, None);
    };
    let (host, is_whole) = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => (address, true),
        None => (host, !host.contains(':')),
    };
    match port.parse() {
        Ok(port) if is_whole && !host.is_empty() => (host, Some(port)),
        _ => (entry, None),
    }
}

/// The port of an address, also where it goes without saying.
fn port_of(target: &Uri) -> Option<u16> {
    target.port_u16().or(match target.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    })
}

/// Decides the way to an address.
pub(crate) struct Rules {
    matcher: Matcher,
    /// What passes over the hosts that are exempt at a port.
    exempt_at: BTreeMap<u16, Matcher>,
    tunnel_http: bool,
}

/// A way to a server.
pub(crate) enum Way {
    Direct,
    /// To the proxy, which is told the whole address in each request.
    Forward(Intercept),
    /// Through the proxy, by CONNECT.
    Tunnel(Intercept),
}

impl Rules {
    pub(crate) fn way(&self, target: &Uri) -> Way {
        if target.host().is_none_or(is_loopback_host) {
            return Way::Direct;
        }
        let at_port = port_of(target).and_then(|port| self.exempt_at.get(&port));
        if at_port.is_some_and(|exempt| exempt.intercept(target).is_none()) {
            return Way::Direct;
        }
        match self.matcher.intercept(target) {
            None => Way::Direct,
            Some(proxy) if target.scheme_str() == Some("http") && !self.tunnel_http => {
                Way::Forward(proxy)
            }
            Some(proxy) => Way::Tunnel(proxy),
        }
    }

    /// The proxy's credentials, where they stand in the request itself and not in the tunnel's.
    pub(crate) fn credentials_for_request(&self, target: &Uri) -> Option<HeaderValue> {
        match self.way(target) {
            Way::Forward(proxy) => proxy.basic_auth().cloned(),
            Way::Direct | Way::Tunnel(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(none_for: &str) -> Proxies {
        Proxies {
            all: "http://user:secret@proxy.example:3128".to_owned(),
            none_for: none_for.to_owned(),
            ..Proxies::default()
        }
    }

    fn is_direct(none_for: &str, target: &str) -> bool {
        let rules = proxies(none_for).parse(false).expect("sound");
        matches!(rules.way(&target.parse().expect("an address")), Way::Direct)
    }

    #[test]
    fn hosts_suffixes_networks_and_all_can_be_exempt() {
        for (none_for, target, direct) in [
            ("", "https://api.example", false),
            ("api.example", "https://api.example", true),
            ("api.example", "https://api.example:8443/x", true),
            ("api.example", "https://eu.api.example", true),
            (".api.example", "https://eu.api.example", true),
            ("api.example", "https://notapi.example", false),
            ("10.1.0.0/16", "https://10.1.2.3", true),
            ("10.1.0.0/16", "https://10.2.2.3", false),
            ("10.2.2.3", "http://10.2.2.3:80", true),
            ("fd00::/8", "https://[fd00::1]", true),
            ("other.example, api.example", "https://api.example", true),
            ("*", "https://api.example", true),
            ("*", "http://api.example", true),
        ] {
            assert_eq!(
                is_direct(none_for, target),
                direct,
                "{none_for:?} {target:?}"
            );
        }
    }

    #[test]
    fn an_exempt_port_is_part_of_the_match() {
        for (none_for, target, direct) in [
            ("api.example:8443", "https://api.example:8443/x", true),
            ("api.example:8443", "https://api.example", false),
            ("api.example:8443", "https://api.example:84", false),
            ("api.example:8443", "https://eu.api.example:8443", true),
            (".api.example:8443", "https://eu.api.example:8443", true),
            ("api.example:8443", "https://notapi.example:8443", false),
            ("api.example:443", "https://api.example", true),
            ("api.example:80", "http://api.example", true),
            ("api.example:80", "https://api.example", false),
            ("a.example:1,b.example:1", "https://b.example:1", true),
            ("a.example:1,b.example", "https://b.example:2", true),
            ("10.1.0.0/16:8443", "https://10.1.2.3:8443", true),
            ("10.1.0.0/16:8443", "https://10.1.2.3", false),
            ("[fd00::1]:8443", "https://[fd00::1]:8443", true),
            ("[fd00::1]:8443", "https://[fd00::1]", false),
            ("fd00::1", "https://[fd00::1]:8443", true),
            ("*:8443", "https://api.example:8443", true),
            ("*:8443", "https://api.example", false),
            ("api.example:port", "https://api.example", false),
        ] {
            assert_eq!(
                is_direct(none_for, target),
                direct,
                "{none_for:?} {target:?}"
            );
        }
    }

    #[test]
    fn this_machine_is_asked_directly() {
        for target in [
            "http://127.0.0.1:1",
            "https://127.8.0.1",
            "https://localhost",
            "https://LOCALHOST:1",
            "http://[::1]:1",
        ] {
            assert!(is_direct("", target), "{target}");
        }
        assert!(!is_direct("", "https://localhost.example"));
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies = Proxies {
            https: "http://one.example".to_owned(),
            all: "two.example:1".to_owned(),
            ..Proxies::default()
        };
        let rules = proxies.parse(false).expect("sound");
        match rules.way(&Uri::from_static("https://api.example")) {
            Way::Tunnel(proxy) => assert_eq!(proxy.uri().host(), Some("one.example")),
            _ => panic!("no tunnel"),
        }
        match rules.way(&Uri::from_static("http://api.example")) {
            Way::Forward(proxy) => assert_eq!(proxy.uri().host(), Some("two.example")),
            _ => panic!("not forwarded"),
        }
        let rules = proxies.parse(true).expect("sound");
        assert!(matches!(
            rules.way(&Uri::from_static("http://api.example")),
            Way::Tunnel(_)
        ));
    }

    #[test]
    fn what_cannot_be_used_as_a_proxy_is_refused_and_not_passed_over() {
        for bad in ["socks5://h:1", "ftp://h", "http://", "::", "a b"] {
            let proxies = Proxies {
                https: bad.to_owned(),
                ..Proxies::default()
            };
            assert!(
                matches!(
                    proxies.parse(false).err(),
                    Some(SettingsError::Proxy("HTTPS_PROXY"))
                ),
                "{bad}"
            );
        }
    }

    #[test]
    fn credentials_are_in_no_debug_output() {
        let proxies = proxies("");
        assert_eq!(format!("{proxies:?}"), "Proxies");
        let bad = Proxies {
            http: "ftp://user:secret@h".to_owned(),
            ..Proxies::default()
        };
        let error = bad.parse(false).err().expect("refused");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
