//! Properties: fragmentation does not show, what goes in comes out, one change of the wire is one error.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::{Error, Half, Limits, Padding, StreamErrorCode, testing};

#[derive(Clone, Debug)]
enum Op {
    Data(Vec<u8>),
    Pad(usize),
    Public(Vec<u8>),
    KeyUpdate,
    Padding(Padding),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let padding = prop_oneof![
        Just(Padding::None),
        Just(Padding::Buckets),
        Just(Padding::Padme),
        (2_usize..400).prop_map(|n| Padding::fixed(n).unwrap()),
    ];
    let op = prop_oneof![
        4 => vec(any::<u8>(), 0..600).prop_map(Op::Data),
        1 => (0_usize..300).prop_map(Op::Pad),
        1 => vec(any::<u8>(), 1..100).prop_map(Op::Public),
        1 => Just(Op::KeyUpdate),
        1 => padding.prop_map(Op::Padding),
    ];
    vec(op, 0..12)
}

/// Short epochs, so that every run crosses several.
fn limits() -> Limits {
    Limits::default().with_schedule(3, 1 << 48, 32)
}

fn seal(ops: &[Op], end: &End, last: &[u8]) -> (Vec<u8>, Released) {
    let provider = testing::COINS_PROVIDER;
    let mut sealer = testing::sealer(&provider, &limits(), Half::S2c, [5; 32], true).unwrap();
    let (mut wire, mut expect) = (Vec::new(), Released::default());
    for op in ops {
        match op {
            Op::Data(content) => {
                sealer.seal_vec(content, &mut wire).unwrap();
                expect.data.extend_from_slice(content);
            }
            Op::Pad(len) => sealer.pad(*len, &mut wire).unwrap(),
            Op::Public(body) => {
                sealer.public(body, &mut wire).unwrap();
                expect.public.push(body.clone());
            }
            // Refused without content since the last one; that changes nothing.
            Op::KeyUpdate => drop(sealer.key_update(&mut wire)),
            Op::Padding(padding) => sealer.set_padding(*padding),
        }
    }
    match end {
        End::Final => {
            sealer.finish(last, &mut wire).unwrap();
            expect.data.extend_from_slice(last);
            expect.end = Some(End::Final);
        }
        End::Error(code, message) => {
            sealer.set_padding(Padding::None);
            sealer.fail(*code, message, &mut wire).unwrap();
            expect.end = Some(end.clone());
        }
    }
    (wire, expect)
}

fn open(wire: &[u8], chunks: Vec<usize>) -> Released {
    let provider = testing::COINS_PROVIDER;
    let mut opener = testing::opener(&provider, &limits(), Half::S2c, [5; 32], None).unwrap();
    open_all(&mut opener, wire, chunks)
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => Just(End::Final),
        1 => "[a-zäß ]{0,40}".prop_map(|text| End::Error(StreamErrorCode::Upstream, text)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_opens_whatever_the_fragmentation(
        ops in ops(),
        end in ends(),
        last in vec(any::<u8>(), 0..500),
        chunks in vec(1_usize..200, 0..60),
    ) {
        let (wire, expect) = seal(&ops, &end, &last);
        prop_assert_eq!(&open(&wire, chunks), &expect);
        prop_assert_eq!(&open(&wire, vec![1; wire.len()]), &expect);
        prop_assert_eq!(&open(&wire, vec![]), &expect);
    }

    #[test]
    fn one_changed_byte_is_an_error_and_a_prefix(
        ops in ops(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
        chunks in vec(1_usize..100, 0..30),
    ) {
        let (mut wire, expect) = seal(&ops, &End::Final, b"the end");
        let at = at.index(wire.len());
        wire[at] ^= flip;
        let got = open(&wire, chunks.clone());
        prop_assert!(got.error.is_some());
        prop_assert!(got.end.is_none());
        prop_assert!(expect.data.starts_with(&got.data));
        prop_assert!(expect.public.starts_with(&got.public));
        // The same fault whatever the fragmentation.
        prop_assert_eq!(open(&wire, vec![]), got);
    }

    #[test]
    fn a_removed_or_inserted_byte_is_an_error(
        ops in ops(),
        at in any::<prop::sample::Index>(),
        insert in proptest::option::of(any::<u8>()),
    ) {
        let (mut wire, expect) = seal(&ops, &End::Final, b"the end");
        let at = at.index(wire.len());
        match insert {
            Some(byte) => wire.insert(at, byte),
            None => { wire.remove(at); }
        }
        let got = open(&wire, vec![]);
        prop_assert!(expect.data.starts_with(&got.data));
        // Inserting a byte equal to its neighbour at the very end is an appended byte: the end stands, and the fault with it.
        prop_assert!(got.error.is_some());
    }

    #[test]
    fn arbitrary_bytes_are_an_error_and_release_nothing(wire in vec(any::<u8>(), 1..200), chunks in vec(1_usize..50, 0..20)) {
        let got = open(&wire, chunks);
        prop_assert!(got.error.is_some());
        prop_assert!(got.data.is_empty() && got.public.is_empty() && got.end.is_none());
    }

    #[test]
    fn contexts_and_bundles_parse_to_themselves_or_not_at_all(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(context) = sealwire::Context::parse(&bytes) {
            prop_assert_eq!(context.encode(), bytes.clone());
        }
        let verification = sealwire::rustcrypto::verification();
        prop_assert!(sealwire::Bundle::parse(&verification, &bytes).is_err());
    }

    #[test]
    fn a_context_round_trips(label in "[ -~]{1,80}", id in any::<[u8; 16]>(), attempt in 1_u8..=8, billing in proptest::option::of(vec(any::<u8>(), 1..128))) {
        let mut context = sealwire::Context::new(&label, id, attempt).unwrap();
        if let Some(billing) = &billing {
            context = context.with_billing(billing).unwrap();
        }
        prop_assert_eq!(sealwire::Context::parse(&context.encode()).unwrap(), context);
    }
}

#[test]
fn a_small_budget_is_kept() {
    let (wire, _) = seal(&[Op::Data(vec![1; 500])], &End::Final, b"");
    let provider = testing::COINS_PROVIDER;
    let limits = limits().with_max_bytes(100);
    let mut opener = testing::opener(&provider, &limits, Half::S2c, [5; 32], None).unwrap();
    let got = open_all(&mut opener, &wire, [4]);
    assert_eq!(got.error.map(|error| error.code()), Some("too-large"));
    assert!(matches!(got.error, Some(Error::PeerMisbehaved(_))));
}
