use ::ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::{Aead, KEY, TAG};

struct Key(LessSafeKey);

pub(super) fn new() -> impl Aead {
    Key(LessSafeKey::new(
        UnboundKey::new(&CHACHA20_POLY1305, &KEY).expect("a key"),
    ))
}

impl Aead for Key {
    fn seal(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8]) -> [u8; TAG] {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
            .expect("seals");
        tag.as_ref().try_into().expect("16 bytes")
    }

    fn open(&mut self, nonce: &[u8; 12], aad: &[u8], body: &mut [u8], tag: &[u8; TAG]) {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), body, 0..)
            .expect("opens");
    }
}
