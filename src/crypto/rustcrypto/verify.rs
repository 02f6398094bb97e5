//! SHA-256 and strict Ed25519 verification.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::Digest;

use crate::crypto::{Hash, VerifySignature};
use crate::error::CryptoError;

pub(super) struct Sha256;

impl Hash for Sha256 {
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = sha2::Sha256::new();
        for part in parts {
            hash.update(part);
        }
        hash.finalize().into()
    }
}

pub(super) struct Ed25519;

impl VerifySignature for Ed25519 {
    fn verify(
        &self,
        public_key: &[u8; 32],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), CryptoError> {
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| CryptoError::Invalid)?;
        // verify_strict refuses S >= L, non-canonical R, small-order A and R; the encoding of A is left to us.
        if key.to_edwards().compress().as_bytes() != public_key {
            return Err(CryptoError::Invalid);
        }
        key.verify_strict(message, &Signature::from_bytes(signature))
            .map_err(|_| CryptoError::Invalid)
    }
}
