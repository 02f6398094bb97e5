//! A relay that does its worst: flips, drops, swaps, splices, reflects, truncates, replays, appends. Every provider.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::*;
use sealwire::client::{ClientConfig, EarlyData, ResponseProgress};
use sealwire::crypto::CryptoProvider;
use sealwire::server::{self, KeyRingConfig};
use sealwire::{
    Bundle, BundlePolicy, Context, Error, HandshakeFault, IdentityTrust, Limits, Opener, Padding,
    PeerMisbehaved, PolicyFault, StreamErrorCode, Suite, client,
};

/// An answer of several frames, as frames, and what opens it.
fn answer(provider: &CryptoProvider) -> (Vec<Vec<u8>>, impl FnMut() -> Opener) {
    let secret = [9; 32];
    let limits = Limits::default();
    let mut sealer =
        sealwire::testing::sealer(provider, &limits, sealwire::Half::S2c, secret, true).unwrap();
    sealer.set_padding(Padding::None);
    let mut frames = Vec::new();
    let mut frame = |seal: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        seal(&mut bytes);
        frames.push(bytes);
    };
    frame(&mut |out| sealer.seal_vec(b"one", out).unwrap());
    frame(&mut |out| sealer.public(b"usage so far", out).unwrap());
    frame(&mut |out| sealer.seal_vec(b"two", out).unwrap());
    frame(&mut |out| sealer.pad(40, out).unwrap());
    frame(&mut |out| sealer.key_update(out).unwrap());
    frame(&mut |out| sealer.seal_vec(b"three", out).unwrap());
    let mut last = Some(sealer);
    frame(&mut |out| last.take().unwrap().finish(b"end", out).unwrap());
    let provider = *provider;
    let opener = move || {
        sealwire::testing::opener(&provider, &limits, sealwire::Half::S2c, secret, None).unwrap()
    };
    (frames, opener)
}

fn boundaries(frames: &[Vec<u8>]) -> Vec<usize> {
    frames
        .iter()
        .scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        })
        .collect()
}

/// What the frames before `byte` released.
fn honest_prefix(frames: &[Vec<u8>], mut opener: Opener, byte: usize) -> Released {
    let whole = boundaries(frames)
        .into_iter()
        .filter(|end| *end <= byte)
        .max()
        .unwrap_or(0);
    let mut released = open_all(&mut opener, &frames.concat()[..whole], []);
    released.error = None;
    released
}

#[test]
fn any_flipped_bit_is_an_error_and_releases_nothing_after_it() {
    for provider in providers() {
        let (frames, mut opener) = answer(&provider);
        let wire = frames.concat();
        for byte in 0..wire.len() {
            for bit in [0x01, 0x10, 0x80] {
                let mut changed = wire.clone();
                changed[byte] ^= bit;
                let mut receiver = opener();
                let mut got = open_all(&mut receiver, &changed, []);
                let error = got
                    .error
                    .take()
                    .unwrap_or_else(|| panic!("bit {bit} of byte {byte} passed"));
                assert_eq!(got, honest_prefix(&frames, opener(), byte), "byte {byte}");
                assert_eq!(
                    receiver.open(&mut wire.clone()).unwrap_err(),
                    error,
                    "sticky"
                );
                assert_eq!(receiver.open(&mut []).unwrap_err(), error, "sticky");
                assert_eq!(receiver.end_of_input().unwrap_err(), error, "sticky");
            }
        }
    }
}

#[test]
fn truncation_at_every_byte_is_truncated() {
    for provider in providers() {
        let (frames, mut opener) = answer(&provider);
        let wire = frames.concat();
        for cut in 0..wire.len() {
            let got = open_all(&mut opener(), &wire[..cut], []);
            assert_eq!(got.error, Some(Error::Truncated), "cut at {cut}");
            assert_eq!(got.end, None);
        }
    }
}

