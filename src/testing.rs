//! For tests, vectors and fuzzing only: deterministic coins, null crypto, halves from raw secrets.
//!
//! Nothing here is covered by semver, and nothing of it belongs into a product.

use alloc::boxed::Box;
use core::cell::RefCell;
use std::thread_local;
use std::vec::Vec;

use crate::Limits;
use crate::crypto::rustcrypto::{self, MlKem768, XWing};
use crate::crypto::{Aead, AeadKey, CryptoProvider, Kem, Secret, SecureRandom};
use crate::error::{CryptoError, Error};
use crate::handshake::schedule::{self, EarlySecrets, LateSecrets};
use crate::record::{Half, Opener, RecordCrypto, Sealer, SwitchKey};

thread_local! {
    static COINS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Coins;

impl SecureRandom for Coins {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        COINS.with_borrow_mut(|coins| {
            if coins.len() < out.len() {
                return Err(CryptoError::Random);
            }
            let rest = coins.split_off(out.len());
            out.copy_from_slice(coins);
            *coins = rest;
            Ok(())
        })
    }
}

const ML_KEM_768: &MlKem768 = &MlKem768::new(&Coins);
const X_WING: &XWing = &XWing::new(&Coins);
const KEMS: &[&dyn Kem] = &[ML_KEM_768, X_WING];

/// The default provider with this thread's coins, taken in the order in which the protocol asks for them.
/// Without coins left every draw fails with [`CryptoError::Random`].
pub const COINS_PROVIDER: CryptoProvider = CryptoProvider {
    verification: rustcrypto::verification(),
    kdf: rustcrypto::KDF,
    aead: rustcrypto::AEAD,
    kems: KEMS,
    signing: rustcrypto::SIGNING,
    random: &Coins,
};

/// [`COINS_PROVIDER`] with an AEAD that encrypts nothing and accepts every tag.
pub const NULL_PROVIDER: CryptoProvider = CryptoProvider {
    aead: &NullAead,
    ..COINS_PROVIDER
};

/// Replaces this thread's coins.
pub fn set_coins(coins: &[u8]) {
    COINS.set(coins.to_vec());
}

struct NullAead;

impl Aead for NullAead {
    fn key(&self, _: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(Self)
    }
}

impl AeadKey for NullAead {
    fn seal_in_place(&self, _: &[u8; 12], _: &[u8], _: &mut [u8]) -> Result<[u8; 16], CryptoError> {
        Ok([0; 16])
    }

    fn open_in_place(
        &self,
        _: &[u8; 12],
        _: &[u8],
        _: &mut [u8],
        _: &[u8; 16],
    ) -> Result<(), CryptoError> {
        Ok(())
    }
}

/// An opener from a traffic secret; `late` makes it c2s before SWITCH.
///
/// # Errors
/// As the provider's.
pub fn opener(
    provider: &CryptoProvider,
    limits: &Limits,
    half: Half,
    secret: [u8; 32],
    late: Option<[u8; 32]>,
) -> Result<Opener, Error> {
    Opener::new(
        RecordCrypto::from(provider),
        limits,
        half,
        Secret::new(secret),
        late.map(Secret::new),
    )
}

/// A sealer from a traffic secret.
///
/// # Errors
/// As the provider's.
pub fn sealer(
    provider: &CryptoProvider,
    limits: &Limits,
    half: Half,
    secret: [u8; 32],
    early_allowed: bool,
) -> Result<Sealer, Error> {
    let secret = Secret::new(secret);
    match half {
        Half::C2s => Sealer::c2s(RecordCrypto::from(provider), limits, secret, early_allowed),
        Half::S2c => Sealer::s2c(RecordCrypto::from(provider), limits, secret),
    }
}

/// A switch key from the late secret.
#[must_use]
pub const fn switch_key(late: [u8; 32]) -> SwitchKey {
    SwitchKey(Secret::new(late))
}

/// Every secret of the key schedule by its name in the vectors, from transcript hashes and shared secrets (spec/protocol.md section 5.2).
///
/// # Errors
/// As the provider's.
pub fn key_schedule(
    provider: &CryptoProvider,
    [th0, th1, th2]: [&[u8; 32]; 3],
    [ss_s, ss_c]: [[u8; 32]; 2],
) -> Result<[(&'static str, [u8; 32]); 7], Error> {
    let early = EarlySecrets::derive(provider.kdf, th0, th1, &Secret::new(ss_s))?;
    let late = LateSecrets::derive(provider.kdf, &early.derived, th2, &Secret::new(ss_c))?;
    Ok([
        ("confirm1", *early.confirm1.expose()),
        ("ts_c2s_0", *early.c2s_early.expose()),
        ("derived", *early.derived.expose()),
        ("confirm2", *late.confirm2.expose()),
        ("ts_s2c_0", *late.s2c.expose()),
        ("ts_c2s_1", *late.c2s_late.expose()),
        ("exporter", *late.exporter.expose()),
    ])
}

/// The exporter from its secret (section 5.6).
///
/// # Errors
/// As the provider's.
pub fn export(
    provider: &CryptoProvider,
    exporter: [u8; 32],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), Error> {
    schedule::export(
        provider.kdf,
        provider.verification.hash,
        &Secret::new(exporter),
        label,
        context,
        out,
    )
}
