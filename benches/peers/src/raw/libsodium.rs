use libsodium_rs::crypto_aead::chacha20poly1305_ietf::{self as aead, Nonce};

use super::{Aead, KEY, TAG};

/// Copied back: the safe binding seals into memory that it allocates.
struct Key(aead::Key);

pub(super) fn new() -> impl Aead {
    libsodium_rs::ensure_init().expect("libsodium starts");
    Key(aead::Key::from_bytes(&KEY).expect("a key"))
}

impl Aead for Key {
    fn seal(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8]) -> [u8; TAG] {
        let nonce = Nonce::from_bytes(*nonce);
        let (sealed, tag) =
            aead::encrypt_detached(body, Some(aad), &nonce, &self.0).expect("seals");
        body.copy_from_slice(&sealed);
        tag.try_into().expect("16 bytes")
    }

    fn open(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8], tag: &[u8; TAG]) {
        let nonce = Nonce::from_bytes(*nonce);
        let opened = aead::decrypt_detached(body, tag, Some(aad), &nonce, &self.0).expect("opens");
        body.copy_from_slice(&opened);
    }
}
