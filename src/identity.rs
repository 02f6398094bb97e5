//! The instance's Ed25519 identity: it signs bundles and receipts, and is what evidence or a pin binds.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::crypto::{CryptoProvider, Secret, SigningKey, Verification};
use crate::error::{CryptoError, Error};

/// Signature labels, spec/protocol.md section 2.2. Each ends in a zero byte, so none is a prefix of another.
pub(crate) const SIGN_BUNDLE: &[u8] = b"sealwire/1 bundle\0";
pub(crate) const SIGN_RECEIPT: &[u8] = b"sealwire/1 receipt\0";

/// An instance's signing identity.
pub struct IdentityKey {
    key: Box<dyn SigningKey>,
    public: [u8; 32],
}

impl IdentityKey {
    /// A fresh identity. Inside an enclave this is the right one: it never leaves the process.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn generate(provider: &CryptoProvider) -> Result<Self, Error> {
        let mut seed = Secret::zero();
        provider.random.fill(seed.expose_mut())?;
        Ok(Self::from_seed(provider, &seed))
    }

    /// The identity of a 32-byte seed, for places without a TEE where a key is kept in a file.
    #[must_use]
    pub fn from_seed(provider: &CryptoProvider, seed: &Secret<32>) -> Self {
        let key = provider.signing.signing_key(seed);
        let public = key.public_key();
        Self { key, public }
    }

    /// The 32-byte public key: what clients pin.
    #[must_use]
    pub const fn public_key(&self) -> [u8; 32] {
        self.public
    }

    pub(crate) fn sign(&self, label: &[u8], message: &[u8]) -> [u8; 64] {
        self.key.sign(&labelled(label, message))
    }
}

/// Verifies a signature made by [`IdentityKey::sign`].
pub(crate) fn verify(
    verification: &Verification,
    identity: &[u8; 32],
    label: &[u8],
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), CryptoError> {
    verification
        .signatures
        .verify(identity, &labelled(label, message), signature)
}

fn labelled(label: &[u8], message: &[u8]) -> Vec<u8> {
    [label, message].concat()
}
