//! SHA-256.

use sha2::{Digest, Sha256};

use super::bytes;
use crate::Subject;
use crate::report::Tally;

pub(super) fn parts(subject: &Subject<'_>, tally: &mut Tally) {
    let hash = subject.provider.verification.hash;
    // FIPS 180-4's examples, as NIST publishes them.
    tally.case(
        "no parts",
        hash.sha256(&[])
            == [
                0xE3, 0xB0, 0xC4, 0x42, 0x98, 0xFC, 0x1C, 0x14, 0x9A, 0xFB, 0xF4, 0xC8, 0x99, 0x6F,
                0xB9, 0x24, 0x27, 0xAE, 0x41, 0xE4, 0x64, 0x9B, 0x93, 0x4C, 0xA4, 0x95, 0x99, 0x1B,
                0x78, 0x52, 0xB8, 0x55,
            ],
    );
    tally.case(
        "a, empty, bc",
        hash.sha256(&[b"a", b"", b"bc"])
            == [
                0xBA, 0x78, 0x16, 0xBF, 0x8F, 0x01, 0xCF, 0xEA, 0x41, 0x41, 0x40, 0xDE, 0x5D, 0xAE,
                0x22, 0x23, 0xB0, 0x03, 0x61, 0xA3, 0x96, 0x17, 0x7A, 0x9C, 0xB4, 0x10, 0xFF, 0x61,
                0xF2, 0x00, 0x15, 0xAD,
            ],
    );
    let message = bytes("hash", 1_000);
    for len in (0..200).chain([511, 512, 1_000]) {
        let message = &message[..len];
        let expected: [u8; 32] = Sha256::digest(message).into();
        let (head, tail) = message.split_at(len / 3);
        let (middle, tail) = tail.split_at(tail.len() / 2);
        tally.case(
            format_args!("{len} bytes"),
            hash.sha256(&[message]) == expected,
        );
        tally.case(
            format_args!("{len} bytes in parts"),
            hash.sha256(&[head, b"", middle, tail, b""]) == expected,
        );
    }
}
