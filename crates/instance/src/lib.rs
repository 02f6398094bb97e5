//! The instance: beside the model server inside the enclave. It opens sealed requests, calls the model server, and seals the answer as it is produced.
//!
//! ```text
//! relay --H1, frames--> instance --HTTP--> model server
//!       <--H2, frames--            answer, usage
//! ```
//!
//! In the profile chutes-v1 it does the same for clients of the deployed protocol; both profiles share the call to the model server and its bounds.
//!
//! [`start`] serves until the returned [`Instance`] is dropped or shut down. No call to the model server starts before the request's FINAL is
//! verified; what the instance has to refuse before, it refuses sealed.

mod answer;
mod chutes;
pub mod evidence;
mod handler;
mod keys;
mod reading;
mod stream;
mod upstream;
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sealwire::compat::chutes::ChutesError;
use sealwire::crypto::Secret;
use sealwire::server::KeyRingConfig;
use sealwire::{CryptoProvider, Suite};
use sealwire_http::chutes::Uuid;
use sealwire_http::inner::PaddingWish;
use sealwire_http::net::{BaseUrl, HttpClient, Server, ServerLimits};
use sealwire_http::profile::Profile;

pub use crate::chutes::ChutesConfig;
use crate::evidence::{Evidence, EvidenceConfig, EvidenceError, StatementFacts};

/// Settings of an instance.
#[derive(Clone)]
pub struct InstanceConfig {
    /// Where the relay reaches it.
    pub listen: SocketAddr,
    /// The model server.
    pub upstream: BaseUrl,
    /// The models that it serves: the labels of its bundles.
    pub models: Vec<String>,
    /// The profiles that it speaks.
    pub profiles: Vec<Profile>,
    /// Settings of chutes-v1.
    pub chutes: ChutesConfig,
    /// The suites that it offers.
    pub suites: Vec<Suite>,
    /// Rotation and life of its keys.
    pub keys: KeyRingConfig,
    /// The least padding of its answers; a client may wish for more.
    pub least_padding: PaddingWish,
    /// What vouches for its identity; nothing does if there is none, and clients must pin it.
    pub evidence: Option<EvidenceConfig>,
    /// Bounds.
    pub limits: InstanceLimits,
}

/// Bounds of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Streams at a time; more are answered `busy` before any decapsulation.
    pub streams: usize,
    /// Connections of relays at a time; more wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's content.
    pub request_bytes: usize,
    /// Bytes of an answer that must be held whole before it is sealed: in chutes-v1, one that does not stream.
    pub answer_bytes: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Fields of a request's head.
    pub head_fields: usize,
    /// Longest time for H1 to arrive.
    pub handshake_time: Duration,
    /// Longest time for a whole request to arrive.
    pub request_time: Duration,
    /// Longest silence within a request.
    pub request_idle: Duration,
    /// Longest time for the model server's first answer.
    pub upstream_head_time: Duration,
    /// Longest silence of the model server within an answer.
    pub upstream_idle: Duration,
    /// Longest time that the relay may take no bytes.
    pub send_idle: Duration,
    /// Time between interim receipts.
    pub receipt_interval: Duration,
}

impl Default for InstanceLimits {
    fn default() -> Self {
        Self {
            streams: 256,
            connections: 4_096,
            request_bytes: 32 * 1_024 * 1_024,
            answer_bytes: 64 * 1_024 * 1_024,
            head_bytes: 32 * 1_024,
            head_fields: 64,
            handshake_time: Duration::from_secs(10),
            request_time: Duration::from_secs(600),
            request_idle: Duration::from_secs(30),
            upstream_head_time: Duration::from_secs(120),
            upstream_idle: Duration::from_secs(120),
            send_idle: Duration::from_secs(60),
            receipt_interval: Duration::from_secs(10),
        }
    }
}

