//! ChaCha20-Poly1305 (RFC 8439), put together from its two parts: spec/adr/0015-aead-from-parts.md says why.

use alloc::boxed::Box;

use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use cipher::{Block as CipherBlock, InOutBuf, KeyIvInit, StreamCipherCore};
use poly1305::universal_hash::{KeyInit, UniversalHash};
use poly1305::{Block, Poly1305};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::{Aead, AeadKey, Secret};
use crate::error::CryptoError;

type Core = ChaChaCore<R20, Ietf>;

/// Most bytes of associated data and text together that take the way for short messages.
const SHORT: usize = 1_024;
const CIPHER_BLOCK: usize = 64;
const MAC_BLOCK: usize = 16;
/// Blocks that `poly1305` computes at a time.
const MAC_GROUP: usize = 4;
/// Blocks that `chacha20` computes at a time, with AVX2.
const CIPHER_GROUP: usize = 4;

pub(super) struct ChaCha20Poly1305;

impl Aead for ChaCha20Poly1305 {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(Key(Secret::new(*key.expose())))
    }
}

struct Key(Secret<32>);

impl AeadKey for Key {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        if is_short(aad, buffer) {
            let message = Short::new(&self.0, nonce, buffer.len());
            message.apply(buffer);
            return message.tag(aad, buffer);
        }
        let (mut message, mac) = Long::new(&self.0, nonce)?;
        message.apply(buffer)?;
        Ok(tag_of(mac, aad, buffer))
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        if is_short(aad, buffer) {
            let message = Short::new(&self.0, nonce, buffer.len());
            check(message.tag(aad, buffer)?, tag)?;
            message.apply(buffer);
            return Ok(());
        }
        let (mut message, mac) = Long::new(&self.0, nonce)?;
        check(tag_of(mac, aad, buffer), tag)?;
        message.apply(buffer)
    }

    fn seal_scatter(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        suffix: &[u8],
        out: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        let (head, tail) = out
            .split_at_mut_checked(plaintext.len())
            .ok_or(CryptoError::Backend)?;
        if tail.len() != suffix.len() {
            return Err(CryptoError::Backend);
        }
        tail.copy_from_slice(suffix);
        if is_short(aad, plaintext) || plaintext.len() < FIRST {
            head.copy_from_slice(plaintext);
            return self.seal_in_place(nonce, aad, out);
        }
        let (mut message, mac) = Long::new(&self.0, nonce)?;
        // A whole number of groups from one buffer to the other; what is left is copied, and goes on with the suffix.
        let (first, rest) = plaintext.split_at(FIRST);
        let (groups, last) = rest.split_at(whole_groups(rest.len()));
        let (head, rest) = out.split_at_mut(first.len());
        let (body, rest) = rest.split_at_mut(groups.len());
        let (copied, _) = rest.split_at_mut(last.len());
        head.copy_from_slice(first);
        copied.copy_from_slice(last);
        message.first(head);
        message.groups(InOutBuf::new(groups, body).map_err(|_| CryptoError::Backend)?)?;
        message.behind(rest)?;
        Ok(tag_of(mac, aad, out))
    }
}

fn is_short(aad: &[u8], text: &[u8]) -> bool {
    aad.len().saturating_add(text.len()) <= SHORT
}

fn check(computed: [u8; 16], tag: &[u8; 16]) -> Result<(), CryptoError> {
    if Secret::new(computed).ct_eq(tag) {
        Ok(())
    } else {
        Err(CryptoError::Invalid)
    }
}

/// A short message: its whole key stream, whose first block holds the key of the tag (RFC 8439 section 2.6). Erased on drop.
struct Short {
    blocks: [CipherBlock<Core>; 1 + SHORT / CIPHER_BLOCK],
    used: usize,
}

impl Short {
    fn new(key: &Secret<32>, nonce: &[u8; 12], length: usize) -> Self {
        let mut message = Self {
            blocks: Default::default(),
            used: length.div_ceil(CIPHER_BLOCK).saturating_add(1),
        };
        // One call for all: the cipher computes several blocks at a time.
        Core::new(key.expose().into(), nonce.into())
            .write_keystream_blocks(message.blocks.get_mut(..message.used).unwrap_or_default());
        message
    }

