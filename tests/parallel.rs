//! Bulk on several threads is bulk on one: the same bytes, events, errors, and state afterwards.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::crypto::{Aead, AeadKey, Secret};
use sealwire::limits::{FRAME_OVERHEAD, MAX_CONTENT};
use sealwire::{
    ApiMisuse, CryptoError, CryptoProvider, Error, Event, Half, Limits, Opener, Padding,
    PeerMisbehaved, Sealer, StreamErrorCode, rustcrypto, testing,
};

const SECRET: [u8; 32] = [5; 32];
const LATE: [u8; 32] = [6; 32];
/// Below this nothing is shared.
const LEAST: usize = 1024 * 1024;

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn sealer(provider: &CryptoProvider, limits: &Limits) -> Sealer {
    testing::sealer(provider, limits, Half::S2c, SECRET, true).unwrap()
}

fn opener(provider: &CryptoProvider, limits: &Limits) -> Opener {
    testing::opener(provider, limits, Half::S2c, SECRET, None).unwrap()
}

/// No two frames' worth of it are alike.
fn text(len: usize) -> Vec<u8> {
    (0..=250_u8)
        .cycle()
        .zip((0..=240).cycle())
        .map(|(a, b): (u8, u8)| a ^ b.rotate_left(3))
        .take(len)
        .collect()
}

fn paddings() -> impl Strategy<Value = Padding> {
    prop_oneof![
        Just(Padding::None),
        Just(Padding::Buckets),
        Just(Padding::Padme),
        (100_usize..=MAX_CONTENT).prop_map(|size| Padding::fixed(size).unwrap()),
    ]
}

/// Epochs that end among the frames of a body, and sometimes all of its sequence numbers.
fn limits() -> impl Strategy<Value = Limits> {
    let frames = prop_oneof![3 => Just(1_u64 << 48), 1 => 1_u64..400];
    (1_u32..300, frames, 1_u32..40)
        .prop_map(|(epoch, frames, empty)| Limits::default().with_schedule(epoch, frames, empty))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sealing_gives_the_same_bytes_and_errors(
        len in 0..3 * LEAST,
        padding in paddings(),
        limits in limits(),
        count in 1_usize..5,
        before in 0_usize..3,
        room in prop_oneof![Just(0), 0..4 * LEAST],
        finish: bool,
    ) {
        let content = text(len);
        let run = |parallel: bool| {
            let mut sealer = sealer(&rustcrypto::provider(), &limits);
            sealer.set_padding(padding);
            let mut out = Vec::with_capacity(room);
            for _ in 0..before {
                let _ = sealer.seal_vec(b"before", &mut out);
            }
            let result = match (finish, parallel) {
                (true, true) => return (sealer.finish_parallel(&content, threads(count), &mut out), None, out),
                (true, false) => return (sealer.finish(&content, &mut out), None, out),
                (false, true) => sealer.seal_vec_parallel(&content, threads(count), &mut out),
                (false, false) => sealer.seal_vec(&content, &mut out),
            };
            // What comes later shows where the keys are.
            let later = sealer.key_update(&mut out).and_then(|()| sealer.seal_vec(b"later", &mut out));
            (result, Some(later), out)
        };
        let (one, many) = (run(false), run(true));
        prop_assert_eq!((one.0, one.1), (many.0, many.1));
        prop_assert!(one.2 == many.2);
    }
}

#[test]
fn sealing_crosses_an_epoch_of_the_wire() {
    let content = text(70_000 * 16);
    let run = |count: usize| {
        let mut sealer = sealer(&rustcrypto::provider(), &Limits::default());
        sealer.set_padding(Padding::fixed(16).unwrap());
        let mut out = Vec::new();
        sealer
            .finish_parallel(&content, threads(count), &mut out)
            .unwrap();
        out
    };
    let wire = run(2);
    assert!(run(1) == wire);
    let (events, end) = open(
        &mut opener(&rustcrypto::provider(), &Limits::default()),
        &mut wire.clone(),
        2,
    );
    assert_eq!(end.unwrap(), (wire.len(), 0));
    assert!(events.iter().flat_map(Got::content).eq(&content));
}

