//! Ciphertext `Stream` in, plaintext `Stream` and `AsyncRead` out.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::{Buf, Bytes};
use futures_core::Stream;
use pin_project::pin_project;

use super::pump::{Pulled, ReadPump};
use super::{AdapterError, io as reading};
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

impl<S, B, E> OpenStream<S>
where
    S: Stream<Item = Result<B, E>>,
    B: Into<Bytes>,
    E: Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>,
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
                    Some(Ok(chunk)) => this.pump.push(chunk.into()),
                    Some(Err(error)) => {
                        return Poll::Ready(Err(this.pump.fail(AdapterError::transport(error))));
                    }
                    None => *this.inner_ended = true,
                },
            }
        }
    }

    fn poll_read_bytes(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.unread.is_empty() {
            match ready!(self.as_mut().poll_data(cx))? {
                Some(data) => *self.as_mut().project().unread = data,
                None => return Poll::Ready(Ok(0)),
            }
        }
        Poll::Ready(Ok(reading::copy_out(self.project().unread, out)))
    }
}

impl<S, B, E> Stream for OpenStream<S>
where
    S: Stream<Item = Result<B, E>>,
    B: Into<Bytes>,
    E: Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>,
{
    type Item = Result<Bytes, AdapterError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.unread.has_remaining() {
            let rest = core::mem::take(self.as_mut().project().unread);
            return Poll::Ready(Some(Ok(rest)));
        }
        self.poll_data(cx).map(Result::transpose)
    }
}

impl<S, B, E> futures_io::AsyncRead for OpenStream<S>
where
    S: Stream<Item = Result<B, E>>,
    B: Into<Bytes>,
    E: Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_bytes(cx, out)
    }
}

#[cfg(feature = "tokio")]
impl<S, B, E> tokio::io::AsyncRead for OpenStream<S>
where
    S: Stream<Item = Result<B, E>>,
    B: Into<Bytes>,
    E: Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        reading::fill(out, |space| self.poll_read_bytes(cx, space))
    }
}