    /// Encrypts or decrypts (RFC 8439 section 2.4).
    fn apply(&self, buffer: &mut [u8]) {
        let [_, blocks @ ..] = &self.blocks;
        apply(blocks, buffer);
    }

    /// The tag of associated data and ciphertext, each padded with zeros, and their lengths (RFC 8439 section 2.8).
    fn tag(&self, aad: &[u8], ciphertext: &[u8]) -> Result<[u8; 16], CryptoError> {
        let mut text = [0; SHORT + 3 * MAC_BLOCK];
        let rest = padded(&mut text, aad)
            .and_then(|rest| padded(rest, ciphertext))
            .and_then(|rest| padded(rest, &lengths(aad, ciphertext)));
        let unused = rest.ok_or(CryptoError::Backend)?.len();
        let text = text.get(..text.len().saturating_sub(unused));
        let [first, ..] = &self.blocks;
        let (Some(text), Some(key)) = (text, first.first_chunk()) else {
            return Err(CryptoError::Backend);
        };
        let mut tag = [0; 16];
        libcrux_poly1305::mac(key, text, &mut tag).map_err(|_| CryptoError::Backend)?;
        Ok(tag)
    }
}

impl Drop for Short {
    fn drop(&mut self) {
        erase(self.blocks.iter_mut().take(self.used));
    }
}

/// Bytes of a long message whose key stream is computed together with the key of its tag, in one group.
const FIRST: usize = (CIPHER_GROUP - 1) * CIPHER_BLOCK;

/// Of so many bytes those that fill groups of the cipher.
const fn whole_groups(length: usize) -> usize {
    const REST: usize = CIPHER_GROUP * CIPHER_BLOCK - 1;
    length & !REST
}

/// A long message: a pass of the cipher and one of the tag. Erased on drop.
struct Long {
    /// As in [`Short`], for the first bytes.
    blocks: [CipherBlock<Core>; CIPHER_GROUP],
    /// Stands behind what was applied of it.
    core: Core,
}

impl Long {
    fn new(key: &Secret<32>, nonce: &[u8; 12]) -> Result<(Self, Poly1305), CryptoError> {
        let mut core = Core::new(key.expose().into(), nonce.into());
        let mut blocks = <[CipherBlock<Core>; CIPHER_GROUP]>::default();
        core.write_keystream_blocks(&mut blocks);
        let message = Self { blocks, core };
        let [first, ..] = &message.blocks;
        let key = first.first_chunk::<32>().ok_or(CryptoError::Backend)?;
        let mac = Poly1305::new(key.into());
        Ok((message, mac))
    }

    /// Encrypts or decrypts a message.
    fn apply(&mut self, buffer: &mut [u8]) -> Result<(), CryptoError> {
        let (first, rest) = buffer.split_at_mut(buffer.len().min(FIRST));
        self.first(first);
        self.behind(rest)
    }

    fn first(&self, text: &mut [u8]) {
        let [_, blocks @ ..] = &self.blocks;
        apply(blocks, text);
    }

    /// Whole groups. Fails for more than 256 GiB.
    fn groups(&mut self, text: InOutBuf<'_, '_, u8>) -> Result<(), CryptoError> {
        let (blocks, _) = text.into_chunks();
        let needed = blocks.len().saturating_add(CIPHER_GROUP);
        if self
            .core
            .remaining_blocks()
            .is_some_and(|left| left < needed)
        {
            return Err(CryptoError::Backend);
        }
        self.core.apply_keystream_blocks_inout(blocks);
        Ok(())
    }

    /// What comes behind the first bytes, and behind groups. The last: it takes a whole group of the key stream for less than that.
    fn behind(&mut self, text: &mut [u8]) -> Result<(), CryptoError> {
        let (groups, last) = text.split_at_mut(whole_groups(text.len()));
        self.groups(groups.into())?;
        if !last.is_empty() {
            self.core.write_keystream_blocks(&mut self.blocks);
            apply(&self.blocks, last);
        }
        Ok(())
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        erase(self.blocks.iter_mut());
    }
}

