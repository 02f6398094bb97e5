//! The relay: routes and meters sealed requests that it cannot read.
//!
//! ```text
//! client --context, H1, frames--> relay --the same bytes--> instance
//!        <--------H2, frames-----       <------------------
//!                                   |
//!                                   +-- reads label and bundle id, to route; PUBLIC frames, to bill
//! ```
//!
//! In the profile chutes-v1 it hands out single-use nonces beside the instances' keys, and bills by what the instances say beside the ciphertext.
//!
//! It links no KEM, no AEAD and no provider: SHA-256 and Ed25519 verification are all that metering needs. What passes through is not changed and
//! never waits for the meter. [`start`] serves until the returned [`Relay`] is dropped or shut down.

mod answer;
#[cfg(feature = "cli")]
pub mod args;
mod chutes;
mod cors;
mod evidence;
mod forward;
mod handler;
mod ledger;
mod meter;
mod registry;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sealwire_http::net::{BaseUrl, HttpClient, Server, ServerLimits};
use sealwire_http::profile::Profile;

pub use chutes::{Alias, AliasError};
pub use cors::{Origin, OriginError};

/// Settings of a relay.
#[derive(Clone)]
pub struct RelayConfig {
    /// Where clients reach it.
    pub listen: SocketAddr,
    /// Its instances.
    pub instances: Vec<BaseUrl>,
    /// The profiles that it speaks, to clients and to instances.
    pub profiles: Vec<Profile>,
    /// Further names for chutes; chutes-v1 only.
    pub aliases: Vec<Alias>,
    /// The keys that it accepts; none is asked for if there are none.
    pub api_keys: Vec<String>,
    /// The origins of web pages that may use it; browsers are told nothing if there are none.
    pub cors_origins: Vec<Origin>,
    /// Bounds.
    pub limits: RelayLimits,
}

/// Bounds of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// Bytes of a sealed request.
    pub request_bytes: u64,
    /// Streams at a time; more are answered `busy`.
    pub streams: usize,
    /// Connections of clients at a time; more wait to be accepted.
    pub connections: usize,
    /// Longest time for H1 to arrive.
    pub handshake_time: Duration,
    /// Longest time for an instance's answer to begin.
    pub instance_time: Duration,
    /// Longest silence in either direction.
    pub idle: Duration,
    /// Time between two looks at a healthy instance.
    pub poll_interval: Duration,
    /// Time between two tries to reach one that is down.
    pub retry_interval: Duration,
    /// Bounds of chutes-v1.
    pub chutes: ChutesLimits,
}

/// Bounds of a relay in the profile chutes-v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChutesLimits {
    /// Longest time for an instance's answer to begin. One that does not stream begins when it is whole.
    pub answer_time: Duration,
    /// Bytes of one line of a streamed answer.
    pub line_bytes: usize,
    /// How long clients are told that a nonce lives.
    pub nonce_life: Duration,
    /// How long it does live.
    pub nonce_store: Duration,
    /// Nonces that are out at a time; one key holds at most a quarter of them.
    pub nonces: usize,
    /// Longest time for an instance's evidence.
    pub evidence_time: Duration,
    /// Bytes of one instance's evidence.
    pub evidence_bytes: usize,
    /// Questions for evidence at a time; each goes to every instance of its chute.
    pub evidence_asks: usize,
}

impl Default for ChutesLimits {
    fn default() -> Self {
        Self {
            answer_time: Duration::from_secs(1_800),
            line_bytes: 8 * 1_024 * 1_024,
            nonce_life: Duration::from_secs(60),
            nonce_store: Duration::from_secs(75),
            nonces: 131_072,
            evidence_time: Duration::from_secs(20),
            evidence_bytes: 4 * 1_024 * 1_024,
            evidence_asks: 16,
        }
    }
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            request_bytes: 128 * 1_024 * 1_024,
            streams: 4_096,
            connections: 4_096,
            handshake_time: Duration::from_secs(10),
            instance_time: Duration::from_secs(3),
            idle: Duration::from_secs(180),
            poll_interval: Duration::from_secs(5),
            retry_interval: Duration::from_secs(1),
            chutes: ChutesLimits::default(),
        }
    }
}

impl RelayConfig {
    /// Defaults for these instances, on loopback with a port of the system's choice.
    #[must_use]
    pub fn new(instances: Vec<BaseUrl>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            instances,
            profiles: vec![Profile::Native],
            aliases: Vec::new(),
            api_keys: Vec::new(),
            cors_origins: Vec::new(),
            limits: RelayLimits::default(),
        }
    }
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No instance.
    #[error("a relay needs at least one --instance URL")]
    NoInstance,
    /// No profile.
    #[error("a relay needs at least one --profile: native, chutes-v1")]
    NoProfile,
    /// The address cannot be bound.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    server: Server,
    watchers: tokio::task::JoinSet<()>,
}

impl Relay {
    /// The address it listens on, with the actual port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Takes no more requests and lets those in progress end for at most `grace`.
    pub async fn shut_down(self, grace: Duration) {
        drop(self.watchers);
        self.server.shut_down(grace).await;
    }
}

/// Starts a relay. Its instances need not be up yet.
///
/// # Errors
///
/// [`StartError`].
pub async fn start(config: RelayConfig, client: HttpClient) -> Result<Relay, StartError> {
    if config.instances.is_empty() {
        return Err(StartError::NoInstance);
    }
    if config.profiles.is_empty() {
        return Err(StartError::NoProfile);
    }
    let listen = config.listen;
    let limits = ServerLimits::for_streams(config.limits.streams, config.limits.connections);
    let registry = Arc::new(registry::Registry::new(&config, client.clone()));
    let handler = Arc::new(handler::Handler::new(config, Arc::clone(&registry), client));
    let server = Server::start(listen, limits, handler)
        .await
        .map_err(|error| StartError::Listen(listen, error))?;
    Ok(Relay {
        server,
        watchers: registry::watch(&registry),
    })
}

fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