#[test]
fn dropped_doubled_and_swapped_frames_do_not_open() {
    for provider in providers() {
        let (frames, mut opener) = answer(&provider);
        for index in 0..frames.len() - 1 {
            let mut dropped = frames.clone();
            dropped.remove(index);
            let mut doubled = frames.clone();
            doubled.insert(index, frames[index].clone());
            let mut swapped = frames.clone();
            swapped.swap(index, index + 1);
            for (what, wire) in [
                ("dropped", dropped),
                ("doubled", doubled),
                ("swapped", swapped),
            ] {
                let got = open_all(&mut opener(), &wire.concat(), []);
                assert_eq!(got.error, Some(Error::Decrypt), "{what} {index}");
                assert_eq!(got.end, None, "{what} {index}");
            }
        }
    }
}

#[test]
fn a_dropped_last_frame_is_truncated() {
    for provider in providers() {
        let (frames, mut opener) = answer(&provider);
        let got = open_all(&mut opener(), &frames[..frames.len() - 1].concat(), []);
        assert_eq!(got.error, Some(Error::Truncated));
        assert_eq!(got.data, b"onetwothree");
    }
}

#[test]
fn bytes_after_the_end_are_reported_after_the_end_is_released() {
    for provider in providers() {
        let (frames, mut opener) = answer(&provider);
        let mut wire = frames.concat();
        let whole = wire.len();
        wire.push(0);
        for chunks in [vec![], vec![whole], vec![1; whole + 1]] {
            let got = open_all(&mut opener(), &wire, chunks);
            assert_eq!(
                got.error,
                Some(Error::PeerMisbehaved(PeerMisbehaved::TrailingData))
            );
            assert_eq!(got.end, Some(End::Final));
            assert_eq!(got.data, b"onetwothreeend");
        }
    }
}

#[test]
fn frames_of_one_stream_do_not_open_in_another_or_in_the_other_half() {
    for provider in providers() {
        for suite in Suite::ALL {
            let mut ring = ring(&provider);
            let config = ClientConfig::default();
            let mut one = handshake(&provider, &mut ring, suite, &config);
            let mut two = handshake(&provider, &mut ring, suite, &config);
            let (mut question, mut answer) = (Vec::new(), Vec::new());
            one.client_sealer
                .seal_vec(b"question", &mut question)
                .unwrap();
            one.server.sealer.seal_vec(b"answer", &mut answer).unwrap();
            // Spliced into the other stream.
            assert_eq!(
                two.server.opener.open(&mut question.clone()).unwrap_err(),
                Error::Decrypt
            );
            assert_eq!(
                two.client.opener.open(&mut answer.clone()).unwrap_err(),
                Error::Decrypt
            );
            // Reflected.
            assert_eq!(
                one.client.opener.open(&mut question).unwrap_err(),
                Error::Decrypt
            );
            assert_eq!(
                one.server.opener.open(&mut answer).unwrap_err(),
                Error::Decrypt
            );
        }
    }
}

#[test]
fn a_public_frame_cannot_be_changed_dropped_or_moved() {
    for provider in providers() {
        let (frames, mut opener) = answer(&provider);
        let mut changed = frames.clone();
        changed[1][6] ^= 1;
        let got = open_all(&mut opener(), &changed.concat(), []);
        assert_eq!(
            (got.error, got.public.len(), got.data.as_slice()),
            (Some(Error::Decrypt), 0, &b"one"[..])
        );
        // Plaintext with a made-up tag, put in by a relay.
        let mut injected = frames.clone();
        injected.insert(1, [&[0x02, 0, 0, 20][..], b"fake", &[0; 16]].concat());
        let got = open_all(&mut opener(), &injected.concat(), []);
        assert_eq!((got.error, got.public.len()), (Some(Error::Decrypt), 0));
    }
}

