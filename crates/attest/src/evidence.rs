//! Evidence as it travels: the native shape, and the list that a chutes-v1 relay hands out (`spec/evidence.md` section 2).
//!
//! Nothing here is believed: a sender says what it likes, and [`crate::Verifier`] judges.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::{
    array_from_hex, from_base64, from_base64url, to_base64, to_base64url, to_hex,
};

/// Longest JSON document that is read.
pub const MAX_DOCUMENT: usize = 8 << 20;
/// Longest quote or report.
pub const MAX_QUOTE: usize = 64 << 10;
/// Longest certificate, or chain of certificates in PEM.
pub const MAX_CERTIFICATE: usize = 64 << 10;
/// Most certificates beside a quote.
pub const MAX_CERTIFICATES: usize = 8;
/// Longest evidence of one GPU.
pub const MAX_GPU_EVIDENCE: usize = 64 << 10;
/// Most GPUs of one instance.
pub const MAX_GPUS: usize = 32;
/// Longest token.
pub const MAX_TOKEN: usize = 64 << 10;
/// Longest stapled collateral, as JSON.
pub const MAX_COLLATERAL: usize = 1 << 20;
/// Longest statement.
pub const MAX_STATEMENT: usize = 16 << 10;
/// Most instances in one list.
pub const MAX_INSTANCES: usize = 256;

/// The value of `format` in the native shape.
pub const FORMAT: &str = "sealwire/1 evidence";

/// What made a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TeeKind {
    /// No enclave: the identity must be pinned.
    None,
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
}

impl TeeKind {
    /// The name in evidence and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Tdx => "tdx",
            Self::SevSnp => "sev-snp",
        }
    }
}

/// Evidence of one GPU: an SPDM request and response, and the certificates of the key that signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuEvidence {
    /// The architecture as the sender calls it, such as `HOPPER`.
    pub arch: String,
    /// PEM, the device's own certificate first, its root last.
    pub certificate: Vec<u8>,
    /// The request of 37 bytes, then the response.
    pub evidence: Vec<u8>,
}

/// What NVIDIA's attestation service answered: a token over all GPUs, and one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuTokens {
    /// The token over all.
    pub overall: String,
    /// Name and token of each GPU.
    pub gpus: Vec<(String, String)>,
}

impl GpuTokens {
    /// Parses the answer's shape: `[["JWT", token], {"GPU-0": token, ..}]`.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn from_json(json: &[u8]) -> Result<Self, EvidenceError> {
        if json.len() > MAX_DOCUMENT {
            return Err(EvidenceError::TooLong("the tokens", MAX_DOCUMENT));
        }
        Self::from_value(serde_json::from_slice(json)?)
    }

    fn from_value(value: Value) -> Result<Self, EvidenceError> {
        type Answer = ((String, String), std::collections::BTreeMap<String, String>);
        let ((kind, overall), gpus): Answer = serde_json::from_value(value)?;
        if kind != "JWT" {
            return Err(EvidenceError::Member(
                "gpu_tokens",
                "`JWT` as its first word",
            ));
        }
        if gpus.len() > MAX_GPUS {
            return Err(EvidenceError::TooMany("GPU tokens", MAX_GPUS));
        }
        if overall.len() > MAX_TOKEN || gpus.values().any(|token| token.len() > MAX_TOKEN) {
            return Err(EvidenceError::TooLong("a token", MAX_TOKEN));
        }
        Ok(Self {
            overall,
            gpus: gpus.into_iter().collect(),
        })
    }

    fn to_value(&self) -> Value {
        let gpus: serde_json::Map<String, Value> = self
            .gpus
            .iter()
            .map(|(name, token)| (name.clone(), Value::from(token.as_str())))
            .collect();
        serde_json::json!([["JWT", self.overall], gpus])
    }
}

/// Evidence of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What made the quote.
    pub tee: TeeKind,
    /// The TDX quote or the SNP report; empty without an enclave.
    pub quote: Vec<u8>,
    /// DER. For SEV-SNP the VCEK or VLEK, then its ASK if the verifier may lack it; for chutes-v1 the VM's certificate.
    pub certificates: Vec<Vec<u8>>,
    /// GPUs, SPDM.
    pub gpus: Vec<GpuEvidence>,
    /// GPUs, tokens.
    pub gpu_tokens: Option<GpuTokens>,
    /// Intel's collateral as JSON, stapled by the instance.
    pub collateral: Option<Vec<u8>>,
    /// Native: the statement's exact bytes.
    pub statement: Option<Vec<u8>>,
    /// Native: whose evidence it claims to be.
    pub claimed_identity: Option<[u8; 32]>,
    /// Native: the nonce that it claims to answer; `None` for stapled evidence.
    pub claimed_nonce: Option<[u8; 32]>,
}

