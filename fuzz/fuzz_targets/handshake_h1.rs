//! H1: parsed under fragments as under none; accepted only as it was made, or with a confirmation that fits the change.
#![no_main]

use std::cell::RefCell;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire::client::{AwaitResponse, ResponseProgress};
use sealwire::crypto::Secret;
use sealwire::handshake::{ParsedRequest, RequestProgress, transcript};
use sealwire::server::{self, KeyRing};
use sealwire::{Bundle, Context, Error, Limits, Suite};
use sealwire_fuzz::fixture::{self, LABEL, NOW, PROVIDER};
use sealwire_fuzz::mutate::{self, Mutation};

#[derive(Arbitrary, Debug)]
struct Input {
    x_wing: bool,
    single_use: bool,
    sizes: Vec<u8>,
    case: Case,
}

#[derive(Arbitrary, Debug)]
enum Case {
    Bytes(Vec<u8>),
    /// A valid H1, changed, beside a context that may be changed too.
    Changed {
        h1: Vec<Mutation>,
        context: Vec<Mutation>,
    },
    /// An H1 by a client that knows the protocol and lies: its key and context are anything, its confirmation is right.
    Lying {
        client_key: Vec<Mutation>,
        context: OtherContext,
    },
}

#[derive(Arbitrary, Debug)]
enum OtherContext {
    Changed(Vec<Mutation>),
    Label(String),
    Attempt(u8),
}

/// What does not change between runs, and the ring as long as no H1 was accepted.
struct State {
    bundle: Bundle,
    h1: Vec<u8>,
    /// A ciphertext to the bundle's key, with its secret.
    ciphertext: Vec<u8>,
    shared: [u8; 32],
    ring: Option<KeyRing>,
}

thread_local! {
    static STATES: RefCell<[Option<State>; 4]> = const { RefCell::new([const { None }; 4]) };
}

impl State {
    fn new(suite: Suite, single_use: bool) -> Self {
        let (ring, bundle) = fixture::ring(suite, single_use);
        let (h1, _, _) = fixture::start(&fixture::verified(&bundle));
        fixture::coins(3);
        let kem = PROVIDER.kem(suite).unwrap();
        let (ciphertext, shared) = kem.encapsulate(fixture::kem_key(&bundle)).unwrap();
        Self {
            bundle,
            h1,
            ciphertext,
            shared: *shared.expose(),
            ring: Some(ring),
        }
    }

    /// A lying client's H1.
    fn lie(&self, client_key: &[u8], context: &[u8]) -> Vec<u8> {
        let suite = self.bundle.suite();
        let hash = PROVIDER.verification.hash;
        let mut h1 = self.h1[..22].to_vec();
        h1.extend_from_slice(&self.ciphertext);
        h1.extend_from_slice(client_key);
        let th0 = transcript::th0(hash, suite, &self.bundle.hash(), context);
        let th1 = hash.sha256(&[&th0, &h1]);
        let prk1 = PROVIDER.kdf.extract(&th0, &Secret::new(self.shared));
        let mut confirm = [0; 32];
        PROVIDER
            .kdf
            .expand(&prk1, &[b"sealwire/1 confirm1", &th1], &mut confirm)
            .unwrap();
        h1.extend_from_slice(&confirm);
        h1
    }
}

fuzz_target!(|input: Input| {
    let index = usize::from(input.x_wing) * 2 + usize::from(input.single_use);
    STATES.with_borrow_mut(|states| {
        let suite = fixture::suite(input.x_wing);
        let state = states[index].get_or_insert_with(|| State::new(suite, input.single_use));
        run(state, &input);
    });
});

fn run(state: &mut State, input: &Input) {
    let original_context = fixture::context().encode();
    let mut context = original_context.clone();
    let suite = state.bundle.suite();
    match &input.case {
        Case::Bytes(bytes) => {
            let bytes = [&bytes[..], &state.h1].concat();
            if let Ok(Some(request)) = read(&bytes, &input.sizes) {
                let got = accept(state, request, &context);
                assert!(got.is_err() || bytes == state.h1);
            }
        }
        Case::Changed {
            h1: changes,
            context: context_changes,
        } => {
            let mut h1 = state.h1.clone();
            mutate::mutate(&mut h1, changes);
            mutate::mutate(&mut context, context_changes);
            let Ok(Some(request)) = read(&h1, &input.sizes) else {
                assert!(!h1.starts_with(&state.h1));
                return;
            };
            let same = h1.starts_with(&state.h1) && context == original_context;
            let code = accept(state, request, &context)
                .err()
                .map(|error| error.code());
            if same {
                assert_eq!(code, None);
                return;
            }
            let expected = if h1[6..22] != state.bundle.id() {
                "key-unknown"
            } else if h1[3..5] != suite.to_u16().to_be_bytes() {
                "suite-mismatch"
            } else {
                match Context::parse(&context) {
                    Err(_) => "bad-context",
                    Ok(parsed) if parsed.label() != LABEL => "label-mismatch",
                    Ok(_) => "confirm-failed",
                }
            };
            assert_eq!(code, Some(expected));
        }
        Case::Lying {
            client_key,
            context: other,
        } => {
            match other {
                OtherContext::Changed(changes) => mutate::mutate(&mut context, changes),
                OtherContext::Label(label) => {
                    if let Ok(other) = Context::new(label, [3; 16], 2) {
                        context = other.encode();
                    }
                }
                OtherContext::Attempt(attempt) => {
                    if let Ok(other) = Context::new(LABEL, [3; 16], *attempt) {
                        context = other.encode();
                    }
                }
            }
            let start = 22 + suite.ciphertext_len();
            let mut key = state.h1[start..start + suite.public_key_len()].to_vec();
            mutate::mutate(&mut key, client_key);
            key.resize(suite.public_key_len(), 0);
            let h1 = state.lie(&key, &context);
            let Ok(Some(request)) = read(&h1, &input.sizes) else {
                panic!("a whole H1 with a sound head");
            };
            let code = accept(state, request, &context)
                .err()
                .map(|error| error.code());
            let kem = PROVIDER.kem(suite).unwrap();
            let expected = match Context::parse(&context) {
                Err(_) => Some("bad-context"),
                Ok(parsed) if parsed.label() != LABEL => Some("label-mismatch"),
                Ok(_) if kem.check_public_key(&key).is_err() => Some("bad-client-key"),
                Ok(_) => None,
            };
            assert_eq!(code, expected);
        }
    }
}

