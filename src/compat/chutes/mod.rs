//! The deployed Chutes E2EE protocol, version 1, hardened: profile `chutes-v1` (spec/compat-chutes.md).
//!
//! ```text
//!  client                                                       instance
//!  seal_request(key, body) --ct | nonce | sealed gzip--> KeyRing::candidates, open_request
//!        |                                                        |
//!   AwaitResponse                                          Unadmitted::admit(ring)
//!        |                                                        |
//!   open(blob)  <-------- ct | nonce | sealed gzip -------- Responder::seal
//!   into_stream <-------- e2e_init, e2e, e2e, .. ---------- Responder::into_stream -> StreamSealer
//! ```
//!
//! Sans-IO for both roles: bytes in, bytes out, no clock. What the wire format cannot give is in [`GUARANTEES`]; where both ends are of this library,
//! data of its own inside the ciphertext closes most of it (section 6), and old peers see nothing of that.

mod client;
mod error;
mod guarantees;
mod gzip;
mod json;
mod keys;
mod opener;
mod schedule;
mod sealer;
mod server;
#[cfg(feature = "conformance")]
#[doc(hidden)]
pub mod testing;
mod usage;

pub use client::{AwaitResponse, InstanceKey, Reply, seal_request};
pub use error::{ChutesError, EventFault, GzipFault};
pub use guarantees::{GUARANTEES, Guarantee, Holds};
pub use gzip::{Compress, ZlibRs, gunzip};
pub use keys::{KeyRing, KeyRingConfig, RequestKey};
pub use opener::{Event, StreamLimits, StreamOpener};
pub use sealer::{StreamSealer, usage_event};
pub use server::{Request, Responder, Unadmitted, open_request};
pub use usage::Usage;

use crate::crypto::CryptoProvider;

/// What both roles work with.
#[derive(Clone, Copy)]
pub struct Codec {
    /// KEM, HKDF, AEAD and random generator; suite 1 is needed.
    pub provider: CryptoProvider,
    /// The compressor.
    pub compress: &'static dyn Compress,
    /// Whether data of this library's own goes into what is sealed (section 6). Off imitates a peer of the deployed kind, for tests and comparisons.
    pub extensions: bool,
}

impl Codec {
    /// This provider, the default compressor, extensions on.
    #[must_use]
    pub const fn new(provider: &CryptoProvider) -> Self {
        Self {
            provider: *provider,
            compress: &ZlibRs::DEFAULT,
            extensions: true,
        }
    }
}

/// Status and media type of the inner server's answer. The wire format has no place for them; ends of this library carry them sealed (section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// HTTP status, 100 to 599.
    pub status: u16,
    /// The `Content-Type`, at most 255 bytes of visible ASCII and blanks.
    pub content_type: alloc::string::String,
}

impl Head {
    /// A head, if both parts may be carried.
    #[must_use]
    pub fn new(status: u16, content_type: &str) -> Option<Self> {
        let sound = (100..=599).contains(&status)
            && content_type.len() <= 255
            && content_type
                .bytes()
                .all(|byte| (0x20..0x7F).contains(&byte));
        sound.then(|| Self {
            status,
            content_type: content_type.into(),
        })
    }

    /// status (u16) | content type.
    fn encode(&self) -> alloc::vec::Vec<u8> {
        let mut out = self.status.to_be_bytes().to_vec();
        out.extend_from_slice(self.content_type.as_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (status, content_type) = bytes.split_first_chunk::<2>()?;
        Self::new(
            u16::from_be_bytes(*status),
            core::str::from_utf8(content_type).ok()?,
        )
    }
}