/// As [`Short::tag`]. One block of associated data would put every group that follows out of step, which costs a tenth more: it goes with the
/// first blocks of the ciphertext.
fn tag_of(mut mac: Poly1305, aad: &[u8], ciphertext: &[u8]) -> [u8; 16] {
    const BESIDE: usize = (MAC_GROUP - 1) * MAC_BLOCK;
    match ciphertext.split_at_checked(BESIDE) {
        Some((first, rest)) if (1..=MAC_BLOCK).contains(&aad.len()) => {
            let mut group = [Block::default(); MAC_GROUP];
            let pieces = core::iter::once(aad).chain(first.chunks(MAC_BLOCK));
            for (block, piece) in group.iter_mut().zip(pieces) {
                if let Some(block) = block.get_mut(..piece.len()) {
                    block.copy_from_slice(piece);
                }
            }
            mac.update(&group);
            mac.update_padded(rest);
        }
        _ => {
            mac.update_padded(aad);
            mac.update_padded(ciphertext);
        }
    }
    mac.update(&[lengths(aad, ciphertext).into()]);
    mac.finalize().into()
}

/// Encrypts or decrypts by a key stream that is as long.
fn apply(blocks: &[CipherBlock<Core>], buffer: &mut [u8]) {
    for (piece, block) in buffer.chunks_mut(CIPHER_BLOCK).zip(blocks) {
        for (byte, key) in piece.iter_mut().zip(block) {
            *byte ^= key;
        }
    }
}

fn erase<'a>(blocks: impl Iterator<Item = &'a mut CipherBlock<Core>>) {
    for block in blocks {
        block.as_mut_slice().zeroize();
    }
}

/// Writes a part and zeros up to the next block; gives what is left of a buffer of zeros.
fn padded<'a>(out: &'a mut [u8], part: &[u8]) -> Option<&'a mut [u8]> {
    let (blocks, rest) = out.split_at_mut_checked(part.len().next_multiple_of(MAC_BLOCK))?;
    blocks.get_mut(..part.len())?.copy_from_slice(part);
    Some(rest)
}

fn lengths(aad: &[u8], ciphertext: &[u8]) -> [u8; MAC_BLOCK] {
    let [aad, ciphertext] =
        [aad, ciphertext].map(|part| u64::try_from(part.len()).unwrap_or(u64::MAX));
    // Little-endian, the first one in the low half.
    (u128::from(ciphertext) << 64 | u128::from(aad)).to_le_bytes()
}

/// What holds keys while a message is sealed or opened erases them: does not compile without the features that make it so. `Poly1305` erases itself with
/// its feature `zeroize`, but has no trait that says so.
const _: () = {
    const fn erased<T: ZeroizeOnDrop>() {}
    erased::<Core>();
};

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use chacha20poly1305::AeadInOut;
    use chacha20poly1305::aead::inout::InOutBuf;

    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const NONCE: [u8; 12] = [9; 12];

    fn key() -> Key {
        Key(Secret::new(KEY))
    }

    fn text(length: usize) -> Vec<u8> {
        (0..251).cycle().take(length).collect()
    }

    #[test]
    fn it_seals_as_the_crate_of_both_does_at_every_length_around_blocks_and_border() {
        let theirs_key = chacha20poly1305::ChaCha20Poly1305::new((&KEY).into());
        for (aad, length) in (0..40).chain([900, 1_024, 2_000]).flat_map(|aad| {
            let around = (0..=200).chain(950..=SHORT + 320).chain([16_384, 16_388]);
            around.map(move |length| (aad, length))
        }) {
            let aad = text(aad);
            let (mut ours, mut theirs) = (text(length), text(length));
            let tag = key().seal_in_place(&NONCE, &aad, &mut ours);
            let expected = theirs_key.encrypt_inout_detached(
                (&NONCE).into(),
                &aad,
                InOutBuf::from(&mut theirs[..]),
            );
            assert_eq!(tag.ok(), expected.ok().map(Into::into), "{length}");
            assert_eq!(ours, theirs, "{length}");
            let (text, mut scattered) = (text(length), ours.clone());
            let (plaintext, suffix) = text.split_at(length - length.min(4));
            let scattered_tag = key().seal_scatter(&NONCE, &aad, plaintext, suffix, &mut scattered);
            assert_eq!((scattered_tag, scattered), (tag, ours), "{length}");
        }
    }

    #[test]
    fn a_message_opens_and_a_changed_one_does_not() {
        for length in [0, 1, 63, 64, 65, 200, SHORT - 4, SHORT - 3, 4_288, 5_000] {
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