/// Reads H1 in growing prefixes; the answer must be that of reading it at once.
fn read(bytes: &[u8], sizes: &[u8]) -> Result<Option<ParsedRequest>, Error> {
    let mut have = 0;
    let mut steps = sizes.iter();
    let outcome = loop {
        let prefix = &bytes[..have];
        match ParsedRequest::read(prefix) {
            Ok(RequestProgress::NeedInput { needed }) => {
                assert!(needed > have && needed <= 2_390);
                if have == bytes.len() {
                    break Ok(None);
                }
                let step = steps
                    .next()
                    .map_or(bytes.len(), |size| usize::from(*size) + 1);
                have = (have + step).min(bytes.len());
            }
            Ok(RequestProgress::Done { consumed, request }) => {
                assert_eq!(request.as_bytes(), &prefix[..consumed]);
                break Ok(Some(request));
            }
            Ok(_) => panic!("unknown progress"),
            Err(error) => break Err(error),
        }
    };
    // Each field is judged as soon as it is there, in this order.
    let head = if bytes.len() >= 2 && bytes[..2] != *b"SW" {
        Some("bad-magic")
    } else if bytes.len() >= 3 && bytes[2] != 1 {
        Some("bad-version")
    } else if bytes.len() >= 5 && bytes[3..5] != [0, 1] && bytes[3..5] != [0, 2] {
        Some("bad-suite")
    } else if bytes.len() >= 6 && bytes[5] != 0 {
        Some("bad-flags")
    } else {
        None
    };
    assert_eq!(outcome.as_ref().err().map(Error::code), head);
    match (ParsedRequest::read(bytes), &outcome) {
        (Ok(RequestProgress::NeedInput { .. }), Ok(None)) => {}
        (Ok(RequestProgress::Done { request, .. }), Ok(Some(other))) => {
            assert_eq!(request.as_bytes(), other.as_bytes());
        }
        (Err(a), Err(b)) => assert_eq!(a, *b),
        _ => panic!("fragments change the answer"),
    }
    outcome
}

/// Accepts, and checks what holds for every answer. After an acceptance the same H1 must be refused.
fn accept(state: &mut State, request: ParsedRequest, context: &[u8]) -> Result<(), Error> {
    fixture::coins(4);
    let suite = state.bundle.suite();
    let single_use = state.bundle.is_single_use();
    let h1 = request.as_bytes().to_vec();
    let mut ring = state
        .ring
        .take()
        .unwrap_or_else(|| fixture::ring(suite, single_use).0);
    fixture::coins(4);
    let mut h2 = Vec::new();
    let limits = Limits::default();
    let result = server::accept(&mut ring, request, context, &limits, NOW, &mut h2);
    let code = result.as_ref().err().map(Error::code);
    match &result {
        Ok(accepted) => {
            assert_eq!(h2.len(), 34 + suite.ciphertext_len());
            assert_eq!(accepted.session.context().encode(), context);
        }
        Err(_) => assert!(h2.is_empty()),
    }
    if result.is_err() && code != Some("bad-client-key") {
        // Nothing has entered a replay filter: the valid H1 is still accepted, see below.
        state.ring = Some(ring);
        return result.map(drop);
    }
    let Ok(RequestProgress::Done { request, .. }) = ParsedRequest::read(&h1) else {
        panic!("it was whole before");
    };
    let again = server::accept(&mut ring, request, context, &limits, NOW, &mut h2);
    let expected = if single_use {
        "key-unknown"
    } else {
        "replayed"
    };
    assert_eq!(again.err().map(|error| error.code()), Some(expected));
    if result.is_ok() && h1 == state.h1 {
        fixture::coins(2);
        let (_, _, wait): (_, _, AwaitResponse) = fixture::start(&fixture::verified(&state.bundle));
        let Ok(ResponseProgress::Done { .. }) = wait.read(&h2) else {
            panic!("the client takes H2");
        };
    }
    result.map(drop)
}