#[test]
fn no_frame_is_sealed_beyond_the_last_sequence_number() {
    let limits = Limits::default().with_schedule(1_000, 100, 32);
    let mut sealer = sealer(&rustcrypto::provider(), &limits);
    let mut out = Vec::new();
    let result = sealer.seal_vec_parallel(&text(2 * LEAST), threads(2), &mut out);
    assert_eq!(result, Err(Error::Exhausted));
    assert_eq!(out.len(), 100 * (MAX_CONTENT + FRAME_OVERHEAD));
}

#[test]
fn content_between_key_updates_counts() {
    let mut sealer = sealer(&rustcrypto::provider(), &Limits::default());
    let mut out = Vec::new();
    for _ in 0..2 {
        sealer.key_update(&mut out).unwrap();
        sealer
            .seal_vec_parallel(&text(2 * LEAST), threads(2), &mut out)
            .unwrap();
    }
}

#[test]
fn early_data_that_is_forbidden_stays_so() {
    let provider = rustcrypto::provider();
    let mut sealer =
        testing::sealer(&provider, &Limits::default(), Half::C2s, SECRET, false).unwrap();
    let mut out = Vec::new();
    let result = sealer.seal_vec_parallel(&text(2 * LEAST), threads(2), &mut out);
    assert_eq!(result, Err(ApiMisuse::EarlyDataForbidden.into()));
    assert!(out.is_empty());
}

/// What content starts with that [`Watched`] knows.
const FAILS: u8 = 0xFD;
/// The same, once another one has failed.
const FAILS_LATER: u8 = 0xFE;
const PANICS: u8 = 0xFF;
/// A frame with so much content is opened only when others have been tried.
const WAITS: usize = 3;

/// The default AEAD, which brings threads into an order, and leaves nothing of a frame that it refuses.
struct Watched {
    /// How many have to be tried before one that waits.
    others: usize,
    tried: Arc<(Mutex<usize>, Condvar)>,
}

impl Watched {
    fn provider(others: usize) -> CryptoProvider {
        let watched = Self {
            others,
            tried: Arc::default(),
        };
        CryptoProvider {
            aead: Box::leak(Box::new(watched)),
            ..rustcrypto::provider()
        }
    }
}

impl Aead for Watched {
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey> {
        Box::new(WatchedKey {
            key: rustcrypto::AEAD.key(key),
            others: self.others,
            tried: self.tried.clone(),
        })
    }
}

struct WatchedKey {
    key: Box<dyn AeadKey>,
    others: usize,
    tried: Arc<(Mutex<usize>, Condvar)>,
}

impl WatchedKey {
    fn try_one(&self) {
        *self.tried.0.lock().unwrap() += 1;
        self.tried.1.notify_all();
    }

    /// Not for ever: a machine may have no second thread to give.
    fn wait(&self) {
        let tried = self.tried.0.lock().unwrap();
        let enough = Duration::from_secs(10);
        let few = |tried: &mut usize| *tried < self.others;
        drop(self.tried.1.wait_timeout_while(tried, enough, few).unwrap());
    }
}

impl AeadKey for WatchedKey {
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        match buffer.first() {
            Some(&FAILS) => {
                self.try_one();
                Err(CryptoError::Backend)
            }
            Some(&FAILS_LATER) => {
                self.wait();
                Err(CryptoError::Backend)
            }
            Some(&PANICS) => panic!("a provider that panics"),
            _ => self.key.seal_in_place(nonce, aad, buffer),
        }
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        // The trailer is behind the content.
        if buffer.len() == WAITS + 4 {
            self.wait();
        } else {
            self.try_one();
        }
        let opened = self.key.open_in_place(nonce, aad, buffer, tag);
        if opened.is_err() {
            buffer.fill(0xAA);
        }
        opened
    }
}

