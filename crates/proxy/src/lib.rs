//! The proxy: a server for OpenAI and Anthropic clients on the user's own machine that seals every request before it leaves.
//!
//! ```text
//! app --HTTP--> proxy --H1, frames--> relay --> instance
//!                 ^ verifies the bundle, seals the request, opens the answer, checks the receipts
//! ```
//!
//! The applications' side ([`apps`]) is the same over every profile: it reads requests in their dialect, asks a profile, and writes the answer.
//! [`start`] serves until the returned [`Server`] is dropped or shut down. Errors of the relay plane become errors of the API, never model output;
//! nothing is ever sent unsealed; a streamed answer that breaks is aborted, not ended. [`chutes`] is the same for the profile chutes-v1.

mod api;
pub mod apps;
pub mod attestation;
mod backend;
pub mod chutes;
pub mod collateral;
pub mod doctor;
mod native;
mod relay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sealwire::client::EarlyData;
use sealwire::{CryptoProvider, IdentityTrust, Suite};
use sealwire_attest::Verifier;
use sealwire_http::inner::PaddingWish;
pub use sealwire_http::net::Server;
use sealwire_http::net::{BaseUrl, HttpClient};

pub use crate::api::FrontSettings;
use crate::api::{ApiLimits, Front, Service};
use crate::collateral::{CollateralFault, CollateralSource, Collaterals};

/// The class of errors that come from the way to the instance and not from the model.
const RELAY_ERROR: &str = "sealwire_relay_error";
/// The class of errors that the sealed answer itself showed.
const SEALED_ERROR: &str = "sealwire_error";

/// Which instances are trusted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those of these identities.
    Identities(IdentityTrust),
    /// Those that prove themselves.
    Evidence(EvidenceTrust),
}

impl From<IdentityTrust> for Trust {
    fn from(trust: IdentityTrust) -> Self {
        Self::Identities(trust)
    }
}

/// What instances must prove.
#[derive(Debug, Clone)]
pub struct EvidenceTrust {
    /// The policy, and how to verify by it.
    pub verifier: Arc<Verifier>,
    /// Where collateral for TDX quotes comes from.
    pub collateral: CollateralSource,
}

impl From<EvidenceTrust> for Trust {
    fn from(trust: EvidenceTrust) -> Self {
        Self::Evidence(trust)
    }
}

/// Settings of a proxy.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// The applications' side.
    pub front: FrontSettings,
    /// The relay.
    pub relay: BaseUrl,
    /// Which instances are trusted.
    pub trust: Trust,
    /// Whether the request leaves before the instance has answered the handshake.
    pub early_data: EarlyData,
    /// Takes single-use bundles only.
    pub single_use: bool,
    /// Suites it accepts, the preferred one first.
    pub suites: Vec<Suite>,
    /// What it asks of the instance's padding, and does itself.
    pub padding: PaddingWish,
    /// Goes to the relay in clear, in the context.
    pub billing: Option<Vec<u8>>,
    /// Bounds.
    pub limits: ProxyLimits,
}

/// Bounds of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Bytes of an application's request.
    pub request_bytes: usize,
    /// Bytes of an answer that is not streamed.
    pub answer_bytes: usize,
    /// Attempts of one request.
    pub attempts: u8,
    /// Time for discovery and handshake, over all attempts.
    pub handshake_time: Duration,
    /// Longest silence while the application sends its request.
    pub request_idle: Duration,
    /// Longest silence of the relay after the handshake.
    pub answer_idle: Duration,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            request_bytes: 32 * 1_024 * 1_024,
            answer_bytes: 64 * 1_024 * 1_024,
            attempts: 3,
            handshake_time: Duration::from_secs(4),
            request_idle: Duration::from_secs(30),
            answer_idle: Duration::from_secs(180),
        }
    }
}

impl ProxyConfig {
    /// Defaults for this relay and trust, on loopback with a port of the system's choice.
    #[must_use]
    pub fn new(relay: BaseUrl, trust: impl Into<Trust>) -> Self {
        Self {
            front: FrontSettings::default(),
            relay,
            trust: trust.into(),
            early_data: EarlyData::Allow,
            single_use: false,
            suites: Suite::ALL.to_vec(),
            padding: PaddingWish::None,
            billing: None,
            limits: ProxyLimits::default(),
        }
    }
}

/// Why a proxy does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not loopback.
    #[error(
        "{0} is not a loopback address; with --allow-remote others can reach the proxy, unencrypted"
    )]
    NotLoopback(SocketAddr),
    /// The address is not loopback and no key is asked for.
    #[error("{0} is not a loopback address: with --allow-remote an --app-key is needed too")]
    NoAppKey(SocketAddr),
    /// Collateral cannot be read.
    #[error(transparent)]
    Collateral(#[from] CollateralFault),
    /// The application's key would be both for the proxy and for the relay.
    #[error(
        "with --app-key, --forward-key would hand the relay the key of this proxy; give the relay's own with --relay-key"
    )]
    ForwardsAppKey,
    /// The address cannot be bound.
    #[error("cannot listen on {0}: {1}; --listen names another address")]
    Listen(SocketAddr, std::io::Error),
}

/// Starts a proxy. The relay need not be up yet.
///
/// # Errors
///
/// [`StartError`].
pub async fn start(
    config: ProxyConfig,
    provider: CryptoProvider,
    client: HttpClient,
) -> Result<Server, StartError> {
    let front = Front::new(provider.verification, &config.front)?;
    let limits = ApiLimits {
        connections: config.front.connections,
        request_bytes: config.limits.request_bytes,
        request_idle: config.limits.request_idle,
        answer_bytes: config.limits.answer_bytes,
    };
    let (listen, apps) = (config.front.listen, config.front.apps.clone());
    let backend = backend(config, provider, client)?;
    api::serve(listen, Service::new(backend, front, apps, limits, provider)).await
}

/// The native profile.
fn backend(
    config: ProxyConfig,
    provider: CryptoProvider,
    client: HttpClient,
) -> Result<native::Native, StartError> {
    let identities = match &config.trust {
        Trust::Identities(_) => None,
        Trust::Evidence(trust) => {
            let collaterals = Collaterals::new(trust.collateral.clone(), client.clone())?;
            Some(Arc::new(native::Identities::new(
                Arc::clone(&trust.verifier),
                Arc::new(collaterals),
                provider,
                client.clone(),
                config.relay.clone(),
            )))
        }
    };
    Ok(native::Native::new(config, provider, client, identities))
}

fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
