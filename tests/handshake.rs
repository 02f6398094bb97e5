//! The handshake, both roles, both suites, every provider.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use sealwire::client::ClientConfig;
use sealwire::{Padding, Suite};

#[test]
fn request_and_response_cross_in_both_suites() {
    for provider in providers() {
        for suite in Suite::ALL {
            let mut ring = ring(&provider);
            let mut ends = handshake(&provider, &mut ring, suite, &ClientConfig::default());
            let mut c2s = Vec::new();
            ends.client_sealer.seal_vec(b"early", &mut c2s).unwrap();
            ends.client_sealer
                .switch(ends.client.switch_key, &mut c2s)
                .unwrap();
            ends.client_sealer
                .seal_vec(&[b'x'; 50_000], &mut c2s)
                .unwrap();
            ends.client_sealer.finish(b"end", &mut c2s).unwrap();
            let got = open_all(&mut ends.server.opener, &c2s, []);
            assert_eq!(got.error, None);
            assert_eq!(got.end, Some(End::Final));
            assert_eq!(got.data.len(), 5 + 50_000 + 3);
            assert!(got.data.starts_with(b"earlyxx") && got.data.ends_with(b"xend"));

            let mut s2c = Vec::new();
            ends.server.sealer.set_padding(Padding::None);
            ends.server.sealer.seal_vec(b"answer", &mut s2c).unwrap();
            ends.server.sealer.finish(b"", &mut s2c).unwrap();
            assert_eq!(s2c.len(), 24 + 6 + 24);
            let got = open_all(&mut ends.client.opener, &s2c, []);
            assert_eq!(
                (got.data.as_slice(), got.end, got.error),
                (&b"answer"[..], Some(End::Final), None)
            );
        }
    }
}

#[test]
fn two_handshakes_share_nothing() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let config = ClientConfig::default();
        let one = handshake(&provider, &mut ring, Suite::MlKem768, &config);
        let two = handshake(&provider, &mut ring, Suite::MlKem768, &config);
        // The same bundle, then a fresh ciphertext and a fresh client key.
        assert_eq!(one.h1[..22], two.h1[..22]);
        assert_ne!(one.h1[22..1_110], two.h1[22..1_110]);
        assert_ne!(one.h1[1_110..2_294], two.h1[1_110..2_294]);
        assert_ne!(one.h2[2..1_090], two.h2[2..1_090]);
        assert_ne!(one.client.session.th2(), two.client.session.th2());
    }
}

#[test]
fn an_epoch_of_the_wire_ends_after_65536_frames() {
    let limits = sealwire::Limits::default();
    let half = sealwire::Half::S2c;
    // With the same secret, epochs of 65,536 and 65,535 frames differ in the one frame between their ends: numbers go on, and both come to the same next secret.
    let make = |epoch| {
        let provider = sealwire::rustcrypto::provider();
        let limits = limits.with_schedule(epoch, 1 << 48, 32);
        sealwire::testing::sealer(&provider, &limits, half, [1; 32], true).unwrap()
    };
    let mut wire = sealwire::testing::sealer(
        &sealwire::rustcrypto::provider(),
        &limits,
        half,
        [1; 32],
        true,
    )
    .unwrap();
    let (mut right, mut short) = (make(65_536), make(65_535));
    for number in 0..65_540_u32 {
        let (mut a, mut b, mut c) = ([0; 88], [0; 88], [0; 88]);
        wire.seal(b"x", &mut a).unwrap();
        right.seal(b"x", &mut b).unwrap();
        short.seal(b"x", &mut c).unwrap();
        assert_eq!(a, b, "frame {number}");
        assert_eq!(a == c, number != 65_535, "frame {number}");
    }
}

#[test]
fn interim_receipts_round_up_and_final_ones_are_exact() {
    use sealwire::receipt::{ReceiptChecker, ReceiptClaim, ReceiptIssuer, ReceiptKind, Usage};

    for provider in providers() {
        let mut ring = ring(&provider);
        let ends = handshake(
            &provider,
            &mut ring,
            Suite::MlKem768,
            &ClientConfig::default(),
        );
        let claim = |out| ReceiptClaim {
            request_complete: true,
            status: 200,
            usage: Some(Usage {
                tokens_in: 1,
                tokens_out: out,
                tokens_cached: 256,
            }),
            time: 1_800_000_000,
        };
        let mut issuer = ReceiptIssuer::new();
        let bodies = [
            issuer.interim(&ends.server.session, ring.identity(), &claim(0)),
            issuer.interim(&ends.server.session, ring.identity(), &claim(257)),
            issuer.last(&ends.server.session, ring.identity(), &claim(300)),
        ];
        let mut checker = ReceiptChecker::for_session(&ends.client.session);
        let seen: Vec<_> = bodies
            .iter()
            .map(|body| checker.check(&provider.verification, body).unwrap())
            .map(|receipt| {
                (
                    receipt.kind,
                    receipt.index,
                    receipt.usage.tokens_in,
                    receipt.usage.tokens_out,
                    receipt.usage.tokens_cached,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (ReceiptKind::Interim, 0, 256, 0, 256),
                (ReceiptKind::Interim, 1, 256, 512, 256),
                (ReceiptKind::Final, 2, 1, 300, 256),
            ]
        );
    }
}
