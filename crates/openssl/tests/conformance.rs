//! OpenSSL alone and combined passes the conformance suite, with AWS-LC for everything else.
#![cfg(feature = "openssl")]
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use sealwire::crypto::{Aead, Secret};
use sealwire::{CryptoError, CryptoProvider, rustcrypto};
use sealwire_openssl::ByLength;
use sealwire_provider_test::{NoCoins, run};

fn passes(aead: &'static dyn Aead) {
    let provider = CryptoProvider {
        aead,
        ..sealwire_aws_lc_rs::provider()
    };
    let report = run(&provider, &NoCoins);
    println!("{report}");
    report.assert_passed();
    assert!(report.passed() > 4_000);
}

#[test]
fn openssl_passes_every_check() {
    passes(sealwire_openssl::AEAD);
}

#[test]
fn the_combination_passes_every_check() {
    static AEAD: ByLength = sealwire_openssl::combined(sealwire_aws_lc_rs::AEAD);
    passes(&AEAD);
}

/// So that the suite's messages fall on both sides.
#[test]
fn a_combination_with_a_low_border_passes_every_check() {
    static AEAD: ByLength = ByLength {
        from: 64,
        ..sealwire_openssl::combined(sealwire_aws_lc_rs::AEAD)
    };
    passes(&AEAD);
}

#[test]
fn the_short_one_is_taken_alone_where_openssl_is_not_fast() {
    static AEAD: ByLength = sealwire_openssl::combined(sealwire_aws_lc_rs::AEAD);
    let chosen = std::ptr::from_ref(sealwire_openssl::fastest(&AEAD)).cast::<()>();
    let combined = std::ptr::from_ref(&AEAD).cast::<()>();
    assert_eq!(chosen == combined, sealwire_openssl::is_fast());
}

/// Around blocks of both parts and the width of every kernel, beside the default provider.
#[test]
fn every_length_is_sealed_and_opened_as_by_the_default_provider() {
    let secret = Secret::new([7; 32]);
    let (ours, theirs) = (
        sealwire_openssl::AEAD.key(&secret),
        rustcrypto::provider().aead.key(&secret),
    );
    let text: Vec<u8> = (0..=u8::MAX).cycle().take(20_000).collect();
    let lengths = (0..1_100_usize)
        .chain((1_100..20_000).step_by(509))
        .chain([16_384, 16_388]);
    for len in lengths {
        for (aad, suffix) in [
            (&b""[..], &b""[..]),
            (b"aad.", b"tail"),
            (b"associated data", b"t"),
        ] {
            let nonce = [len.to_le_bytes()[0]; 12];
            let mut expected = [&text[..len], suffix].concat();
            let tag = theirs.seal_in_place(&nonce, aad, &mut expected).unwrap();
            let mut buffer = [&text[..len], suffix].concat();
            let mut out = vec![0; buffer.len()];
            assert_eq!(ours.seal_in_place(&nonce, aad, &mut buffer), Ok(tag));
            assert!(buffer == expected, "{len}");
            let scattered = ours.seal_scatter(&nonce, aad, &text[..len], suffix, &mut out);
            assert_eq!(scattered, Ok(tag));
            assert!(out == expected, "{len}");
            let mut wrong = tag;
            wrong[15] ^= 0x80;
            let refused = ours.open_in_place(&nonce, aad, &mut out, &wrong);
            assert_eq!(refused, Err(CryptoError::Invalid));
            // A refusal leaves nothing behind.
            ours.open_in_place(&nonce, aad, &mut buffer, &tag).unwrap();
            assert!(buffer == [&text[..len], suffix].concat(), "{len}");
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let key = sealwire_openssl::AEAD.key(&Secret::new([7; 32]));
    for out in [6, 8] {
        let sealed = key.seal_scatter(&[0; 12], b"", b"text", b"end", &mut vec![0; out]);
        assert_eq!(sealed, Err(CryptoError::Backend));
    }
}
