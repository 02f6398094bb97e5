//! The profile chutes-v1 (spec/compat-chutes.md): the deployed Chutes E2EE protocol, spoken hardened.
//!
//! ```text
//! app --HTTP--> proxy --/v1/models, /e2e/instances, evidence--> relay
//!                 | verifies evidence, then seals
//!                 +--/e2e/invoke: blob--> relay --> instance
//! ```
//!
//! [`start`] serves as the native proxy does. No byte of a request leaves before the instance's key is attested; nothing is ever sent unsealed; what the
//! relay says in clear is never model output.

mod answer;
mod api;
mod attempt;
mod attestations;
mod error;
mod evidence;
mod gate;
mod handler;
mod instances;
mod models;
mod nonces;
mod request;

use std::sync::Arc;
use std::time::Duration;

use sealwire::compat::chutes::Codec;
use sealwire_http::net::{BaseUrl, HttpClient, Server};

pub use self::evidence::EvidenceGate;
pub use self::gate::{
    Asked, Candidate, Finding, Gate, GateError, Judging, Outcome, TrustRelay, Verdict,
};
use crate::StartError;
use crate::api::{ApiLimits, Front, FrontSettings, Service, serve};
use crate::backend::Backend;

/// Settings of a proxy for chutes-v1.
#[derive(Debug, Clone)]
pub struct ChutesConfig {
    /// The applications' side.
    pub front: FrontSettings,
    /// Where models are listed.
    pub api_base: BaseUrl,
    /// Where instances are found and invoked, evidence and aliases fetched.
    pub e2e_base: BaseUrl,
    /// Models that are used although the relay does not list them as confidential: the very name, or chute id, that applications ask for. No evidence is
    /// asked of them.
    pub allow_non_confidential: Vec<String>,
    /// Asks the relay for its usage events even if the application did not ask for usage.
    pub usage_passthrough: bool,
    /// The model servers are known to count every token in a chunk of its own, so a jump of the counter is a gap.
    pub every_token: bool,
    /// Bounds.
    pub limits: ChutesLimits,
}

/// Bounds of a proxy for chutes-v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChutesLimits {
    /// Bytes of an application's request.
    pub request_bytes: usize,
    /// Bytes of an answer that is not streamed, unpacked; and packed.
    pub answer_bytes: usize,
    /// Attempts of one request.
    pub attempts: u8,
    /// Longest silence while the application sends its request.
    pub request_idle: Duration,
    /// Time for a model list, for aliases and for a discovery.
    pub lookup_time: Duration,
    /// Time for evidence to be fetched and judged.
    pub evidence_time: Duration,
    /// Time for an answer to begin; one that is not streamed begins when the model is done.
    pub answer_begin: Duration,
    /// Longest silence within an answer.
    pub answer_idle: Duration,
}

impl Default for ChutesLimits {
    fn default() -> Self {
        Self {
            request_bytes: 32 * 1_024 * 1_024,
            answer_bytes: 64 * 1_024 * 1_024,
            attempts: 4,
            request_idle: Duration::from_secs(30),
            lookup_time: Duration::from_secs(30),
            evidence_time: Duration::from_secs(60),
            answer_begin: Duration::from_secs(1_800),
            answer_idle: Duration::from_secs(300),
        }
    }
}

impl ChutesConfig {
    /// Defaults for this relay, on loopback with a port of the system's choice.
    #[must_use]
    pub fn new(api_base: BaseUrl) -> Self {
        Self {
            front: FrontSettings::default(),
            e2e_base: api_base.clone(),
            api_base,
            allow_non_confidential: Vec::new(),
            usage_passthrough: false,
            every_token: false,
            limits: ChutesLimits::default(),
        }
    }
}

/// Starts a proxy for chutes-v1. The relay need not be up yet.
///
/// # Errors
///
/// [`StartError`].
pub async fn start(
    config: ChutesConfig,
    codec: Codec,
    client: HttpClient,
    gate: Arc<dyn Gate>,
) -> Result<Server, StartError> {
    let front = Front::new(codec.provider.verification, &config.front)?;
    let limits = ApiLimits {
        connections: config.front.connections,
        request_bytes: config.limits.request_bytes,
        request_idle: config.limits.request_idle,
        answer_bytes: config.limits.answer_bytes,
    };
    let (listen, apps) = (config.front.listen, config.front.apps.clone());
    let provider = codec.provider;
    let backend = backend(config, codec, client, gate);
    serve(listen, Service::new(backend, front, apps, limits, provider)).await
}

/// This profile.
pub(crate) fn backend(
    config: ChutesConfig,
    codec: Codec,
    client: HttpClient,
    gate: Arc<dyn Gate>,
) -> impl Backend {
    handler::Chutes::new(config, codec, client, gate)
}
