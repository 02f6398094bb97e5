//! ML-KEM-768, alone and as a part of X-Wing.

use aws_lc_rs::kem::{
    Ciphertext, DecapsulationKey as LcDecapsulationKey, EncapsulationKey, ML_KEM_768,
};
use sealwire::crypto::{DecapsulationKey, Kem, KemKeyPair, Secret};
use sealwire::{CryptoError, Suite};

pub(crate) const PUBLIC_KEY_LEN: usize = Suite::MlKem768.public_key_len();
pub(crate) const CIPHERTEXT_LEN: usize = Suite::MlKem768.ciphertext_len();
/// Of the decapsulation key in the form of FIPS 203: dk_PKE (1,152), ek (1,184), H(ek) (32), z (32).
#[cfg(feature = "testing")]
pub(crate) const EXPANDED_LEN: usize = 2_400;

/// Suite 1: ML-KEM-768 of FIPS 203.
pub(crate) struct MlKem768;

impl Kem for MlKem768 {
    fn suite(&self) -> Suite {
        Suite::MlKem768
    }

    fn generate(&self) -> Result<KemKeyPair, CryptoError> {
        let (secret_key, public_key) = MlKem768Key::generate()?;
        Ok(KemKeyPair {
            public_key,
            secret_key: Box::new(secret_key),
        })
    }

    fn check_public_key(&self, public_key: &[u8]) -> Result<(), CryptoError> {
        check(public_key)
    }

    fn encapsulate(&self, public_key: &[u8]) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
        encapsulate(public_key)
    }
}

/// Length, and the modulus check of FIPS 203 section 7.2: each of the 768 numbers of 12 bits is below q, the first of a pair in
/// the low bits. AWS-LC checks the length here and the modulus when it encapsulates.
pub(crate) fn check(public_key: &[u8]) -> Result<(), CryptoError> {
    const Q: u16 = 3_329;
    if public_key.len() != PUBLIC_KEY_LEN {
        return Err(CryptoError::Invalid);
    }
    // The last 32 bytes are rho.
    let (vector, _) = public_key
        .split_last_chunk::<32>()
        .ok_or(CryptoError::Invalid)?;
    let reduced = vector.as_chunks::<3>().0.iter().all(|&[a, b, c]| {
        let low = u16::from(a) | (u16::from(b) & 0x0F) << 8;
        let high = u16::from(b) >> 4 | u16::from(c) << 4;
        low < Q && high < Q
    });
    if reduced {
        Ok(())
    } else {
        Err(CryptoError::Invalid)
    }
}

pub(crate) fn encapsulate(public_key: &[u8]) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
    check(public_key)?;
    let key = EncapsulationKey::new(&ML_KEM_768, public_key).map_err(|_| CryptoError::Invalid)?;
    let (ciphertext, shared) = key.encapsulate().map_err(|_| CryptoError::Backend)?;
    Ok((ciphertext.as_ref().to_vec(), secret(shared.as_ref())?))
}

/// Erased by AWS-LC when it frees it.
pub(crate) struct MlKem768Key(LcDecapsulationKey);

impl MlKem768Key {
    /// A fresh key and its encapsulation key.
    pub(crate) fn generate() -> Result<(Self, Vec<u8>), CryptoError> {
        let secret_key =
            LcDecapsulationKey::generate(&ML_KEM_768).map_err(|_| CryptoError::Backend)?;
        let public_key = secret_key
            .encapsulation_key()
            .and_then(|key| key.key_bytes())
            .map_err(|_| CryptoError::Backend)?
            .as_ref()
            .to_vec();
        Ok((Self(secret_key), public_key))
    }

    /// From the form of FIPS 203, after the hash check of its section 7.3.
    #[cfg(feature = "testing")]
    pub(crate) fn import(expanded: &[u8]) -> Result<Self, CryptoError> {
        let hash = expanded
            .get(1_152..)
            .and_then(<[u8]>::split_first_chunk::<PUBLIC_KEY_LEN>)
            .filter(|_| expanded.len() == EXPANDED_LEN)
            .and_then(|(public_key, rest)| Some((public_key, rest.first_chunk::<32>()?)))
            .filter(|(public_key, hash)| {
                let digest =
                    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA3_256, public_key.as_slice());
                digest.as_ref() == hash.as_slice()
            });
        if hash.is_none() {
            return Err(CryptoError::Invalid);
        }
        LcDecapsulationKey::new(&ML_KEM_768, expanded)
            .map(Self)
            .map_err(|_| CryptoError::Invalid)
    }
}

impl DecapsulationKey for MlKem768Key {
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError> {
        if ciphertext.len() != CIPHERTEXT_LEN {
            return Err(CryptoError::Invalid);
        }
        let shared = self
            .0
            .decapsulate(Ciphertext::from(ciphertext))
            .map_err(|_| CryptoError::Backend)?;
        secret(shared.as_ref())
    }
}

fn secret(bytes: &[u8]) -> Result<Secret<32>, CryptoError> {
    let mut secret = Secret::new([0; 32]);
    if bytes.len() != 32 {
        return Err(CryptoError::Backend);
    }
    secret.expose_mut().copy_from_slice(bytes);
    Ok(secret)
}
