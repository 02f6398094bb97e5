//! What is known about instances' keys: judged once for all requests, kept for at most an hour.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sealwire::crypto::Verification;
use sealwire_http::net::lock;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::error::Fault;
use super::gate::{Asked, Candidate, Finding, Gate, GateError, Outcome, Verdict};
use crate::attestation::failed;
use crate::unix_now;

/// Longest time that an acceptance is used, seconds.
const MAX_USE: u64 = 3_600;
/// How long a refusal stands before evidence is asked for again, seconds.
const REFUSED: u64 = 60;
/// Keys that are remembered.
const MAX_KEYS: usize = 1_024;

struct Known {
    model: String,
    chute: String,
    verdict: Verdict,
    at: u64,
    until: u64,
}

/// Where requests wait for the same judgement; holds when and why the last one failed.
type Flight = Arc<tokio::sync::Mutex<Option<(Instant, GateError)>>>;

/// The judged keys.
pub(super) struct Attestations {
    gate: Arc<dyn Gate>,
    verification: Verification,
    time: Duration,
    known: Mutex<HashMap<String, Known>>,
    flights: Mutex<HashMap<String, Flight>>,
}

/// A deployment and who asks for it.
#[derive(Clone, Copy)]
pub(super) struct Deployment<'a> {
    pub(super) model: &'a str,
    pub(super) chute: &'a str,
    pub(super) key: Option<&'a str>,
}

/// What is known of some candidates.
struct Sorted {
    accepted: HashSet<String>,
    unknown: Vec<Candidate>,
}

impl Attestations {
    pub(super) fn new(gate: Arc<dyn Gate>, verification: Verification, time: Duration) -> Self {
        Self {
            gate,
            verification,
            time,
            known: Mutex::new(HashMap::new()),
            flights: Mutex::new(HashMap::new()),
        }
    }

    /// The accepted keys among these. Waits for evidence only if none is accepted yet; keys that are not known are judged in the background then.
    pub(super) async fn accepted(
        self: &Arc<Self>,
        deployment: Deployment<'_>,
        candidates: &[Candidate],
    ) -> Result<HashSet<String>, Fault> {
        let sorted = self.sort(candidates, unix_now());
        if sorted.unknown.is_empty() {
            return self.or_refusals(deployment, candidates, sorted.accepted);
        }
        if !sorted.accepted.is_empty() {
            self.judge_in_background(deployment, candidates);
            return Ok(sorted.accepted);
        }
        let flight = self.flight(deployment.chute);
        let came = Instant::now();
        let mut failed = flight.lock().await;
        // Who waited while it failed fails with it.
        if let Some((at, error)) = &*failed
            && *at >= came
        {
            return Err(Fault::Evidence(error.clone()));
        }
        if let Err(error) = self.judge(deployment, candidates).await {
            *failed = Some((Instant::now(), error.clone()));
            return Err(Fault::Evidence(error));
        }
        let sorted = self.sort(candidates, unix_now());
        self.or_refusals(deployment, candidates, sorted.accepted)
    }

    /// The document of `GET /attestation`.
    pub(super) fn document(&self) -> Value {
        let known = self.known();
        let mut models: BTreeMap<(&str, &str), Vec<&Known>> = BTreeMap::new();
        for each in known.values() {
            models
                .entry((&each.model, &each.chute))
                .or_default()
                .push(each);
        }
        let models: Vec<Value> = models
            .into_iter()
            .map(|((model, chute), mut instances)| {
                instances.sort_by(|a, b| {
                    a.verdict
                        .candidate
                        .instance
                        .cmp(&b.verdict.candidate.instance)
                });
                let instances: Vec<Value> = instances
                    .into_iter()
                    .map(|each| self.instance(each))
                    .collect();
                json!({"model": model, "chute_id": chute, "instances": instances})
            })
            .collect();
        json!({
            "profile": "chutes-v1",
            "policy": self.gate.policy(),
            "models": models,
        })
    }

    fn instance(&self, known: &Known) -> Value {
        let candidate = &known.verdict.candidate;
        let hash = self
            .verification
            .hash
            .sha256(&[candidate.e2e_pubkey.as_bytes()]);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let checks: Vec<Value> = known
            .verdict
            .findings
            .iter()
            .map(Finding::to_json)
            .collect();
        json!({
            "instance_id": candidate.instance,
            "e2e_pubkey_sha256": hash,
            "accepted": known.verdict.accepted,
            "verified_at": known.at,
            "expires": known.until,
            "checks": checks,
        })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Nothing panics while it is held.
        lock(&self.known)
    }

    fn flight(&self, chute: &str) -> Flight {
        let mut flights = lock(&self.flights);
        flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        Arc::clone(flights.entry(chute.to_owned()).or_default())
    }