/// Evidence that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not JSON, or not of this shape.
    #[error("the evidence is not JSON of the expected shape: {0}")]
    Json(#[from] serde_json::Error),
    /// A member holds something else than it should.
    #[error("the evidence's member `{0}` must be {1}")]
    Member(&'static str, &'static str),
    /// A part is too long.
    #[error("{0} is longer than {1} bytes")]
    TooLong(&'static str, usize),
    /// Too many parts.
    #[error("more than {1} {0}")]
    TooMany(&'static str, usize),
    /// Another format.
    #[error("the evidence is of format `{0}`; this verifier knows `{FORMAT}`")]
    Format(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NativeJson {
    format: String,
    tee: TeeKind,
    identity: String,
    // Named, so that a member that is missing is an error; null is stapled evidence.
    #[serde(deserialize_with = "Option::deserialize")]
    nonce: Option<String>,
    statement: String,
    #[serde(default)]
    quote: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gpus: Vec<GpuJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gpu_tokens: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collateral: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct GpuJson {
    certificate: String,
    evidence: String,
    arch: String,
}

#[derive(Deserialize)]
struct ChutesListJson {
    evidence: Vec<Value>,
    #[serde(default)]
    failed_instance_ids: Vec<String>,
}

#[derive(Deserialize)]
struct ChutesJson {
    quote: String,
    #[serde(default)]
    gpu_evidence: Vec<GpuJson>,
    #[serde(default)]
    certificate: Option<String>,
}

/// What a chutes-v1 relay handed out for one deployment.
#[derive(Debug)]
pub struct ChutesEvidence {
    /// Each instance by its id; an entry that cannot be read does not hide the others.
    pub instances: Vec<(String, Result<Evidence, EvidenceError>)>,
    /// Instances that gave none.
    pub failed: Vec<String>,
}

impl ChutesEvidence {
    /// Parses the answer to `GET /chutes/{id}/evidence`. Members that are not known are ignored, as in all of that API.
    ///
    /// # Errors
    /// [`EvidenceError`] if the list itself cannot be read.
    pub fn from_json(json: &[u8]) -> Result<Self, EvidenceError> {
        if json.len() > MAX_DOCUMENT {
            return Err(EvidenceError::TooLong("the document", MAX_DOCUMENT));
        }
        let list: ChutesListJson = serde_json::from_slice(json)?;
        if list.evidence.len() > MAX_INSTANCES || list.failed_instance_ids.len() > MAX_INSTANCES {
            return Err(EvidenceError::TooMany("instances", MAX_INSTANCES));
        }
        let instances = list
            .evidence
            .into_iter()
            .map(|entry| {
                let id = entry.get("instance_id").and_then(Value::as_str);
                (id.unwrap_or_default().to_owned(), chutes(entry))
            })
            .collect();
        Ok(Self {
            instances,
            failed: list.failed_instance_ids,
        })
    }
}

fn chutes(entry: Value) -> Result<Evidence, EvidenceError> {
    let entry: ChutesJson = serde_json::from_value(entry)?;
    let certificates = entry
        .certificate
        .iter()
        .map(|text| bytes("certificate", text, MAX_CERTIFICATE))
        .collect::<Result<_, _>>()?;
    Ok(Evidence {
        tee: TeeKind::Tdx,
        quote: bytes("quote", &entry.quote, MAX_QUOTE)?,
        certificates,
        gpus: gpus(entry.gpu_evidence)?,
        gpu_tokens: None,
        collateral: None,
        statement: None,
        claimed_identity: None,
        claimed_nonce: None,
    })
}

fn gpus(list: Vec<GpuJson>) -> Result<Vec<GpuEvidence>, EvidenceError> {
    if list.len() > MAX_GPUS {
        return Err(EvidenceError::TooMany("GPUs", MAX_GPUS));
    }
    list.into_iter()
        .map(|gpu| {
            if gpu.arch.len() > 64 {
                return Err(EvidenceError::TooLong("a GPU's architecture", 64));
            }
            Ok(GpuEvidence {
                arch: gpu.arch,
                certificate: bytes("certificate", &gpu.certificate, MAX_CERTIFICATE)?,
                evidence: bytes("evidence", &gpu.evidence, MAX_GPU_EVIDENCE)?,
            })
        })
        .collect()
}

fn bytes(member: &'static str, text: &str, most: usize) -> Result<Vec<u8>, EvidenceError> {
    // Bounded before it is decoded.
    if text.len() / 4 * 3 > most + 3 {
        return Err(EvidenceError::TooLong(member, most));
    }
    let bytes = from_base64(text).ok_or(EvidenceError::Member(member, "standard base64"))?;
    if bytes.len() > most {
        return Err(EvidenceError::TooLong(member, most));
    }
    Ok(bytes)
}

impl Evidence {
    /// Parses one instance's evidence in the native shape.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn from_json(json: &[u8]) -> Result<Self, EvidenceError> {
        if json.len() > MAX_DOCUMENT {
            return Err(EvidenceError::TooLong("the document", MAX_DOCUMENT));
        }
        let native: NativeJson = serde_json::from_slice(json)?;
        if native.format != FORMAT {
            return Err(EvidenceError::Format(
                native.format.chars().take(64).collect(),
            ));
        }
        if native.certificates.len() > MAX_CERTIFICATES {
            return Err(EvidenceError::TooMany("certificates", MAX_CERTIFICATES));
        }
        let identity = from_base64url(&native.identity)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(EvidenceError::Member("identity", "32 bytes as base64url"))?;
        let nonce = native
            .nonce
            .map(|text| {
                array_from_hex(&text).ok_or(EvidenceError::Member("nonce", "64 hex digits or null"))
            })
            .transpose()?;
        let collateral = native
            .collateral
            .map(|value| serde_json::to_vec(&value))
            .transpose()?;
        if collateral
            .as_ref()
            .is_some_and(|json| json.len() > MAX_COLLATERAL)
        {
            return Err(EvidenceError::TooLong("collateral", MAX_COLLATERAL));
        }
        Ok(Self {
            tee: native.tee,
            quote: bytes("quote", &native.quote, MAX_QUOTE)?,
            certificates: native
                .certificates
                .iter()
                .map(|text| bytes("certificates", text, MAX_CERTIFICATE))
                .collect::<Result<_, _>>()?,
            gpus: gpus(native.gpus)?,
            gpu_tokens: native.gpu_tokens.map(GpuTokens::from_value).transpose()?,
            collateral,
            statement: Some(bytes("statement", &native.statement, MAX_STATEMENT)?),
            claimed_identity: Some(identity),
            claimed_nonce: nonce,
        })
    }

    /// The native shape. An instance calls this; evidence without identity or statement has no such shape.
    ///
    /// # Errors
    /// [`EvidenceError::Member`] for what is missing, [`EvidenceError::Json`] if the stapled collateral is not JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, EvidenceError> {
        let identity = self
            .claimed_identity
            .ok_or(EvidenceError::Member("identity", "there"))?;
        let statement = self
            .statement
            .as_ref()
            .ok_or(EvidenceError::Member("statement", "there"))?;
        let collateral = self
            .collateral
            .as_ref()
            .map(|json| serde_json::from_slice(json))
            .transpose()?;
        let native = NativeJson {
            format: FORMAT.to_owned(),
            tee: self.tee,
            identity: to_base64url(&identity),
            nonce: self.claimed_nonce.map(|nonce| to_hex(&nonce)),
            statement: to_base64(statement),
            quote: to_base64(&self.quote),
            certificates: self.certificates.iter().map(|der| to_base64(der)).collect(),
            gpus: self
                .gpus
                .iter()
                .map(|gpu| GpuJson {
                    certificate: to_base64(&gpu.certificate),
                    evidence: to_base64(&gpu.evidence),
                    arch: gpu.arch.clone(),
                })
                .collect(),
            gpu_tokens: self.gpu_tokens.as_ref().map(GpuTokens::to_value),
            collateral,
        };
        Ok(serde_json::to_vec(&native)?)
    }
}
