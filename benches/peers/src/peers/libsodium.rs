//! libsodium's secretstream (XChaCha20-Poly1305), through a safe binding.
//!
//! Channel: `push` and `pull`, which allocate what they return: the binding has no other form.

use libsodium_rs::crypto_secretstream::xchacha20poly1305::{
    Key, PullState, PushState, TAG_MESSAGE,
};

use crate::measure::{Channel, Contestant, per_batch};

pub(crate) const NAME: &str = "libsodium secretstream";

struct Connected {
    push: PushState,
    pull: PullState,
    plaintext: Vec<u8>,
    wire: Vec<Vec<u8>>,
    messages: usize,
}

impl Channel for Connected {
    fn write(&mut self) {
        self.wire.clear();
        for _ in 0..self.messages {
            let sealed = self.push.push(&self.plaintext, None, TAG_MESSAGE);
            self.wire.push(sealed.expect("seals"));
        }
    }

    fn read(&mut self) {
        for message in &self.wire {
            std::hint::black_box(self.pull.pull(message, None).expect("opens"));
        }
    }
}

pub(super) fn channel(bytes: usize) -> Contestant {
    libsodium_rs::ensure_init().expect("libsodium starts");
    let key = Key::generate();
    let (push, header) = PushState::init_push(&key).expect("a header");
    let connected = Connected {
        push,
        pull: PullState::init_pull(&header, &key).expect("a header"),
        plaintext: vec![7; bytes],
        wire: Vec::new(),
        messages: per_batch(bytes),
    };
    Contestant::channel(NAME, bytes, per_batch(bytes), connected)
}
