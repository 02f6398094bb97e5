//! ChaCha20-Poly1305.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sealwire::CryptoError;
use sealwire::crypto::{Aead, AeadKey, Secret};

pub(super) struct ChaCha20Poly1305;

impl Aead for ChaCha20Poly1305 {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.expose())
            .expect("32 bytes are a key, and nothing else fails but memory");
        Box::new(PreparedKey(LessSafeKey::new(key)))
    }
}

/// "Less safe" because the caller counts the nonces, which is what the protocol does. Erased by AWS-LC when it frees it.
struct PreparedKey(LessSafeKey);

const TAG_LEN: usize = 16;
/// The longest suffix that is sealed in the same pass. The protocol's has 4 bytes.
const SUFFIX_MAX: usize = 16;

impl AeadKey for PreparedKey {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CryptoError> {
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad),
                buffer,
            )
            .map_err(|_| CryptoError::Backend)?;
        tag.as_ref().try_into().map_err(|_| CryptoError::Backend)
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        self.0
            .open_in_place_separate_tag(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad),
                tag,
                buffer,
            )
            .map(drop)
            .map_err(|_| CryptoError::Invalid)
    }

    fn seal_scatter(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        suffix: &[u8],
        out: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CryptoError> {
        let (head, tail) = out
            .split_at_mut_checked(plaintext.len())
            .ok_or(CryptoError::Backend)?;
        if tail.len() != suffix.len() {
            return Err(CryptoError::Backend);
        }
        // AWS-LC writes the sealed suffix and the tag in one piece.
        let mut sealed = [0; SUFFIX_MAX + TAG_LEN];
        let Some(sealed) = sealed.get_mut(..suffix.len().saturating_add(TAG_LEN)) else {
            head.copy_from_slice(plaintext);
            tail.copy_from_slice(suffix);
            return self.seal_in_place(nonce, aad, out);
        };
        self.0
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad),
                plaintext,
                head,
                suffix,
                sealed,
            )
            .map_err(|_| CryptoError::Backend)?;
        let (body, tag) = sealed
            .split_last_chunk::<TAG_LEN>()
            .ok_or(CryptoError::Backend)?;
        tail.copy_from_slice(body);
        Ok(*tag)
    }
}
