//! The seam to evidence: which keys are attested.

use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

pub use crate::attestation::{Finding, Outcome};

/// Judges instances before anything is sealed to them.
pub trait Gate: Send + Sync + 'static {
    /// What is asked of instances, for `GET /attestation`; no secrets.
    fn policy(&self) -> Value;

    /// Fetches evidence for a deployment and judges each instance's key.
    fn judge<'a>(&'a self, asked: Asked<'a>) -> Judging<'a>;
}

/// A judgement under way.
pub type Judging<'a> = Pin<Box<dyn Future<Output = Result<Vec<Verdict>, GateError>> + Send + 'a>>;

/// What a gate is asked.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The deployment.
    pub chute: &'a str,
    /// The user's key at the relay.
    pub key: Option<&'a str>,
    /// The instances, as discovery lists them.
    pub instances: &'a [Candidate],
}

/// An instance that discovery lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub instance: String,
    /// Its key, in the base64 of discovery.
    pub e2e_pubkey: String,
}

/// What was found about one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The instance.
    pub candidate: Candidate,
    /// Whether requests may be sealed to its key.
    pub accepted: bool,
    /// Until when an acceptance is good, unix seconds.
    pub valid_until: u64,
    /// Every check.
    pub findings: Vec<Finding>,
}

/// Why no evidence could be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The relay or another source cannot be reached.
    #[error("{source_name} is not reachable: {why}")]
    Unreachable {
        /// Which.
        source_name: &'static str,
        /// Why.
        why: String,
    },
    /// The relay or another source refuses.
    #[error("{source_name} answered {status}: {detail}")]
    Refused {
        /// Which.
        source_name: &'static str,
        /// Its status.
        status: u16,
        /// Its words, bounded.
        detail: String,
    },
    /// What came is no evidence.
    #[error("what {source_name} sent cannot be read: {why}")]
    Malformed {
        /// Which.
        source_name: &'static str,
        /// Why.
        why: String,
    },
    /// It took too long.
    #[error("it took more than {0} s")]
    Timeout(u64),
    /// The crypto provider failed.
    #[error("the local crypto provider failed")]
    Local,
}

/// Lets every instance through: the relay can then read everything. For development only.
#[derive(Debug, Clone, Copy)]
pub struct TrustRelay;

impl Gate for TrustRelay {
    fn policy(&self) -> Value {
        json!({"trust": "insecure: whatever key the relay names"})
    }

    fn judge<'a>(&'a self, asked: Asked<'a>) -> Judging<'a> {
        let verdicts = asked
            .instances
            .iter()
            .map(|candidate| Verdict {
                candidate: candidate.clone(),
                accepted: true,
                valid_until: u64::MAX,
                findings: vec![Finding {
                    name: "evidence".to_owned(),
                    outcome: Outcome::Noted,
                    expected: "nothing: the relay is trusted".to_owned(),
                    got: "not asked for".to_owned(),
                }],
            })
            .collect();
        Box::pin(std::future::ready(Ok(verdicts)))
    }
}
