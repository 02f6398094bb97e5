//! `GET /e2e/instances/{chute_id}`: keys of instances, and nonces for each.

use http::{Response, StatusCode};
use sealwire_http::chutes::{MAX_INSTANCES, NONCES_PER_INSTANCE, Uuid, parse_id};
use sealwire_http::net::{Body, json};
use serde::Serialize;

use super::nonces::{Binding, IssueError};
use super::{Chutes, Refusal};
use crate::unix_now;

#[derive(Serialize)]
struct Answer<'a> {
    instances: Vec<Entry<'a>>,
    nonce_expires_in: u64,
    nonce_expires_at: u64,
}

#[derive(Serialize)]
struct Entry<'a> {
    instance_id: Uuid,
    e2e_pubkey: &'a str,
    nonces: Vec<String>,
}

impl Chutes {
    pub(super) async fn instances(
        &self,
        chute: &str,
        user: &str,
    ) -> Result<Response<Body>, Refusal> {
        let chute = parse_id(chute);
        let mut active = self.active(chute)?;
        self.registry.rotate(&mut active);
        let chute = chute.ok_or(Refusal::NoChute)?;
        let mut instances = Vec::new();
        let usable = active.iter().filter_map(|instance| {
            let key = instance.description.e2e_pubkey.as_deref()?;
            Some((instance.description.instance_id, key))
        });
        for (instance_id, e2e_pubkey) in usable.take(MAX_INSTANCES) {
            let binding = Binding {
                user,
                chute,
                instance: instance_id,
            };
            let nonces = self
                .nonces
                .issue(&binding, NONCES_PER_INSTANCE)
                .await
                .map_err(|error| match error {
                    IssueError::Full => Refusal::NoncesFull,
                    IssueError::Random => Refusal::Random,
                })?;
            instances.push(Entry {
                instance_id,
                e2e_pubkey,
                nonces,
            });
        }
        if instances.is_empty() {
            return Err(Refusal::NoKey);
        }
        let life = self.limits.chutes.nonce_life.as_secs();
        let answer = Answer {
            instances,
            nonce_expires_in: life,
            nonce_expires_at: unix_now().saturating_add(life),
        };
        // Strings and numbers: serialising them cannot fail.
        Ok(json(
            StatusCode::OK,
            serde_json::to_vec(&answer).unwrap_or_default(),
        ))
    }
}
