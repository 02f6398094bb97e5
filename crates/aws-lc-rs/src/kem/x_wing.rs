//! X-Wing of draft-connolly-cfrg-xwing-kem-10: ML-KEM-768 and X25519 of AWS-LC under the draft's combiner.
//!
//! The draft expands a key pair from a seed of 32 bytes. AWS-LC takes no seeds, so the two parts are drawn one by one, which
//! gives keys of the same distribution; nothing on the wire tells them apart.

use std::sync::LazyLock;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::digest::{SHA3_256, digest};
use sealwire::crypto::{DecapsulationKey, Kem, KemKeyPair, Secret};
use sealwire::{CryptoError, Suite};
use zeroize::Zeroizing;

use super::ml_kem::{self, MlKem768Key};

const LABEL: &[u8; 6] = br"\.//^\";

/// Suite 2. All-zero X25519 outputs are refused, by AWS-LC.
pub(crate) struct XWing;

impl Kem for XWing {
    fn suite(&self) -> Suite {
        Suite::XWing
    }

    fn generate(&self) -> Result<KemKeyPair, CryptoError> {
        let (secret_m, mut public_key) = MlKem768Key::generate()?;
        let secret_x = PrivateKey::generate(&X25519).map_err(|_| CryptoError::Backend)?;
        let secret_key = XWingKey::new(secret_m, secret_x)?;
        public_key.extend_from_slice(&secret_key.public_x);
        Ok(KemKeyPair {
            public_key,
            secret_key: Box::new(secret_key),
        })
    }

    /// X25519 with any scalar tells whether the point has small order: every clamped scalar is a multiple of 8 and takes such a
    /// point, and no other, to zero (RFC 7748 section 6.1).
    fn check_public_key(&self, public_key: &[u8]) -> Result<(), CryptoError> {
        static ANY_SCALAR: LazyLock<Option<PrivateKey>> =
            LazyLock::new(|| PrivateKey::from_private_key(&X25519, &[0; 32]).ok());
        let (public_m, public_x) = split(public_key)?;
        ml_kem::check(public_m)?;
        let scalar = ANY_SCALAR.as_ref().ok_or(CryptoError::Backend)?;
        x25519(scalar, public_x, |_| ())
    }

    fn encapsulate(&self, public_key: &[u8]) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
        let (public_m, public_x) = split(public_key)?;
        ml_kem::check(public_m)?;
        let ephemeral = PrivateKey::generate(&X25519).map_err(|_| CryptoError::Backend)?;
        let ciphertext_x = public(&ephemeral)?;
        let (mut ciphertext, shared_m) = ml_kem::encapsulate(public_m)?;
        let shared = x25519(&ephemeral, public_x, |shared_x| {
            combine(&shared_m, shared_x, &ciphertext_x, public_x)
        })??;
        ciphertext.extend_from_slice(&ciphertext_x);
        Ok((ciphertext, shared))
    }
}

/// Both parts are erased by AWS-LC when it frees them.
pub(crate) struct XWingKey {
    secret_m: MlKem768Key,
    secret_x: PrivateKey,
    public_x: [u8; 32],
}

impl XWingKey {
    fn new(secret_m: MlKem768Key, secret_x: PrivateKey) -> Result<Self, CryptoError> {
        Ok(Self {
            public_x: public(&secret_x)?,
            secret_m,
            secret_x,
        })
    }

    /// From the two parts' bytes.
    #[cfg(feature = "testing")]
    pub(crate) fn import(secret_m: MlKem768Key, secret_x: &[u8]) -> Result<Self, CryptoError> {
        let secret_x =
            PrivateKey::from_private_key(&X25519, secret_x).map_err(|_| CryptoError::Invalid)?;
        Self::new(secret_m, secret_x)
    }
}

impl DecapsulationKey for XWingKey {
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError> {
        if ciphertext.len() != Suite::XWing.ciphertext_len() {
            return Err(CryptoError::Invalid);
        }
        let (ciphertext_m, ciphertext_x) = ciphertext
            .split_last_chunk::<32>()
            .ok_or(CryptoError::Invalid)?;
        let shared_m = self.secret_m.decapsulate(ciphertext_m)?;
        x25519(&self.secret_x, ciphertext_x, |shared_x| {
            combine(&shared_m, shared_x, ciphertext_x, &self.public_x)
        })?
    }
}

/// (pk_M, pk_X)
fn split(public_key: &[u8]) -> Result<(&[u8], &[u8; 32]), CryptoError> {
    if public_key.len() != Suite::XWing.public_key_len() {
        return Err(CryptoError::Invalid);
    }
    public_key
        .split_last_chunk::<32>()
        .ok_or(CryptoError::Invalid)
}

fn public(key: &PrivateKey) -> Result<[u8; 32], CryptoError> {
    let public = key.compute_public_key().map_err(|_| CryptoError::Backend)?;
    public.as_ref().try_into().map_err(|_| CryptoError::Backend)
}

/// What `then` makes of X25519's output. An all-zero one is an error of AWS-LC, and the only one beside a lack of memory.
fn x25519<T>(
    key: &PrivateKey,
    point: &[u8; 32],
    then: impl FnOnce(&[u8]) -> T,
) -> Result<T, CryptoError> {
    agree(
        key,
        UnparsedPublicKey::new(&X25519, point.as_slice()),
        CryptoError::Invalid,
        |shared| Ok(then(shared)),
    )
}

/// `SHA3-256(ss_M | ss_X | ct_X | pk_X | label)`.
fn combine(
    shared_m: &Secret<32>,
    shared_x: &[u8],
    ciphertext_x: &[u8; 32],
    public_x: &[u8; 32],
) -> Result<Secret<32>, CryptoError> {
    let parts: [&[u8]; 5] = [shared_m.expose(), shared_x, ciphertext_x, public_x, LABEL];
    let mut input = Zeroizing::new([0_u8; 4 * 32 + LABEL.len()]);
    let mut space = input.as_mut_slice();
    for part in parts {
        let (own, rest) = std::mem::take(&mut space)
            .split_at_mut_checked(part.len())
            .ok_or(CryptoError::Backend)?;
        own.copy_from_slice(part);
        space = rest;
    }
    let mut shared = Secret::new([0; 32]);
    shared
        .expose_mut()
        .copy_from_slice(digest(&SHA3_256, input.as_slice()).as_ref());
    Ok(shared)
}
