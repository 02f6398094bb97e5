//! The default provider.
#![allow(missing_docs, reason = "tests")]

use sealwire::crypto::{Kem, KemKeyPair, Secret};
use sealwire::testing::{COINS_PROVIDER, set_coins};
use sealwire::{CryptoError, CryptoProvider, Suite, rustcrypto};
use sealwire_provider_test::{Capability, Coins, NoCoins, run};

/// The same KEMs over a queue of coins.
struct Queue;

fn with_coins(suite: Suite, coins: &[u8]) -> &'static dyn Kem {
    set_coins(coins);
    COINS_PROVIDER.kem(suite).expect("it has every suite")
}

impl Coins for Queue {
    fn key_pair(&self, suite: Suite, seed: &[u8]) -> Option<Result<KemKeyPair, CryptoError>> {
        Some(with_coins(suite, seed).generate())
    }

    fn encapsulate(
        &self,
        suite: Suite,
        public_key: &[u8],
        coins: &[u8],
    ) -> Option<Result<(Vec<u8>, Secret<32>), CryptoError>> {
        Some(with_coins(suite, coins).encapsulate(public_key))
    }
}

#[test]
fn the_default_provider_passes_every_check() {
    let report = run(&rustcrypto::provider(), &Queue);
    println!("{report}");
    report.assert_passed();
    assert_eq!(report.skipped(Capability::KemCoins), 0);
    assert!(report.passed() > 5_000);
}

#[test]
fn what_a_provider_lacks_is_skipped_by_name() {
    let suite_1 = CryptoProvider {
        kems: &rustcrypto::provider().kems[..1],
        ..rustcrypto::provider()
    };
    let report = run(&suite_1, &NoCoins);
    report.assert_passed();
    assert!(report.skipped(Capability::Suite2) > 5);
    assert!(report.skipped(Capability::KemCoins) > 200);
    assert!(report.skipped(Capability::KemImport) > 100);
}
