//! Connections to the internet: TLS 1.3 and 1.2 with the certificate authorities of the machine, and the HTTP proxy that the environment names.
//!
//! [`client`] gives an [`HttpClient`] for `http` and `https` addresses. A server on this machine is never asked through a proxy. Errors say which step failed, and never hold
//! a proxy's credentials.

mod connector;
mod error;
mod proxies;
mod roots;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, PROXY_AUTHORIZATION};
use sealwire_http::net::{ClientConfig, HttpClient};

use crate::connector::Connector;
pub use crate::error::{ConnectError, SettingsError};
pub use crate::proxies::Proxies;

/// What a client of the outside world takes from its user.
#[derive(Debug, Clone)]
pub struct Settings {
    /// PEM files with certificate authorities to trust beside the machine's own.
    pub authorities: Vec<PathBuf>,
    /// The proxies.
    pub proxies: Proxies,
    /// Longest time for a TLS handshake, and for a proxy to open a tunnel.
    pub handshake_timeout: Duration,
}

impl Settings {
    /// The machine's authorities and these files, the proxies of the environment.
    #[must_use]
    pub fn from_env(authorities: Vec<PathBuf>) -> Self {
        Self {
            authorities,
            proxies: Proxies::from_env(),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// A client for `http` and `https`. Over TLS it speaks HTTP/1.1; if `config` names servers of HTTP/2, what the server chooses.
///
/// # Errors
///
/// [`SettingsError`].
pub fn client(config: &ClientConfig, settings: &Settings) -> Result<HttpClient, SettingsError> {
    let proxies = Arc::new(settings.proxies.parse(!config.http2.is_empty())?);
    let roots = roots::load(&settings.authorities)?;
    let connector = Connector::new(
        config,
        settings.handshake_timeout,
        roots,
        Arc::clone(&proxies),
    )?;
    let client = HttpClient::with_connector(config, connector);
    Ok(client.prepared(move |request| {
        // Set here and nowhere else: what an application sent to this name goes to no server.
        request.headers_mut().remove(PROXY_AUTHORIZATION);
        if let Some(credentials) = proxies.credentials_for_request(request.uri()) {
            let mut credentials: HeaderValue = credentials.clone();
            credentials.set_sensitive(true);
            request
                .headers_mut()
                .insert(PROXY_AUTHORIZATION, credentials);
        }
    }))
}