#[test]
fn the_first_frame_that_fails_ends_the_sealer() {
    let mut content = vec![1; 3 * LEAST];
    content[100 * MAX_CONTENT] = FAILS_LATER;
    content[140 * MAX_CONTENT] = FAILS;
    let run = |parallel: bool| {
        // Alone nothing fails before the one that waits.
        let provider = Watched::provider(usize::from(parallel));
        let mut sealer = sealer(&provider, &Limits::default());
        let mut out = b"before".to_vec();
        let result = if parallel {
            sealer.seal_vec_parallel(&content, threads(3), &mut out)
        } else {
            sealer.seal_vec(&content, &mut out)
        };
        (result, sealer.seal_vec(b"later", &mut out), out)
    };
    let many = run(true);
    assert_eq!(many.0, Err(CryptoError::Backend.into()));
    assert_eq!(many.2.len(), 6 + 100 * (MAX_CONTENT + FRAME_OVERHEAD));
    assert!(run(false) == many);
}

#[test]
fn a_provider_that_panics_leaves_a_dead_sealer() {
    let mut content = vec![1; 2 * LEAST];
    content[50 * MAX_CONTENT] = PANICS;
    let mut sealer = sealer(&Watched::provider(0), &Limits::default());
    let mut out = Vec::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        sealer.seal_vec_parallel(&content, threads(2), &mut out)
    }));
    assert!(panicked.is_err());
    let later = sealer.seal_vec(b"later", &mut out);
    assert_eq!(later, Err(CryptoError::Backend.into()));
}

/// An event that owns its content.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Data(Vec<u8>),
    Public(Vec<u8>),
    Final(Vec<u8>),
    Error(StreamErrorCode, String),
}

impl Got {
    fn of(event: Event<'_>) -> Option<Self> {
        Some(match event {
            Event::NeedInput { .. } => return None,
            Event::Data(data) => Self::Data(data.to_vec()),
            Event::Public(body) => Self::Public(body.to_vec()),
            Event::Final(data) => Self::Final(data.to_vec()),
            Event::Error { code, message } => Self::Error(code, message.to_owned()),
            other => panic!("unknown event {other:?}"),
        })
    }

    fn content(&self) -> &[u8] {
        match self {
            Self::Data(data) | Self::Final(data) => data,
            Self::Public(_) | Self::Error(..) => &[],
        }
    }
}

/// Bytes consumed, and bytes needed from there.
type Ended = Result<(usize, usize), Error>;

fn open(opener: &mut Opener, buffer: &mut [u8], count: usize) -> (Vec<Got>, Ended) {
    let mut events = Vec::new();
    let opened = opener.open_parallel(buffer, threads(count), |event| {
        events.push(Got::of(event).unwrap());
    });
    let ended = opened.map(|opened| match opened.event {
        Event::NeedInput { needed } => (opened.consumed, needed),
        other => panic!("{other:?}"),
    });
    (events, ended)
}