#[test]
fn plaintext_from_a_relay_is_never_data() {
    for provider in providers() {
        let (frames, mut opener) = answer(&provider);
        for injected in [
            &b"data: {\"choices\":[]}\n\n"[..],
            b"data: [DONE]\n\n",
            b"HTTP/1.1 500 oops\r\n\r\n",
            b"{\"error\":{}}",
            b"<html>",
        ] {
            for at in [0, 3] {
                let wire = [&frames[..at].concat(), injected, &frames[at..].concat()].concat();
                let got = open_all(&mut opener(), &wire, []);
                assert_eq!(
                    got.error,
                    Some(Error::PeerMisbehaved(PeerMisbehaved::FrameType)),
                    "{injected:?}"
                );
                assert_eq!(got.end, None);
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_h1_is_refused_and_leaves_no_trace() {
    for provider in providers() {
        for suite in Suite::ALL {
            let mut ring = ring(&provider);
            let bundle = verify(&provider, ring.bundle(suite, NOW).unwrap());
            let h1 = h1_for(&provider, &bundle);
            let mut out = Vec::new();
            for byte in (0..h1.len())
                .step_by(if suite == Suite::MlKem768 { 31 } else { 97 })
                .chain(0..23)
            {
                let mut changed = h1.clone();
                changed[byte] ^= 0x04;
                let error = parse_h1(&changed)
                    .and_then(|request| accept(&mut ring, request, &mut out))
                    .err()
                    .unwrap_or_else(|| panic!("byte {byte} passed"));
                let code = error.relay_code().as_str();
                let expected = if (6..22).contains(&byte) {
                    "key-unknown"
                } else {
                    "refused"
                };
                assert_eq!(code, expected, "byte {byte}: {error}");
                assert!(out.is_empty());
            }
            // The honest one still goes through: nothing unconfirmed entered the filter.
            let request = parse_h1(&h1).unwrap();
            assert!(accept(&mut ring, request, &mut out).is_ok());
        }
    }
}

#[test]
fn every_flipped_bit_of_h2_fails_with_one_code() {
    for provider in providers() {
        for suite in Suite::ALL {
            let mut ring = ring(&provider);
            let bundle = verify(&provider, ring.bundle(suite, NOW).unwrap());
            let step = if suite == Suite::MlKem768 { 53 } else { 211 };
            for byte in (2..1_122).step_by(step) {
                let (mut h1, mut h2) = (Vec::new(), Vec::new());
                let (_, wait) = client::start(
                    &provider,
                    &ClientConfig::default(),
                    &bundle,
                    &context(),
                    &mut h1,
                )
                .unwrap();
                let request = parse_h1(&h1).unwrap();
                let _ = accept(&mut ring, request, &mut h2).unwrap();
                h2[byte] ^= 0x20;
                assert_eq!(
                    wait.read(&h2).err(),
                    Some(Error::Handshake(HandshakeFault::Confirm)),
                    "byte {byte}"
                );
            }
        }
    }
}

#[test]
fn another_context_beside_h1_is_refused() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let bundle = verify(&provider, ring.bundle(Suite::MlKem768, NOW).unwrap());
        let h1 = h1_for(&provider, &bundle);
        let others = [
            (
                Context::new(LABEL, [7; 16], 2)
                    .unwrap()
                    .with_billing(b"acct-1")
                    .unwrap(),
                "confirm-failed",
            ),
            (
                Context::new(LABEL, [8; 16], 1)
                    .unwrap()
                    .with_billing(b"acct-1")
                    .unwrap(),
                "confirm-failed",
            ),
            (
                Context::new(LABEL, [7; 16], 1)
                    .unwrap()
                    .with_billing(b"acct-2")
                    .unwrap(),
                "confirm-failed",
            ),
            (Context::new(LABEL, [7; 16], 1).unwrap(), "confirm-failed"),
            (Context::new("other", [7; 16], 1).unwrap(), "label-mismatch"),
        ];
        for (other, code) in others {
            let request = parse_h1(&h1).unwrap();
            let error = server::accept(
                &mut ring,
                request,
                &other.encode(),
                &Limits::default(),
                NOW,
                &mut Vec::new(),
            )
            .err()
            .unwrap();
            assert_eq!(error.code(), code);
            assert_eq!(error.relay_code().as_str(), "refused");
        }
    }
}

#[test]
fn a_replayed_h1_is_accepted_once() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let ends = handshake(
            &provider,
            &mut ring,
            Suite::MlKem768,
            &ClientConfig::default(),
        );
        for _ in 0..2 {
            let request = parse_h1(&ends.h1).unwrap();
            let error = accept(&mut ring, request, &mut Vec::new()).err().unwrap();
            assert_eq!(error, Error::Handshake(HandshakeFault::Replayed));
            assert_eq!(error.relay_code().as_str(), "replayed");
        }
    }
}

