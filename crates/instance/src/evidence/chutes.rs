//! The same material in the shape of chutes-v1: the quote binds the KEM key that discovery lists, and a certificate.

use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use super::encoding::Base64;
use super::{EvidenceError, Gpu};

/// One element of the list `evidence` of chutes-v1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChutesEvidence {
    /// The quote.
    pub quote: Base64,
    /// The GPUs, each for a nonce that is the first half of the quote's report data.
    pub gpu_evidence: Vec<Gpu>,
    /// The instance's name at its platform.
    pub instance_id: String,
    /// The certificate whose key the quote binds, DER.
    pub certificate: Base64,
}

/// A certificate, and the hash of its public key.
#[derive(Debug, Clone)]
pub(super) struct BoundCertificate {
    pub(super) der: Vec<u8>,
    spki_sha256: [u8; 32],
}

impl BoundCertificate {
    pub(super) fn new(der: &[u8]) -> Result<Self, EvidenceError> {
        let bad = |error: x509_cert::der::Error| EvidenceError::Certificate(error.to_string());
        let certificate = Certificate::from_der(der).map_err(bad)?;
        let key = certificate
            .tbs_certificate()
            .subject_public_key_info()
            .to_der()
            .map_err(bad)?;
        Ok(Self {
            der: der.to_owned(),
            spki_sha256: Sha256::digest(key).into(),
        })
    }

    /// What the quote is made over, for the nonce and the key as they stand in the platform's API.
    pub(super) fn report_data(&self, nonce_hex: &str, e2e_pubkey_b64: &str) -> [u8; 64] {
        let mut hash = Sha256::new();
        hash.update(nonce_hex);
        hash.update(e2e_pubkey_b64);
        let first: [u8; 32] = hash.finalize().into();
        let mut data = [0; 64];
        let (left, right) = data.split_at_mut(32);
        left.copy_from_slice(&first);
        right.copy_from_slice(&self.spki_sha256);
        data
    }
}

/// Whether a text is a nonce of chutes-v1.
pub(super) fn is_nonce(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::super::encoding::hex;
    use super::*;

    /// A self-signed certificate on P-256 that OpenSSL made.
    const CERTIFICATE: &str = "MIIBcjCCARegAwIBAgIUflGZkohEb/slwI6eip/N3VpdpNAwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCdm0wIBcNMjYxMTIyMjE1OTE1WhgPMjEyNjEwMjkyMTU5MTVaMA0xCzAJBgNVBAMMAnZtMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9isRFSSCyt9HxB/MbW37KcuQCnfcCHlf3m6+3hrg7WvEmSBszA4qFyc5AkQZH+Qgpdz4/DKkc4JXe/jgFWtokKNTMFEwHQYDVR0OBBYEFDdMJMVZ8Y8TmR3sYt1hhviMUj7AMB8GA1UdIwQYMBaAFDdMJMVZ8Y8TmR3sYt1hhviMUj7AMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAIZNmSUfrefUo7+YhR14nSDd9hEx3rMLDoMIylBinuS0AiEA1gLyJQ2UdaYMavqzN9GWWCqzml273kUTBsD7KQBVnUw=";

    #[test]
    fn report_data_is_that_of_another_implementation() {
        let der: Base64 = serde_json::from_value(CERTIFICATE.into()).expect("base64");
        let certificate = BoundCertificate::new(&der.0).expect("a certificate");
        let data = certificate.report_data(&"0a".repeat(32), "AAEC");
        // Python's hashlib, and the key as `openssl pkey -pubin -outform DER` writes it.
        assert_eq!(
            hex(&data),
            "d05da1b1e96f2839ca8c39cc36abb1464816c4680aecb908b2d7d32a30104295\
             2126913b561f037f642c6be184996af08b3c5fe51976f27de224b6716b8ed04b"
        );
        assert!(matches!(
            BoundCertificate::new(b"no certificate"),
            Err(EvidenceError::Certificate(_))
        ));
    }

    #[test]
    fn a_nonce_has_64_hexadecimal_digits() {
        assert!(is_nonce(&"0aF".repeat(22)[..64]));
        for bad in ["", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert!(!is_nonce(bad), "{bad}");
        }
    }
}