/// What `open_parallel` must be the same as.
fn open_alone(opener: &mut Opener, buffer: &mut [u8]) -> (Vec<Got>, Ended) {
    let (mut events, mut at) = (Vec::new(), 0);
    loop {
        let opened = match opener.open(&mut buffer[at..]) {
            Ok(opened) => opened,
            Err(error) => return (events, Err(error)),
        };
        at += opened.consumed;
        match opened.event {
            Event::NeedInput { needed } => return (events, Ok((at, needed))),
            event => events.extend(Got::of(event)),
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Data(usize),
    /// Many short frames.
    Tokens(usize),
    Empty,
    Pad(usize),
    Public(usize),
    KeyUpdate,
    Padding(Padding),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        12 => (1_usize..200_000).prop_map(Op::Data),
        2 => (1_usize..100).prop_map(Op::Tokens),
        1 => Just(Op::Empty),
        1 => (0_usize..MAX_CONTENT).prop_map(Op::Pad),
        1 => (1_usize..=512).prop_map(Op::Public),
        1 => Just(Op::KeyUpdate),
        1 => paddings().prop_map(Op::Padding),
    ];
    vec(op, 5..50)
}

/// A wire of everything that a half can hold. Ends early where the sequence numbers do.
fn wire(provider: &CryptoProvider, limits: &Limits, ops: &[Op], finish: bool) -> Vec<u8> {
    let mut sealer = sealer(provider, limits);
    let mut out = Vec::new();
    for op in ops {
        // What is refused changes nothing here.
        let _ = match op {
            Op::Data(len) => sealer.seal_vec(&text(*len), &mut out),
            Op::Tokens(count) => (0..*count).try_for_each(|_| sealer.seal_vec(b"token", &mut out)),
            Op::Empty => {
                let mut frame = vec![0; MAX_CONTENT + FRAME_OVERHEAD];
                sealer
                    .seal(&[], &mut frame)
                    .map(|len| out.extend_from_slice(&frame[..len]))
            }
            Op::Pad(len) => sealer.pad(*len, &mut out),
            Op::Public(len) => sealer.public(&text(*len), &mut out),
            Op::KeyUpdate => sealer.key_update(&mut out),
            Op::Padding(padding) => {
                sealer.set_padding(*padding);
                Ok(())
            }
        };
    }
    if finish {
        let _ = sealer.finish(b"the end", &mut out);
    } else {
        let _ = sealer.fail(StreamErrorCode::Upstream, "the model", &mut out);
    }
    out
}

/// What happens to a wire on its way.
#[derive(Clone, Debug)]
enum Fault {
    None,
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Behind(usize),
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => Just(Fault::None),
        3 => (any::<prop::sample::Index>(), 0_u8..8).prop_map(|(at, bit)| Fault::Flip(at, bit)),
        1 => any::<prop::sample::Index>().prop_map(Fault::Cut),
        1 => (1_usize..100).prop_map(Fault::Behind),
    ]
}

impl Fault {
    fn apply(&self, wire: &mut Vec<u8>) {
        match self {
            _ if wire.is_empty() => {}
            Self::None => {}
            Self::Flip(at, bit) => {
                let at = at.index(wire.len());
                wire[at] ^= 1 << bit;
            }
            Self::Cut(at) => wire.truncate(at.index(wire.len())),
            Self::Behind(len) => wire.resize(wire.len() + len, 0),
        }
    }
}

/// Opens a wire in two parts, alone and by threads, and compares everything that shows.
fn compare(
    wire: &[u8],
    new: impl Fn() -> Opener,
    part: usize,
    count: usize,
) -> Result<(), TestCaseError> {
    let (mut alone, mut shared) = (new(), new());
    let (mut left, mut right) = (wire.to_vec(), wire.to_vec());
    let mut from = 0;
    for end in [part, wire.len()] {
        let one = open_alone(&mut alone, &mut left[from..end]);
        let many = open(&mut shared, &mut right[from..end], count);
        prop_assert!(one == many, "{:?} and {:?}", one.1, many.1);
        prop_assert_eq!(alone.is_ended(), shared.is_ended());
        let Ok((consumed, _)) = one.1 else {
            // Nothing behind the frame at fault is plaintext: it is as it came, or erased.
            let from = plaintext_end(wire, &left);
            let mut behind = right[from..].iter().zip(&wire[from..]);
            prop_assert!(behind.all(|(now, came)| *now == 0 || now == came));
            break;
        };
        from += consumed;
    }
    prop_assert_eq!(alone.end_of_input(), shared.end_of_input());
    prop_assert_eq!(
        alone.open(&mut [1; 9]).err(),
        shared.open(&mut [1; 9]).err()
    );
    Ok(())
}

