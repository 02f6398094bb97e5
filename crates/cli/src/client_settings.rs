//! What applications are told to use a proxy: the lines that a proxy prints at its start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sealwire_http::net::say;

use crate::proxy::ProxyArgs;

/// The key that an application shows to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppAccess {
    /// None is asked for; clients want some text all the same.
    Any,
    /// The proxy's own.
    Own,
    /// The relay's, which the proxy hands on.
    Relays,
}

impl AppAccess {
    pub(crate) fn of(args: &ProxyArgs) -> Self {
        let own = args.app_key.is_some() || args.app_key_from.is_some();
        let relays = args.relay_key.is_some() || args.relay_key_from.is_some();
        Self::new(own, relays, args.forward_key)
    }

    pub(crate) fn new(own: bool, for_relay: bool, forwards: bool) -> Self {
        match (own, for_relay, forwards) {
            (true, ..) => Self::Own,
            (false, false, true) => Self::Relays,
            _ => Self::Any,
        }
    }

    /// The variable that holds it, if it is a secret.
    pub(crate) fn variable(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Own => Some("SEALWIRE_APP_KEY"),
            Self::Relays => Some("SEALWIRE_RELAY_KEY"),
        }
    }

    /// What stands for it in a line for a shell.
    pub(crate) fn in_shell(self) -> String {
        self.variable()
            .map_or_else(|| "unused".to_owned(), |name| format!("\"${name}\""))
    }
}

/// Where an application on this machine reaches a proxy that listens there.
pub(crate) fn url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

/// Lines to paste, behind the one that says where the proxy listens.
pub(crate) fn print_hints(address: SocketAddr, access: AppAccess) {
    let (url, key) = (url(address), access.in_shell());
    for line in [
        format!("  OpenAI clients      export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key}"),
        format!("  Anthropic clients   export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key}"),
        format!(
            "  Claude Code, Codex  sealwire env claude --url {url}; sealwire env codex --url {url}"
        ),
        format!("  status              {url}/"),
    ] {
        say(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_are_sent_to_an_address_that_is_one() {
        for (listen, expected) in [
            ("127.0.0.1:1", "http://127.0.0.1:1"),
            ("0.0.0.0:2", "http://127.0.0.1:2"),
            ("[::]:3", "http://[::1]:3"),
            ("10.0.0.1:4", "http://10.0.0.1:4"),
        ] {
            assert_eq!(url(listen.parse().expect("an address")), expected);
        }
    }
}
