//! Other protocols, whole, in memory. Each file says what is timed.

mod age;
mod clatter;
mod dryoc;
mod hpke;
mod libsodium;
mod ohttp;
mod rustls;
mod snow;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::measure::Contestant;

pub(crate) use self::age::NAME as AGE;
pub(crate) use self::clatter::NAME as CLATTER;
pub(crate) use self::hpke::NAME as HPKE;
pub(crate) use self::libsodium::NAME as LIBSODIUM;
pub(crate) use self::ohttp::NAME as OHTTP;
pub(crate) use self::rustls::{NAME as RUSTLS, X25519MLKEM768};
pub(crate) use self::snow::{DEFAULT as SNOW_DEFAULT, RING as SNOW_RING};

/// Peers whose ChaCha20-Poly1305 is RustCrypto's, as the default provider's.
pub(crate) const SAME_AEAD: [&str; 5] = [SNOW_DEFAULT, CLATTER, HPKE, AGE, OHTTP];

/// Messages of one size through each peer's established channel. age has no messages: its writer is given pieces of 64 KiB, its own size.
pub(crate) fn channels(bytes: usize) -> Vec<Contestant> {
    vec![
        rustls::channel(bytes),
        snow::channel(snow::DEFAULT, bytes),
        snow::channel(snow::RING, bytes),
        clatter::channel(bytes),
        hpke::channel(bytes),
        age::channel(),
        ohttp::channel(bytes),
        libsodium::channel(bytes),
        dryoc::channel(bytes),
    ]
}

/// Handshakes, both sides together.
pub(crate) fn handshakes() -> Vec<Contestant> {
    let mut all = rustls::handshakes();
    all.push(snow::handshake(snow::DEFAULT));
    all.extend(clatter::handshakes());
    all.extend(hpke::handshakes());
    all
}

/// A pipe in memory, for peers that insist on one. Both ends are the same value.
#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<(Vec<u8>, usize)>>);

impl Pipe {
    fn push(&self, bytes: &[u8]) -> usize {
        self.0.borrow_mut().0.extend_from_slice(bytes);
        bytes.len()
    }

    fn pull(&self, out: &mut [u8]) -> usize {
        let (bytes, at) = &mut *self.0.borrow_mut();
        let len = out.len().min(bytes.len() - *at);
        out[..len].copy_from_slice(&bytes[*at..*at + len]);
        *at += len;
        if *at == bytes.len() {
            bytes.clear();
            *at = 0;
        }
        len
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.push(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(self.pull(out))
    }
}

impl futures::AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.push(bytes)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures::AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.pull(out) {
            0 => Poll::Pending,
            some => Poll::Ready(Ok(some)),
        }
    }
}
