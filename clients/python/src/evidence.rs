//! Policies and evidence: what instances must prove, and whether they have.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealwire_attest::collateral::{Part, Response, assemble, requests};
use sealwire_attest::{
    Binding, Bound as Proven, Freshness, Hints, Outcome, TeeKind, Verified, Verifier,
};

use crate::bundle::{self, Bundle, VerifiedBundle};
use crate::errors::{Class, Fault};
use crate::unix_now;

fn refused(code: &str, message: String) -> Fault {
    Fault::new(Class::Evidence, code, message)
}

/// A policy: what instances must prove (spec/evidence.md).
#[pyclass(frozen)]
pub(crate) struct Policy(Verifier);

#[pymethods]
impl Policy {
    /// Parses TOML; `load` gives the content of a file that it names.
    #[new]
    fn new(toml: &str, load: &Bound<'_, PyAny>) -> Result<Self, Fault> {
        let read = |name: &str| {
            let bytes = load.call1((name,)).map_err(|error| error.to_string())?;
            bytes
                .extract::<Vec<u8>>()
                .map_err(|error| error.to_string())
        };
        let policy = sealwire_attest::Policy::from_toml_with(toml, read).map_err(|error| {
            Fault::new(
                Class::Config,
                "policy",
                format!("the policy cannot be used: {error}"),
            )
        })?;
        Ok(Self(Verifier::new(policy)))
    }

    /// Whether evidence that answers no nonce is taken.
    #[getter]
    fn allows_stapled(&self) -> bool {
        self.0.policy().allows_stapled()
    }

    /// The pinned identities.
    #[getter]
    fn pins<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let pins = self.0.policy().pins();
        pins.iter().map(|pin| PyBytes::new(py, pin)).collect()
    }

    /// The report where the policy is about pins alone and no enclave is asked for; otherwise `None`.
    fn pinned(&self, identity: [u8; 32]) -> Option<Report> {
        if self.0.policy().pins().is_empty() {
            return None;
        }
        let none = sealwire_attest::Evidence {
            tee: TeeKind::None,
            quote: Vec::new(),
            certificates: Vec::new(),
            gpus: Vec::new(),
            gpu_tokens: None,
            collateral: None,
            statement: None,
            claimed_identity: None,
            claimed_nonce: None,
        };
        let binding = Binding::Pinned {
            identity: &identity,
        };
        let report = self
            .0
            .verify(&none, &binding, None, Freshness::Stapled, unix_now());
        // It fails where the policy is about measurements.
        (report.outcome("tee") == Some(Outcome::Passed)).then(|| Report::new(report))
    }

    /// Judges evidence of a native instance. `nonce` and the unix time at which it was sent, or `None` for stapled evidence.
    #[pyo3(signature = (evidence, identity, nonce, sent, collateral=None))]
    fn native(
        &self,
        py: Python<'_>,
        evidence: &Evidence,
        identity: [u8; 32],
        nonce: Option<[u8; 32]>,
        sent: u64,
        collateral: Option<&Collateral>,
    ) -> Report {
        let collateral = collateral.map(|collateral| &collateral.0);
        py.detach(|| {
            let statement = evidence.0.statement.clone().unwrap_or_default();
            let binding = Binding::Native {
                identity: &identity,
                nonce: nonce.as_ref(),
                statement: &statement,
            };
            let freshness = match nonce {
                Some(_) => Freshness::Challenged { sent },
                None => Freshness::Stapled,
            };
            Report::new(
                self.0
                    .verify(&evidence.0, &binding, collateral, freshness, unix_now()),
            )
        })
    }

    /// Judges evidence of a chutes-v1 instance for its key, base64 as in discovery. `others` are the keys of the other instances.
    #[pyo3(signature = (evidence, key, others, nonce, sent, collateral=None))]
    #[expect(clippy::too_many_arguments, reason = "what a judgement needs")]
    fn chutes(
        &self,
        py: Python<'_>,
        evidence: &Evidence,
        key: &str,
        others: Vec<String>,
        nonce: [u8; 32],
        sent: u64,
        collateral: Option<&Collateral>,
    ) -> Report {
        let collateral = collateral.map(|collateral| &collateral.0);
        py.detach(|| {
            let other_keys: Vec<&str> = others
                .iter()
                .map(String::as_str)
                .filter(|other| *other != key)
                .collect();
            let binding = Binding::ChutesV1 {
                nonce: &nonce,
                e2e_pubkey_b64: Some(key),
                hints: Hints {
                    other_keys: &other_keys,
                    other_nonces: &[],
                },
            };
            let freshness = Freshness::Challenged { sent };
            Report::new(
                self.0
                    .verify(&evidence.0, &binding, collateral, freshness, unix_now()),
            )
        })
    }
}

/// An evidence document.
#[pyclass(frozen)]
pub(crate) struct Evidence(sealwire_attest::Evidence);

#[pymethods]
impl Evidence {
    /// Parses the document of a native instance.
    #[new]
    fn new(json: &[u8]) -> Result<Self, Fault> {
        sealwire_attest::Evidence::from_json(json)
            .map(Self)
            .map_err(|error| refused("evidence-format", error.to_string()))
    }

    /// URLs of Intel's collateral for it, below `base`, each with the name of the header that is needed of the answer; none unless it is a TDX quote.
    fn collateral_requests(
        &self,
        base: &str,
    ) -> Result<Vec<(String, Option<&'static str>)>, Fault> {
        if self.0.tee != TeeKind::Tdx {
            return Ok(Vec::new());
        }
        let wanted = requests(&self.0.quote, base).map_err(|error| {
            refused(
                "no-collateral",
                format!("the quote does not say which collateral it needs: {error}"),
            )
        })?;
        Ok(wanted
            .into_iter()
            .map(|wanted| (wanted.url, wanted.part.chain_header()))
            .collect())
    }

