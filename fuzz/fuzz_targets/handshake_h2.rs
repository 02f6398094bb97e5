//! H2: a client takes the one that was made for it, and no other.
#![no_main]

use std::cell::RefCell;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::client::{AwaitResponse, ResponseProgress};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::server;
use sealwire::{Error, Limits, Suite, VerifiedBundle};
use sealwire_fuzz::fixture::{self, NOW};
use sealwire_fuzz::mutate::{self, Mutation};

#[derive(Arbitrary, Debug)]
struct Input {
    x_wing: bool,
    sizes: Vec<u8>,
    case: Case,
}

#[derive(Arbitrary, Debug)]
enum Case {
    Bytes(Vec<u8>),
    Changed(Vec<Mutation>),
    /// The valid H2 of another handshake under the same bundle.
    Other,
}

struct State {
    bundle: VerifiedBundle,
    h2: Vec<u8>,
    other: Vec<u8>,
    th2: [u8; 32],
}

thread_local! {
    static STATES: RefCell<[Option<State>; 2]> = const { RefCell::new([const { None }; 2]) };
}

impl State {
    fn new(suite: Suite) -> Self {
        let (mut ring, bundle) = fixture::ring(suite, false);
        let bundle = fixture::verified(&bundle);
        let (h1, _, _) = fixture::start(&bundle);
        let mut respond = |h1: &[u8], coins: u8| {
            let Ok(RequestProgress::Done { request, .. }) = ParsedRequest::read(h1) else {
                panic!("a whole H1");
            };
            fixture::coins(coins);
            let mut h2 = Vec::new();
            let accepted = server::accept(
                &mut ring,
                request,
                &fixture::context().encode(),
                &Limits::default(),
                NOW,
                &mut h2,
            )
            .unwrap();
            (h2, accepted.session.th2())
        };
        let (h2, th2) = respond(&h1, 4);
        fixture::coins(5);
        let mut other_h1 = Vec::new();
        sealwire::client::start(
            fixture::PROVIDER,
            &sealwire::client::ClientConfig::default(),
            &bundle,
            &fixture::context(),
            &mut other_h1,
        )
        .unwrap();
        let (other, _) = respond(&other_h1, 6);
        Self {
            bundle,
            h2,
            other,
            th2,
        }
    }
}

fuzz_target!(|input: Input| {
    STATES.with_borrow_mut(|states| {
        let state = states[usize::from(input.x_wing)]
            .get_or_insert_with(|| State::new(fixture::suite(input.x_wing)));
        let bytes = match &input.case {
            Case::Bytes(bytes) => bytes.clone(),
            Case::Changed(changes) => {
                let mut bytes = state.h2.clone();
                mutate::mutate(&mut bytes, changes);
                bytes
            }
            Case::Other => state.other.clone(),
        };
        let (_, _, wait) = fixture::start(&state.bundle);
        let expected = if bytes.first().is_some_and(|version| *version != 1) {
            Err("bad-version")
        } else if bytes.get(1).is_some_and(|flags| *flags != 0) {
            Err("bad-flags")
        } else if bytes.len() < state.h2.len() {
            Ok(false)
        } else if bytes.starts_with(&state.h2) {
            Ok(true)
        } else {
            Err("confirm-failed")
        };
        let got = read(wait, &bytes, &input.sizes, state);
        assert_eq!(got.map_err(|error| error.code()), expected);
    });
});

/// Whether H2 was taken; false if there is not enough of it.
fn read(mut wait: AwaitResponse, bytes: &[u8], sizes: &[u8], state: &State) -> Result<bool, Error> {
    let mut have = 0;
    let mut steps = sizes.iter();
    loop {
        match wait.read(&bytes[..have])? {
            ResponseProgress::NeedInput { next, needed } => {
                assert_eq!(needed, state.h2.len());
                assert!(needed > have);
                if have == bytes.len() {
                    return Ok(false);
                }
                let step = steps
                    .next()
                    .map_or(bytes.len(), |size| usize::from(*size) + 1);
                have = (have + step).min(bytes.len());
                wait = next;
            }
            ResponseProgress::Done {
                consumed,
                connected,
            } => {
                assert_eq!(consumed, state.h2.len());
                assert_eq!(connected.session.th2(), state.th2);
                return Ok(true);
            }
            _ => panic!("unknown progress"),
        }
    }
}
