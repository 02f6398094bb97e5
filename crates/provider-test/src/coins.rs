//! What a backend takes from outside, for known answers.

use sealwire::crypto::{DecapsulationKey, KemKeyPair, Secret};
use sealwire::{CryptoError, Suite};

/// A ciphertext and its shared secret.
pub type Encapsulated = (Vec<u8>, Secret<32>);

/// What a provider can do with coins and keys that are given to it, in tests. `None` says that it cannot.
///
/// Coins are those of spec/protocol.md section 2.4, always of the length that stands there.
pub trait Coins {
    /// The key pair of a seed: d | z for suite 1, the seed for suite 2.
    fn key_pair(&self, suite: Suite, seed: &[u8]) -> Option<Result<KemKeyPair, CryptoError>> {
        let _ = (suite, seed);
        None
    }

    /// Encapsulates with m for suite 1, eseed for suite 2.
    fn encapsulate(
        &self,
        suite: Suite,
        public_key: &[u8],
        coins: &[u8],
    ) -> Option<Result<Encapsulated, CryptoError>> {
        let _ = (suite, public_key, coins);
        None
    }

    /// The decapsulation key of an expanded one: the 2,400 bytes of FIPS 203 (dk_PKE | ek | H(ek) | z), for suite 2
    /// followed by the X25519 private key. Some cases have another length.
    fn import(
        &self,
        suite: Suite,
        expanded: &[u8],
    ) -> Option<Result<Box<dyn DecapsulationKey>, CryptoError>> {
        let _ = (suite, expanded);
        None
    }
}

/// Takes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCoins;

impl Coins for NoCoins {}
