//! Ed25519 signing.

use alloc::boxed::Box;

use ed25519_dalek::Signer;

use crate::crypto::{Secret, Signing, SigningKey};

pub(super) struct Ed25519;

impl Signing for Ed25519 {
    fn signing_key(&self, seed: &Secret<32>) -> Box<dyn SigningKey> {
        Box::new(Key(ed25519_dalek::SigningKey::from_bytes(seed.expose())))
    }
}

/// Erased on drop by the dalek crate.
struct Key(ed25519_dalek::SigningKey);

impl SigningKey for Key {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}
