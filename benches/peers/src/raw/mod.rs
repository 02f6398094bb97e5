//! AEADs called directly: ChaCha20-Poly1305 of each library, in place where its API can.
//!
//! What is timed is the same for all: a nonce from a counter, four bytes of associated data, the body, the tag written behind it.

mod aws_lc;
mod dryoc;
mod graviola;
mod libcrux;
mod libsodium;
#[cfg(feature = "openssl")]
mod openssl;
mod ring;
mod rustcrypto;

use std::hint::black_box;

use sealwire::crypto::{AeadKey, Secret};

use crate::measure::{Channel, Contestant, per_batch};
use crate::providers::Named;

const KEY: [u8; 32] = [0x42; 32];
const AAD: usize = 4;
const TAG: usize = 16;

/// An AEAD under one key. A failure is a bug of the bench, and panics.
trait Aead {
    fn seal(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8]) -> [u8; TAG];
    fn open(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8], tag: &[u8; TAG]);
}

/// A batch of bodies, each between its associated data and its tag.
struct Bodies<A> {
    aead: A,
    sealed: u64,
    opened: u64,
    buffer: Vec<u8>,
    slot: usize,
}

impl<A: Aead> Bodies<A> {
    fn new(aead: A, bytes: usize) -> Self {
        let slot = AAD + bytes + TAG;
        Self {
            aead,
            sealed: 0,
            opened: 0,
            buffer: vec![7; slot * per_batch(bytes)],
            slot,
        }
    }
}

fn parts(slot: &mut [u8]) -> (&mut [u8], &mut [u8], &mut [u8; TAG]) {
    let (aad, rest) = slot.split_at_mut(AAD);
    let (body, tag) = rest.split_last_chunk_mut().expect("a slot holds a tag");
    (aad, body, tag)
}

fn nonce(count: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&count.to_be_bytes());
    nonce
}

impl<A: Aead> Channel for Bodies<A> {
    fn write(&mut self) {
        for slot in black_box(&mut self.buffer).chunks_exact_mut(self.slot) {
            let (aad, body, tag) = parts(slot);
            *tag = self.aead.seal(&nonce(self.sealed), aad, body);
            self.sealed += 1;
        }
    }

    fn read(&mut self) {
        for slot in black_box(&mut self.buffer).chunks_exact_mut(self.slot) {
            let (aad, body, tag) = parts(slot);
            self.aead.open(&nonce(self.opened), aad, body, tag);
            self.opened += 1;
        }
    }
}

fn contestant(name: &str, bytes: usize, aead: impl Aead + 'static) -> Contestant {
    Contestant::channel(name, bytes, per_batch(bytes), Bodies::new(aead, bytes))
}

/// How a library's AEAD is called in tables.
pub(crate) fn label(library: &str) -> String {
    format!("raw {library}")
}

/// The raw AEAD of every library.
pub(crate) fn all(bytes: usize) -> Vec<Contestant> {
    vec![
        contestant(&label("chacha20poly1305"), bytes, rustcrypto::new()),
        contestant(&label("aws-lc-rs"), bytes, aws_lc::new()),
        contestant(&label("ring"), bytes, ring::new()),
        #[cfg(feature = "openssl")]
        contestant(&label("openssl"), bytes, openssl::new()),
        contestant(&label("dryoc"), bytes, dryoc::new()),
        contestant(&label("libsodium"), bytes, libsodium::new()),
        contestant(&label("graviola"), bytes, graviola::new()),
        contestant(&label("libcrux"), bytes, libcrux::new()),
    ]
}

/// The same through the trait that a provider implements.
pub(crate) fn key(named: &Named, bytes: usize) -> Contestant {
    let key = named.provider.aead.key(&Secret::new(KEY));
    contestant(&key_label(named.name), bytes, key)
}

pub(crate) fn key_label(provider: &str) -> String {
    format!("AeadKey {provider}")
}

impl Aead for Box<dyn AeadKey> {
    fn seal(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8]) -> [u8; TAG] {
        self.seal_in_place(nonce, aad, body).expect("seals")
    }

    fn open(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8], tag: &[u8; TAG]) {
        self.open_in_place(nonce, aad, body, tag).expect("opens");
    }
}