    /// Whether it is a TDX quote, which needs collateral.
    #[getter]
    fn needs_collateral(&self) -> bool {
        self.0.tee == TeeKind::Tdx
    }
}

/// The evidence of a chutes-v1 deployment: of each instance its own, or why it cannot be read.
#[pyclass(frozen)]
pub(crate) struct ChutesEvidence(sealwire_attest::evidence::ChutesEvidence);

#[pymethods]
impl ChutesEvidence {
    #[new]
    fn new(json: &[u8]) -> Result<Self, Fault> {
        sealwire_attest::evidence::ChutesEvidence::from_json(json)
            .map(Self)
            .map_err(|error| {
                refused(
                    "evidence-format",
                    format!("the relay's evidence cannot be read: {error}"),
                )
            })
    }

    /// The evidence of an instance. Raises if there is none that can be read.
    fn of(&self, instance: &str) -> Result<Evidence, Fault> {
        match self.0.instances.iter().find(|(id, _)| id == instance) {
            Some((_, Ok(evidence))) => Ok(Evidence(evidence.clone())),
            Some((_, Err(error))) => Err(refused("evidence-format", error.to_string())),
            None if self.0.failed.iter().any(|id| id == instance) => Err(refused(
                "evidence-failed",
                "the relay says that this instance gave none".to_owned(),
            )),
            None => Err(refused("evidence-missing", "none".to_owned())),
        }
    }
}

/// Intel's collateral for TDX quotes of one kind of platform.
#[pyclass(frozen)]
pub(crate) struct Collateral(sealwire_attest::Collateral);

#[pymethods]
impl Collateral {
    /// Parses the JSON of `sealwire attest`.
    #[new]
    fn new(json: &[u8]) -> Result<Self, Fault> {
        sealwire_attest::Collateral::from_json(json)
            .map(Self)
            .map_err(|error| {
                refused(
                    "no-collateral",
                    format!("the collateral cannot be used: {error}"),
                )
            })
    }

    /// Puts the answers to `Evidence.collateral_requests` together, in its order: each body and the value of the header.
    #[staticmethod]
    fn assemble(answers: Vec<(Vec<u8>, Option<String>)>) -> Result<Self, Fault> {
        // The order in which the core asks.
        let parts = [Part::TcbInfo, Part::QeIdentity, Part::PckCrl, Part::RootCrl];
        let responses: Vec<Response<'_>> = parts
            .into_iter()
            .zip(&answers)
            .map(|(part, (body, chain))| Response {
                part,
                body,
                chain: chain.as_deref(),
            })
            .collect();
        assemble(&responses).map(Self).map_err(|error| {
            refused(
                "no-collateral",
                format!("the collateral service's documents cannot be used: {error}"),
            )
        })
    }

    /// Until when it is valid, unix seconds.
    #[getter]
    fn valid_until(&self) -> u64 {
        self.0.valid_until()
    }
}

/// What a check of evidence found.
#[pyclass(frozen)]
pub(crate) struct Report {
    report: sealwire_attest::Report,
    verified: Option<Verified>,
}

impl Report {
    fn new(report: sealwire_attest::Report) -> Self {
        let verified = report.verdict().ok();
        Self { report, verified }
    }
}

#[pymethods]
impl Report {
    /// Whether every check passed.
    #[getter]
    fn accepted(&self) -> bool {
        self.verified.is_some()
    }

    /// Until when an acceptance may be used, unix seconds.
    #[getter]
    fn valid_until(&self) -> u64 {
        self.verified.as_ref().map_or(0, Verified::valid_until)
    }

    /// The attested chutes-v1 key, base64.
    #[getter]
    fn chutes_key(&self) -> Option<&str> {
        let key = self.verified.as_ref()?.chutes_key()?;
        Some(key.as_base64())
    }

    /// Every check: name, outcome, reason if it failed, expected, got.
    #[getter]
    fn checks(&self) -> Vec<(String, &'static str, Option<&'static str>, String, String)> {
        let row = |check: &sealwire_attest::Check| {
            let (outcome, reason) = match check.outcome {
                Outcome::Passed => ("passed", None),
                Outcome::Failed(reason) => ("failed", Some(reason.code())),
                Outcome::Noted => ("noted", None),
                _ => ("not run", None),
            };
            (
                check.name.to_string(),
                outcome,
                reason,
                check.expected.clone(),
                check.got.clone(),
            )
        };
        self.report.checks.iter().map(row).collect()
    }

    /// Whether the attested statement lists a label; a pin states nothing and serves all.
    fn serves(&self, label: &str) -> bool {
        match self.verified.as_ref().map(Verified::bound) {
            Some(Proven::Native { statement, .. }) => {
                statement.labels.iter().any(|listed| listed == label)
            }
            Some(Proven::Pinned { .. }) => true,
            _ => false,
        }
    }

    /// The bundle, if it is of the identity that was proven, for a label that it serves.
    #[pyo3(signature = (bundle, label, *, suites=None, single_use=false))]
    fn verify(
        &self,
        bundle: &Bundle,
        label: &str,
        suites: Option<Vec<u16>>,
        single_use: bool,
    ) -> Result<VerifiedBundle, Fault> {
        let Some(verified) = self.verified.as_ref().filter(|_| self.serves(label)) else {
            return Err(refused(
                "evidence-rejected",
                "the evidence was refused, or is not for this label".to_owned(),
            ));
        };
        let trust = verified
            .trust(unix_now())
            .map_err(|error| refused("evidence-rejected", error.to_string()))?;
        bundle::verify(&bundle.0, label, trust, suites, single_use)
    }
}
