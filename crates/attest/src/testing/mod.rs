//! Makers of quotes, collateral, GPU reports and tokens under roots of their own, so that whole paths can be tested without hardware.
//!
//! Everything is deterministic: keys come from fixed seeds. Nothing that is made here passes a policy that does not name these roots.

mod der;
mod gpu;
mod pki;
mod tdx;

pub use gpu::{GpuRig, TokenOptions, TokenRig};
pub use tdx::{CollateralOptions, QuoteOptions, TdxRig};

use crate::native;
use crate::{Evidence, GpuEvidence, Policy, PolicyError, Statement, TeeKind};

/// A policy with the test roots for Intel and NVIDIA; `toml` says the rest.
///
/// # Errors
/// [`PolicyError`].
pub fn policy(toml: &str) -> Result<Policy, PolicyError> {
    let roots = "\n[roots]\nintel = { name = \"test rig\", file = \"intel\" }\nnvidia = { name = \"test rig\", file = \"nvidia\" }\n";
    // Tables end the top level, so the roots come last.
    Policy::from_toml_with(&format!("{toml}{roots}"), |file| match file {
        "intel" => Ok(TdxRig::new(0).root()),
        "nvidia" => Ok(GpuRig::new().root()),
        _ => Err("there is no such file".to_owned()),
    })
}

/// The key of a certificate with its algorithm, DER: what a chutes-v1 quote binds.
#[must_use]
pub fn spki(certificate: &[u8]) -> Option<Vec<u8>> {
    crate::chain::Certificate::parse(certificate)?.spki()
}

/// A statement of an instance that serves `label` from loopback.
#[must_use]
pub fn statement(label: &str, gpus: &[GpuEvidence]) -> Statement {
    Statement {
        labels: vec![label.to_owned()],
        upstream: "http://127.0.0.1:8000".to_owned(),
        profiles: vec!["sealwire/1".to_owned()],
        padding: "buckets".to_owned(),
        gpu_evidence_sha256: native::gpu_evidence_sha256(gpus),
        version: "0.1.0".to_owned(),
    }
}

/// Whole native evidence of an instance with one GPU.
///
/// # Panics
/// If the statement is too long, which it is not for a label.
#[must_use]
pub fn native_evidence(
    rig: &TdxRig,
    identity: &[u8; 32],
    nonce: Option<&[u8; 32]>,
    label: &str,
    options: &QuoteOptions,
) -> Evidence {
    let gpus = vec![GpuRig::new().report(0, &native::gpu_nonce(identity, nonce))];
    let statement = statement(label, &gpus)
        .to_json()
        .unwrap_or_else(|error| panic!("{error}"));
    Evidence {
        tee: TeeKind::Tdx,
        quote: rig.quote(&native::report_data(identity, nonce, &statement), options),
        certificates: Vec::new(),
        gpus,
        gpu_tokens: None,
        collateral: None,
        statement: Some(statement),
        claimed_identity: Some(*identity),
        claimed_nonce: nonce.copied(),
    }
}
