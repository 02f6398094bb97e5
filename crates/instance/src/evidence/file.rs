//! Evidence that something else makes: read from a file, or from what a command wrote.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sealwire_http::evidence::{Base64, GpuEvidence, MAX_EVIDENCE_BYTES, Tee};
use serde::Deserialize;
use serde_json::Value;

use super::{EvidenceError, Quote};

/// The native shape, without what the instance itself knows.
#[derive(Deserialize)]
struct Shape {
    tee: Tee,
    quote: Base64,
    #[serde(default)]
    certificates: Vec<Base64>,
    #[serde(default)]
    gpu: Vec<GpuEvidence>,
    #[serde(default)]
    collateral: Option<Value>,
}

#[derive(Deserialize)]
struct GpuShape {
    gpu: Vec<GpuEvidence>,
}

/// A quote and the GPU evidence beside it, from JSON that `origin` gave.
pub(super) fn parse(
    json: &[u8],
    origin: &Path,
) -> Result<(Quote, Vec<GpuEvidence>), EvidenceError> {
    let shape: Shape = serde_json::from_slice(json).map_err(|error| content(origin, &error))?;
    let quote = Quote {
        tee: shape.tee,
        quote: shape.quote.0,
        certificates: shape.certificates.into_iter().map(|der| der.0).collect(),
        collateral: shape.collateral,
    };
    Ok((quote, shape.gpu))
}

/// GPU evidence alone.
pub(super) fn parse_gpu(json: &[u8], origin: &Path) -> Result<Vec<GpuEvidence>, EvidenceError> {
    serde_json::from_slice(json)
        .map(|shape: GpuShape| shape.gpu)
        .map_err(|error| content(origin, &error))
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
        return Err(EvidenceError::TooLarge(bytes.len(), MAX_EVIDENCE_BYTES));
    }
    Ok(bytes)
}
