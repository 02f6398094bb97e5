//! Oblivious HTTP, chunked, X25519 and ChaCha20-Poly1305: the request's direction.
//!
//! Channel: `poll_write` of a chunk (at most 16 KiB, its own limit) into a pipe in memory, and `poll_read` until it is there. The
//! encapsulation is made once and not timed.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use ::ohttp::hpke::{Aead, Kdf, Kem};
use ::ohttp::{ClientRequest, KeyConfig, Server, SymmetricSuite};
use futures::{AsyncRead, AsyncWrite};

use super::Pipe;
use crate::measure::{Channel, Contestant, per_batch};

pub(crate) const NAME: &str = "ohttp";

struct Connected<C, S> {
    client: Pin<Box<C>>,
    server: Pin<Box<S>>,
    plaintext: Vec<u8>,
    chunks: usize,
}

impl<C: AsyncWrite, S: AsyncRead> Channel for Connected<C, S> {
    fn write(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..self.chunks {
            let written = self
                .client
                .as_mut()
                .poll_write(&mut context, &self.plaintext);
            let whole =
                matches!(written, Poll::Ready(Ok(written)) if written == self.plaintext.len());
            assert!(whole, "{NAME} takes a chunk whole");
        }
    }

    fn read(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut unread = self.chunks * self.plaintext.len();
        while unread > 0 {
            let read = self
                .server
                .as_mut()
                .poll_read(&mut context, &mut self.plaintext);
            let Poll::Ready(Ok(read)) = read else {
                panic!("{NAME} reads what is there: {read:?}");
            };
            unread -= read;
        }
    }
}

pub(super) fn channel(bytes: usize) -> Contestant {
    let suite = SymmetricSuite::new(Kdf::HkdfSha256, Aead::ChaCha20Poly1305);
    let mut config = KeyConfig::new(1, Kem::X25519Sha256, vec![suite]).expect("a key");
    let pipe = Pipe::default();
    let client = ClientRequest::from_config(&mut config)
        .and_then(|request| request.encapsulate_stream(pipe.clone()))
        .expect("a request");
    let server = Server::new(config).expect("a key").decapsulate_stream(pipe);
    let connected = Connected {
        client: Box::pin(client),
        server: Box::pin(server),
        plaintext: vec![7; bytes],
        chunks: per_batch(bytes),
    };
    Contestant::channel(NAME, bytes, per_batch(bytes), connected)
}
