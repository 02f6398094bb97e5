//! The attempts behind one question.

use std::sync::Arc;
use std::time::Duration;

use sealwire::compat::chutes::{Codec, InstanceKey};
use sealwire_http::net::HttpClient;
use sealwire_http::openai::ApiError;
use sealwire_http::profile::Profile;
use serde_json::Value;
use tokio::time::sleep;

use super::ChutesConfig;
use super::answer::{self, Answer, Wish};
use super::api::{Api, User};
use super::attempt::{self, Answered, Invocation};
use super::attestations::{Attestations, Deployment};
use super::error::{Fault, Plan};
use super::gate::{Candidate, Gate};
use super::instances::{Entry, Instances};
use super::models::{Models, Resolved};
use super::nonces::Ticket;
use super::request::{prepare, thinking};
use crate::backend::{self, About, Backend, Question, Usable};

/// Discoveries for one attempt whose nonces go to other requests: as many requests at a time as these bring nonces for find one each.
const MAX_DISCOVERIES: u32 = 64;
/// Pause before another attempt where all instances are full, times the attempt's number.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Chutes {
    config: ChutesConfig,
    codec: Codec,
    client: HttpClient,
    models: Models,
    instances: Arc<Instances>,
    attestations: Arc<Attestations>,
}

impl Backend for Chutes {
    type Source = Answer;

    async fn ask(&self, question: &Question) -> Result<backend::Answered<Answer>, ApiError> {
        self.answer(question).await.map_err(|fault| fault.to_api())
    }

    async fn models(&self, key: Option<&str>) -> Result<Value, ApiError> {
        let catalog = self.models.catalog(self.user(key), key).await;
        let catalog = catalog.map_err(|fault| fault.to_api())?;
        Ok(catalog.usable(&self.config.allow_non_confidential))
    }

    async fn verify(&self, model: &str, key: Option<&str>) -> Result<Usable, ApiError> {
        self.usable(model, key)
            .await
            .map_err(|fault| fault.to_api())
    }

    fn document(&self) -> Value {
        self.attestations.document()
    }

    fn about(&self) -> About {
        let mut relay = vec![self.config.api_base.clone()];
        if self.config.e2e_base != self.config.api_base {
            relay.push(self.config.e2e_base.clone());
        }
        About {
            profile: Profile::ChutesV1,
            relay,
        }
    }
}

/// The instances that one question has been to. One that comes back with another key is another.
#[derive(Default)]
struct Tried(Vec<(String, InstanceKey)>);

impl Tried {
    fn is_fresh(&self, instance: &str, key: &InstanceKey) -> bool {
        !self
            .0
            .iter()
            .any(|(tried, its_key)| tried == instance && its_key == key)
    }
}

impl Chutes {
    pub(crate) fn new(
        config: ChutesConfig,
        codec: Codec,
        client: HttpClient,
        gate: Arc<dyn Gate>,
    ) -> Self {
        let provider = codec.provider;
        let api = Arc::new(Api {
            client: client.clone(),
            api_base: config.api_base.clone(),
            e2e_base: config.e2e_base.clone(),
            time: config.limits.lookup_time,
        });
        Self {
            codec,
            models: Models::new(Arc::clone(&api)),
            instances: Arc::new(Instances::new(api, provider)),
            attestations: Arc::new(Attestations::new(
                gate,
                provider.verification,
                config.limits.evidence_time,
            )),
            client,
            config,
        }
    }

    async fn answer(&self, question: &Question) -> Result<backend::Answered<Answer>, Fault> {
        let key = question.key.as_deref();
        let user = self.user(key);
        let (name, thinks) = thinking(&question.model, &question.headers);
        let waived = &self.config.allow_non_confidential;
        let resolved = self.models.resolve(user, key, name, waived).await?;
        let prepared = prepare(&question.content, &resolved.model, thinks)?;
        let invocation = Invocation {
            chute: &resolved.chute,
            path: &question.path,
            body: &prepared.body,
            stream: prepared.stream,
            passthrough: self.config.usage_passthrough || prepared.asks_usage,
            key,
        };
        let answered = self.attempts(user, &resolved, &invocation).await?;
        let wish = Wish {
            streamed: prepared.stream,
            every_token: self.config.every_token,
        };
        answer::begin(answered, &self.config.limits, wish).await
    }

    /// An instance that may be sealed to. Its nonces are left for requests.
    async fn usable(&self, model: &str, key: Option<&str>) -> Result<Usable, Fault> {
        let user = self.user(key);
        let waived = &self.config.allow_non_confidential;
        let resolved = self.models.resolve(user, key, model, waived).await?;
        if resolved.waived {
            return Ok(Usable::Waived);
        }
        let entry = self.instances.entry(user, &resolved.chute);
        if entry.instances().is_empty() {
            let batch = self.instances.batch(&entry);
            self.instances.ask(&entry, key, batch).await?;
        }
        let candidates = entry.instances();
        if candidates.is_empty() {
            return Err(Fault::NoInstance(resolved.model));
        }
        let accept = self.accepted(&resolved, key, &candidates).await?;
        candidates
            .into_iter()
            .find(|(_, key)| accept(key))
            .map(|(instance, _)| Usable::Trusted(instance))
            .ok_or(Fault::NoInstance(resolved.model))
    }