#[test]
fn of_two_racing_handshakes_under_a_single_use_key_one_wins() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let bundle = verify(
            &provider,
            ring.single_use_bundle(Suite::MlKem768, NOW).unwrap(),
        );
        let confirmed: Vec<_> = (0..2)
            .map(|_| {
                let h1 = h1_for(&provider, &bundle);
                let request = parse_h1(&h1).unwrap();
                let key = ring.key(&request.bundle_id(), NOW).unwrap();
                server::decapsulate(&provider, request, key, &context().encode()).unwrap()
            })
            .collect();
        let results: Vec<_> = confirmed
            .into_iter()
            .map(|one| one.admit(&mut ring, NOW).err())
            .collect();
        assert_eq!(
            results,
            [None, Some(Error::Handshake(HandshakeFault::Replayed))]
        );
    }
}

#[test]
fn a_spent_single_use_key_is_unknown() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let bundle = verify(
            &provider,
            ring.single_use_bundle(Suite::MlKem768, NOW).unwrap(),
        );
        let h1 = h1_for(&provider, &bundle);
        let mut accept = || {
            let request = parse_h1(&h1).unwrap();
            accept(&mut ring, request, &mut Vec::new()).err()
        };
        assert_eq!(accept(), None);
        assert_eq!(accept(), Some(Error::Handshake(HandshakeFault::KeyUnknown)));
    }
}

#[test]
fn a_full_filter_erases_its_key_at_once() {
    for provider in providers() {
        let mut config = KeyRingConfig::default();
        config.filter_capacity = 2;
        let mut ring = ring_with(&provider, config);
        let first = ring.bundle(Suite::MlKem768, NOW).unwrap();
        for _ in 0..2 {
            handshake(
                &provider,
                &mut ring,
                Suite::MlKem768,
                &ClientConfig::default(),
            );
        }
        assert!(ring.key(&first.id(), NOW).is_none());
        assert_ne!(ring.bundle(Suite::MlKem768, NOW).unwrap().id(), first.id());
    }
}

#[test]
fn a_relay_cannot_swap_the_bundle() {
    for provider in providers() {
        let mut honest = ring(&provider);
        let mut relay = ring(&provider);
        let pinned = IdentityTrust::pinned(&[honest.identity().public_key()]);
        let policy = BundlePolicy::new(LABEL, pinned);
        let swapped = relay.bundle(Suite::MlKem768, NOW).unwrap();
        assert_eq!(
            swapped.verify(&provider, &policy, NOW.unix).err(),
            Some(Error::Policy(PolicyFault::Identity))
        );
        // The relay's KEM key under the honest identity's signature.
        let honest_bundle = honest.bundle(Suite::MlKem768, NOW).unwrap();
        let mut forged = honest_bundle.as_bytes().to_vec();
        let relay_bytes = relay
            .bundle(Suite::MlKem768, NOW)
            .unwrap()
            .as_bytes()
            .to_vec();
        forged[40..1_000].copy_from_slice(&relay_bytes[40..1_000]);
        assert_eq!(
            Bundle::parse(&provider.verification, &forged)
                .unwrap_err()
                .code(),
            "bundle-signature"
        );
    }
}

#[test]
fn a_client_never_falls_back() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let trust = IdentityTrust::pinned(&[ring.identity().public_key()]);
        let offered = ring.bundle(Suite::MlKem768, NOW).unwrap();
        let only_xwing = BundlePolicy::new(LABEL, trust.clone()).suites(&[Suite::XWing]);
        assert_eq!(
            offered
                .clone()
                .verify(&provider, &only_xwing, NOW.unix)
                .err(),
            Some(Error::Policy(PolicyFault::Suite))
        );
        let single_use = BundlePolicy::new(LABEL, trust.clone()).require_single_use(true);
        assert_eq!(
            offered
                .clone()
                .verify(&provider, &single_use, NOW.unix)
                .err(),
            Some(Error::Policy(PolicyFault::SingleUse))
        );
        let other_label = BundlePolicy::new("other", trust.clone());
        assert_eq!(
            offered
                .clone()
                .verify(&provider, &other_label, NOW.unix)
                .err(),
            Some(Error::Policy(PolicyFault::Label))
        );
        let late = NOW.unix + 1_200 + 121;
        let error = offered
            .verify(&provider, &BundlePolicy::new(LABEL, trust), late)
            .err()
            .unwrap();
        assert_eq!(error.code(), "clock-skew");
    }
}

