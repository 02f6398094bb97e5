//! Keys die when the protocol says so: seen through a provider that counts its live keys. And what types do not allow.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};

use common::*;
use sealwire::client::{self, ClientConfig, ResponseProgress};
use sealwire::crypto::{Aead, AeadKey, DecapsulationKey, Kem, KemKeyPair, Secret};
use sealwire::server::{self, KeyRingConfig};
use sealwire::{CryptoError, CryptoProvider, Half, Limits, Suite, rustcrypto, testing};

static AEAD_KEYS: AtomicIsize = AtomicIsize::new(0);
static KEM_KEYS: AtomicIsize = AtomicIsize::new(0);

/// Counts itself while it lives.
struct Alive(&'static AtomicIsize);

impl Alive {
    fn new(counter: &'static AtomicIsize) -> Self {
        counter.fetch_add(1, SeqCst);
        Self(counter)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

struct CountingAead;

struct CountingKey {
    key: Box<dyn AeadKey>,
    _alive: Alive,
}

impl Aead for CountingAead {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(CountingKey {
            key: rustcrypto::AEAD.key(key),
            _alive: Alive::new(&AEAD_KEYS),
        })
    }
}

impl AeadKey for CountingKey {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        self.key.seal_in_place(nonce, aad, buffer)
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        self.key.open_in_place(nonce, aad, buffer, tag)
    }
}

struct CountingKem;

struct CountingSecret {
    key: Box<dyn DecapsulationKey>,
    _alive: Alive,
}

impl DecapsulationKey for CountingSecret {
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError> {
        self.key.decapsulate(ciphertext)
    }
}

impl Kem for CountingKem {
    fn suite(&self) -> Suite {
        Suite::MlKem768
    }

    fn generate(&self) -> Result<KemKeyPair, CryptoError> {
        let pair = inner().generate()?;
        Ok(KemKeyPair {
            public_key: pair.public_key,
            secret_key: Box::new(CountingSecret {
                key: pair.secret_key,
                _alive: Alive::new(&KEM_KEYS),
            }),
        })
    }

    fn check_public_key(&self, public_key: &[u8]) -> Result<(), CryptoError> {
        inner().check_public_key(public_key)
    }

    fn encapsulate(&self, public_key: &[u8]) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
        inner().encapsulate(public_key)
    }
}

fn inner() -> &'static dyn Kem {
    rustcrypto::provider().kem(Suite::MlKem768).unwrap()
}

fn counting() -> CryptoProvider {
    CryptoProvider {
        aead: &CountingAead,
        kems: &[&CountingKem],
        ..rustcrypto::provider()
    }
}

