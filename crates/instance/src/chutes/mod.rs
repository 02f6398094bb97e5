//! The profile chutes-v1 (spec/compat-chutes.md, section 10): an instance for clients of the deployed protocol, behind a relay that speaks it.
//!
//! ```text
//! relay --blob--> open, admit once --HTTP--> model server
//!       <--200, blob: sealed status and body, usage beside it--
//!       <--200, events: sealed lines, usage between them--------
//!       <--4xx, 503 {"detail"}: nothing was asked of the model server
//! ```

mod events;
mod keys;
mod reply;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use sealwire::CryptoProvider;
use sealwire::compat::chutes::{Codec, Compress, KeyRingConfig, ZlibRs};
use sealwire_http::chutes::{
    Chute, DESCRIPTION_PATH, INSTANCE_EVIDENCE_PATH, INSTANCE_INVOKE_PATH, InstanceDescription,
    Uuid, default_chute_id, evidence_nonce, random_id,
};
use sealwire_http::net::{Body, HttpClient, Incoming, detail, discard, json, warn};
use tokio::sync::Semaphore;

use crate::evidence::{Evidence, EvidenceError};
use crate::{InstanceConfig, StartError};
use keys::Keys;

/// Settings of an instance in the profile chutes-v1.
#[derive(Clone)]
pub struct ChutesConfig {
    /// Its name; a random one if there is none.
    pub instance_id: Option<Uuid>,
    /// The ids of models that have one of their own; others are derived from the name.
    pub chute_ids: BTreeMap<String, Uuid>,
    /// What the model server can do, in the words of the platform's model list.
    pub features: Vec<String>,
    /// Rotation and life of its keys.
    pub keys: KeyRingConfig,
    /// The compressor of answers.
    pub compress: &'static dyn Compress,
}

impl Default for ChutesConfig {
    fn default() -> Self {
        Self {
            instance_id: None,
            chute_ids: BTreeMap::new(),
            features: Vec::new(),
            keys: KeyRingConfig::default(),
            compress: &ZlibRs::DEFAULT,
        }
    }
}

/// An instance's part in chutes-v1.
pub(crate) struct Chutes {
    config: Arc<InstanceConfig>,
    id: Uuid,
    chutes: Vec<Chute>,
    codec: Codec,
    keys: Arc<Keys>,
    client: HttpClient,
    /// Shared with the native profile.
    streams: Arc<Semaphore>,
    evidence: Option<Arc<Evidence>>,
}

impl Chutes {
    pub(crate) fn new(
        config: Arc<InstanceConfig>,
        provider: CryptoProvider,
        client: HttpClient,
        streams: Arc<Semaphore>,
        evidence: Option<Arc<Evidence>>,
    ) -> Result<Self, StartError> {
        let settings = &config.chutes;
        let id = match settings.instance_id {
            Some(id) => id,
            None => {
                let mut random = [0; 16];
                let filled = provider.random.fill(&mut random);
                filled.map_err(|error| StartError::Chutes(error.into()))?;
                random_id(random)
            }
        };
        let chutes = config.models.iter().map(|model| Chute {
            chute_id: settings
                .chute_ids
                .get(model)
                .copied()
                .unwrap_or_else(|| default_chute_id(provider.verification.hash, model)),
            model: model.clone(),
        });
        let keys = Arc::new(Keys::new(&provider, settings.keys).map_err(StartError::Chutes)?);
        keys::erase_in_time(&keys);
        Ok(Self {
            id,
            chutes: chutes.collect(),
            codec: Codec {
                compress: settings.compress,
                ..Codec::new(&provider)
            },
            keys,
            client,
            streams,
            evidence,
            config,
        })
    }

    pub(crate) const fn id(&self) -> Uuid {
        self.id
    }

    /// Answers a request; gives it back if its path is not of this profile.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Request<Incoming>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, DESCRIPTION_PATH) => Ok(self.describe()),
            (&Method::POST, INSTANCE_INVOKE_PATH) => Ok(self.invoke(request).await),
            (&Method::GET, INSTANCE_EVIDENCE_PATH) => Ok(self
                .show_evidence(request.uri().query().unwrap_or(""))
                .await),
            _ => Err(request),
        }
    }

    fn describe(&self) -> Response<Body> {
        let description = InstanceDescription {
            instance_id: self.id,
            chutes: self.chutes.clone(),
            // Without one the relay does not offer this instance.
            e2e_pubkey: self.keys.public_key().ok(),
            confidential_compute: self.evidence.is_some(),
            supported_features: self.config.chutes.features.clone(),
        };
        // Strings and flags: serialising them cannot fail.
        json(
            StatusCode::OK,
            serde_json::to_vec(&description).unwrap_or_default(),
        )
    }

    async fn show_evidence(&self, query: &str) -> Response<Body> {
        let Some(evidence) = &self.evidence else {
            return detail(StatusCode::NOT_FOUND, "this instance has no evidence");
        };
        let Some(nonce) = evidence_nonce(query) else {
            return detail(
                StatusCode::BAD_REQUEST,
                "the query needs one nonce of 64 hexadecimal digits",
            );
        };
        let Ok(key) = self.keys.public_key() else {
            return detail(StatusCode::SERVICE_UNAVAILABLE, "no key can be made now");
        };
        let id = self.id.to_string();
        match evidence.chutes_evidence(nonce, &key, &id).await {
            // Strings: serialising them cannot fail.
            Ok(shown) => json(
                StatusCode::OK,
                serde_json::to_vec(&shown).unwrap_or_default(),
            ),
            Err(EvidenceError::StapledOnly) => detail(
                StatusCode::NOT_FOUND,
                "this instance has no evidence for nonces",
            ),
            Err(EvidenceError::Busy) => {
                detail(StatusCode::SERVICE_UNAVAILABLE, "too many challenges now")
            }
            Err(error) => {
                warn(&format!("no evidence: {error}"));
                detail(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the instance cannot make evidence now",
                )
            }
        }
    }

    async fn invoke(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let accepted = self.accept(&parts.headers, &mut body).await;
        // Nothing that comes behind the request, or its refusal, changes the answer.
        discard(body);
        match accepted {
            Ok(accepted) => self.reply(accepted).await,
            Err(refusal) => refusal.into_response(),
        }
    }
}
