//! dryoc's secretstream (XChaCha20-Poly1305).
//!
//! Channel: the classic `push` and `pull` between reused buffers.

use ::dryoc::classic::crypto_secretstream_xchacha20poly1305::{
    Header, Key, State, crypto_secretstream_xchacha20poly1305_init_pull as init_pull,
    crypto_secretstream_xchacha20poly1305_init_push as init_push,
    crypto_secretstream_xchacha20poly1305_keygen as keygen,
    crypto_secretstream_xchacha20poly1305_pull as pull,
    crypto_secretstream_xchacha20poly1305_push as push,
};

use crate::measure::{Channel, Contestant, per_batch};

const NAME: &str = "dryoc secretstream";
/// Its own tag of one byte, and the authenticator.
const OVERHEAD: usize = 17;

struct Connected {
    push: State,
    pull: State,
    plaintext: Vec<u8>,
    wire: Vec<u8>,
}

impl Channel for Connected {
    fn write(&mut self) {
        for message in self.wire.chunks_exact_mut(self.plaintext.len() + OVERHEAD) {
            push(&mut self.push, message, &self.plaintext, None, 0).expect("seals");
        }
    }

    fn read(&mut self) {
        for message in self.wire.chunks_exact(self.plaintext.len() + OVERHEAD) {
            let mut tag = 0;
            pull(&mut self.pull, &mut self.plaintext, &mut tag, message, None).expect("opens");
        }
    }
}

pub(super) fn channel(bytes: usize) -> Contestant {
    let (mut key, mut header) = (Key::default(), Header::default());
    keygen(&mut key);
    let mut connected = Connected {
        push: State::new(),
        pull: State::new(),
        plaintext: vec![7; bytes],
        wire: vec![0; (bytes + OVERHEAD) * per_batch(bytes)],
    };
    init_push(&mut connected.push, &mut header, &key);
    init_pull(&mut connected.pull, &header, &key);
    Contestant::channel(NAME, bytes, per_batch(bytes), connected)
}