/// One test, because the counters are shared.
#[test]
fn keys_are_erased_when_the_protocol_says_so() {
    let provider = counting();
    let aead = || AEAD_KEYS.load(SeqCst);
    let kem = || KEM_KEYS.load(SeqCst);

    // A half holds one key, whatever the epoch; it is erased at the end, and at a failure.
    let limits = Limits::default().with_schedule(2, 1 << 48, 32);
    let mut sealer = testing::sealer(&provider, &limits, Half::S2c, [1; 32], true).unwrap();
    let mut opener = testing::opener(&provider, &limits, Half::S2c, [1; 32], None).unwrap();
    let mut broken = testing::opener(&provider, &limits, Half::S2c, [1; 32], None).unwrap();
    assert_eq!(aead(), 3);
    let mut wire = Vec::new();
    for _ in 0..5 {
        sealer.seal_vec(b"x", &mut wire).unwrap();
        sealer.key_update(&mut wire).unwrap();
        assert_eq!(aead(), 3);
    }
    sealer.finish(b"", &mut wire).unwrap();
    assert_eq!(aead(), 2);
    let mut changed = wire.clone();
    changed[9] ^= 1;
    assert!(broken.open(&mut changed).is_err());
    assert_eq!(aead(), 1, "a failed half has no key");
    assert_eq!(open_all(&mut opener, &wire, []).end, Some(End::Final));
    assert_eq!(aead(), 0, "an ended half has no key");

    // The client's ephemeral key dies with H2, with a bad H2, and at the deadline (when the state is dropped).
    let mut ring = ring(&provider);
    let bundle = verify(&provider, ring.bundle(Suite::MlKem768, NOW).unwrap());
    assert_eq!(kem(), 1, "the bundle's key");
    let start = |h1: &mut Vec<u8>| {
        client::start(&provider, &ClientConfig::default(), &bundle, &context(), h1).unwrap()
    };
    let mut h1 = Vec::new();
    let (_sealer, wait) = start(&mut h1);
    assert_eq!(kem(), 2);
    drop(wait);
    assert_eq!(kem(), 1, "dropped at the deadline");
    let (_sealer, wait) = start(&mut Vec::new());
    assert!(
        wait.read(&[1, 0].into_iter().chain([0; 1_120]).collect::<Vec<_>>())
            .is_err()
    );
    assert_eq!(kem(), 1, "erased after a bad H2");
    let mut h1 = Vec::new();
    let (_sealer, wait) = start(&mut h1);
    let mut h2 = Vec::new();
    let request = parse_h1(&h1).unwrap();
    let accepted = accept(&mut ring, request, &mut h2).unwrap();
    let ResponseProgress::Done { .. } = wait.read(&h2).unwrap() else {
        panic!("H2 is whole")
    };
    assert_eq!(kem(), 1, "erased after a good H2");
    drop(accepted);

    // Bundle keys die at their lifetime, single-use keys at acceptance, and all with the ring.
    let later = server::Now {
        unix: NOW.unix,
        monotonic: NOW.monotonic + 1_200,
    };
    ring.erase_expired(later);
    assert_eq!(kem(), 0, "expired");
    let single = ring.single_use_bundle(Suite::MlKem768, later).unwrap();
    assert_eq!(kem(), 1);
    let bundle = verify(&provider, single);
    let mut h1 = Vec::new();
    let (_sealer, wait) = client::start(
        &provider,
        &ClientConfig::default(),
        &bundle,
        &context(),
        &mut h1,
    )
    .unwrap();
    drop(wait);
    let request = parse_h1(&h1).unwrap();
    let accepted = server::accept(
        &mut ring,
        request,
        &context().encode(),
        &Limits::default(),
        later,
        &mut Vec::new(),
    );
    assert!(accepted.is_ok());
    assert_eq!(kem(), 0, "a single-use key is gone at acceptance");
    drop(ring);
    let mut config = KeyRingConfig::default();
    config.filter_capacity = 1;
    let mut ring = ring_with(&provider, config);
    handshake(
        &provider,
        &mut ring,
        Suite::MlKem768,
        &ClientConfig::default(),
    );
    assert_eq!(kem(), 0, "a full filter takes its key along");
}

/// Answers whether a type implements a trait, by method resolution: the inherent method wins where the bound holds.
macro_rules! implements {
    ($type:ty, $trait:path) => {{
        #[allow(
            dead_code,
            reason = "which of the two methods is used depends on the bound"
        )]
        trait No {
            fn answer(&self) -> bool {
                false
            }
        }
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        impl<T: ?Sized> No for Probe<T> {}
        impl<T: ?Sized + $trait> Probe<T> {
            #[allow(dead_code, reason = "as above")]
            fn answer(&self) -> bool {
                true
            }
        }
        Probe::<$type>(std::marker::PhantomData).answer()
    }};
}

#[test]
fn states_with_secrets_are_neither_clone_nor_debug() {
    assert!(
        implements!(Vec<u8>, Clone) && implements!(Vec<u8>, std::fmt::Debug),
        "the probe works"
    );
    macro_rules! none {
        ($($type:ty),+) => {$(
            assert!(!implements!($type, Clone), "{} is Clone", stringify!($type));
            assert!(!implements!($type, std::fmt::Debug), "{} is Debug", stringify!($type));
        )+};
    }
    none!(
        Secret<32>,
        sealwire::Sealer,
        sealwire::Opener,
        sealwire::SwitchKey,
        sealwire::Session,
        sealwire::IdentityKey,
        client::AwaitResponse,
        server::KeyRing,
        server::BundleKey,
        server::Confirmed,
        server::Admitted
    );
}
