//! End-to-end sealed streaming for confidential AI inference.
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
#[cfg(any(test, feature = "testing", feature = "futures"))]
extern crate std;

#[cfg(feature = "futures")]
pub mod adapter;
pub mod bundle;
pub mod client;
mod codec;
mod context;
pub mod crypto;
mod error;
pub mod frame;
pub mod handshake;
mod identity;
pub mod limits;
pub mod receipt;
mod record;
pub mod server;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

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
