use ::openssl::cipher::Cipher;
use ::openssl::cipher_ctx::CipherCtx;

use super::{Aead, KEY, TAG};

/// Two contexts under one key, so that a message sets its nonce only.
struct Key {
    seal: CipherCtx,
    open: CipherCtx,
}

pub(super) fn new() -> impl Aead {
    let mut seal = CipherCtx::new().expect("a context");
    seal.encrypt_init(Some(Cipher::chacha20_poly1305()), Some(&KEY), None)
        .expect("a key");
    let mut open = CipherCtx::new().expect("a context");
    open.decrypt_init(Some(Cipher::chacha20_poly1305()), Some(&KEY), None)
        .expect("a key");
    Key { seal, open }
}

impl Aead for Key {
    fn seal(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        let context = &mut self.seal;
        context
            .encrypt_init(None, None, Some(nonce))
            .and_then(|()| context.cipher_update(aad, None))
            .and_then(|_| context.cipher_update_inplace(body, body.len()))
            .and_then(|_| context.cipher_final(&mut []))
            .and_then(|_| context.tag(&mut tag))
            .expect("seals");
        tag
    }

    fn open(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8], tag: &[u8; TAG]) {
        let context = &mut self.open;
        context
            .decrypt_init(None, None, Some(nonce))
            .and_then(|()| context.set_tag(tag))
            .and_then(|()| context.cipher_update(aad, None))
            .and_then(|_| context.cipher_update_inplace(body, body.len()))
            .and_then(|_| context.cipher_final(&mut []))
            .expect("opens");
    }
}
