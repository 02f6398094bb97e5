use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};

use super::{Aead, KEY, TAG};

struct Key(ChaCha20Poly1305);

pub(super) fn new() -> impl Aead {
    Key(ChaCha20Poly1305::new(&KEY.into()))
}

impl Aead for Key {
    fn seal(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8]) -> [u8; TAG] {
        self.0
            .encrypt_inout_detached(nonce.into(), aad, InOutBuf::from(body))
            .expect("seals")
            .into()
    }

    fn open(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8], tag: &[u8; TAG]) {
        self.0
            .decrypt_inout_detached(nonce.into(), aad, InOutBuf::from(body), tag.into())
            .expect("opens");
    }
}