/// The end of the last frame in which `opened` differs: what a loop alone has decrypted.
fn plaintext_end(wire: &[u8], opened: &[u8]) -> usize {
    let mut at = 0;
    let mut end = 0;
    while let Some(header) = wire.get(at..at + 4) {
        let len =
            usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]);
        let next = (at + 4 + len).min(wire.len());
        if wire[at..next] != opened[at..next] {
            end = next;
        }
        at = next;
    }
    end
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn opening_gives_the_same_events_and_errors(
        ops in ops(),
        sent in limits(),
        finish: bool,
        fault in faults(),
        null in prop::bool::weighted(0.4),
        most in prop_oneof![3 => Just(u64::MAX), 1 => 0..4 * LEAST as u64],
        most_pad in prop_oneof![3 => Just(u64::MAX), 1 => 0_u64..40_000],
        most_empty in prop_oneof![3 => Just(40), 1 => 0_u32..2],
        part: prop::sample::Index,
        count in 1_usize..5,
    ) {
        // Without encryption a change of the wire is a frame that authenticates and breaks a rule.
        let provider = if null { testing::NULL_PROVIDER } else { rustcrypto::provider() };
        let mut wire = wire(&provider, &sent, &ops, finish);
        fault.apply(&mut wire);
        let mut limits = sent.with_max_bytes(most).with_max_pad_bytes(most_pad);
        if most_empty < 40 {
            limits = limits.with_schedule(300, 1 << 48, most_empty);
        }
        // Half of the time everything comes at once.
        let part = part.index(2 * wire.len() + 1).saturating_sub(wire.len());
        compare(&wire, || opener(&provider, &limits), part, count)?;
    }

    #[test]
    fn a_switch_may_come_anywhere(before in 0..LEAST, after in 0..3 * LEAST, count in 2_usize..4, public: bool) {
        let provider = rustcrypto::provider();
        let limits = Limits::default();
        let mut sealer = testing::sealer(&provider, &limits, Half::C2s, SECRET, true).unwrap();
        let mut wire = Vec::new();
        sealer.seal_vec(&text(before), &mut wire).unwrap();
        sealer.switch(testing::switch_key(LATE), &mut wire).unwrap();
        sealer.seal_vec(&text(after), &mut wire).unwrap();
        if public {
            // Refused in this half, whatever it holds.
            wire.extend_from_slice(&[2, 0, 0, 17]);
            wire.extend_from_slice(&[0; 17]);
        }
        let new = || testing::opener(&provider, &limits, Half::C2s, SECRET, Some(LATE)).unwrap();
        compare(&wire, new, 0, count)?;
    }
}

#[test]
fn frames_behind_a_bad_one_are_not_released() {
    let provider = rustcrypto::provider();
    let content = text(3 * LEAST);
    let mut wire = Vec::new();
    sealer(&provider, &Limits::default())
        .finish(&content, &mut wire)
        .unwrap();
    let frame = MAX_CONTENT + FRAME_OVERHEAD;
    for bad in [0, 1, 7, 8, 100, 191] {
        let mut buffer = wire.clone();
        buffer[bad * frame + 50] ^= 1;
        let changed = buffer.clone();
        let mut opener = opener(&provider, &Limits::default());
        let (events, ended) = open(&mut opener, &mut buffer, 2);
        assert_eq!(ended, Err(Error::Decrypt));
        assert_eq!(events.len(), bad);
        assert!(buffer[bad * frame..] == changed[bad * frame..]);
        assert_eq!(opener.end_of_input(), Err(Error::Decrypt));
    }
}

#[test]
fn frames_behind_one_that_breaks_a_rule_are_erased() {
    let provider = rustcrypto::provider();
    let mut sender = sealer(&provider, &Limits::default());
    let mut wire = Vec::new();
    sender.seal_vec(&text(LEAST), &mut wire).unwrap();
    let bad = wire.len();
    sender.pad(100, &mut wire).unwrap();
    sender.seal_vec(&text(LEAST), &mut wire).unwrap();
    let limits = Limits::default().with_max_pad_bytes(50);
    let (_, ended) = open(&mut opener(&provider, &limits), &mut wire, 2);
    assert_eq!(ended, Err(PeerMisbehaved::PadBudget.into()));
    assert!(wire[bad..].iter().all(|byte| *byte == 0));
}

