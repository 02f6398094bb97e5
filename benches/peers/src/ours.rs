//! sealwire itself, with each provider: frames, bodies through `SealSink`, handshakes and the KEM calls in them.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context as Task, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use futures::Sink;
use sealwire::adapter::SealSink;
use sealwire::limits::{FRAME_OVERHEAD, MAX_CONTENT};
use sealwire::{Event, Half, Limits, Opener, Padding, Sealer, Suite, testing};

use crate::handshake::Handshakes;
use crate::measure::{Channel, Contestant, per_batch};
use crate::providers::Named;

const SECRET: [u8; 32] = [0x42; 32];
/// A body of many frames.
pub(crate) const BODY: usize = 64 * 1024 * 1024;
/// What a body comes in.
const PIECE: usize = 64 * 1024;

/// A sealer without padding, so that a frame carries what the raw AEAD is given.
pub fn sealer(provider: &sealwire::CryptoProvider) -> Sealer {
    let limits = Limits::DEFAULT;
    let mut sealer = testing::sealer(provider, &limits, Half::S2c, SECRET, true).expect("a sealer");
    sealer.set_padding(Padding::None);
    sealer
}

/// Its counterpart.
pub fn opener(provider: &sealwire::CryptoProvider) -> Opener {
    testing::opener(provider, &Limits::DEFAULT, Half::S2c, SECRET, None).expect("an opener")
}

/// A batch of contents in frames that stand one behind the other, sealed and opened in place.
struct Frames {
    sealer: Sealer,
    opener: Opener,
    buffer: Vec<u8>,
    content: usize,
    whole: usize,
}

impl Frames {
    fn new(named: &Named, content: usize, count: usize) -> Self {
        let frames = content.div_ceil(MAX_CONTENT);
        let wire = content + frames * FRAME_OVERHEAD;
        Self {
            sealer: sealer(&named.provider),
            opener: opener(&named.provider),
            buffer: vec![7; wire * count],
            content,
            whole: wire,
        }
    }
}

impl Channel for Frames {
    fn write(&mut self) {
        for message in black_box(&mut self.buffer).chunks_exact_mut(self.whole) {
            let (mut rest, mut left) = (message, self.content);
            while left > 0 {
                let content = left.min(MAX_CONTENT);
                let len = self.sealer.seal_in_place(rest, content).expect("seals");
                rest = &mut rest[len..];
                left -= content;
            }
        }
    }

    fn read(&mut self) {
        let mut rest = black_box(self.buffer.as_mut_slice());
        while !rest.is_empty() {
            let opened = self.opener.open(rest).expect("opens");
            assert!(matches!(opened.event, Event::Data(_)));
            let consumed = opened.consumed;
            rest = &mut rest[consumed..];
        }
    }
}

pub(crate) fn label(provider: &str) -> String {
    format!("sealwire {provider}")
}

/// Messages of one size, each in as many frames as it needs.
pub(crate) fn channel(named: &Named, bytes: usize) -> Contestant {
    let count = per_batch(bytes);
    let frames = Frames::new(named, bytes, count);
    Contestant::channel(label(named.name), bytes, count, frames)
}

/// Where a body goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nowhere: its frames are sealed in one buffer of the caller's.
    InPlace,
    /// Nowhere: its frames are sealed one after the other in a buffer of one frame, which stays in the cache.
    OneFrame,
    /// Through `SealSink` into a sink that drops it.
    Dropped,
    /// Through `SealSink` into a vector that keeps its capacity from body to body.
    Vector,
}

impl Target {
    pub(crate) const ALL: [Self; 4] = [Self::InPlace, Self::OneFrame, Self::Dropped, Self::Vector];

    pub(crate) fn label(self, provider: &str) -> String {
        let how = match self {
            Self::InPlace => "in place",
            Self::OneFrame => "in place, one frame's buffer",
            Self::Dropped => "SealSink, dropped",
            Self::Vector => "SealSink, vector",
        };
        format!("{provider} {how}")
    }
}

/// Takes ciphertext and drops it, or keeps it.
struct Taker(Option<Vec<u8>>);

