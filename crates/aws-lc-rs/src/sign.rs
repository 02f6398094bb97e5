//! Ed25519 signing.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use sealwire::crypto::{Secret, Signing, SigningKey};

pub(super) struct Ed25519;

impl Signing for Ed25519 {
    fn signing_key(&self, seed: &Secret<32>) -> Box<dyn SigningKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .expect("32 bytes are a seed, and nothing else fails but memory");
        Box::new(Key(pair))
    }
}

/// Erased by AWS-LC when it frees it.
struct Key(Ed25519KeyPair);

impl SigningKey for Key {
    fn public_key(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        bytes
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }
}
