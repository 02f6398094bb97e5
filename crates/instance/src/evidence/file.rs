//! Evidence that something else makes: read from a file, or from what a command wrote.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sealwire_attest::{GpuEvidence, TeeKind};
use sealwire_http::evidence::MAX_EVIDENCE_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoding::Base64;
use super::{EvidenceError, Quote};

/// The evidence document without what the instance itself knows; other members are not looked at.
#[derive(Deserialize)]
struct Shape {
    tee: TeeKind,
    quote: Base64,
    #[serde(default)]
    certificates: Vec<Base64>,
    #[serde(default)]
    gpus: Vec<Gpu>,
    #[serde(default)]
    collateral: Option<Value>,
}

#[derive(Deserialize)]
struct GpuShape {
    gpus: Vec<Gpu>,
}

/// One GPU in JSON, which is the same in both profiles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    certificate: Base64,
    evidence: Base64,
    arch: String,
}

impl From<Gpu> for GpuEvidence {
    fn from(gpu: Gpu) -> Self {
        Self {
            arch: gpu.arch,
            certificate: gpu.certificate.0,
            evidence: gpu.evidence.0,
        }
    }
}

impl From<GpuEvidence> for Gpu {
    fn from(gpu: GpuEvidence) -> Self {
        Self {
            certificate: Base64(gpu.certificate),
            evidence: Base64(gpu.evidence),
            arch: gpu.arch,
        }
    }
}

/// A quote and the GPU evidence beside it, from JSON that `origin` gave.
pub(super) fn parse(
    json: &[u8],
    origin: &Path,
) -> Result<(Quote, Vec<GpuEvidence>), EvidenceError> {
    let shape: Shape = serde_json::from_slice(json).map_err(|error| content(origin, &error))?;
    if shape.tee == TeeKind::None {
        return Err(EvidenceError::Content(
            origin.to_owned(),
            "its tee is none; without an enclave say --evidence none".to_owned(),
        ));
    }
    let quote = Quote {
        tee: shape.tee,
        quote: shape.quote.0,
        certificates: shape.certificates.into_iter().map(|der| der.0).collect(),
        collateral: shape.collateral,
    };
    Ok((quote, shape.gpus.into_iter().map(Into::into).collect()))
}

/// GPU evidence alone.
pub(super) fn parse_gpus(json: &[u8], origin: &Path) -> Result<Vec<GpuEvidence>, EvidenceError> {
    let shape: GpuShape = serde_json::from_slice(json).map_err(|error| content(origin, &error))?;
    Ok(shape.gpus.into_iter().map(Into::into).collect())
}

fn content(origin: &Path, error: &serde_json::Error) -> EvidenceError {
    EvidenceError::Content(origin.to_owned(), error.to_string())
}

/// A whole file of at most [`MAX_EVIDENCE_BYTES`]. It blocks.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, EvidenceError> {
    let io = |error| EvidenceError::File(path.to_owned(), error);
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_EVIDENCE_BYTES).unwrap_or(u64::MAX);
    File::open(path)
        .map_err(io)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() > MAX_EVIDENCE_BYTES {
        return Err(EvidenceError::Content(
            path.to_owned(),
            format!("it has more than {MAX_EVIDENCE_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}
