//! The record layer over byte transports: `Stream` and `Sink` of [`Bytes`](bytes::Bytes), `AsyncRead` and `AsyncWrite` of futures-io and tokio.
//!
//! | type | over | gives |
//! | --- | --- | --- |
//! | [`OpenStream`] | a `Stream` of ciphertext `Bytes` (an HTTP body) | `Stream` of plaintext, `AsyncRead` |
//! | [`SealSink`] | a `Sink` of ciphertext `Bytes` | `Sink` of plaintext, `AsyncWrite` |
//! | [`SealedStream`] | a duplex byte transport (TCP, Unix socket, pipe) | all four, handshake included |
//! | [`TokioIo`] | a tokio transport | the same as a futures-io transport |
//!
//! Laws, each with a test over a hostile transport: a frame is sealed once and kept until the transport has taken it; flush seals what is
//! pending, drains and flushes the transport; close sends FINAL exactly once and may be polled again; reading never waits on writing; the end of
//! the transport before FINAL is `UnexpectedEof`; no empty items; dropping emits nothing; after an error every poll returns it.

mod duplex;
mod error;
mod io;
mod pump;
mod sink;
mod stream;

pub use self::duplex::SealedStream;
pub use self::error::AdapterError;
#[cfg(feature = "tokio")]
pub use self::io::TokioIo;
pub use self::sink::SealSink;
pub use self::stream::{Chunk, OpenStream};