    fn sort(&self, candidates: &[Candidate], now: u64) -> Sorted {
        let known = self.known();
        let mut sorted = Sorted {
            accepted: HashSet::new(),
            unknown: Vec::new(),
        };
        for candidate in candidates {
            match known.get(&candidate.e2e_pubkey) {
                Some(known) if known.until > now => {
                    if known.verdict.accepted {
                        sorted.accepted.insert(candidate.e2e_pubkey.clone());
                    }
                }
                _ => sorted.unknown.push(candidate.clone()),
            }
        }
        sorted
    }

    /// Judges what is not known. Whoever calls it holds the deployment's flight.
    async fn judge(
        &self,
        deployment: Deployment<'_>,
        candidates: &[Candidate],
    ) -> Result<(), GateError> {
        // Another request may have brought it while this one waited.
        let unknown = self.sort(candidates, unix_now()).unknown;
        if unknown.is_empty() {
            return Ok(());
        }
        let asked = Asked {
            chute: deployment.chute,
            key: deployment.key,
            instances: &unknown,
        };
        let verdicts = timeout(self.time, self.gate.judge(asked))
            .await
            .unwrap_or(Err(GateError::Timeout(self.time.as_secs())))?;
        let now = unix_now();
        let mut known = self.known();
        for candidate in unknown {
            let verdict = verdicts
                .iter()
                .find(|verdict| verdict.candidate == candidate)
                .cloned()
                .unwrap_or_else(|| none(candidate));
            let until = if verdict.accepted {
                verdict.valid_until.min(now.saturating_add(MAX_USE))
            } else {
                now.saturating_add(REFUSED)
            };
            if known.len() >= MAX_KEYS {
                known.retain(|_, known| known.until > now);
                if known.len() >= MAX_KEYS {
                    known.clear();
                }
            }
            known.insert(
                verdict.candidate.e2e_pubkey.clone(),
                Known {
                    model: deployment.model.to_owned(),
                    chute: deployment.chute.to_owned(),
                    verdict,
                    at: now,
                    until,
                },
            );
        }
        Ok(())
    }

    fn judge_in_background(self: &Arc<Self>, deployment: Deployment<'_>, candidates: &[Candidate]) {
        let this = Arc::clone(self);
        let candidates = candidates.to_vec();
        let (model, chute) = (deployment.model.to_owned(), deployment.chute.to_owned());
        let key = deployment.key.map(str::to_owned);
        tokio::spawn(async move {
            let flight = this.flight(&chute);
            // Who is at it already brings what is needed.
            if let Ok(_turn) = flight.try_lock() {
                let deployment = Deployment {
                    model: &model,
                    chute: &chute,
                    key: key.as_deref(),
                };
                let _ = this.judge(deployment, &candidates).await;
            }
        });
    }

    fn or_refusals(
        &self,
        deployment: Deployment<'_>,
        candidates: &[Candidate],
        accepted: HashSet<String>,
    ) -> Result<HashSet<String>, Fault> {
        if !accepted.is_empty() {
            return Ok(accepted);
        }
        let known = self.known();
        let why = candidates
            .iter()
            .filter_map(|candidate| known.get(&candidate.e2e_pubkey))
            .map(|known| {
                format!(
                    "{} failed {}",
                    known.verdict.candidate.instance,
                    failed(&known.verdict.findings)
                )
            })
            .collect::<Vec<_>>()
            .join("; ");
        Err(Fault::NotAttested {
            model: deployment.model.to_owned(),
            why: format!("{why}. GET /attestation on this proxy shows every check"),
        })
    }
}

