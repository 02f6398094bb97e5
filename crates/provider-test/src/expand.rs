//! Keys of the KEMs from their seeds, by the crates behind the default provider.

use ml_kem::kem::{FromSeed, KeyExport};
use ml_kem::{MlKem768, ml_kem_768};
use sealwire::Suite;
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use x25519_dalek::{PublicKey, StaticSecret};

/// A KEM key pair as bytes.
pub(crate) struct Expanded {
    /// In the suite's encoding.
    pub(crate) public_key: Vec<u8>,
    /// As [`Coins::import`](crate::Coins::import) takes it.
    pub(crate) secret_key: Vec<u8>,
}

/// From a seed of the suite's length; `None` for any other.
pub(crate) fn expand(suite: Suite, seed: &[u8]) -> Option<Expanded> {
    match suite {
        Suite::MlKem768 => ml_kem(seed),
        Suite::XWing => {
            let seed: &[u8; 32] = seed.try_into().ok()?;
            let mut reader = Shake256::default().chain(seed).finalize_xof();
            let (mut seed_m, mut secret_x) = ([0; 64], [0; 32]);
            reader.read(&mut seed_m);
            reader.read(&mut secret_x);
            let mut pair = ml_kem(&seed_m)?;
            pair.public_key.extend_from_slice(&x25519_public(secret_x));
            pair.secret_key.extend_from_slice(&secret_x);
            Some(pair)
        }
        _ => None,
    }
}

#[allow(
    deprecated,
    reason = "the expanded form is what FIPS 203 and Wycheproof have"
)]
fn ml_kem(seed: &[u8]) -> Option<Expanded> {
    use ml_kem::ExpandedKeyEncoding;

    let (secret_key, public_key) = MlKem768::from_seed(seed.try_into().ok()?);
    Some(Expanded {
        public_key: public_key.to_bytes().to_vec(),
        secret_key: secret_key.to_expanded_bytes().to_vec(),
    })
}

/// ML-KEM-768 encapsulation: (ciphertext, shared secret); `None` if the key is bad.
pub(crate) fn ml_kem_encapsulate(public_key: &[u8], m: &[u8; 32]) -> Option<(Vec<u8>, [u8; 32])> {
    let key = ml_kem_768::EncapsulationKey::new(public_key.try_into().ok()?).ok()?;
    let (ciphertext, shared) = key.encapsulate_deterministic(m.into());
    Some((ciphertext.to_vec(), shared.into()))
}

/// ML-KEM-768 decapsulation of a seed's key.
pub(crate) fn ml_kem_decapsulate(seed: &[u8], ciphertext: &[u8]) -> Option<[u8; 32]> {
    use ml_kem::kem::Decapsulate;

    let (secret_key, _) = MlKem768::from_seed(seed.try_into().ok()?);
    Some(secret_key.decapsulate(ciphertext.try_into().ok()?).into())
}

pub(crate) fn x25519_public(secret: [u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(secret)).to_bytes()
}

/// X-Wing's combiner (section 2.4).
pub(crate) fn combine(
    shared_m: &[u8; 32],
    shared_x: &[u8],
    ciphertext_x: &[u8],
    public_x: &[u8],
) -> [u8; 32] {
    use sha3::Digest;

    let mut hash = sha3::Sha3_256::new();
    for part in [shared_m, shared_x, ciphertext_x, public_x, br"\.//^\"] {
        Digest::update(&mut hash, part);
    }
    hash.finalize().into()
}
