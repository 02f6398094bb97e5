//! What evidence binds: statement, report data, GPU nonce (spec/protocol.md section 3.4, spec/http.md section 5.1).

use sealwire_http::evidence::GpuEvidence;
use serde::Serialize;
use sha2::{Digest, Sha256, Sha512};

/// The configuration that a statement describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFacts {
    /// The labels that are served.
    pub labels: Vec<String>,
    /// The least padding of answers.
    pub padding: String,
    /// The profiles that are spoken.
    pub profiles: Vec<String>,
    /// The model server.
    pub upstream: String,
}

/// Members in the order of their names: they are written as they stand here.
#[derive(Serialize)]
struct Statement<'a> {
    gpu_evidence_sha256: Option<String>,
    labels: &'a [String],
    padding: &'a str,
    profiles: &'a [String],
    upstream: &'a str,
    version: &'a str,
}

impl StatementFacts {
    /// The statement's bytes beside this GPU evidence.
    pub(crate) fn statement(&self, gpu: &[GpuEvidence]) -> Vec<u8> {
        let statement = Statement {
            gpu_evidence_sha256: (!gpu.is_empty()).then(|| hex(&gpu_hash(gpu))),
            labels: &self.labels,
            padding: &self.padding,
            profiles: &self.profiles,
            upstream: &self.upstream,
            version: env!("CARGO_PKG_VERSION"),
        };
        // Strings only: serialising them cannot fail.
        serde_json::to_vec(&statement).unwrap_or_default()
    }
}

fn gpu_hash(gpu: &[GpuEvidence]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for entry in gpu {
        let bytes = &entry.evidence.0;
        hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}

/// The 64 bytes that a quote is made over.
pub(crate) fn report_data(identity: &[u8; 32], nonce: &[u8; 32], statement: &[u8]) -> [u8; 64] {
    let mut hash = Sha512::new();
    hash.update(b"sealwire/1 evidence");
    hash.update(identity);
    hash.update(nonce);
    hash.update(Sha256::digest(statement));
    hash.finalize().into()
}

/// The nonce that GPU evidence is made for.
pub(crate) fn gpu_nonce(identity: &[u8; 32], nonce: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"sealwire/1 gpu evidence");
    hash.update(identity);
    hash.update(nonce);
    hash.finalize().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use sealwire_http::evidence::Base64;

    use super::*;

    fn facts() -> StatementFacts {
        StatementFacts {
            labels: vec!["a".to_owned(), "b".to_owned()],
            padding: "none".to_owned(),
            profiles: vec!["native".to_owned()],
            upstream: "http://127.0.0.1:8000".to_owned(),
        }
    }

    fn gpu(bytes: &[u8]) -> GpuEvidence {
        GpuEvidence {
            certificate: String::new(),
            evidence: Base64(bytes.to_vec()),
            arch: "HOPPER".to_owned(),
        }
    }

    #[test]
    fn statement_is_json_with_sorted_members() {
        let bytes = facts().statement(&[]);
        let text = String::from_utf8(bytes).expect("UTF-8");
        let expected = format!(
            r#"{{"gpu_evidence_sha256":null,"labels":["a","b"],"padding":"none","profiles":["native"],"upstream":"http://127.0.0.1:8000","version":"{}"}}"#,
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn hashes_are_those_of_another_implementation() {
        // Python's hashlib over the bytes that the specification names.
        assert_eq!(
            hex(&report_data(&[1; 32], &[2; 32], b"{}")),
            "b03030da91c4ae7ac07e4cb3f6bc5c86ccb76979aa02600f73b646ea7a8e647ed524a37b311024d1fc9a9592d9f83b271ca68ca4c9b05a7372fdccd5b33a0a60"
        );
        assert_eq!(
            hex(&gpu_nonce(&[1; 32], &[2; 32])),
            "de126388725b9836821350c1a0aabd7ae3fa8aabbd1ed8fcf0ef1452409c9d60"
        );
        assert_eq!(
            hex(&gpu_hash(&[gpu(b"ab"), gpu(b"")])),
            "421fb38456f1afe5c04ed5c0c11c88c415c03ba8cc8eab2528a1fd847fa83cd7"
        );
    }

    #[test]
    fn moved_borders_between_gpus_change_the_hash() {
        assert_ne!(
            gpu_hash(&[gpu(b"ab"), gpu(b"c")]),
            gpu_hash(&[gpu(b"a"), gpu(b"bc")])
        );
    }
}