/// An instance that the gate said nothing of.
fn none(candidate: Candidate) -> Verdict {
    Verdict {
        candidate,
        accepted: false,
        valid_until: 0,
        findings: vec![Finding {
            name: "evidence".to_owned(),
            outcome: Outcome::Failed("evidence-missing"),
            expected: "evidence of this instance".to_owned(),
            got: "none".to_owned(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sealwire::rustcrypto;

    use super::*;

    /// Accepts keys that begin with `good`, says nothing of those that begin with `mute`, and counts.
    #[derive(Default)]
    struct Fake {
        asked: AtomicUsize,
        valid_until: u64,
    }

    impl Gate for Fake {
        fn policy(&self) -> Value {
            json!("fake")
        }

        fn judge<'a>(&'a self, asked: Asked<'a>) -> super::super::gate::Judging<'a> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                tokio::task::yield_now().await;
                Ok(asked
                    .instances
                    .iter()
                    .filter(|candidate| !candidate.e2e_pubkey.starts_with("mute"))
                    .map(|candidate| {
                        let accepted = candidate.e2e_pubkey.starts_with("good");
                        Verdict {
                            candidate: candidate.clone(),
                            accepted,
                            valid_until: self.valid_until,
                            findings: vec![Finding {
                                name: "measurement".to_owned(),
                                outcome: if accepted {
                                    Outcome::Passed
                                } else {
                                    Outcome::Failed("measurement-unknown")
                                },
                                expected: "ours".to_owned(),
                                got: "theirs".to_owned(),
                            }],
                        }
                    })
                    .collect())
            })
        }
    }

    fn attestations(valid_until: u64) -> (Arc<Attestations>, Arc<Fake>) {
        let gate = Arc::new(Fake {
            valid_until,
            ..Fake::default()
        });
        let attestations = Attestations::new(
            Arc::clone(&gate) as Arc<dyn Gate>,
            rustcrypto::verification(),
            Duration::from_secs(5),
        );
        (Arc::new(attestations), gate)
    }

    fn candidates(keys: &[&str]) -> Vec<Candidate> {
        keys.iter()
            .map(|key| Candidate {
                instance: format!("instance-{key}"),
                e2e_pubkey: (*key).to_owned(),
            })
            .collect()
    }

    const HERE: Deployment<'static> = Deployment {
        model: "m",
        chute: "c",
        key: None,
    };

    #[tokio::test]
    async fn concurrent_requests_share_one_judgement() {
        let (attestations, gate) = attestations(u64::MAX);
        let list = candidates(&["good-1", "bad-1"]);
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let (attestations, list) = (Arc::clone(&attestations), list.clone());
                tokio::spawn(async move { attestations.accepted(HERE, &list).await })
            })
            .collect();
        for each in asking {
            let accepted = each.await.expect("no panic").expect("attested");
            assert_eq!(accepted, HashSet::from(["good-1".to_owned()]));
        }
        assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
    }

    /// Fails after everybody has come.
    struct Failing(AtomicUsize);

    impl Gate for Failing {
        fn policy(&self) -> Value {
            Value::Null
        }

        fn judge<'a>(&'a self, _: Asked<'a>) -> super::super::gate::Judging<'a> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                Err(GateError::Local)
            })
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_judgement_that_fails_fails_with_it() {
        let gate = Arc::new(Failing(AtomicUsize::new(0)));
        let attestations = Arc::new(Attestations::new(
            Arc::clone(&gate) as Arc<dyn Gate>,
            rustcrypto::verification(),
            Duration::from_secs(5),
        ));
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let attestations = Arc::clone(&attestations);
                tokio::spawn(async move {
                    let list = candidates(&["good-1"]);
                    attestations.accepted(HERE, &list).await
                })
            })
            .collect();
        for each in asking {
            let result = each.await.expect("no panic");
            assert_eq!(result.err(), Some(Fault::Evidence(GateError::Local)));
        }
        assert_eq!(gate.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn if_none_passes_the_failed_checks_are_named() {
        let (attestations, gate) = attestations(u64::MAX);
        let list = candidates(&["bad-1", "mute-1"]);
        for _ in 0..2 {
            let error = attestations.accepted(HERE, &list).await.err();
            let Some(Fault::NotAttested { model, why }) = error else {
                panic!("{error:?}");
            };
            assert_eq!(model, "m");
            assert!(
                why.contains("instance-bad-1 failed measurement (measurement-unknown)")
                    && why.contains("instance-mute-1 failed evidence (evidence-missing)"),
                "{why}"
            );
        }
        // A refusal stands for a while.
        assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_acceptance_is_over_with_its_evidence() {
        let (attestations, gate) = attestations(unix_now());
        let list = candidates(&["good-1"]);
        for _ in 0..2 {
            assert!(attestations.accepted(HERE, &list).await.is_err());
        }
        assert_eq!(gate.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn the_document_shows_every_check_and_no_key() {
        let (attestations, _) = attestations(u64::MAX);
        let list = candidates(&["good-1", "bad-1"]);
        assert!(attestations.accepted(HERE, &list).await.is_ok());
        let document = attestations.document();
        let instances = document["models"][0]["instances"]
            .as_array()
            .expect("a list");
        assert_eq!(instances.len(), 2);
        assert_eq!(instances[0]["instance_id"], "instance-bad-1");
        assert_eq!(instances[0]["accepted"], false);
        assert_eq!(
            instances[0]["checks"][0],
            json!({"name": "measurement", "outcome": "failed", "reason": "measurement-unknown", "expected": "ours", "got": "theirs"})
        );
        assert_eq!(instances[1]["accepted"], true);
        let hour = instances[1]["verified_at"].as_u64().map(|at| at + MAX_USE);
        assert_eq!(instances[1]["expires"].as_u64(), hour);
    }
}
