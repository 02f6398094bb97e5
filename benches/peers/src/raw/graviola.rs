use ::graviola::aead::ChaCha20Poly1305;

use super::{Aead, KEY, TAG};

struct Key(ChaCha20Poly1305);

pub(super) fn new() -> impl Aead {
    Key(ChaCha20Poly1305::new(KEY))
}

impl Aead for Key {
    fn seal(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        self.0.encrypt(nonce, aad, body, &mut tag);
        tag
    }

    fn open(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8], tag: &[u8; TAG]) {
        self.0.decrypt(nonce, aad, body, tag).expect("opens");
    }
}
