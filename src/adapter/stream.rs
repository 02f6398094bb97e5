//! Ciphertext `Stream` in, plaintext `Stream` and `AsyncRead` out.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use pin_project::pin_project;

use super::AdapterError;
use super::io::reader;
use super::pump::{Pulled, ReadPump};
use crate::record::Opener;

/// Opens a half whose ciphertext comes as a stream of chunks, an HTTP body for instance.
///
/// As a `Stream` it gives non-empty plaintext, then `None` after FINAL; an ERROR frame and every fault is an `Err`.
#[pin_project]
pub struct OpenStream<S> {
    #[pin]
    inner: S,
    pump: ReadPump,
    inner_ended: bool,
    unread: Bytes,
}

impl<S> OpenStream<S> {
    /// Opens what `inner` yields. `first` is ciphertext that was read behind H2 (or H1).
    #[must_use]
    pub fn new(inner: S, opener: Opener, first: Bytes) -> Self {
        let mut pump = ReadPump::new(opener);
        pump.push(first);
        Self {
            inner,
            pump,
            inner_ended: false,
            unread: Bytes::new(),
        }
    }

    /// The oldest PUBLIC body that has arrived and was not taken yet; receipts are for a [`ReceiptChecker`](crate::receipt::ReceiptChecker).
    pub fn take_public(&mut self) -> Option<Bytes> {
        self.pump.take_public()
    }
}

/// An item of a ciphertext stream: bytes, or the transport's error. Implemented for every fitting `Result`.
pub trait Chunk {
    /// The bytes.
    ///
    /// # Errors
    /// The transport's.
    fn into_bytes(self) -> Result<Bytes, AdapterError>;
}

impl<B, E> Chunk for Result<B, E>
where
    B: Into<Bytes>,
    E: Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>,
{
    fn into_bytes(self) -> Result<Bytes, AdapterError> {
        self.map(Into::into).map_err(AdapterError::transport)
    }
}

impl<S> OpenStream<S>
where
    S: Stream,
    S::Item: Chunk,
{
    fn poll_data(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, AdapterError>> {
        let mut this = self.project();
        loop {
            match this.pump.pull()? {
                Pulled::Data(data) => return Poll::Ready(Ok(Some(data))),
                Pulled::End => return Poll::Ready(Ok(None)),
                Pulled::NeedInput if *this.inner_ended => {
                    return Poll::Ready(this.pump.end_of_input().map(|()| None));
                }
                Pulled::NeedInput => match ready!(this.inner.as_mut().poll_next(cx)) {
                    Some(chunk) => match chunk.into_bytes() {
                        Ok(bytes) => this.pump.push(bytes),
                        Err(error) => return Poll::Ready(Err(this.pump.fail(error))),
                    },
                    None => *this.inner_ended = true,
                },
            }
        }
    }
}

reader!(
    OpenStream<S>,
    S: Stream,
    S::Item: Chunk
);
