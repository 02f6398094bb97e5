//! ChaCha20-Poly1305 (RFC 8439).

use alloc::boxed::Box;

use chacha20::cipher::{Block, KeyIvInit, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::{Aead, AeadKey, Secret};
use crate::error::CryptoError;

type Core = ChaChaCore<R20, Ietf>;

/// Most bytes of associated data and text together that take the way for short messages. The `poly1305` crate needs about 2 us for its first
/// blocks on x86 with AVX2, more than everything else in a short frame; from about 2 KiB on it is faster (spec/adr/0015-short-frames.md).
const SHORT: usize = 1_024;
const CHACHA_BLOCK: usize = 64;
const POLY_BLOCK: usize = 16;

pub(super) struct ChaCha20Poly1305;

impl Aead for ChaCha20Poly1305 {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(Key(Secret::new(*key.expose())))
    }
}

struct Key(Secret<32>);

impl Key {
    /// The way for long messages.
    fn long(&self) -> chacha20poly1305::ChaCha20Poly1305 {
        chacha20poly1305::ChaCha20Poly1305::new(self.0.expose().into())
    }
}

impl AeadKey for Key {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        if is_short(aad, buffer) {
            let stream = KeyStream::new(&self.0, nonce, buffer.len());
            stream.apply(buffer);
            return stream.tag(aad, buffer);
        }
        self.long()
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
        if is_short(aad, buffer) {
            let stream = KeyStream::new(&self.0, nonce, buffer.len());
            if !Secret::new(stream.tag(aad, buffer)?).ct_eq(tag) {
                return Err(CryptoError::Invalid);
            }
            stream.apply(buffer);
            return Ok(());
        }
        self.long()
            .decrypt_inout_detached(nonce.into(), aad, InOutBuf::from(buffer), tag.into())
            .map_err(|_| CryptoError::Invalid)
    }
}

fn is_short(aad: &[u8], buffer: &[u8]) -> bool {
    aad.len().saturating_add(buffer.len()) <= SHORT
}

/// The key stream of a short message; its first block holds the key of the tag (RFC 8439 section 2.6). Erased on drop.
struct KeyStream {
    blocks: [Block<Core>; 1 + SHORT / CHACHA_BLOCK],
    used: usize,
}

impl KeyStream {
    fn new(key: &Secret<32>, nonce: &[u8; 12], length: usize) -> Self {
        let mut stream = Self {
            blocks: Default::default(),
            used: 1 + length.div_ceil(CHACHA_BLOCK),
        };
        // One call for all: the cipher computes several blocks at a time.
        Core::new(key.expose().into(), nonce.into())
            .write_keystream_blocks(&mut stream.blocks[..stream.used]);
        stream
    }

    /// Encrypts or decrypts (RFC 8439 section 2.4).
    fn apply(&self, buffer: &mut [u8]) {
        for (piece, block) in buffer.chunks_mut(CHACHA_BLOCK).zip(&self.blocks[1..]) {
            for (byte, key) in piece.iter_mut().zip(block) {
                *byte ^= key;
            }
        }
    }

    /// The tag of associated data and ciphertext, each padded with zeros, and their lengths (RFC 8439 section 2.8).
    fn tag(&self, aad: &[u8], ciphertext: &[u8]) -> Result<[u8; 16], CryptoError> {
        let mut text = [0; SHORT + 3 * POLY_BLOCK];
        let at = aad.len().next_multiple_of(POLY_BLOCK);
        let end = at + ciphertext.len().next_multiple_of(POLY_BLOCK);
        text[..aad.len()].copy_from_slice(aad);
        text[at..at + ciphertext.len()].copy_from_slice(ciphertext);
        text[end..end + 8].copy_from_slice(&length(aad));
        text[end + 8..end + POLY_BLOCK].copy_from_slice(&length(ciphertext));
        let key = self.blocks[0].first_chunk().ok_or(CryptoError::Backend)?;
        let mut tag = [0; 16];
        libcrux_poly1305::mac(key, &text[..end + POLY_BLOCK], &mut tag)
            .map_err(|_| CryptoError::Backend)?;
        Ok(tag)
    }
}

impl Drop for KeyStream {
    fn drop(&mut self) {
        for block in &mut self.blocks[..self.used] {
            block.as_mut_slice().zeroize();
        }
    }
}

/// What holds the key while a message is sealed or opened erases it: does not compile without the features that make it so.
const _: () = {
    const fn erased<T: ZeroizeOnDrop>() {}
    erased::<Core>();
    erased::<chacha20poly1305::ChaCha20Poly1305>();
};

fn length(bytes: &[u8]) -> [u8; 8] {
    // A short message's length fits.
    (bytes.len() as u64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const NONCE: [u8; 12] = [9; 12];

    fn key() -> Key {
        Key(Secret::new(KEY))
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn both_ways_seal_alike_at_every_length_around_blocks_and_border() {
        for (aad, length) in (0..40).flat_map(|aad| {
            let around = (0..=200).chain(950..=SHORT + 40);
            around.map(move |length| (aad, length))
        }) {
            let aad = text(aad);
            let (mut ours, mut theirs) = (text(length), text(length));
            let tag = key().seal_in_place(&NONCE, &aad, &mut ours);
            let expected = key().long().encrypt_inout_detached(
                (&NONCE).into(),
                &aad,
                InOutBuf::from(&mut theirs[..]),
            );
            assert_eq!(tag.ok(), expected.ok().map(Into::into), "{length}");
            assert_eq!(ours, theirs, "{length}");
        }
    }

    #[test]
    fn a_short_message_opens_and_a_changed_one_does_not() {
        for length in [0, 1, 63, 64, 65, 200, SHORT - 4] {
            let mut sealed = text(length);
            let tag = key().seal_in_place(&NONCE, b"aad.", &mut sealed);
            let tag = tag.expect("sealed");
            let mut opened = sealed.clone();
            let result = key().open_in_place(&NONCE, b"aad.", &mut opened, &tag);
            assert_eq!((result, &opened), (Ok(()), &text(length)));

            let mut changed = tag;
            changed[15] ^= 1;
            let result = key().open_in_place(&NONCE, b"aad.", &mut sealed.clone(), &changed);
            assert_eq!(result, Err(CryptoError::Invalid));
            let result = key().open_in_place(&NONCE, b"aad,", &mut sealed.clone(), &tag);
            assert_eq!(result, Err(CryptoError::Invalid));
            if let Some(last) = sealed.last_mut() {
                *last ^= 0x80;
                let result = key().open_in_place(&NONCE, b"aad.", &mut sealed, &tag);
                assert_eq!(result, Err(CryptoError::Invalid));
            }
        }
    }
}
