//! What the suite finds: providers with one fault each.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{EdwardsPoint, Scalar};
use sealwire::crypto::{
    Aead, AeadKey, Hash, Kdf, Kem, KemKeyPair, Secret, SecureRandom, VerifySignature,
};
use sealwire::{CryptoError, CryptoProvider, Suite, rustcrypto};
use sealwire_provider_test::{NoCoins, run};
use sha2::{Digest, Sha512};

/// Runs the suite and gives (check, failure) of each failure.
fn failures(provider: &CryptoProvider) -> Vec<(&'static str, String)> {
    run(provider, &NoCoins)
        .checks()
        .iter()
        .flat_map(|check| check.failures.iter().map(|why| (check.name, why.clone())))
        .collect()
}

fn assert_fails(provider: &CryptoProvider, checks: &[&str]) {
    let failures = failures(provider);
    for check in checks {
        assert!(
            failures.iter().any(|(name, _)| name == check),
            "{check} passed"
        );
    }
}

fn default() -> CryptoProvider {
    rustcrypto::provider()
}

/// Ed25519 by the equation alone, on points however they are encoded.
struct Lax {
    /// Multiplies the equation by 8.
    cofactor: bool,
    /// Refuses what RFC 8032 says nothing about: A of mixed order.
    torsion_free: bool,
    /// Refuses A and R of small order.
    small_order: bool,
    /// Refuses S >= L and encodings that are not canonical.
    canonical: bool,
}

impl VerifySignature for Lax {
    fn verify(
        &self,
        public_key: &[u8; 32],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), CryptoError> {
        let (r, s) = signature.split_at(32);
        let s: [u8; 32] = s.try_into().unwrap();
        let point = |bytes: &[u8]| -> Result<EdwardsPoint, CryptoError> {
            let point = CompressedEdwardsY(bytes.try_into().unwrap())
                .decompress()
                .ok_or(CryptoError::Invalid)?;
            let refused = (self.small_order && point.is_small_order())
                || (self.canonical && point.compress().as_bytes() != bytes);
            if refused {
                Err(CryptoError::Invalid)
            } else {
                Ok(point)
            }
        };
        let (a, r_point) = (point(public_key)?, point(r)?);
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(public_key)
            .chain_update(message)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        if self.canonical && bool::from(Scalar::from_canonical_bytes(s).is_none()) {
            return Err(CryptoError::Invalid);
        }
        let s = Scalar::from_bytes_mod_order(s);
        let difference = ED25519_BASEPOINT_POINT * s - a * k - r_point;
        let zero = if self.cofactor {
            difference.mul_by_cofactor().is_identity()
        } else {
            difference.is_identity()
        };
        if zero && (!self.torsion_free || a.is_torsion_free()) {
            Ok(())
        } else {
            Err(CryptoError::Invalid)
        }
    }
}

const STRICT: Lax = Lax {
    cofactor: false,
    torsion_free: false,
    small_order: true,
    canonical: true,
};

fn signature_failures(verifier: &'static Lax) -> Vec<String> {
    let mut provider = default();
    provider.verification.signatures = verifier;
    failures(&provider)
        .into_iter()
        .filter(|(check, _)| *check == "signature.strict")
        .map(|(_, why)| why)
        .collect()
}

#[test]
fn each_laxness_of_signatures_is_found() {
    assert_eq!(signature_failures(&STRICT), Vec::<String>::new());

    static SMALL: Lax = Lax {
        small_order: false,
        ..STRICT
    };
    let found = signature_failures(&SMALL);
    let count = |start: &str| found.iter().filter(|why| why.starts_with(start)).count();
    assert_eq!(count("A of small order"), 8);
    assert!(count("R of small order") > 8);
    assert_eq!(found.len(), count("A of small") + count("R of small"));

    static ENCODING: Lax = Lax {
        small_order: false,
        canonical: false,
        ..STRICT
    };
    let found = signature_failures(&ENCODING);
    let count = |start: &str| found.iter().filter(|why| why.starts_with(start)).count();
    assert!(count("S + ") > 10);
    assert_eq!(count("A of small order"), 14, "with other encodings");
    assert!(count("R [") >= 2, "the identity's other encodings");

    static COFACTOR: Lax = Lax {
        cofactor: true,
        ..STRICT
    };
    assert_eq!(signature_failures(&COFACTOR).len(), 14);

    static MIXED: Lax = Lax {
        torsion_free: true,
        ..STRICT
    };
    assert_eq!(signature_failures(&MIXED).len(), 2);
}