    /// Attempts until an answer begins, each sealed anew, with a nonce of its own.
    async fn attempts(
        &self,
        user: User,
        resolved: &Resolved,
        invocation: &Invocation<'_>,
    ) -> Result<Answered, Fault> {
        let entry = self.instances.entry(user, &resolved.chute);
        let mut tried = Tried::default();
        let mut last: Option<Fault> = None;
        for number in 1..=self.config.limits.attempts {
            let ticket = match self.ticket(&entry, resolved, invocation.key, &tried).await {
                Ok(ticket) => ticket,
                // What the attempt before met says more than that nothing is left.
                Err(fault) => return Err(last.unwrap_or(fault)),
            };
            let batch = ticket.batch;
            let place = (ticket.instance.clone(), ticket.key.clone());
            let run = attempt::run(
                &self.codec,
                &self.client,
                &self.config.e2e_base,
                &self.config.limits,
                invocation,
                ticket,
            );
            let fault = match run.await {
                Ok(answered) => return Ok(answered),
                Err(fault) => fault,
            };
            match fault.plan() {
                Plan::Give => return Err(fault),
                Plan::FreshNonces => entry.drop_batch(batch),
                Plan::OtherInstance => {
                    entry.drop_instance(&place.0);
                    tried.0.push(place);
                }
                Plan::Capacity => {
                    tried.0.push(place);
                    let left = entry
                        .instances()
                        .iter()
                        .any(|(instance, key)| tried.is_fresh(instance, key));
                    if !left && number < self.config.limits.attempts {
                        sleep(BUSY_PAUSE * u32::from(number)).await;
                        tried.0.clear();
                    }
                }
            }
            last = Some(fault);
        }
        Err(last.unwrap_or_else(|| Fault::NoInstance(resolved.model.clone())))
    }

    /// A nonce for an attested instance that was not tried. Evidence comes before it.
    async fn ticket(
        &self,
        entry: &Arc<Entry>,
        resolved: &Resolved,
        key: Option<&str>,
        tried: &Tried,
    ) -> Result<Ticket, Fault> {
        let mut discoveries = 0;
        loop {
            let batch = self.instances.batch(entry);
            let result = self.ticket_of_those_left(entry, resolved, key, tried).await;
            let asks = match &result {
                // Asked again only if the last discovery brought what could be used, and other requests were quicker. A relay that offers nothing offers
                // nothing a moment later.
                Err(Fault::NoInstance(_)) => {
                    discoveries == 0
                        || discoveries < MAX_DISCOVERIES
                            && entry.brought(|instance, key| tried.is_fresh(instance, key))
                }
                // What is left may be for instances that cannot be used, while others have no nonce left.
                Err(Fault::NotAttested { .. }) => discoveries == 0,
                _ => false,
            };
            if !asks {
                return result;
            }
            self.instances.ask(entry, key, batch).await?;
            discoveries += 1;
        }
    }

    async fn ticket_of_those_left(
        &self,
        entry: &Arc<Entry>,
        resolved: &Resolved,
        key: Option<&str>,
        tried: &Tried,
    ) -> Result<Ticket, Fault> {
        let none = || Fault::NoInstance(resolved.model.clone());
        let mut candidates = entry.instances();
        candidates.retain(|(instance, key)| tried.is_fresh(instance, key));
        if candidates.is_empty() {
            return Err(none());
        }
        let accept = self.accepted(resolved, key, &candidates).await?;
        self.instances
            .take(entry, key, |instance, key| {
                tried.is_fresh(instance, key) && accept(key)
            })
            .ok_or_else(none)
    }

    /// Which keys may be sealed to.
    async fn accepted(
        &self,
        resolved: &Resolved,
        key: Option<&str>,
        candidates: &[(String, InstanceKey)],
    ) -> Result<impl Fn(&InstanceKey) -> bool + use<>, Fault> {
        let waived = resolved.waived;
        let keys = if waived {
            // The user gave it up by name; such a deployment has no evidence.
            Default::default()
        } else {
            let candidates: Vec<Candidate> = candidates
                .iter()
                .map(|(instance, key)| Candidate {
                    instance: instance.clone(),
                    e2e_pubkey: key.to_base64(),
                })
                .collect();
            let deployment = Deployment {
                model: &resolved.model,
                chute: &resolved.chute,
                key,
            };
            self.attestations.accepted(deployment, &candidates).await?
        };
        Ok(move |key: &InstanceKey| waived || keys.contains(&key.to_base64()))
    }

    fn user(&self, key: Option<&str>) -> User {
        let key = key.unwrap_or_default();
        self.codec
            .provider
            .verification
            .hash
            .sha256(&[key.as_bytes()])
    }
}
