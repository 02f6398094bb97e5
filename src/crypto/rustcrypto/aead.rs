//! ChaCha20-Poly1305.

use alloc::boxed::Box;

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit};

use crate::crypto::{Aead, AeadKey, Secret};
use crate::error::CryptoError;

pub(super) struct ChaCha20Poly1305;

impl Aead for ChaCha20Poly1305 {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(Key(chacha20poly1305::ChaCha20Poly1305::new(
            key.expose().into(),
        )))
    }
}

/// Erased on drop by the chacha20poly1305 crate.
struct Key(chacha20poly1305::ChaCha20Poly1305);

impl AeadKey for Key {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        self.0
            .encrypt_inout_detached(nonce.into(), aad, InOutBuf::from(buffer))
            .map(Into::into)
            .map_err(|_| CryptoError::Backend)
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        self.0
            .decrypt_inout_detached(nonce.into(), aad, InOutBuf::from(buffer), tag.into())
            .map_err(|_| CryptoError::Invalid)
    }
}
