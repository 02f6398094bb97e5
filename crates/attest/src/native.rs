//! The native binding (`spec/protocol.md` section 3.4, `spec/evidence.md` section 3): what an instance puts into a quote, and what a
//! verifier expects there.

use sha2::{Digest, Sha256, Sha512};

use crate::evidence::GpuEvidence;

/// The nonce of stapled evidence, which answers nobody's challenge.
pub const STAPLED_NONCE: [u8; 32] = [0; 32];

const LABEL: &[u8] = b"sealwire/1 evidence";
const GPU_LABEL: &[u8] = b"sealwire/1 gpu evidence";

/// The 64 bytes of report data: SHA-512 over the label, the identity, the verifier's nonce and SHA-256 of the statement.
#[must_use]
pub fn report_data(identity: &[u8; 32], nonce: Option<&[u8; 32]>, statement: &[u8]) -> [u8; 64] {
    Sha512::new()
        .chain_update(LABEL)
        .chain_update(identity)
        .chain_update(nonce.unwrap_or(&STAPLED_NONCE))
        .chain_update(Sha256::digest(statement))
        .finalize()
        .into()
}

/// The nonce that GPUs are asked with. It does not depend on the statement, which holds the hash of their answers.
#[must_use]
pub fn gpu_nonce(identity: &[u8; 32], nonce: Option<&[u8; 32]>) -> [u8; 32] {
    Sha256::new()
        .chain_update(GPU_LABEL)
        .chain_update(identity)
        .chain_update(nonce.unwrap_or(&STAPLED_NONCE))
        .finalize()
        .into()
}

/// `gpu_evidence_sha256` of the statement: SHA-256 over each GPU's evidence bytes, each after its length (u32, big endian), in order.
/// `None` without GPUs.
#[must_use]
pub fn gpu_evidence_sha256(gpus: &[GpuEvidence]) -> Option<[u8; 32]> {
    if gpus.is_empty() {
        return None;
    }
    let hash = gpus.iter().fold(Sha256::new(), |hash, gpu| {
        // Lengths are bounded by MAX_GPU_EVIDENCE.
        let length = u32::try_from(gpu.evidence.len()).unwrap_or(u32::MAX);
        hash.chain_update(length.to_be_bytes())
            .chain_update(&gpu.evidence)
    });
    Some(hash.finalize().into())
}
