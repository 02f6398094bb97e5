//! For conformance tools, tests and fuzzing: deterministic coins, halves from raw secrets, and with the feature `testing` null crypto.
//!
//! Nothing here is covered by semver, and nothing of it may touch traffic.

use alloc::boxed::Box;
use core::cell::RefCell;
use std::thread_local;
use std::vec::Vec;

use crate::crypto::rustcrypto::{self, MlKem768, XWing};
#[cfg(feature = "testing")]
use crate::crypto::{Aead, AeadKey};
use crate::crypto::{CryptoProvider, DecapsulationKey, Kem, Secret, SecureRandom};
use crate::error::{CryptoError, Error};
use crate::handshake::schedule::{self, EarlySecrets, LateSecrets};
use crate::receipt::{ReceiptChecker, ReceiptKind};
use crate::record::{Half, Opener, RecordCrypto, Sealer, SwitchKey, ratchet};
use crate::{Bundle, Limits};

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
#[cfg(feature = "testing")]
pub const NULL_PROVIDER: CryptoProvider = CryptoProvider {
    aead: &NullAead,
    ..COINS_PROVIDER
};

/// Replaces this thread's coins.
pub fn set_coins(coins: &[u8]) {
    COINS.set(coins.to_vec());
}

#[cfg(feature = "testing")]
struct NullAead;

#[cfg(feature = "testing")]
impl Aead for NullAead {
    fn key(&self, _: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(Self)
    }
}

#[cfg(feature = "testing")]
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

/// What the key schedule derives from ss_s, by its names in the vectors (spec/protocol.md section 5.2).
///
/// # Errors
/// As the provider's.
pub fn early_secrets(
    provider: &CryptoProvider,
    th0: &[u8; 32],
    th1: &[u8; 32],
    ss_s: [u8; 32],
) -> Result<[(&'static str, [u8; 32]); 4], Error> {
    let shared = Secret::new(ss_s);
    let early = EarlySecrets::derive(provider.kdf, th0, th1, &shared)?;
    Ok([
        ("prk1", *provider.kdf.extract(th0, &shared).expose()),
        ("confirm1", *early.confirm1.expose()),
        ("ts_c2s_0", *early.c2s_early.expose()),
        ("derived", *early.derived.expose()),
    ])
}

/// What the key schedule derives from ss_c, by its names in the vectors (section 5.2).
///
/// # Errors
/// As the provider's.
pub fn late_secrets(
    provider: &CryptoProvider,
    derived: [u8; 32],
    th2: &[u8; 32],
    ss_c: [u8; 32],
) -> Result<[(&'static str, [u8; 32]); 5], Error> {
    let shared = Secret::new(ss_c);
    let late = LateSecrets::derive(provider.kdf, &Secret::new(derived), th2, &shared)?;
    Ok([
        ("prk2", *provider.kdf.extract(&derived, &shared).expose()),
        ("confirm2", *late.confirm2.expose()),
        ("ts_s2c_0", *late.s2c.expose()),
        ("ts_c2s_1", *late.c2s_late.expose()),
        ("exporter", *late.exporter.expose()),
    ])
}

/// Traffic secret, key and IV of an epoch.
pub type Epoch = ([u8; 32], [u8; 32], [u8; 12]);

/// The first `count` epochs of a traffic secret along "next" (section 6.4).
///
/// # Errors
/// As the provider's.
pub fn epochs(
    provider: &CryptoProvider,
    secret: [u8; 32],
    count: usize,
) -> Result<Vec<Epoch>, Error> {
    let mut secret = Secret::new(secret);
    let mut epochs = Vec::new();
    for _ in 0..count {
        let (key, iv) = schedule::epoch_keys(provider.kdf, &secret)?;
        epochs.push((*secret.expose(), *key.expose(), *iv.expose()));
        secret = schedule::next_secret(provider.kdf, &secret)?;
    }
    Ok(epochs)
}

/// The nonce of a sequence number (section 6.1).
#[must_use]
pub fn nonce(iv: [u8; 12], seq: u64) -> [u8; 12] {
    ratchet::nonce(&Secret::new(iv), seq)
}

/// Brings a checker to where the last receipt it took had this index and kind.
pub fn set_last_receipt(checker: &mut ReceiptChecker, index: u32, kind: ReceiptKind) {
    checker.moved_to(index, kind);
}

/// An ML-KEM-768 decapsulation key from its expanded form of 2,400 bytes, as other programs store it.
///
/// # Errors
/// [`CryptoError::Invalid`].
pub fn ml_kem_768_key(expanded: &[u8]) -> Result<Box<dyn DecapsulationKey>, CryptoError> {
    rustcrypto::ml_kem_768_from_expanded(expanded)
}

/// The encapsulation key in a bundle.
#[must_use]
pub fn kem_key(bundle: &Bundle) -> &[u8] {
    bundle.kem_key()
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