#[test]
fn a_client_refuses_a_context_for_another_label() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let bundle = verify(&provider, ring.bundle(Suite::MlKem768, NOW).unwrap());
        let other = Context::new("other", [1; 16], 1).unwrap();
        let mut h1 = Vec::new();
        let error = client::start(
            &provider,
            &ClientConfig::default(),
            &bundle,
            &other,
            &mut h1,
        )
        .err()
        .unwrap();
        assert_eq!(error, Error::Policy(PolicyFault::Label));
        assert!(h1.is_empty());
    }
}

#[test]
fn never_means_that_nothing_is_sealed_before_h2() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let bundle = verify(&provider, ring.bundle(Suite::MlKem768, NOW).unwrap());
        let config = ClientConfig {
            early_data: EarlyData::Never,
            ..ClientConfig::default()
        };
        let (mut h1, mut h2, mut c2s) = (Vec::new(), Vec::new(), Vec::new());
        let (mut sealer, wait) =
            client::start(&provider, &config, &bundle, &context(), &mut h1).unwrap();
        assert!(!sealer.may_seal());
        assert_eq!(
            sealer.seal_vec(b"secret", &mut c2s).unwrap_err().code(),
            "api-misuse"
        );
        assert_eq!(sealer.pad(10, &mut c2s).unwrap_err().code(), "api-misuse");
        assert!(c2s.is_empty());
        let request = parse_h1(&h1).unwrap();
        let mut server = accept(&mut ring, request, &mut h2).unwrap();
        let ResponseProgress::Done { connected, .. } = wait.read(&h2).unwrap() else {
            panic!("H2 is whole")
        };
        sealer.switch(connected.switch_key, &mut c2s).unwrap();
        sealer.finish(b"secret", &mut c2s).unwrap();
        let got = open_all(&mut server.opener, &c2s, []);
        assert_eq!((got.data.as_slice(), got.error), (&b"secret"[..], None));
    }
}

#[test]
fn misuse_changes_nothing() {
    for provider in providers() {
        let (mut sealer, mut opener) = {
            let limits = Limits::default();
            let make =
                sealwire::testing::sealer(&provider, &limits, sealwire::Half::S2c, [3; 32], true)
                    .unwrap();
            (
                make,
                sealwire::testing::opener(&provider, &limits, sealwire::Half::S2c, [3; 32], None)
                    .unwrap(),
            )
        };
        let mut wire = Vec::new();
        assert!(sealer.seal(&[0; 16_385], &mut [0; 20_000]).is_err());
        assert_eq!(
            sealer.seal(b"x", &mut [0; 10]).unwrap_err(),
            Error::BufferTooSmall { needed: 88 }
        );
        assert!(sealer.public(&[], &mut wire).is_err());
        assert!(sealer.public(&[0; 513], &mut wire).is_err());
        assert!(
            sealer
                .switch(sealwire::testing::switch_key([1; 32]), &mut wire)
                .is_err()
        );
        sealer.key_update(&mut wire).unwrap();
        let before = wire.len();
        assert!(sealer.key_update(&mut wire).is_err());
        assert_eq!(wire.len(), before);
        sealer.finish(b"whole", &mut wire).unwrap();
        let got = open_all(&mut opener, &wire, []);
        assert_eq!(
            (got.data.as_slice(), got.end, got.error),
            (&b"whole"[..], Some(End::Final), None)
        );
    }
}

#[test]
fn an_error_frame_ends_a_half_cleanly() {
    for provider in providers() {
        let limits = Limits::default();
        let sealer =
            sealwire::testing::sealer(&provider, &limits, sealwire::Half::S2c, [3; 32], true)
                .unwrap();
        let mut opener =
            sealwire::testing::opener(&provider, &limits, sealwire::Half::S2c, [3; 32], None)
                .unwrap();
        let mut wire = Vec::new();
        sealer
            .fail(StreamErrorCode::Cancelled, "enough", &mut wire)
            .unwrap();
        let got = open_all(&mut opener, &wire, []);
        assert_eq!(
            got.end,
            Some(End::Error(StreamErrorCode::Cancelled, "enough".into()))
        );
        assert_eq!(got.error, None);
    }
}

