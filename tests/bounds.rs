//! The edges of the public API: one step inside of a bound works, one step past it is refused and changes nothing.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use sealwire::client::{self, ClientConfig, EarlyData, ResponseProgress};
use sealwire::handshake::{OpeningProgress, read_opening};
use sealwire::testing::{self, COINS_PROVIDER};
use sealwire::{ApiMisuse, Error, Event, Half, Limits, Padding, Sealer, Suite};

fn sealer(limits: &Limits) -> Sealer {
    let mut sealer = testing::sealer(&COINS_PROVIDER, limits, Half::S2c, [7; 32], true).unwrap();
    sealer.set_padding(Padding::None);
    sealer
}

#[test]
fn an_export_has_bounds_on_its_length_and_its_label() {
    let export = |label: usize, len: usize| {
        let mut out = vec![0; len];
        testing::export(&COINS_PROVIDER, [1; 32], &vec![b'l'; label], b"", &mut out)
    };
    for (label, len) in [(0, 1), (65_535, 8_160)] {
        assert_eq!(export(label, len), Ok(()), "{label} {len}");
    }
    for (label, len) in [(0, 0), (0, 8_161), (65_536, 1), (65_537, 1)] {
        let refused = Error::ApiMisuse(ApiMisuse::ExportLength);
        assert_eq!(export(label, len), Err(refused), "{label} {len}");
    }
}

#[test]
fn an_announced_context_of_1024_bytes_is_waited_for() {
    let needed = |announced: u16| match read_opening(&announced.to_be_bytes()) {
        Ok(OpeningProgress::NeedInput { needed }) => Ok(needed),
        Ok(_) => panic!("two bytes are no opening"),
        Err(error) => Err(error),
    };
    assert_eq!(needed(1_024), Ok(1_026));
    assert_eq!(needed(1_025), Err(Error::BadContext));
}

#[test]
fn an_opener_says_how_many_bytes_the_next_frame_has() {
    let mut wire = Vec::new();
    sealer(&Limits::default())
        .seal_vec(&[5; 100], &mut wire)
        .unwrap();
    let limits = Limits::default();
    let mut opener = testing::opener(&COINS_PROVIDER, &limits, Half::S2c, [7; 32], None).unwrap();
    let mut needed = |bytes: usize| match opener.open(&mut wire.clone()[..bytes]).unwrap().event {
        Event::NeedInput { needed } => needed,
        other => panic!("{other:?}"),
    };
    assert_eq!(needed(0), 4);
    assert_eq!(needed(3), 4);
    assert_eq!(needed(4), wire.len());
    assert_eq!(needed(wire.len() - 1), wire.len());
}

#[test]
fn sealing_in_place_gives_the_same_frame() {
    let content = b"in place or not";
    let mut beside = vec![0; 200];
    let len = sealer(&Limits::default())
        .seal(content, &mut beside)
        .unwrap();
    let mut in_place = vec![0; 200];
    in_place[4..4 + content.len()].copy_from_slice(content);
    let same = sealer(&Limits::default())
        .seal_in_place(&mut in_place, content.len())
        .unwrap();
    assert_eq!((len, &beside[..len]), (same, &in_place[..same]));
}

#[test]
fn a_pad_frame_is_as_long_as_a_content() {
    let mut sealer = sealer(&Limits::default());
    let mut wire = Vec::new();
    sealer.pad(16_384, &mut wire).unwrap();
    assert_eq!(wire.len(), 24 + 16_384);
    let before = wire.len();
    for len in [16_385, 20_000] {
        let refused = Error::ApiMisuse(ApiMisuse::ContentTooLong);
        assert_eq!(sealer.pad(len, &mut wire), Err(refused));
        assert_eq!(wire.len(), before);
    }
}

#[test]
fn an_exhausted_sealer_stays_so() {
    let limits = Limits::default().with_schedule(65_536, 1, 32);
    let mut sealer = sealer(&limits);
    let mut wire = Vec::new();
    sealer.seal_vec(b"the only frame", &mut wire).unwrap();
    let before = wire.len();
    assert_eq!(sealer.seal_vec(b"x", &mut wire), Err(Error::Exhausted));
    assert_eq!(sealer.key_update(&mut wire), Err(Error::Exhausted));
    assert_eq!(sealer.public(b"x", &mut wire), Err(Error::Exhausted));
    // Whatever is wrong with the call itself.
    assert_eq!(
        sealer.seal(&[0; 16_385], &mut [0; 4]),
        Err(Error::Exhausted)
    );
    assert_eq!(wire.len(), before);
}

#[test]
fn a_client_that_waits_for_h2_may_seal_after_its_switch() {
    let provider = sealwire::rustcrypto::provider();
    let mut ring = ring(&provider);
    assert_eq!(ring.label(), LABEL);
    let bundle = ring.bundle(Suite::MlKem768, NOW).unwrap();
    let verified = verify(&provider, bundle);
    let config = ClientConfig {
        early_data: EarlyData::Never,
        ..ClientConfig::default()
    };
    let mut h1 = Vec::new();
    let (mut sealer, waiting) =
        client::start(&provider, &config, &verified, &context(), &mut h1).unwrap();
    assert!(!sealer.may_seal());
    let mut h2 = Vec::new();
    sealwire::server::accept(
        &mut ring,
        parse_h1(&h1).unwrap(),
        &context().encode(),
        &Limits::default(),
        NOW,
        &mut h2,
    )
    .unwrap();
    let ResponseProgress::Done { connected, .. } = waiting.read(&h2).unwrap() else {
        panic!("H2 is whole");
    };
    sealer
        .switch(connected.switch_key, &mut Vec::new())
        .unwrap();
    assert!(sealer.may_seal());
}
