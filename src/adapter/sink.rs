//! Plaintext `Sink` and `AsyncWrite` in, ciphertext `Sink` out.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_sink::Sink;
use pin_project::pin_project;

use super::AdapterError;
use super::io::writer;
use super::pump::WritePump;
use crate::record::{Padding, Sealer, SwitchKey};

/// Seals a half whose ciphertext goes to a sink of chunks, an HTTP body for instance.
///
/// As a `Sink` it seals each item at once; as an `AsyncWrite` it fills frames and seals the rest at flush. Closing sends FINAL.
/// Dropping it without closing emits nothing, and the peer sees `truncated`.
#[pin_project]
pub struct SealSink<K> {
    #[pin]
    inner: K,
    pump: WritePump,
}

impl<K> SealSink<K> {
    /// Seals into `inner`. `first` goes out before any frame: H1 or H2.
    #[must_use]
    pub fn new(inner: K, sealer: Sealer, first: &[u8]) -> Self {
        Self {
            inner,
            pump: WritePump::new(sealer, first),
        }
    }

    /// Sets the padding of frames to come; no effect after the end.
    pub const fn set_padding(&mut self, padding: Padding) {
        if let Some(sealer) = self.pump.sealer_mut() {
            sealer.set_padding(padding);
        }
    }

    /// Appends SWITCH: a client calls this as soon as H2 is verified. No effect if the half has ended.
    ///
    /// # Errors
    /// The half's error, or `ApiMisuse` if it has switched.
    pub fn switch(&mut self, key: SwitchKey) -> Result<(), AdapterError> {
        self.pump.switch(key)
    }

    /// Appends a PUBLIC frame behind what was written so far.
    ///
    /// # Errors
    /// The half's error, or `ApiMisuse`.
    pub fn public(&mut self, body: &[u8]) -> Result<(), AdapterError> {
        self.pump.seal_pending()?;
        self.pump
            .with_sealer(|sealer, out| sealer.public(body, out))
    }
}

impl<K> SealSink<K>
where
    K: Sink<Bytes>,
    K::Error: Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>,
{
    /// Hands all ciphertext to the inner sink.
    fn poll_drain(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), AdapterError>> {
        let mut this = self.project();
        this.pump.check()?;
        while !this.pump.outgoing().is_empty() {
            let result = match ready!(this.inner.as_mut().poll_ready(cx)) {
                Ok(()) => this.inner.as_mut().start_send(this.pump.take_outgoing()),
                Err(error) => Err(error),
            };
            result.map_err(|error| this.pump.fail(AdapterError::transport(error)))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush_all(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), AdapterError>> {
        self.as_mut().project().pump.seal_pending()?;
        ready!(self.as_mut().poll_drain(cx))?;
        let this = self.project();
        let result = ready!(this.inner.poll_flush(cx));
        Poll::Ready(result.map_err(|error| this.pump.fail(AdapterError::transport(error))))
    }

    fn poll_close_all(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), AdapterError>> {
        self.as_mut().project().pump.finish()?;
        ready!(self.as_mut().poll_drain(cx))?;
        let this = self.project();
        let result = ready!(this.inner.poll_close(cx));
        Poll::Ready(result.map_err(|error| this.pump.fail(AdapterError::transport(error))))
    }

    fn poll_write_bytes(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, AdapterError>> {
        if self.pump.is_full() {
            ready!(self.as_mut().poll_drain(cx))?;
        }
        Poll::Ready(self.project().pump.write(bytes))
    }
}

writer!(
    SealSink<K>,
    pump,
    K: Sink<Bytes>,
    K::Error: Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>
);
