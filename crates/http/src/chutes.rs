//! The carriage of the profile chutes-v1 (spec/compat-chutes.md): paths, header fields, identifiers and the description of an instance.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderName;
use sealwire::crypto::Hash;
use serde::{Deserialize, Serialize};
pub use uuid::Uuid;

/// Where clients post sealed requests, on a relay.
pub const INVOKE_PATH: &str = "/e2e/invoke";
/// Where clients discover instances, on a relay; the chute's id follows.
pub const INSTANCES_PREFIX: &str = "/e2e/instances/";
/// Names for chutes, on a relay.
pub const ALIASES_PATH: &str = "/model_aliases/";
/// Where an instance describes itself to a relay.
pub const DESCRIPTION_PATH: &str = "/chutes-v1/instance";
/// Where an instance takes sealed requests from a relay.
pub const INSTANCE_INVOKE_PATH: &str = "/chutes-v1/invoke";
/// Where an instance shows evidence to a relay.
pub const INSTANCE_EVIDENCE_PATH: &str = "/chutes-v1/evidence";

/// The chute that a request is for.
pub const CHUTE_HEADER: HeaderName = HeaderName::from_static("x-chute-id");
/// The instance whose key a request is sealed to.
pub const INSTANCE_HEADER: HeaderName = HeaderName::from_static("x-instance-id");
/// A nonce of discovery.
pub const NONCE_HEADER: HeaderName = HeaderName::from_static("x-e2e-nonce");
/// Whether the answer streams: `true` or `false`.
pub const STREAM_HEADER: HeaderName = HeaderName::from_static("x-e2e-stream");
/// The path at the model server.
pub const PATH_HEADER: HeaderName = HeaderName::from_static("x-e2e-path");
/// Asks the relay to leave plaintext usage in a stream.
pub const PASSTHROUGH_HEADER: HeaderName = HeaderName::from_static("x-e2ee-usage-passthrough");
/// Usage of an answer that does not stream, from instance to relay.
pub const USAGE_HEADER: HeaderName = HeaderName::from_static("x-e2e-usage");

/// Media type of requests, and of answers that do not stream.
pub const BLOB_MEDIA_TYPE: &str = "application/octet-stream";
/// Media type of streamed answers.
pub const STREAM_MEDIA_TYPE: &str = "text/event-stream";

/// Characters of a nonce.
pub const NONCE_LEN: usize = 32;
/// Nonces for each instance in an answer of discovery.
pub const NONCES_PER_INSTANCE: usize = 10;
/// Most instances in an answer of discovery.
pub const MAX_INSTANCES: usize = 5;
/// Bytes of an instance's public key.
pub const PUBLIC_KEY_LEN: usize = 1_184;

/// How an instance describes itself to a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceDescription {
    /// Which instance it is; another one after each start.
    pub instance_id: Uuid,
    /// What it serves.
    pub chutes: Vec<Chute>,
    /// Its ML-KEM-768 key in standard base64; absent while it has none.
    #[serde(default)]
    pub e2e_pubkey: Option<String>,
    /// Whether it shows evidence for its key.
    #[serde(default)]
    pub confidential_compute: bool,
    /// What the model server can do, in the words of the platform's model list.
    #[serde(default)]
    pub supported_features: Vec<String>,
}

/// A model and the id under which the platform runs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Chute {
    /// The id.
    pub chute_id: Uuid,
    /// The model's name.
    pub model: String,
}

/// The id of a model that was given none: the same in every process, for the same name.
#[must_use]
pub fn default_chute_id(hash: &dyn Hash, model: &str) -> Uuid {
    let digest = hash.sha256(&[b"sealwire chutes-v1 chute|", model.as_bytes()]);
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// An id made of these random bytes.
#[must_use]
pub fn random_id(bytes: [u8; 16]) -> Uuid {
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// Reads an id in its one usual form, `8-4-4-4-12` hexadecimal digits.
#[must_use]
pub fn parse_id(text: &str) -> Option<Uuid> {
    let usual = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    usual.then(|| Uuid::try_parse(text).ok()).flatten()
}

/// Whether a text is a public key: standard base64 of as many bytes as ML-KEM-768 has.
#[must_use]
pub fn is_public_key(text: &str) -> bool {
    STANDARD
        .decode(text)
        .is_ok_and(|bytes| bytes.len() == PUBLIC_KEY_LEN)
}

/// The chute of `/chutes/{chute_id}/evidence`, as it stands in the path.
#[must_use]
pub fn evidence_chute(path: &str) -> Option<&str> {
    path.strip_prefix("/chutes/")?.strip_suffix("/evidence")
}

/// Whether a text is a nonce for evidence: 64 hexadecimal digits.
#[must_use]
pub fn is_evidence_nonce(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The only `nonce` of a query, if there is exactly one and it is well formed.
#[must_use]
pub fn evidence_nonce(query: &str) -> Option<&str> {
    let mut nonces = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("nonce="));
    match (nonces.next(), nonces.next()) {
        (Some(nonce), None) if is_evidence_nonce(nonce) => Some(nonce),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_id_depends_on_the_name_alone() {
        let hash = sealwire::rustcrypto::verification().hash;
        let id = default_chute_id(hash, "my/model");
        // The digest by another tool, with the bits of version 8 and variant 10 set.
        assert_eq!(id.to_string(), "b89e4032-306f-8a50-9205-a86683b57bed");
        assert_ne!(id, default_chute_id(hash, "my/model2"));
        assert_eq!(id.get_version_num(), 8);
    }

    #[test]
    fn ids_are_read_in_one_form() {
        let id = "e51e818e-fa63-570d-9f68-49d7d1b4d12f";
        assert_eq!(
            parse_id(&id.to_uppercase()).map(|id| id.to_string()),
            Some(id.to_owned())
        );
        for bad in [
            "",
            "e51e818efa63570d9f6849d7d1b4d12f",
            "{e51e818e-fa63-570d-9f68-49d7d1b4d12f}",
            "e51e818e-fa63-570d-9f68-49d7d1b4d12g",
            "e51e818e-fa63-570d-9f6849d7d1b4d12f-",
            "e51e818e-fa63-570d-9f68-49d7d1b4d12f ",
        ] {
            assert_eq!(parse_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn public_keys_have_one_length() {
        let key = |length: usize| STANDARD.encode(vec![7; length]);
        assert!(is_public_key(&key(PUBLIC_KEY_LEN)));
        assert!(!is_public_key(&key(PUBLIC_KEY_LEN - 1)));
        assert!(!is_public_key(&key(PUBLIC_KEY_LEN + 1)));
        assert!(!is_public_key(&key(PUBLIC_KEY_LEN).replace('B', "_")));
    }

    #[test]
    fn nonces_for_evidence() {
        let nonce = "0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789";
        assert_eq!(evidence_nonce(&format!("a=b&nonce={nonce}")), Some(nonce));
        for bad in [
            String::new(),
            "nonce=".to_owned(),
            format!("nonce={nonce}0"),
            format!("nonce={}g", &nonce[1..]),
            format!("nonce={nonce}&nonce={nonce}"),
        ] {
            assert_eq!(evidence_nonce(&bad), None, "{bad}");
        }
        assert_eq!(evidence_chute("/chutes/x/evidence"), Some("x"));
        assert_eq!(evidence_chute("/chutes/evidence"), None);
    }
}
