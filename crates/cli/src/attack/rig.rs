//! A make-believe enclave: sound evidence under test roots, for an instance of ours and for one of the deployed kind.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealwire_attest::testing::{CollateralOptions, GpuRig, QuoteOptions, TdxRig, policy, spki};
use sealwire_attest::{GpuEvidence, Policy, PolicyError, TeeKind};
use sealwire_instance::evidence::{GpuProvider, Making, Quote, QuoteProvider};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use tempfile::NamedTempFile;

use super::unix_now;

/// What the clients of the demonstration want of an enclave: these measurements, a GPU, nothing old.
const POLICY: &str = r#"
gpu = "required"
max_evidence_age = 3600
allow_stapled = false

[[measurements]]
name = "the enclave of this demonstration"
mrtd = "MRTD"
"#;

/// The enclave's hardware.
pub(super) struct Rig {
    tdx: TdxRig,
    /// What the platform's maker says of it, as a proxy reads it.
    collateral: NamedTempFile,
}

impl std::fmt::Debug for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rig")
    }
}

impl Rig {
    pub(super) fn new() -> std::io::Result<Self> {
        let tdx = TdxRig::new(unix_now());
        let mut collateral = NamedTempFile::new()?;
        collateral.write_all(&tdx.collateral_json(&CollateralOptions::default()))?;
        Ok(Self { tdx, collateral })
    }

    /// What the clients demand.
    pub(super) fn policy() -> Result<Policy, PolicyError> {
        let mrtd: String = QuoteOptions::default()
            .mrtd
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        policy(&POLICY.replace("MRTD", &mrtd))
    }

    pub(super) fn collateral_file(&self) -> &Path {
        self.collateral.path()
    }

    /// The certificate that chutes-v1 evidence is bound to.
    pub(super) fn certificate() -> Vec<u8> {
        GpuRig::new().root()
    }

    /// One entry of a list of chutes-v1.
    pub(super) fn chutes(&self, nonce: &str, e2e_pubkey: &str) -> Value {
        let certificate = Self::certificate();
        let mut report_data = [0; 64];
        let (left, right) = report_data.split_at_mut(32);
        left.copy_from_slice(&Sha256::digest(format!("{nonce}{e2e_pubkey}")));
        right.copy_from_slice(&Sha256::digest(spki(&certificate).unwrap_or_default()));
        let mut gpu_nonce = [0; 32];
        gpu_nonce.copy_from_slice(left);
        let gpu = GpuRig::new().report(0, &gpu_nonce);
        let quote = self.tdx.quote(&report_data, &QuoteOptions::default());
        json!({
            "quote": STANDARD.encode(quote),
            "gpu_evidence": [{
                "certificate": STANDARD.encode(&gpu.certificate),
                "evidence": STANDARD.encode(&gpu.evidence),
                "arch": gpu.arch,
            }],
            "certificate": STANDARD.encode(certificate),
        })
    }
}

impl QuoteProvider for Rig {
    fn quote(&self, report_data: [u8; 64]) -> Making<'_, Quote> {
        let quote = Quote {
            tee: TeeKind::Tdx,
            quote: self.tdx.quote(&report_data, &QuoteOptions::default()),
            certificates: Vec::new(),
            collateral: None,
        };
        Box::pin(async move { Ok(quote) })
    }
}

impl GpuProvider for Rig {
    fn gpus(&self, nonce: [u8; 32]) -> Making<'_, Vec<GpuEvidence>> {
        let report = GpuRig::new().report(0, &nonce);
        Box::pin(async move { Ok(vec![report]) })
    }
}
