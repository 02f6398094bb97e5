//! ChaCha20-Poly1305 of [OpenSSL 3](https://www.openssl.org), through the crate `openssl`, for long frames on processors with AVX-512, where it is the
//! fastest that is maintained. It is an AEAD only, and slow with short messages: [`ByLength`] gives those to another one.
//!
//! The fastest sound combination is AWS-LC with OpenSSL for long frames, where the processor has what that needs:
//!
//! ```
//! # #[cfg(feature = "openssl")] {
//! use sealwire::CryptoProvider;
//! use sealwire_openssl::ByLength;
//!
//! static AEAD: ByLength = sealwire_openssl::combined(sealwire_aws_lc_rs::AEAD);
//!
//! let provider = CryptoProvider {
//!     aead: sealwire_openssl::fastest(&AEAD),
//!     ..sealwire_aws_lc_rs::provider()
//! };
//! # let _ = provider;
//! # }
//! ```
//!
//! Without its feature `openssl` the crate links nothing and holds [`ByLength`] alone. With it the build needs the headers of the system's
//! OpenSSL 3 (Debian: `libssl-dev`, `pkg-config`); feature `vendored` builds an OpenSSL instead.
//!
//! # Constant time
//!
//! OpenSSL's ChaCha20 and Poly1305 run in constant time, and it compares tags with `CRYPTO_memcmp`, which does too.
//!
//! # Allocation
//!
//! Sealing and opening a frame allocate nothing, neither here nor in OpenSSL; a refused frame may. A [`ByLength`] key prepares its long key with
//! the first long message, once.
//!
//! # Threads
//!
//! A key of OpenSSL's is a context that each call changes: calls on one key take turns. A stream makes one call at a time.
//!
//! # Erasure
//!
//! OpenSSL clears a context when it frees it, and with it the key, the key stream that was left and the one-time key of the tag. Not erased: what
//! its assembly leaves in registers and on its stack.

#![warn(clippy::as_conversions, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

#[cfg(feature = "openssl")]
mod aead;
mod by_length;
#[cfg(feature = "openssl")]
mod choice;

pub use self::by_length::ByLength;
#[cfg(feature = "openssl")]
pub use self::choice::{BORDER, combined, fastest, is_fast};

/// ChaCha20-Poly1305. A message or associated data of 2 GiB and more are refused.
#[cfg(feature = "openssl")]
pub const AEAD: &dyn sealwire::crypto::Aead = &aead::ChaCha20Poly1305;