impl InstanceConfig {
    /// Defaults for one model, on loopback with a port of the system's choice.
    #[must_use]
    pub fn new(upstream: BaseUrl, model: &str) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            upstream,
            models: vec![model.to_owned()],
            profiles: vec![Profile::Native],
            chutes: ChutesConfig::default(),
            suites: Suite::ALL.to_vec(),
            keys: KeyRingConfig::default(),
            least_padding: PaddingWish::None,
            evidence: None,
            limits: InstanceLimits::default(),
        }
    }
}

/// Why an instance does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No model, no suite or no profile.
    #[error("an instance needs at least one model, one suite and one profile")]
    Nothing,
    /// A model's name cannot be a label, or a key cannot be made.
    #[error("cannot make keys for the model {0:?}: {1}")]
    Keys(String, sealwire::Error),
    /// The keys of chutes-v1 cannot be kept as configured.
    #[error("cannot make keys for chutes-v1: {0}")]
    Chutes(ChutesError),
    /// Evidence says that what is opened stays inside; this address is outside.
    #[error(
        "the model server {0} is not on a loopback address: with evidence, prompts must not leave the machine that the evidence is for"
    )]
    RemoteUpstream(BaseUrl),
    /// There is no evidence to be had.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The address cannot be bound.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// A running instance.
#[derive(Debug)]
pub struct Instance {
    server: Server,
    identity: [u8; 32],
    instance_id: Option<Uuid>,
    evidence: Option<Arc<Evidence>>,
}

impl Instance {
    /// The address it listens on, with the actual port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its Ed25519 public key: what clients pin.
    #[must_use]
    pub const fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// Its name in chutes-v1, if it speaks that.
    #[must_use]
    pub const fn instance_id(&self) -> Option<Uuid> {
        self.instance_id
    }

    /// What vouches for its identity.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_deref()
    }

    /// Takes no more requests and lets those in progress end for at most `grace`.
    pub async fn shut_down(self, grace: Duration) {
        self.server.shut_down(grace).await;
    }
}

/// Starts an instance under the identity of this seed. The model server need not be up yet.
///
/// # Errors
///
/// [`StartError`].
pub async fn start(
    mut config: InstanceConfig,
    provider: CryptoProvider,
    identity_seed: &Secret<32>,
    client: HttpClient,
) -> Result<Instance, StartError> {
    if config.models.is_empty() || config.suites.is_empty() || config.profiles.is_empty() {
        return Err(StartError::Nothing);
    }
    let keys = Arc::new(keys::Keys::new(&config, provider, identity_seed)?);
    keys::erase_in_time(&keys);
    let listen = config.listen;
    let limits = ServerLimits::for_streams(config.limits.streams, config.limits.connections);
    let identity = keys.identity().public_key();
    let evidence = match config.evidence.take() {
        Some(_) if !config.upstream.is_loopback() => {
            return Err(StartError::RemoteUpstream(config.upstream));
        }
        Some(settings) => {
            let facts = StatementFacts {
                labels: keys.labels().map(str::to_owned).collect(),
                padding: config.least_padding.as_str().to_owned(),
                profiles: statement_profiles(&config.profiles),
                upstream: config.upstream.to_string(),
            };
            Some(Arc::new(Evidence::start(settings, identity, facts).await?))
        }
        None => None,
    };
    let handler = handler::Handler::new(config, provider, keys, client, evidence.clone())?;
    let instance_id = handler.instance_id();
    let handler = Arc::new(handler);
    let server = Server::start(listen, limits, handler)
        .await
        .map_err(|error| StartError::Listen(listen, error))?;
    Ok(Instance {
        server,
        identity,
        instance_id,
        evidence,
    })
}

/// Profiles as an evidence statement names them.
fn statement_profiles(profiles: &[Profile]) -> Vec<String> {
    let names = profiles.iter().map(|profile| match profile {
        Profile::Native => "sealwire/1",
        Profile::ChutesV1 => "chutes-v1",
    });
    names.map(str::to_owned).collect()
}

fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
