//! What every KEM does.

use std::collections::HashSet;

use sealwire::crypto::{DecapsulationKey, Kem};
use sealwire::{CryptoError, Suite, rustcrypto};

use super::bytes;
use crate::Subject;
use crate::expand::{self, expand};
use crate::report::{Capability, Tally};

/// The provider's KEMs; a suite that it does not implement is skipped.
pub(super) fn kems(subject: &Subject<'_>, tally: &mut Tally) -> Vec<(Suite, &'static dyn Kem)> {
    let mut found = Vec::new();
    for suite in Suite::ALL {
        match subject.provider.kem(suite) {
            Some(kem) => found.push((suite, kem)),
            None => tally.skip(missing(suite)),
        }
    }
    found
}

fn missing(suite: Suite) -> Capability {
    match suite {
        Suite::MlKem768 => Capability::Suite1,
        _ => Capability::Suite2,
    }
}

/// One KEM, or a skip.
pub(super) fn kem(
    subject: &Subject<'_>,
    suite: Suite,
    tally: &mut Tally,
) -> Option<&'static dyn Kem> {
    let kem = subject.provider.kem(suite);
    if kem.is_none() {
        tally.skip(missing(suite));
    }
    kem
}

/// A seed's key in the provider, by either way that it has.
pub(super) fn key_of_seed(
    subject: &Subject<'_>,
    suite: Suite,
    seed: &[u8],
) -> Option<Result<Box<dyn DecapsulationKey>, CryptoError>> {
    if let Some(pair) = subject.coins.key_pair(suite, seed) {
        return Some(pair.map(|pair| pair.secret_key));
    }
    subject
        .coins
        .import(suite, &expand(suite, seed)?.secret_key)
}

pub(super) fn same(key: &dyn DecapsulationKey, ciphertext: &[u8], shared: &[u8; 32]) -> bool {
    key.decapsulate(ciphertext)
        .is_ok_and(|own| own.expose() == shared)
}

/// With itself and with the default provider, in both directions.
pub(super) fn round_trip(subject: &Subject<'_>, tally: &mut Tally) {
    let reference = rustcrypto::provider();
    for (suite, own) in kems(subject, tally) {
        tally.case(
            format_args!("{suite:?} calls itself so"),
            own.suite() == suite,
        );
        let other = reference.kem(suite).expect("it has every suite");
        let (mut keys, mut ciphertexts) = (Vec::new(), Vec::new());
        for round in 0..16 {
            let makers: [(&str, &dyn Kem, &dyn Kem); 3] = [
                ("with itself", own, own),
                ("from the default provider", own, other),
                ("to the default provider", other, own),
            ];
            for (direction, receiver, sender) in makers {
                let what = format_args!("{suite:?} {direction}, round {round}").to_string();
                let Some(pair) = tally.must(&what, receiver.generate()) else {
                    continue;
                };
                tally.case(&what, sender.check_public_key(&pair.public_key).is_ok());
                let encapsulated = sender.encapsulate(&pair.public_key);
                let Some((ciphertext, shared)) = tally.must(&what, encapsulated) else {
                    continue;
                };
                tally.case(
                    &what,
                    pair.public_key.len() == suite.public_key_len()
                        && ciphertext.len() == suite.ciphertext_len()
                        && same(&*pair.secret_key, &ciphertext, shared.expose()),
                );
                keys.push(pair.public_key);
                ciphertexts.push(ciphertext);
            }
        }
        // Each part is fresh, not only the whole: suite 2 ends in X25519.
        type Part = fn(&Vec<u8>) -> Option<&[u8; 32]>;
        let parts: [(&str, Part); 2] = [
            ("first", |bytes| bytes.first_chunk()),
            ("last", |bytes| bytes.last_chunk()),
        ];
        for (what, encodings) in [("keys", &keys), ("ciphertexts", &ciphertexts)] {
            for (name, part) in parts {
                let distinct: HashSet<_> = encodings.iter().filter_map(part).collect();
                tally.case(
                    format_args!("{suite:?}: the {name} 32 bytes of {what} differ"),
                    distinct.len() == encodings.len(),
                );
            }
        }
    }
}

pub(super) fn lengths(subject: &Subject<'_>, tally: &mut Tally) {
    for (suite, kem) in kems(subject, tally) {
        let made = kem
            .generate()
            .and_then(|pair| Ok((kem.encapsulate(&pair.public_key)?, pair)));
        let Some(((ciphertext, _), pair)) = tally.must("a key", made) else {
            continue;
        };
        let len = suite.public_key_len();
        let longer = [&pair.public_key[..], &bytes("more", 1_300)].concat();
        for wrong in [0, 1, 32, len - 32, len - 1, len + 1, len + 32, 2 * len] {
            let key = &longer[..wrong];
            let what = format!("{suite:?}: key of {wrong} bytes");
            tally.refused(&what, kem.check_public_key(key));
            tally.refused(&what, kem.encapsulate(key));
        }
        let len = suite.ciphertext_len();
        let longer = [&ciphertext[..], &bytes("more", 1_300)].concat();
        for wrong in [0, 1, 32, len - 32, len - 1, len + 1, len + 32, 2 * len] {
            tally.refused(
                format_args!("{suite:?}: ciphertext of {wrong} bytes"),
                pair.secret_key.decapsulate(&longer[..wrong]),
            );
        }
    }
}