#[test]
fn a_message_must_be_exactly_one_frame() {
    let provider = sealwire::rustcrypto::provider();
    let (frames, mut opener) = answer(&provider);
    let fault = Error::PeerMisbehaved(PeerMisbehaved::FrameLength);
    let mut whole = opener();
    assert!(
        whole
            .open_message(&mut frames[0].clone())
            .unwrap()
            .is_some()
    );
    let two = [frames[0].clone(), frames[1].clone()].concat();
    for bad in [
        two,
        frames[0][..frames[0].len() - 1].to_vec(),
        vec![1, 0, 0],
        vec![],
    ] {
        assert_eq!(
            opener().open_message(&mut bad.clone()).unwrap_err(),
            fault,
            "{} bytes",
            bad.len()
        );
    }
}

#[test]
fn keys_rotate_with_one_overlap_and_die_in_time() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let at = |seconds: u64| server::Now {
            unix: NOW.unix + seconds,
            monotonic: NOW.monotonic + seconds,
        };
        let first = ring.bundle(Suite::MlKem768, at(0)).unwrap();
        assert_eq!(ring.bundle(Suite::MlKem768, at(599)).unwrap(), first);
        let second = ring.bundle(Suite::MlKem768, at(600)).unwrap();
        assert_ne!(second.id(), first.id());
        assert!(ring.key(&first.id(), at(1_199)).is_some());
        assert!(ring.key(&first.id(), at(1_200)).is_none());
        assert!(ring.key(&second.id(), at(1_200)).is_some());
        assert_eq!(first.window(), (NOW.unix, NOW.unix + 1_200));
        let single = ring.single_use_bundle(Suite::XWing, at(1_300)).unwrap();
        assert!(single.is_single_use());
        assert!(ring.key(&single.id(), at(2_500)).is_none());
    }
}

#[test]
fn a_stepping_wall_clock_does_not_age_keys() {
    for provider in providers() {
        let mut ring = ring(&provider);
        let first = ring.bundle(Suite::MlKem768, NOW).unwrap();
        let stepped = server::Now {
            unix: NOW.unix + 1_000_000,
            monotonic: NOW.monotonic + 1,
        };
        assert!(ring.key(&first.id(), stepped).is_some());
    }
}

#[test]
fn single_use_bundles_are_bounded() {
    for provider in providers() {
        let mut config = KeyRingConfig::default();
        config.single_use_capacity = 2;
        let mut ring = ring_with(&provider, config);
        ring.single_use_bundle(Suite::MlKem768, NOW).unwrap();
        ring.single_use_bundle(Suite::MlKem768, NOW).unwrap();
        assert_eq!(
            ring.single_use_bundle(Suite::MlKem768, NOW)
                .unwrap_err()
                .code(),
            "busy"
        );
    }
}

#[test]
fn a_sender_stops_before_an_empty_flood() {
    for provider in providers() {
        let limits = Limits::default();
        let half = sealwire::Half::S2c;
        let mut sealer =
            sealwire::testing::sealer(&provider, &limits, half, [3; 32], true).unwrap();
        let mut opener =
            sealwire::testing::opener(&provider, &limits, half, [3; 32], None).unwrap();
        sealer.set_padding(Padding::None);
        let mut wire = Vec::new();
        for _ in 0..32 {
            sealer.pad(0, &mut wire).unwrap();
        }
        let whole = wire.len();
        assert_eq!(sealer.pad(0, &mut wire).unwrap_err().code(), "api-misuse");
        assert_eq!(
            sealer.seal(b"", &mut [0; 24]).unwrap_err().code(),
            "api-misuse"
        );
        assert_eq!(wire.len(), whole);
        sealer.pad(1, &mut wire).unwrap();
        sealer.pad(0, &mut wire).unwrap();
        sealer.finish(b"end", &mut wire).unwrap();
        let got = open_all(&mut opener, &wire, []);
        assert_eq!((got.data.as_slice(), got.error), (&b"end"[..], None));
    }
}
