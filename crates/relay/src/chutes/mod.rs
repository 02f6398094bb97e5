//! The profile chutes-v1 (spec/compat-chutes.md): what clients of the deployed protocol ask a relay for.
//!
//! ```text
//! client --GET /e2e/instances/{chute}--> relay         keys and single-use nonces
//!        --POST /e2e/invoke, nonce, blob-> relay --the same blob--> instance
//!        <------------ ciphertext -------       <-- ciphertext, usage in clear
//! ```

mod discovery;
mod evidence;
mod invoke;
mod models;
mod nonces;
mod refusal;
mod retry_after;
mod usage;

use std::sync::Arc;

use http::{Method, Request, Response};
use sealwire_http::chutes::{ALIASES_PATH, INSTANCES_PREFIX, INVOKE_PATH, Uuid, evidence_chute};
use sealwire_http::net::{Body, HttpClient, Incoming, discard};
use tokio::sync::Semaphore;

use crate::ledger::Ledger;
use crate::registry::{Described, Registry};
use crate::{RelayConfig, RelayLimits};

pub use models::{Alias, AliasError};
use nonces::{MemoryNonces, Nonces};
use refusal::Refusal;

/// A relay's part in chutes-v1.
pub(crate) struct Chutes {
    registry: Arc<Registry>,
    ledger: Arc<Ledger>,
    client: HttpClient,
    /// Shared with the native profile.
    streams: Arc<Semaphore>,
    evidence: Semaphore,
    nonces: Nonces<MemoryNonces>,
    aliases: Vec<Alias>,
    limits: RelayLimits,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked<'a> {
    Aliases,
    Instances(&'a str),
    Invoke,
    Evidence(&'a str),
}

impl<'a> Asked<'a> {
    fn read(path: &'a str) -> Option<Self> {
        match path {
            ALIASES_PATH => Some(Self::Aliases),
            INVOKE_PATH => Some(Self::Invoke),
            _ => path
                .strip_prefix(INSTANCES_PREFIX)
                .map(Self::Instances)
                .or_else(|| evidence_chute(path).map(Self::Evidence)),
        }
    }

    const fn method(self) -> Method {
        match self {
            Self::Invoke => Method::POST,
            _ => Method::GET,
        }
    }
}

/// Whether a path is one of this profile.
pub(crate) fn serves(path: &str) -> bool {
    Asked::read(path).is_some()
}

impl Chutes {
    pub(crate) fn new(
        config: &RelayConfig,
        registry: Arc<Registry>,
        ledger: Arc<Ledger>,
        client: HttpClient,
        streams: Arc<Semaphore>,
    ) -> Self {
        let limits = config.limits;
        Self {
            registry,
            ledger,
            client,
            streams,
            evidence: Semaphore::new(limits.chutes.evidence_asks),
            nonces: Nonces::new(
                MemoryNonces::new(limits.chutes.nonces),
                limits.chutes.nonce_store,
            ),
            aliases: config.aliases.clone(),
            limits,
        }
    }

    /// Answers a request of a user; gives it back if its path is not of this profile.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        user: &str,
    ) -> Result<Response<Body>, Request<Incoming>> {
        let uri = request.uri().clone();
        let Some(asked) = Asked::read(uri.path()) else {
            return Err(request);
        };
        if *request.method() != asked.method() {
            discard(request.into_body());
            return Ok(Refusal::Method.into_response());
        }
        Ok(match asked {
            Asked::Invoke => self.invoke(request, user).await,
            Asked::Aliases => tell(request, async { Ok(self.aliases()) }).await,
            Asked::Instances(chute) => tell(request, self.instances(chute, user)).await,
            Asked::Evidence(chute) => {
                let query = uri.query().unwrap_or("");
                tell(request, self.show_evidence(chute, query)).await
            }
        })
    }

    /// The instances of a chute that are up, at least one.
    fn active(&self, chute: Option<Uuid>) -> Result<Vec<Described>, Refusal> {
        let chute = chute.ok_or(Refusal::NoChute)?;
        let mut serving = self.registry.distinct();
        serving.retain(|instance| serves_chute(instance, chute));
        // An instance that has not answered yet may serve it.
        if serving.is_empty() && self.registry.all_seen() {
            return Err(Refusal::NoChute);
        }
        serving.retain(|instance| instance.up);
        if serving.is_empty() {
            return Err(Refusal::NoActiveInstance);
        }
        Ok(serving)
    }
}

/// The answer to a request without a body; one that came is not kept while others are asked.
async fn tell(
    request: Request<Incoming>,
    answer: impl Future<Output = Result<Response<Body>, Refusal>>,
) -> Response<Body> {
    discard(request.into_body());
    answer.await.unwrap_or_else(Refusal::into_response)
}

fn serves_chute(instance: &Described, chute: Uuid) -> bool {
    let mut chutes = instance.description.chutes.iter();
    chutes.any(|have| have.chute_id == chute)
}
