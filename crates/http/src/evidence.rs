//! The query of an instance's evidence (spec/http.md, section 5.1). The document is that of `sealwire-attest`.

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
}
