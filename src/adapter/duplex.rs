//! A sealed duplex stream over any `AsyncRead + AsyncWrite`: `lp(context) | H1 | frames` one way, `H2 | frames` the other
//! (spec/protocol.md section 9).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, ready};
use std::io;

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use pin_project::pin_project;

use super::AdapterError;
use super::io::{reader, writer};
use super::pump::{Pulled, ReadPump, WritePump};
use crate::bundle::VerifiedBundle;
use crate::client::{self, AwaitResponse, ClientConfig, EarlyData, ResponseProgress};
use crate::context::Context;
use crate::crypto::CryptoProvider;
use crate::error::Error;
use crate::handshake::{OpeningProgress, ParsedRequest, Session, context_prefix, read_opening};
use crate::record::Padding;
use crate::server::Accepted;

const READ_CHUNK: usize = 16 * 1024 + 32;

/// Both halves over one transport.
///
/// With [`EarlyData::Allow`] a client may write before the instance has answered; the handshake then ends inside the first read, which also
/// arranges that later writes are under the late secret.
#[pin_project]
pub struct SealedStream<T> {
    #[pin]
    transport: T,
    reading: Reading,
    writing: WritePump,
    session: Option<Session>,
    unread: Bytes,
    chunk: Box<[u8]>,
}

enum Reading {
    /// A client that waits for H2; what has arrived of it.
    Handshake(Option<Box<AwaitResponse>>, Vec<u8>),
    Open(Box<ReadPump>),
    Failed(AdapterError),
}

impl<T: AsyncRead + AsyncWrite + Unpin> SealedStream<T> {
    /// Starts as the client: sends the context and H1, and with [`EarlyData::Never`] waits for H2.
    ///
    /// # Errors
    /// The handshake's, or the transport's.
    pub async fn connect(
        transport: T,
        provider: &CryptoProvider,
        config: &ClientConfig,
        bundle: &VerifiedBundle,
        context: &Context,
    ) -> Result<Self, AdapterError> {
        let mut first = context_prefix(context);
        let (sealer, wait) = client::start(provider, config, bundle, context, &mut first)?;
        let mut stream = Self {
            transport,
            reading: Reading::Handshake(Some(Box::new(wait)), Vec::new()),
            writing: WritePump::new(sealer, &first),
            session: None,
            unread: Bytes::new(),
            chunk: alloc::vec![0; READ_CHUNK].into(),
        };
        poll_fn(|cx| Pin::new(&mut stream).poll_flush_all(cx)).await?;
        if config.early_data == EarlyData::Never {
            poll_fn(|cx| Pin::new(&mut stream).poll_handshake(cx)).await?;
        }
        Ok(stream)
    }

    /// Waits for a client's context and H1, hands them to `accept`, and sends H2.
    ///
    /// `accept` is [`server::accept`](crate::server::accept) on the program's key ring; it appends H2 to the vector. If it refuses, the
    /// transport is dropped without an answer, and the client sees `truncated`.
    ///
    /// # Errors
    /// What `accept` says, a malformed beginning, or the transport's.
    pub async fn accept(
        mut transport: T,
        accept: impl FnOnce(ParsedRequest, &[u8], &mut Vec<u8>) -> Result<Accepted, Error>,
    ) -> Result<Self, AdapterError> {
        let mut input = Vec::new();
        let mut chunk: Box<[u8]> = alloc::vec![0; READ_CHUNK].into();
        let (context, consumed, request) = loop {
            match read_opening(&input)? {
                OpeningProgress::Done {
                    consumed,
                    context,
                    request,
                } => break (context.to_vec(), consumed, request),
                OpeningProgress::NeedInput { .. } => {
                    let len = poll_fn(|cx| Pin::new(&mut transport).poll_read(cx, &mut chunk))
                        .await
                        .map_err(AdapterError::transport)?;
                    if len == 0 {
                        return Err(Error::Truncated.into());
                    }
                    input.extend_from_slice(chunk.get(..len).unwrap_or_default());
                }
            }
        };
        let mut h2 = Vec::new();
        let accepted = accept(request, &context, &mut h2)?;
        let mut pump = ReadPump::new(accepted.opener);
        pump.push_slice(input.get(consumed..).unwrap_or_default());
        let mut stream = Self {
            transport,
            reading: Reading::Open(Box::new(pump)),
            writing: WritePump::new(accepted.sealer, &h2),
            session: Some(accepted.session),
            unread: Bytes::new(),
            chunk,
        };
        poll_fn(|cx| Pin::new(&mut stream).poll_flush_all(cx)).await?;
        Ok(stream)
    }
}

impl<T> SealedStream<T> {
    /// Identifiers and exporter; for a client with early data, once something has been read.
    pub const fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Sets the padding of frames to come; no effect after the end.
    pub const fn set_padding(&mut self, padding: Padding) {
        if let Some(sealer) = self.writing.sealer_mut() {
            sealer.set_padding(padding);
        }
    }

    /// Appends a PUBLIC frame (instances only) behind what was written so far; it goes out with the next write or flush.
    ///
    /// # Errors
    /// The half's error, or `ApiMisuse`.
    pub fn public(&mut self, body: &[u8]) -> Result<(), AdapterError> {
        self.writing.seal_pending()?;
        self.writing
            .with_sealer(|sealer, out| sealer.public(body, out))
    }

