//! The default provider: pure Rust, on the RustCrypto crates and the dalek curves.
//!
//! With the feature `verify` alone there is only [`verification`], which links no KEM and no AEAD.

mod verify;

#[cfg(feature = "rustcrypto")]
mod aead;
#[cfg(feature = "rustcrypto")]
mod kdf;
#[cfg(feature = "rustcrypto")]
mod kem;
#[cfg(feature = "rustcrypto")]
mod sign;

#[cfg(feature = "conformance")]
pub(crate) use self::kem::ml_kem_768_from_expanded;
#[cfg(feature = "rustcrypto")]
pub use self::kem::{MlKem768, XWing};

use super::Verification;
#[cfg(feature = "rustcrypto")]
use super::{Aead, Kdf, Signing};

/// SHA-256 and Ed25519 verification.
#[must_use]
pub const fn verification() -> Verification {
    Verification {
        hash: &verify::Sha256,
        signatures: &verify::Ed25519,
    }
}

/// HKDF-SHA256.
#[cfg(feature = "rustcrypto")]
pub const KDF: &dyn Kdf = &kdf::HkdfSha256;
/// ChaCha20-Poly1305.
#[cfg(feature = "rustcrypto")]
pub const AEAD: &dyn Aead = &aead::ChaCha20Poly1305;
/// Ed25519 signing.
#[cfg(feature = "rustcrypto")]
pub const SIGNING: &dyn Signing = &sign::Ed25519;

/// The whole provider, with the operating system's random generator.
///
/// Without the feature `getrandom`, build a [`CryptoProvider`](super::CryptoProvider) from this module's parts and a generator of your own.
#[cfg(all(feature = "rustcrypto", feature = "getrandom"))]
#[must_use]
pub const fn provider() -> super::CryptoProvider {
    super::CryptoProvider {
        verification: verification(),
        kdf: KDF,
        aead: AEAD,
        kems: system_random::KEMS,
        signing: SIGNING,
        random: &system_random::System,
    }
}

#[cfg(all(feature = "rustcrypto", feature = "getrandom"))]
mod system_random {
    //! The operating system's random generator.

    use super::{MlKem768, XWing};
    use crate::crypto::{Kem, SecureRandom};
    use crate::error::CryptoError;

    pub(super) struct System;

    const ML_KEM_768: &MlKem768 = &MlKem768::new(&System);
    const X_WING: &XWing = &XWing::new(&System);
    pub(super) const KEMS: &[&dyn Kem] = &[ML_KEM_768, X_WING];

    impl SecureRandom for System {
        fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
            getrandom::fill(out).map_err(|_| CryptoError::Random)
        }
    }
}
