//! A [`CryptoProvider`] on [AWS-LC](https://github.com/aws/aws-lc), through the crate `aws-lc-rs`: both suites, vectorised and in
//! constant-time assembly where the processor has it. It needs a C compiler to build; `sealwire::rustcrypto` needs none.
//!
//! [`provider`] is the whole; the constants are its parts, for a provider that takes some of them:
//!
//! ```
//! use sealwire::CryptoProvider;
//!
//! // A random generator of your own, the rest from here.
//! # let own = sealwire_aws_lc_rs::RANDOM;
//! let provider = CryptoProvider { random: own, ..sealwire_aws_lc_rs::provider() };
//! # let _ = provider;
//! ```
//!
//! # Coins
//!
//! AWS-LC draws the coins of key generation and encapsulation by itself and takes none from outside: [`KEMS`] do not use the `random` of
//! the provider they stand in. [`RANDOM`] is AWS-LC's generator, seeded by the operating system. Vectors that give coins are skipped by name.
//!
//! # Constant time
//!
//! AWS-LC's code for secrets runs in constant time: ML-KEM (mlkem-native), X25519 and Ed25519 signing (s2n-bignum), ChaCha20-Poly1305, HMAC
//! and the hashes. Verification of signatures and the checks of public keys here take public input only and are not.
//!
//! # Allocation
//!
//! Sealing and opening a frame allocate nothing, neither here nor in AWS-LC.
//!
//! # Erasure
//!
//! AWS-LC erases every piece of memory of its own when it frees it, so prepared AEAD keys, decapsulation keys, X25519 private keys and
//! signing keys are erased on drop, and so are shared secrets, which `aws-lc-rs` erases itself. What is copied here is in
//! erased buffers. Not erased: copies that a function leaves on its stack when it returns a value, of which `aws-lc-rs` makes one by design,
//! the digest that is X-Wing's shared secret (it has no call that writes a digest into a caller's buffer).

#![warn(clippy::as_conversions, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod aead;
mod hash;
mod kdf;
mod kem;
mod random;
mod sign;
mod verify;

#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

use sealwire::CryptoProvider;
use sealwire::crypto::{Aead, Kdf, Kem, SecureRandom, Signing, Verification};

/// The whole provider.
#[must_use]
pub const fn provider() -> CryptoProvider {
    CryptoProvider {
        verification: verification(),
        kdf: KDF,
        aead: AEAD,
        kems: KEMS,
        signing: SIGNING,
        random: RANDOM,
    }
}

/// SHA-256 and Ed25519 verification.
#[must_use]
pub const fn verification() -> Verification {
    Verification {
        hash: &hash::Sha256,
        signatures: &verify::Ed25519,
    }
}

/// HKDF-SHA256.
pub const KDF: &dyn Kdf = &kdf::HkdfSha256;
/// ChaCha20-Poly1305.
pub const AEAD: &dyn Aead = &aead::ChaCha20Poly1305;
/// Suite 1: ML-KEM-768 of FIPS 203.
pub const ML_KEM_768: &dyn Kem = &kem::MlKem768;
/// Suite 2: X-Wing of draft-connolly-cfrg-xwing-kem-10, all-zero X25519 outputs refused.
pub const X_WING: &dyn Kem = &kem::XWing;
/// The KEMs of both suites.
pub const KEMS: &[&dyn Kem] = &[ML_KEM_768, X_WING];
/// Ed25519 signing.
pub const SIGNING: &dyn Signing = &sign::Ed25519;
/// AWS-LC's random generator.
pub const RANDOM: &dyn SecureRandom = &random::System;