/// FIPS 203's modulus check (section 7.2): each of 768 numbers of 12 bits is below q.
pub(super) fn modulus(subject: &Subject<'_>, tally: &mut Tally) {
    const Q: u16 = 3_329;
    for (suite, kem) in kems(subject, tally) {
        let Some(pair) = tally.must("a key", kem.generate()) else {
            continue;
        };
        for position in (0..768).step_by(51).chain([1, 255, 256, 766, 767]) {
            for value in [0, Q - 1, Q, Q + 1, 4_095] {
                let key = with_number(&pair.public_key, position, value);
                let what = format!("{suite:?}: number {position} is {value}");
                if value < Q {
                    tally.case(&what, kem.check_public_key(&key).is_ok());
                    tally.case(&what, kem.encapsulate(&key).is_ok());
                } else {
                    tally.refused(&what, kem.check_public_key(&key));
                    tally.refused(&what, kem.encapsulate(&key));
                }
            }
        }
    }
}

fn with_number(public_key: &[u8], position: usize, value: u16) -> Vec<u8> {
    let mut key = public_key.to_vec();
    let at = position / 2 * 3;
    let [low, high] = value.to_le_bytes();
    if position.is_multiple_of(2) {
        key[at] = low;
        key[at + 1] = key[at + 1] & 0xF0 | high;
    } else {
        key[at + 1] = key[at + 1] & 0x0F | low << 4;
        key[at + 2] = low >> 4 | high << 4;
    }
    key
}

/// A ciphertext that nobody made gives a secret all the same: another one, and always the same.
pub(super) fn implicit_rejection(subject: &Subject<'_>, tally: &mut Tally) {
    for (suite, kem) in kems(subject, tally) {
        let made = kem
            .generate()
            .and_then(|pair| Ok((kem.encapsulate(&pair.public_key)?, pair)));
        let Some(((ciphertext, shared), pair)) = tally.must("a key", made) else {
            continue;
        };
        // The first 960 bytes are c1, the next 128 c2; 32 of X25519 follow in suite 2.
        for at in [0, 1, 500, 959, 960, 1_000, 1_087] {
            let mut changed = ciphertext.clone();
            changed[at] ^= 1;
            let what = format!("{suite:?}: byte {at} changed");
            let once = tally.must(&what, pair.secret_key.decapsulate(&changed));
            let twice = tally.must(&what, pair.secret_key.decapsulate(&changed));
            if let (Some(once), Some(twice)) = (once, twice) {
                tally.case(
                    &what,
                    once.expose() == twice.expose() && once.expose() != shared.expose(),
                );
            }
        }
    }
}

/// Keys from seeds against the default provider's crates, with ciphertexts that are good and such that are rejected implicitly.
pub(super) fn known_keys(subject: &Subject<'_>, tally: &mut Tally) {
    for (suite, _) in kems(subject, tally) {
        for number in 0..8 {
            let what = format!("{suite:?}: seed {number}");
            let seed_len = match suite {
                Suite::MlKem768 => 64,
                _ => 32,
            };
            let seed = bytes(&what, seed_len);
            let expanded = expand(suite, &seed).expect("a seed of the suite's length");
            match subject.coins.key_pair(suite, &seed) {
                Some(pair) => tally.case(
                    &what,
                    pair.is_ok_and(|pair| pair.public_key == expanded.public_key),
                ),
                None => tally.skip(Capability::KemCoins),
            }
            let Some(key) = key_of_seed(subject, suite, &seed) else {
                tally.skip(Capability::KemImport);
                continue;
            };
            let Some(key) = tally.must(&what, key) else {
                continue;
            };
            let reference = rustcrypto::provider();
            let encapsulated = reference
                .kem(suite)
                .expect("it has every suite")
                .encapsulate(&expanded.public_key);
            if let Some((ciphertext, shared)) = tally.must(&what, encapsulated) {
                tally.case(&what, same(&*key, &ciphertext, shared.expose()));
                // X-Wing's own secret would need the combiner; suite 1 shows the rejected one as it is.
                if suite == Suite::MlKem768 {
                    let mut changed = ciphertext;
                    changed[number * 100] ^= 0x10;
                    let rejected = expand::ml_kem_decapsulate(&seed, &changed);
                    tally.case(
                        format_args!("{what}, rejected"),
                        rejected.is_some_and(|rejected| same(&*key, &changed, &rejected)),
                    );
                }
            }
        }
    }
}