impl Sink<Bytes> for Taker {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: Bytes) -> Result<(), Infallible> {
        match &mut self.0 {
            Some(kept) => kept.extend_from_slice(&item),
            None => drop(black_box(item)),
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

fn through_sink(mut sink: SealSink<&mut Taker>, body: &Bytes) {
    let mut task = Task::from_waker(Waker::noop());
    for start in (0..body.len()).step_by(PIECE) {
        let piece = body.slice(start..start + PIECE);
        assert!(Pin::new(&mut sink).poll_ready(&mut task).is_ready());
        Pin::new(&mut sink).start_send(piece).expect("seals");
    }
    let closed = Sink::poll_close(Pin::new(&mut sink), &mut task);
    assert!(matches!(closed, Poll::Ready(Ok(()))));
}

/// 64 MiB in frames of 16 KiB, sealed. `body` is shared by all.
pub(crate) fn body(named: &Named, into: Target, body: &Bytes) -> Contestant {
    let name = into.label(named.name);
    let provider = named.provider;
    match into {
        Target::InPlace => {
            let mut frames = Frames::new(named, BODY, 1);
            Contestant::call(name, BODY, move || frames.write())
        }
        Target::OneFrame => {
            let mut frames = Frames::new(named, MAX_CONTENT, 1);
            Contestant::call(name, BODY, move || {
                for _ in 0..BODY / MAX_CONTENT {
                    frames.write();
                }
            })
        }
        Target::Dropped | Target::Vector => {
            let body = body.clone();
            let mut taker = Taker((into == Target::Vector).then(Vec::new));
            Contestant::timed(name, BODY, move || {
                let sealer = sealer(&provider);
                if let Some(kept) = &mut taker.0 {
                    kept.clear();
                }
                let start = Instant::now();
                through_sink(SealSink::new(&mut taker, sealer, &[]), &body);
                start.elapsed()
            })
        }
    }
}

pub(crate) const SUITES: [(Suite, &str); 2] =
    [(Suite::MlKem768, "suite 1"), (Suite::XWing, "suite 2")];

pub(crate) fn handshake_label(provider: &str, suite: &str) -> String {
    format!("sealwire {suite} {provider}")
}

/// From the client's start to its reading of H2, the bundle verified before.
pub(crate) fn handshake(named: &Named, suite: (Suite, &str)) -> Contestant {
    let mut handshakes = Handshakes::new(named.provider, suite.0);
    Contestant::call(handshake_label(named.name, suite.1), 1, move || {
        black_box(handshakes.both());
    })
}

/// The parts of a handshake, by role, each with what the others leave it.
pub(crate) fn roles(named: &Named, suite: (Suite, &str)) -> Vec<Contestant> {
    let label = |what: &str| format!("{} {} {what}", suite.1, named.name);
    let new = || Handshakes::new(named.provider, suite.0);
    let (mut verify, start, mut accept, mut read) = (new(), new(), new(), new());
    vec![
        Contestant::call(label("client: parse and verify a bundle"), 1, move || {
            black_box(verify.verify());
        }),
        Contestant::call(label("client: start"), 1, move || {
            black_box(start.start());
        }),
        Contestant::timed(label("instance: accept"), 1, move || {
            let (h1, _) = accept.start();
            let start = Instant::now();
            black_box(accept.accept(&h1));
            start.elapsed()
        }),
        Contestant::timed(label("client: read"), 1, move || {
            let (h1, wait) = read.start();
            let h2 = read.accept(&h1);
            let start = Instant::now();
            black_box(Handshakes::finish(wait, &h2));
            start.elapsed()
        }),
        handshake(named, suite),
    ]
}

pub(crate) fn kem_label(provider: &str, suite: &str) -> String {
    format!("five KEM calls {suite} {provider}")
}

/// The five calls that the two roles make: the client's key pair, its encapsulation to the bundle's key, the instance's decapsulation, its
/// encapsulation to the client's key, the client's decapsulation.
pub(crate) fn five_kem_calls(named: &Named, suite: (Suite, &str)) -> Contestant {
    let kem = named.provider.kem(suite.0).expect("both suites");
    let bundle = kem.generate().expect("a key pair");
    Contestant::call(kem_label(named.name, suite.1), 1, move || {
        let own = kem.generate().expect("a key pair");
        let (first, _) = kem.encapsulate(&bundle.public_key).expect("encapsulates");
        black_box(bundle.secret_key.decapsulate(&first).expect("decapsulates"));
        let (second, _) = kem.encapsulate(&own.public_key).expect("encapsulates");
        black_box(own.secret_key.decapsulate(&second).expect("decapsulates"));
    })
}

/// The calls of a KEM one by one.
pub(crate) fn kem(named: &Named, suite: (Suite, &str)) -> Vec<Contestant> {
    let label = |what: &str| format!("{} {} {what}", suite.1, named.name);
    let kem = named.provider.kem(suite.0).expect("both suites");
    let pair = kem.generate().expect("a key pair");
    let (ciphertext, _) = kem.encapsulate(&pair.public_key).expect("encapsulates");
    let public_key = pair.public_key.clone();
    vec![
        Contestant::call(label("key pair"), 1, move || {
            black_box(kem.generate().expect("a key pair"));
        }),
        Contestant::call(label("encapsulate"), 1, move || {
            black_box(kem.encapsulate(&public_key).expect("encapsulates"));
        }),
        Contestant::call(label("decapsulate"), 1, move || {
            black_box(
                pair.secret_key
                    .decapsulate(&ciphertext)
                    .expect("decapsulates"),
            );
        }),
    ]
}
