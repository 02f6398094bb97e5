//! The query and the document of an instance's evidence (spec/http.md, section 5.1).
//!
//! Nothing is verified here: the document says what an instance claims.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::carriage::{from_base64url, to_base64url};
use crate::discovery::set_once;

/// Largest evidence document that a relay passes and a client takes, in bytes.
pub const MAX_EVIDENCE_BYTES: usize = 8 * 1_024 * 1_024;

/// What is asked for: whose evidence, and for which nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EvidenceQuery {
    /// The identity that the evidence must be for. A relay needs it to route.
    pub identity: Option<[u8; 32]>,
    /// The verifier's own nonce; without one the answer is stapled evidence.
    pub nonce: Option<[u8; 32]>,
}

impl EvidenceQuery {
    /// The query part of the target, without `?`.
    #[must_use]
    pub fn to_query(&self) -> String {
        let parts = [("identity", self.identity), ("nonce", self.nonce)];
        let parts: Vec<String> = parts
            .iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", to_base64url(&(*value)?))))
            .collect();
        parts.join("&")
    }

    /// Reads the query part of a target. Unknown parameters are ignored; a known one that is doubled or is not 32 bytes as base64url is `None`.
    #[must_use]
    pub fn from_query(query: &str) -> Option<Self> {
        let mut found = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "identity" => &mut found.identity,
                "nonce" => &mut found.nonce,
                _ => continue,
            };
            set_once(slot, from_base64url(value)?.try_into().ok()?)?;
        }
        Some(found)
    }
}

/// Bytes that JSON carries as standard base64 with padding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("expected standard base64 with padding"))
    }
}

/// What made a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tee {
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
}

/// The evidence of one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuEvidence {
    /// The certificate chain as the GPU's driver gives it: PEM, base64 of it.
    pub certificate: String,
    /// The attestation report: the request and the response.
    pub evidence: Base64,
    /// The architecture, such as `HOPPER`.
    pub arch: String,
}

/// The answer of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceDocument {
    /// Whose evidence it is, base64url.
    pub identity: String,
    /// The nonce it was made for, base64url; absent if stapled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What made the quote.
    pub tee: Tee,
    /// The quote or report.
    pub quote: Base64,
    /// Certificates that the quote does not hold itself, DER, the leaf first.
    #[serde(default)]
    pub certificates: Vec<Base64>,
    /// The GPUs, in the order in which the statement hashes them.
    #[serde(default)]
    pub gpu: Vec<GpuEvidence>,
    /// The bytes of the statement whose hash is in the quote.
    pub statement: Base64,
    /// What the TEE's maker says of the platform, if the instance staples it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collateral: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_goes_there_and_back() {
        for query in [
            EvidenceQuery::default(),
            EvidenceQuery {
                identity: Some([1; 32]),
                nonce: None,
            },
            EvidenceQuery {
                identity: Some([0xff; 32]),
                nonce: Some([0; 32]),
            },
        ] {
            assert_eq!(EvidenceQuery::from_query(&query.to_query()), Some(query));
        }
        let nonce = to_base64url(&[7; 32]);
        let query = EvidenceQuery::from_query(&format!("later=1&nonce={nonce}&later=2"));
        assert_eq!(query.and_then(|query| query.nonce), Some([7; 32]));
    }

    #[test]
    fn bad_queries_are_none() {
        let nonce = to_base64url(&[7; 32]);
        for bad in [
            "nonce=".to_owned(),
            "nonce".to_owned(),
            format!("nonce={}", to_base64url(&[7; 31])),
            format!("nonce={}", to_base64url(&[7; 33])),
            format!("nonce={nonce}="),
            format!("nonce={nonce}&nonce={nonce}"),
            format!("identity={nonce}&identity={nonce}"),
            "identity=00000000000000000000000000000000".to_owned(),
        ] {
            assert_eq!(EvidenceQuery::from_query(&bad), None, "{bad}");
        }
    }

    #[test]
    fn document_has_the_names_of_the_specification() {
        let document = EvidenceDocument {
            identity: "AA".to_owned(),
            nonce: None,
            tee: Tee::SevSnp,
            quote: Base64(vec![0xff]),
            certificates: vec![Base64(vec![1])],
            gpu: vec![GpuEvidence {
                certificate: "cGVt".to_owned(),
                evidence: Base64(vec![2]),
                arch: "HOPPER".to_owned(),
            }],
            statement: Base64(b"{}".to_vec()),
            collateral: None,
        };
        let json = serde_json::to_string(&document).expect("strings");
        assert_eq!(
            json,
            r#"{"identity":"AA","tee":"sev-snp","quote":"/w==","certificates":["AQ=="],"gpu":[{"certificate":"cGVt","evidence":"Ag==","arch":"HOPPER"}],"statement":"e30="}"#
        );
        assert_eq!(
            serde_json::from_str::<EvidenceDocument>(&json).ok(),
            Some(document)
        );
        let unpadded = json.replace("/w==", "/w");
        assert!(serde_json::from_str::<EvidenceDocument>(&unpadded).is_err());
    }
}
