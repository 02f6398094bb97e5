//! The KEMs of suites 1 and 2, each over a random generator of the caller's.

use alloc::boxed::Box;

use ml_kem::kem::{Decapsulate, FromSeed, KeyExport, TryDecapsulate};
use x_wing::kem::Decapsulator;
use zeroize::Zeroizing;

use crate::crypto::{DecapsulationKey, Kem, KemKeyPair, Secret, SecureRandom, Suite};
use crate::error::CryptoError;

/// Suite 1: ML-KEM-768 of FIPS 203.
pub struct MlKem768 {
    random: &'static dyn SecureRandom,
}

impl MlKem768 {
    /// With coins from `random`.
    #[must_use]
    pub const fn new(random: &'static dyn SecureRandom) -> Self {
        Self { random }
    }
}

impl Kem for MlKem768 {
    fn suite(&self) -> Suite {
        Suite::MlKem768
    }

    fn generate(&self) -> Result<KemKeyPair, CryptoError> {
        let seed = coins::<64>(self.random)?;
        let (secret_key, public_key) = ml_kem::MlKem768::from_seed((&*seed).into());
        Ok(KemKeyPair {
            public_key: public_key.to_bytes().to_vec(),
            secret_key: Box::new(MlKem768Key(secret_key)),
        })
    }

    fn check_public_key(&self, public_key: &[u8]) -> Result<(), CryptoError> {
        ml_kem_public_key(public_key).map(drop)
    }

    fn encapsulate(
        &self,
        public_key: &[u8],
    ) -> Result<(alloc::vec::Vec<u8>, Secret<32>), CryptoError> {
        let key = ml_kem_public_key(public_key)?;
        let m = coins::<32>(self.random)?;
        let (ciphertext, shared) = key.encapsulate_deterministic((&*m).into());
        Ok((ciphertext.to_vec(), Secret::new(shared.into())))
    }
}

/// Erased on drop by the ml-kem crate.
struct MlKem768Key(ml_kem::ml_kem_768::DecapsulationKey);

impl DecapsulationKey for MlKem768Key {
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError> {
        let ciphertext = ciphertext.try_into().map_err(|_| CryptoError::Invalid)?;
        Ok(Secret::new(self.0.decapsulate(ciphertext).into()))
    }
}

/// A key in the expanded form of FIPS 203.
#[cfg(feature = "conformance")]
pub(crate) fn ml_kem_768_from_expanded(
    expanded: &[u8],
) -> Result<Box<dyn DecapsulationKey>, CryptoError> {
    let expanded = expanded.try_into().map_err(|_| CryptoError::Invalid)?;
    #[expect(deprecated, reason = "other programs store keys so")]
    let key = ml_kem::ml_kem_768::DecapsulationKey::from_expanded(expanded)
        .map_err(|_| CryptoError::Invalid)?;
    Ok(Box::new(MlKem768Key(key)))
}

/// `EncapsulationKey::new` performs the modulus check of FIPS 203 section 7.2.
fn ml_kem_public_key(bytes: &[u8]) -> Result<ml_kem::ml_kem_768::EncapsulationKey, CryptoError> {
    let bytes = bytes.try_into().map_err(|_| CryptoError::Invalid)?;
    ml_kem::ml_kem_768::EncapsulationKey::new(bytes).map_err(|_| CryptoError::Invalid)
}

/// Suite 2: X-Wing of draft-connolly-cfrg-xwing-kem-10, all-zero X25519 outputs refused.
pub struct XWing {
    random: &'static dyn SecureRandom,
}

impl XWing {
    /// With coins from `random`.
    #[must_use]
    pub const fn new(random: &'static dyn SecureRandom) -> Self {
        Self { random }
    }
}

impl Kem for XWing {
    fn suite(&self) -> Suite {
        Suite::XWing
    }

    fn generate(&self) -> Result<KemKeyPair, CryptoError> {
        let seed = coins::<32>(self.random)?;
        let secret_key = x_wing::DecapsulationKeyRejectNonContrib::from(*seed);
        Ok(KemKeyPair {
            public_key: secret_key.encapsulation_key().to_bytes().to_vec(),
            secret_key: Box::new(XWingKey(secret_key)),
        })
    }

    fn check_public_key(&self, public_key: &[u8]) -> Result<(), CryptoError> {
        xwing_public_key(public_key).map(drop)
    }

    fn encapsulate(
        &self,
        public_key: &[u8],
    ) -> Result<(alloc::vec::Vec<u8>, Secret<32>), CryptoError> {
        let key = xwing_public_key(public_key)?;
        let eseed = coins::<64>(self.random)?;
        let (ciphertext, shared) = key.encapsulate_deterministic((&*eseed).into());
        Ok((ciphertext.to_vec(), Secret::new(shared.into())))
    }
}

/// Erased on drop by the x-wing crate.
struct XWingKey(x_wing::DecapsulationKeyRejectNonContrib);

impl DecapsulationKey for XWingKey {
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError> {
        let ciphertext = ciphertext.try_into().map_err(|_| CryptoError::Invalid)?;
        self.0
            .try_decapsulate(ciphertext)
            .map(|shared| Secret::new(shared.into()))
            .map_err(|_| CryptoError::Invalid)
    }
}

/// The crate checks the ML-KEM part. Its encapsulation accepts an X25519 point of small order, so that is checked here: every clamped
/// scalar is a multiple of 8 and takes such a point, and no other, to zero (RFC 7748 section 6.1).
fn xwing_public_key(bytes: &[u8]) -> Result<x_wing::EncapsulationKey, CryptoError> {
    let key = x_wing::EncapsulationKey::try_from(bytes).map_err(|_| CryptoError::Invalid)?;
    let point: [u8; 32] = bytes.last_chunk().copied().ok_or(CryptoError::Invalid)?;
    if x25519_dalek::x25519([0; 32], point) == [0; 32] {
        return Err(CryptoError::Invalid);
    }
    Ok(key)
}

fn coins<const N: usize>(random: &dyn SecureRandom) -> Result<Zeroizing<[u8; N]>, CryptoError> {
    let mut coins = Zeroizing::new([0; N]);
    random.fill(coins.as_mut_slice())?;
    Ok(coins)
}