/// Takes every tag, and forgets the suffix.
struct Blind(Box<dyn AeadKey>);

impl Aead for Blind {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(Self(rustcrypto::AEAD.key(key)))
    }
}

impl AeadKey for Blind {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        self.0.seal_in_place(nonce, aad, buffer)
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        _: &[u8; 16],
    ) -> Result<(), CryptoError> {
        self.0.seal_in_place(nonce, aad, buffer).map(drop)
    }

    fn seal_scatter(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        _: &[u8],
        out: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        let (head, _) = out
            .split_at_mut_checked(plaintext.len())
            .ok_or(CryptoError::Backend)?;
        head.copy_from_slice(plaintext);
        self.0.seal_in_place(nonce, aad, head)
    }
}

#[test]
fn an_aead_that_checks_nothing_is_found() {
    let blind: &'static Blind =
        Box::leak(Box::new(Blind(rustcrypto::AEAD.key(&Secret::new([0; 32])))));
    let provider = CryptoProvider {
        aead: blind,
        ..default()
    };
    assert_fails(
        &provider,
        &["aead.scatter", "aead.tamper", "aead.wycheproof"],
    );
}

/// No check of keys, the same coins each time.
struct Careless(Suite);

impl Careless {
    fn kem(&self) -> &'static dyn Kem {
        sealwire::testing::set_coins(&[7; 64]);
        sealwire::testing::COINS_PROVIDER.kem(self.0).unwrap()
    }
}

impl Kem for Careless {
    fn suite(&self) -> Suite {
        self.0
    }

    fn generate(&self) -> Result<KemKeyPair, CryptoError> {
        self.kem().generate()
    }

    fn check_public_key(&self, _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }

    fn encapsulate(&self, public_key: &[u8]) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
        self.kem().encapsulate(public_key)
    }
}

#[test]
fn a_careless_kem_is_found() {
    let provider = CryptoProvider {
        kems: &[&Careless(Suite::MlKem768), &Careless(Suite::XWing)],
        ..default()
    };
    assert_fails(
        &provider,
        &[
            "kem.round-trip",
            "kem.lengths",
            "kem.modulus",
            "ml-kem.wycheproof-encaps",
            "x-wing.x25519-zero",
            "x-wing.wycheproof-x25519",
        ],
    );
}

/// No limit of length; the first part alone.
struct Short;

impl Kdf for Short {
    fn extract(&self, salt: &[u8; 32], ikm: &Secret<32>) -> Secret<32> {
        rustcrypto::KDF.extract(salt, ikm)
    }

    fn expand(&self, prk: &Secret<32>, info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        let len = out.len().min(8_160);
        rustcrypto::KDF.expand(prk, &info[..info.len().min(1)], &mut out[..len])
    }
}

impl Hash for Short {
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        default().verification.hash.sha256(&parts[..1])
    }
}

impl SecureRandom for Short {
    fn fill(&self, _: &mut [u8]) -> Result<(), CryptoError> {
        Ok(())
    }
}

#[test]
fn forgotten_parts_lengths_and_randomness_are_found_and_a_panic_is_a_failure() {
    let mut provider = CryptoProvider {
        kdf: &Short,
        random: &Short,
        ..default()
    };
    // Panics when there is no part.
    provider.verification.hash = &Short;
    assert_fails(
        &provider,
        &[
            "hash.parts",
            "kdf.default-provider",
            "kdf.limits",
            "kdf.wycheproof",
            "random.fill",
        ],
    );
    let failures = failures(&provider);
    assert!(
        failures
            .iter()
            .any(|(check, why)| *check == "hash.parts" && why.starts_with("panic: "))
    );
}
