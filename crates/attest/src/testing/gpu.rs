//! GPU reports and tokens under test keys.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::der::pem;
use super::pki::Party;
use crate::encoding::{to_base64url, to_hex};
use crate::evidence::{GpuEvidence, GpuTokens};
use crate::gpu::Jwks;

/// A make-believe NVIDIA and its GPUs.
pub struct GpuRig {
    root: Party,
}

impl Default for GpuRig {
    fn default() -> Self {
        Self::new()
    }
}

impl GpuRig {
    /// The one rig.
    #[must_use]
    pub fn new() -> Self {
        Self {
            root: Party::p384("Test Device Identity CA", 21),
        }
    }

    /// The root's certificate, DER.
    #[must_use]
    pub fn root(&self) -> Vec<u8> {
        self.root.issue(&self.root, 1, true, 0, &[])
    }

    /// The report of GPU number `device` for a nonce, with two measurements.
    #[must_use]
    pub fn report(&self, device: u8, nonce: &[u8; 32]) -> GpuEvidence {
        let key = Party::p384("Test GPU", 40_u8.wrapping_add(device));
        let leaf = self
            .root
            .issue(&key, 100 + u64::from(device), false, 0, &[]);
        let block = |index: u8| [&[index, 1, 51, 0, 0x01, 48, 0][..], &[index; 48]].concat();
        let record = [block(1), block(2)].concat();
        let length = u8::try_from(record.len()).unwrap_or_default();
        let signed = [
            &[0x11, 0xe0, 0x01, 0xff][..],
            nonce,
            &[0],
            &[0x11, 0x60, 0, 0, 2, length, 0, 0],
            &record,
            &[0x77; 32],
            &[0, 0],
        ]
        .concat();
        let signature = key.sign(&signed);
        GpuEvidence {
            arch: "HOPPER".to_owned(),
            certificate: pem(&[&leaf, &self.root()]).into_bytes(),
            evidence: [signed, signature].concat(),
        }
    }
}

/// A make-believe attestation service.
pub struct TokenRig {
    key: Party,
}

/// What a token says.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// Whether the GPUs passed.
    pub result: bool,
    /// From when, unix seconds.
    pub from: u64,
    /// Until when, unix seconds.
    pub until: u64,
    /// The issuer.
    pub issuer: String,
}

impl TokenOptions {
    /// A good token around `now`.
    #[must_use]
    pub fn good(now: u64) -> Self {
        Self {
            result: true,
            from: now.saturating_sub(10),
            until: now.saturating_add(600),
            issuer: "https://nras.attestation.nvidia.com".to_owned(),
        }
    }
}

impl Default for TokenRig {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenRig {
    /// The one rig.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: Party::p384("attestation service", 60),
        }
    }

    /// Its key set.
    ///
    /// # Panics
    /// If its own key does not parse, which it does.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        let point = self.key.point();
        let coordinate = |range| to_base64url(point.get(range).unwrap_or_default());
        let set = serde_json::json!({ "keys": [{
            "kty": "EC", "crv": "P-384", "kid": "test", "x": coordinate(1..49), "y": coordinate(49..97),
        }] });
        Jwks::from_json(set.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A token over all GPUs and one for one GPU.
    #[must_use]
    pub fn tokens(&self, nonce: &[u8; 32], options: &TokenOptions) -> GpuTokens {
        let times = |mut claims: serde_json::Value| {
            if let Some(claims) = claims.as_object_mut() {
                claims.insert("iss".to_owned(), options.issuer.as_str().into());
                claims.insert("nbf".to_owned(), options.from.into());
                claims.insert("exp".to_owned(), options.until.into());
                claims.insert("eat_nonce".to_owned(), to_hex(nonce).into());
            }
            self.sign(&claims)
        };
        let measres = if options.result { "success" } else { "fail" };
        let gpu = times(serde_json::json!({ "measres": measres, "dbgstat": "disabled" }));
        let digest = to_hex(&Sha256::digest(gpu.as_bytes()));
        let overall = times(serde_json::json!({
            "x-nvidia-overall-att-result": options.result,
            "submods": { "GPU-0": ["DIGEST", ["SHA-256", digest]] },
        }));
        GpuTokens {
            overall,
            gpus: BTreeMap::from([("GPU-0".to_owned(), gpu)])
                .into_iter()
                .collect(),
        }
    }

    fn sign(&self, claims: &serde_json::Value) -> String {
        let header = to_base64url(br#"{"alg":"ES384","kid":"test"}"#);
        let signed = format!("{header}.{}", to_base64url(claims.to_string().as_bytes()));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", to_base64url(&signature))
    }
}
