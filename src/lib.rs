//! End-to-end sealed streaming for confidential AI inference: the sealwire/1 protocol, sans-IO.
//!
//! A client encrypts a request to a key that exists only inside an attested enclave, the ciphertext crosses a relay that nobody needs to trust,
//! and the answer streams back encrypted, token by token. ML-KEM-768 (or X-Wing) for key agreement, HKDF-SHA256, ChaCha20-Poly1305, a fresh
//! key pair for every request. The protocol is specified in `spec/protocol.md`; section numbers in these pages are its.
//!
//! ```text
//!            bundle (signed KEM key)            H1, frames                     H1, frames
//!  instance ----------------------> client ------------------> relay ------------------> instance
//!                                          <------------------       <------------------
//!                                             H2, frames                     H2, frames
//! ```
//!
//! # Where to start
//!
//! | you want | look at |
//! | --- | --- |
//! | a sealed stream over TCP, a Unix socket, any `AsyncRead + AsyncWrite` | `adapter::SealedStream` (feature `futures` or `tokio`), `examples/tcp.rs` |
//! | sealed HTTP bodies | `adapter::OpenStream`, `adapter::SealSink` |
//! | a transport of your own, no runtime, no_std | [`client::start`], [`server::accept`], [`Sealer`], [`Opener`]; `examples/pipe.rs` |
//! | to check receipts or transcripts without any keys | feature `verify`: [`Bundle::parse`], [`receipt::ReceiptChecker`], [`handshake::transcript`] |
//!
//! # The loop
//!
//! Every receiver runs the same loop, whatever the transport: append what arrived to a buffer, call [`Opener::open`] on it, act on the
//! [`Event`], drop the consumed bytes, repeat until it asks for more. When the transport ends, call [`Opener::end_of_input`]: only a half that
//! gave [`Event::Final`] (or [`Event::Error`]) was whole. A sender calls [`Sealer::finish`]; dropping a sealer never ends a half.
//!
//! ```
//! use sealwire::{Bundle, BundlePolicy, Context, Event, IdentityKey, IdentityTrust, Limits, Suite};
//! use sealwire::{client, handshake, rustcrypto, server};
//!
//! # fn main() -> Result<(), sealwire::Error> {
//! let provider = rustcrypto::provider();
//! let now = server::Now { unix: 1_800_000_000, monotonic: 0 };
//!
//! // The instance publishes a bundle; the client checks it against a pinned identity.
//! let identity = IdentityKey::generate(&provider)?;
//! let trust = IdentityTrust::pinned(&[identity.public_key()]);
//! let mut ring = server::KeyRing::new(&provider, identity, "my/model", Default::default())?;
//! let published = ring.bundle(Suite::MlKem768, now)?;
//! let bundle = Bundle::parse(&provider.verification, published.as_bytes())?;
//! let bundle = bundle.verify(&provider, &BundlePolicy::new("my/model", trust), now.unix)?;
//!
//! // The client seals a request; the relay sees `wire` and the context.
//! let context = Context::new("my/model", [7; 16], 1)?;
//! let mut wire = Vec::new();
//! let (sealer, _await_h2) = client::start(&provider, &Default::default(), &bundle, &context, &mut wire)?;
//! sealer.finish(b"a question", &mut wire)?;
//!
//! // The instance opens it.
//! let handshake::RequestProgress::Done { consumed, request } = handshake::ParsedRequest::read(&wire)? else {
//!     return Err(sealwire::Error::Truncated);
//! };
//! let mut h2 = Vec::new();
//! let mut accepted = server::accept(&mut ring, request, &context.encode(), &Limits::default(), now, &mut h2)?;
//! let opened = accepted.opener.open(&mut wire[consumed..])?;
//! assert!(matches!(opened.event, Event::Final(content) if content == b"a question"));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | gives |
//! | --- | --- | --- |
//! | `rustcrypto` | yes | the default provider: suites 1 and 2, pure Rust |
//! | `getrandom` | yes | the operating system's random generator for it |
//! | `verify` | with `rustcrypto` | SHA-256 and Ed25519 verification only: what a relay links |
//! | `futures` | no | adapters over futures-io, `Stream` and `Sink` |
//! | `chutes-v1` | no | `compat::chutes`, the deployed Chutes E2EE protocol, hardened |
//! | `tokio` | no | the same types with tokio's `AsyncRead` and `AsyncWrite` |
//! | `parallel` | no | bodies of 1 MiB and more on several threads; needs std |
//!
//! Features only add. Without any the crate is `no_std` with `alloc`, and a [`CryptoProvider`] of your own makes it run.
#![no_std]
#![warn(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(any(
    test,
    feature = "conformance",
    feature = "futures",
    feature = "parallel"
))]
extern crate std;

#[cfg(feature = "futures")]
pub mod adapter;
pub mod bundle;
pub mod client;
mod codec;
#[cfg(feature = "chutes-v1")]
pub mod compat;
mod context;
pub mod crypto;
mod error;
pub mod frame;
pub mod handshake;
mod identity;
pub mod limits;
#[cfg(feature = "parallel")]
mod parallel;
pub mod receipt;
mod record;
pub mod server;
#[cfg(feature = "conformance")]
#[doc(hidden)]
pub mod testing;

/// The example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use bundle::{Bundle, BundlePolicy, IdentityTrust, VerifiedBundle};
pub use context::Context;
#[cfg(feature = "verify")]
pub use crypto::rustcrypto;
pub use crypto::{CryptoProvider, Suite};
pub use error::{
    ApiMisuse, BundleFault, CryptoError, Error, HandshakeFault, PeerMisbehaved, PolicyFault,
    ReceiptFault, RelayCode, StreamErrorCode,
};
pub use handshake::Session;
pub use identity::IdentityKey;
pub use limits::Limits;
pub use record::{Event, FixedSize, Half, Opened, Opener, Padding, Sealer, SwitchKey};