    /// The oldest PUBLIC body that has arrived and was not taken yet.
    pub fn take_public(&mut self) -> Option<Bytes> {
        match &mut self.reading {
            Reading::Open(pump) => pump.take_public(),
            Reading::Handshake(..) | Reading::Failed(_) => None,
        }
    }
}

impl<T: AsyncRead> SealedStream<T> {
    fn poll_chunk(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<usize, AdapterError>> {
        let this = self.project();
        this.transport
            .poll_read(cx, this.chunk)
            .map_err(AdapterError::transport)
    }

    /// Reads H2 and hands its switch key to the writing half.
    fn poll_handshake(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), AdapterError>> {
        loop {
            if !matches!(self.reading, Reading::Handshake(..)) {
                return Poll::Ready(Ok(()));
            }
            let len = match ready!(self.as_mut().poll_chunk(cx)) {
                Ok(0) => return Poll::Ready(Err(self.fail_reading(Error::Truncated.into()))),
                Ok(len) => len,
                Err(error) => return Poll::Ready(Err(self.fail_reading(error))),
            };
            let this = self.as_mut().project();
            let Reading::Handshake(wait, input) = this.reading else {
                return Poll::Ready(Ok(()));
            };
            input.extend_from_slice(this.chunk.get(..len).unwrap_or_default());
            let Some(state) = wait.take() else {
                return Poll::Ready(Err(self.fail_reading(Error::Truncated.into())));
            };
            match state.read(input) {
                Ok(ResponseProgress::NeedInput { next, .. }) => *wait = Some(Box::new(next)),
                Ok(ResponseProgress::Done {
                    consumed,
                    connected,
                }) => {
                    let mut pump = ReadPump::new(connected.opener);
                    pump.push_slice(input.get(consumed..).unwrap_or_default());
                    *this.reading = Reading::Open(Box::new(pump));
                    *this.session = Some(connected.session);
                    this.writing.switch(connected.switch_key)?;
                }
                Err(error) => return Poll::Ready(Err(self.fail_reading(error.into()))),
            }
        }
    }

    fn fail_reading(self: Pin<&mut Self>, error: AdapterError) -> AdapterError {
        *self.project().reading = Reading::Failed(error.clone());
        error
    }

    fn poll_data(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Option<Bytes>, AdapterError>> {
        if let Reading::Failed(error) = &self.reading {
            return Poll::Ready(Err(error.clone()));
        }
        ready!(self.as_mut().poll_handshake(cx))?;
        loop {
            let Reading::Open(pump) = self.as_mut().project().reading else {
                return Poll::Ready(Ok(None));
            };
            match pump.pull() {
                Ok(Pulled::Data(data)) => return Poll::Ready(Ok(Some(data))),
                Ok(Pulled::End) => return Poll::Ready(Ok(None)),
                Ok(Pulled::NeedInput) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            let read = ready!(self.as_mut().poll_chunk(cx));
            let this = self.as_mut().project();
            let Reading::Open(pump) = this.reading else {
                return Poll::Ready(Ok(None));
            };
            match read {
                Ok(0) => return Poll::Ready(pump.end_of_input().map(|()| None)),
                Ok(len) => pump.push_slice(this.chunk.get(..len).unwrap_or_default()),
                Err(error) => return Poll::Ready(Err(pump.fail(error))),
            }
        }
    }
}

impl<T: AsyncWrite> SealedStream<T> {
    /// Gives all ciphertext to the transport.
    fn poll_drain(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), AdapterError>> {
        let mut this = self.project();
        this.writing.check()?;
        while !this.writing.outgoing().is_empty() {
            let result = ready!(
                this.transport
                    .as_mut()
                    .poll_write(cx, this.writing.outgoing())
            );
            match result {
                Ok(0) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    return Poll::Ready(Err(this.writing.fail(AdapterError::transport(error))));
                }
                Ok(len) => this.writing.mark_sent(len),
                Err(error) => {
                    return Poll::Ready(Err(this.writing.fail(AdapterError::transport(error))));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_bytes(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, AdapterError>> {
        if self.writing.is_full() {
            ready!(self.as_mut().poll_drain(cx))?;
        }
        Poll::Ready(self.project().writing.write(bytes))
    }

    fn poll_flush_all(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), AdapterError>> {
        self.as_mut().project().writing.seal_pending()?;
        ready!(self.as_mut().poll_drain(cx))?;
        let this = self.project();
        let result = ready!(this.transport.poll_flush(cx));
        Poll::Ready(result.map_err(|error| this.writing.fail(AdapterError::transport(error))))
    }

    fn poll_close_all(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), AdapterError>> {
        self.as_mut().project().writing.finish()?;
        ready!(self.as_mut().poll_drain(cx))?;
        let this = self.project();
        let result = ready!(this.transport.poll_close(cx));
        Poll::Ready(result.map_err(|error| this.writing.fail(AdapterError::transport(error))))
    }
}

reader!(SealedStream<T>, T: AsyncRead);
writer!(SealedStream<T>, writing, T: AsyncWrite);