/// Data; what `second` makes the second frame; data of a sender that made it a PAD frame, under the key and the sequence numbers that were then live.
fn under_the_old_key(half: Half, second: impl FnOnce(Sealer, &mut Vec<u8>)) -> Vec<u8> {
    let provider = rustcrypto::provider();
    let [mut wire, mut other] = [Vec::new(), Vec::new()];
    let [mut honest, mut stubborn] = [(); 2].map(|()| {
        let mut sealer =
            testing::sealer(&provider, &Limits::default(), half, SECRET, true).unwrap();
        sealer.set_padding(Padding::None);
        sealer
    });
    honest.seal_vec(&text(WAITS), &mut wire).unwrap();
    second(honest, &mut wire);
    stubborn.seal_vec(&text(WAITS), &mut other).unwrap();
    stubborn.pad(9, &mut other).unwrap();
    let start = other.len();
    // None of the marks.
    stubborn.seal_vec(&vec![1; 2 * LEAST], &mut other).unwrap();
    wire.extend_from_slice(&other[start..]);
    wire
}

/// Opens with all of the wire tried before its first frame, and gives the error; everything behind the second frame must be as it came.
fn open_first_frame_last(half: Half, wire: &[u8], trailing: usize) -> Error {
    // Another thread opens all runs but the first one, whose first frame waits for them.
    let in_first_run = 128 * 1024 / (MAX_CONTENT + FRAME_OVERHEAD) + 1;
    let provider = Watched::provider(trailing - in_first_run);
    let mut buffer = wire.to_vec();
    let late = (half == Half::C2s).then_some(LATE);
    let mut opener = testing::opener(&provider, &Limits::default(), half, SECRET, late).unwrap();
    let (events, ended) = open(&mut opener, &mut buffer, 2);
    assert!(matches!(events.first(), Some(Got::Data(data)) if data.len() == WAITS));
    let behind = wire.len() - trailing * (MAX_CONTENT + FRAME_OVERHEAD);
    // The frame at fault itself is unspecified.
    let behind = behind + MAX_CONTENT + FRAME_OVERHEAD;
    assert!(buffer[behind..] == wire[behind..]);
    ended.unwrap_err()
}

#[test]
fn frames_under_the_key_before_an_update_are_refused() {
    let wire = under_the_old_key(Half::S2c, |mut sealer, wire| {
        sealer.key_update(wire).unwrap()
    });
    assert_eq!(open_first_frame_last(Half::S2c, &wire, 128), Error::Decrypt);
}

#[test]
fn frames_under_the_key_before_a_switch_are_refused() {
    let wire = under_the_old_key(Half::C2s, |mut sealer, wire| {
        sealer.switch(testing::switch_key(LATE), wire).unwrap();
    });
    assert_eq!(open_first_frame_last(Half::C2s, &wire, 128), Error::Decrypt);
}

#[test]
fn frames_behind_the_end_are_refused() {
    let wire = under_the_old_key(Half::S2c, |sealer, wire| {
        sealer.finish(b"end", wire).unwrap()
    });
    assert_eq!(
        open_first_frame_last(Half::S2c, &wire, 128),
        PeerMisbehaved::TrailingData.into()
    );
}

#[test]
fn frames_that_were_tried_under_the_key_before_an_update_are_opened() {
    let (limits, content) = (Limits::default(), text(2 * LEAST));
    let mut sender = sealer(&rustcrypto::provider(), &limits);
    let mut wire = Vec::new();
    sender.set_padding(Padding::None);
    sender.seal_vec(&text(WAITS), &mut wire).unwrap();
    sender.key_update(&mut wire).unwrap();
    sender.finish(&content, &mut wire).unwrap();
    let (events, ended) = open(&mut opener(&Watched::provider(1), &limits), &mut wire, 2);
    assert_eq!(ended.unwrap(), (wire.len(), 0));
    let opened = events.iter().flat_map(Got::content).skip(WAITS);
    assert!(opened.eq(&content));
}
