//! The gate of a policy: evidence is fetched for a fresh nonce and every check of it must pass.

use std::sync::Arc;

use http::StatusCode;
use sealwire::CryptoProvider;
use sealwire_attest::evidence::{ChutesEvidence, MAX_DOCUMENT};
use sealwire_attest::{
    Binding, Collateral, Evidence, Freshness, GpuRequirement, Hints, Report, TeeKind, Verifier,
};
use sealwire_http::net::{BaseUrl, HttpClient};
use serde_json::{Value, json};

use super::api::{fetch, refused};
use super::error::Fault;
use super::gate::{Asked, Candidate, Finding, Gate, GateError, Judging, Outcome, Verdict};
use crate::collateral::{CollateralFault, Collaterals};
use crate::{EvidenceTrust, unix_now};

const RELAY: &str = "the relay";

/// Judges evidence under a policy.
pub struct EvidenceGate {
    client: HttpClient,
    e2e_base: BaseUrl,
    provider: CryptoProvider,
    verifier: Arc<Verifier>,
    collaterals: Arc<Collaterals>,
}

impl EvidenceGate {
    /// A gate that asks the relay at `e2e_base` for evidence, and judges it as `trust` says.
    ///
    /// # Errors
    ///
    /// [`CollateralFault::File`].
    pub fn new(
        client: HttpClient,
        e2e_base: BaseUrl,
        provider: CryptoProvider,
        trust: EvidenceTrust,
    ) -> Result<Self, CollateralFault> {
        let collaterals = Collaterals::new(trust.collateral, client.clone())?;
        Ok(Self {
            client,
            e2e_base,
            provider,
            verifier: trust.verifier,
            collaterals: Arc::new(collaterals),
        })
    }

    async fn judge_all(&self, asked: Asked<'_>) -> Result<Vec<Verdict>, GateError> {
        let mut nonce = [0; 32];
        self.provider
            .random
            .fill(&mut nonce)
            .map_err(|_| GateError::Local)?;
        let sent = unix_now();
        let document = self.document(asked, &nonce).await?;
        let keys: Vec<String> = asked
            .instances
            .iter()
            .map(|candidate| candidate.e2e_pubkey.clone())
            .collect();
        let mut verdicts = Vec::new();
        for candidate in asked.instances {
            let evidence = document
                .instances
                .iter()
                .find(|(instance, _)| *instance == candidate.instance);
            let verdict = match evidence {
                Some((_, Ok(evidence))) => {
                    self.verify(candidate, evidence.clone(), nonce, sent, &keys)
                        .await?
                }
                Some((_, Err(error))) => without(candidate, "evidence-format", error.to_string()),
                None if document.failed.contains(&candidate.instance) => without(
                    candidate,
                    "evidence-failed",
                    "the relay says that this instance gave none".to_owned(),
                ),
                None => without(candidate, "evidence-missing", "none".to_owned()),
            };
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }

    async fn document(
        &self,
        asked: Asked<'_>,
        nonce: &[u8; 32],
    ) -> Result<ChutesEvidence, GateError> {
        let hex: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("/chutes/{}/evidence?nonce={hex}", asked.chute);
        let fetched = fetch(&self.client, &self.e2e_base, &path, asked.key, MAX_DOCUMENT);
        let (status, body) = fetched.await.map_err(told)?;
        if status != StatusCode::OK {
            return Err(told(refused(status, &body)));
        }
        ChutesEvidence::from_json(&body).map_err(|error| GateError::Malformed {
            source_name: RELAY,
            why: error.to_string(),
        })
    }

    async fn verify(
        &self,
        candidate: &Candidate,
        evidence: Evidence,
        nonce: [u8; 32],
        sent: u64,
        keys: &[String],
    ) -> Result<Verdict, GateError> {
        let collateral = match evidence.tee {
            TeeKind::Tdx => self.collaterals.for_quote(&evidence.quote).await,
            _ => Ok(None),
        };
        let mut findings = Vec::new();
        if let Err(fault) = &collateral {
            findings.push(Finding {
                name: "collateral source".to_owned(),
                outcome: Outcome::Failed("collateral-unavailable"),
                expected: "collateral for the quote's platform".to_owned(),
                got: fault.to_string(),
            });
        }
        let collateral = collateral.ok().flatten();
        let (verifier, own) = (Arc::clone(&self.verifier), candidate.e2e_pubkey.clone());
        let keys = keys.to_vec();
        // Tens of milliseconds of arithmetic.
        let judged = tokio::task::spawn_blocking(move || {
            verify(
                &verifier,
                &evidence,
                collateral.as_deref(),
                &nonce,
                sent,
                &own,
                &keys,
            )
        });
        let report = judged.await.map_err(|_| GateError::Local)?;
        let verified = report
            .verdict()
            .ok()
            .filter(|_| findings.is_empty())
            .filter(|verified| {
                verified
                    .chutes_key()
                    .is_some_and(|key| key.as_base64() == candidate.e2e_pubkey)
            });
        findings.extend(Finding::of(&report));
        Ok(Verdict {
            candidate: candidate.clone(),
            accepted: verified.is_some(),
            valid_until: verified.map_or(0, |verified| verified.valid_until()),
            findings,
        })
    }
}

impl Gate for EvidenceGate {
    fn policy(&self) -> Value {
        let policy = self.verifier.policy();
        json!({
            "trust": "evidence",
            "gpu": match policy.gpu() {
                GpuRequirement::Required => "required",
                GpuRequirement::IfPresent => "if present",
                _ => "ignored",
            },
            "max_evidence_age": policy.max_evidence_age(),
            "allow_stapled": policy.allows_stapled(),
            "collateral": self.collaterals.describe(),
        })
    }

    fn judge<'a>(&'a self, asked: Asked<'a>) -> Judging<'a> {
        Box::pin(self.judge_all(asked))
    }
}

fn verify(
    verifier: &Verifier,
    evidence: &Evidence,
    collateral: Option<&Collateral>,
    nonce: &[u8; 32],
    sent: u64,
    own: &str,
    keys: &[String],
) -> Report {
    let other_keys: Vec<&str> = keys
        .iter()
        .map(String::as_str)
        .filter(|key| *key != own)
        .collect();
    let binding = Binding::ChutesV1 {
        nonce,
        e2e_pubkey_b64: Some(own),
        hints: Hints {
            other_keys: &other_keys,
            other_nonces: &[],
        },
    };
    let freshness = Freshness::Challenged { sent };
    verifier.verify(evidence, &binding, collateral, freshness, unix_now())
}

/// A refusal without evidence to judge.
fn without(candidate: &Candidate, reason: &'static str, got: String) -> Verdict {
    Verdict {
        candidate: candidate.clone(),
        accepted: false,
        valid_until: 0,
        findings: vec![Finding {
            name: "evidence".to_owned(),
            outcome: Outcome::Failed(reason),
            expected: "evidence of this instance".to_owned(),
            got,
        }],
    }
}

fn told(fault: Fault) -> GateError {
    match fault {
        Fault::Relay { status, detail } => GateError::Refused {
            source_name: RELAY,
            status,
            detail,
        },
        Fault::NotApi { status, why } => GateError::Malformed {
            source_name: RELAY,
            why: format!("{why} (status {status})"),
        },
        Fault::Unreachable(why) => GateError::Unreachable {
            source_name: RELAY,
            why,
        },
        other => GateError::Malformed {
            source_name: RELAY,
            why: other.to_string(),
        },
    }
}
