//! `GET /chutes/{chute_id}/evidence`: what every instance of a chute shows for its key, gathered and not judged.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use sealwire_http::chutes::{INSTANCE_EVIDENCE_PATH, Uuid, evidence_nonce, parse_id};
use sealwire_http::net::{Body, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::{Chutes, Refusal};

#[derive(Serialize)]
struct Answer {
    evidence: Vec<Box<RawValue>>,
    failed_instance_ids: Vec<Uuid>,
}

#[derive(Deserialize)]
struct Named {
    instance_id: Uuid,
}

impl Chutes {
    pub(super) async fn show_evidence(
        &self,
        chute: &str,
        query: &str,
    ) -> Result<Response<Body>, Refusal> {
        let nonce = evidence_nonce(query).ok_or(Refusal::EvidenceNonce)?;
        let active = self.active(parse_id(chute))?;
        let Ok(_permit) = self.evidence.try_acquire() else {
            return Err(Refusal::EvidenceBusy);
        };
        let path: Arc<str> = format!("{INSTANCE_EVIDENCE_PATH}?nonce={nonce}").into();
        let limits = self.limits.chutes;
        // Dropping the set, when the client has gone, ends the questions.
        let mut asked = JoinSet::new();
        for instance in active {
            let (registry, path) = (Arc::clone(&self.registry), Arc::clone(&path));
            asked.spawn(async move {
                let answer = registry.document(
                    instance.index,
                    &path,
                    limits.evidence_bytes,
                    limits.evidence_time,
                );
                let id = instance.description.instance_id;
                (id, answer.await.and_then(|body| element(&body, id)))
            });
        }
        let mut answer = Answer {
            evidence: Vec::new(),
            failed_instance_ids: Vec::new(),
        };
        while let Some(joined) = asked.join_next().await {
            match joined {
                Ok((_, Some(evidence))) => answer.evidence.push(evidence),
                Ok((id, None)) => answer.failed_instance_ids.push(id),
                // A task that panicked: none does.
                Err(_) => {}
            }
        }
        // Text that is JSON already, and identifiers: serialising them cannot fail.
        Ok(json(
            StatusCode::OK,
            serde_json::to_vec(&answer).unwrap_or_default(),
        ))
    }
}

/// The evidence as it came, if it is an object of this instance.
fn element(body: &Bytes, id: Uuid) -> Option<Box<RawValue>> {
    let named: Named = serde_json::from_slice(body).ok()?;
    let raw: Box<RawValue> = serde_json::from_slice(body).ok()?;
    (named.instance_id == id).then_some(raw)
}
