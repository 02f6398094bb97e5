//! For conformance tests only: decapsulation keys from bytes. A sealwire key is never stored, so no product has a use for it.

use sealwire::CryptoError;
use sealwire::crypto::DecapsulationKey;

use crate::kem::{EXPANDED_LEN, MlKem768Key, XWingKey};

/// Suite 1, from the 2,400 bytes of FIPS 203: dk_PKE | ek | H(ek) | z.
///
/// # Errors
/// [`CryptoError::Invalid`] for another length, or if H(ek) is not ek's hash.
pub fn import_ml_kem_768(expanded: &[u8]) -> Result<Box<dyn DecapsulationKey>, CryptoError> {
    Ok(Box::new(MlKem768Key::import(expanded)?))
}

/// Suite 2, from those bytes followed by the 32 of the X25519 private key.
///
/// # Errors
/// As [`import_ml_kem_768`].
pub fn import_x_wing(expanded: &[u8]) -> Result<Box<dyn DecapsulationKey>, CryptoError> {
    let (secret_m, secret_x) = expanded
        .split_at_checked(EXPANDED_LEN)
        .ok_or(CryptoError::Invalid)?;
    let secret_m = MlKem768Key::import(secret_m)?;
    Ok(Box::new(XWingKey::import(secret_m, secret_x)?))
}
