//! What the record benchmarks share: the same buffers sealed and opened by sealwire, and by the AEAD crate called directly.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "benchmarks; each uses a part"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use sealwire::limits::{FRAME_OVERHEAD, MAX_CONTENT};
use sealwire::{Event, Half, Limits, Opener, Padding, Sealer, rustcrypto, testing};

const SECRET: [u8; 32] = [0x42; 32];

/// Content of `total` bytes in frames of at most `piece`.
#[derive(Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub total: usize,
    pub piece: usize,
}

const fn one(name: &'static str, total: usize) -> Shape {
    Shape {
        name,
        total,
        piece: if total < MAX_CONTENT {
            total
        } else {
            MAX_CONTENT
        },
    }
}

pub const SHAPES: [Shape; 7] = [
    one("64 B", 64),
    one("200 B", 200),
    one("1 KiB", 1_024),
    one("16 KiB", 16_384),
    one("64 KiB", 65_536),
    one("1 MiB", 1_048_576),
    Shape {
        name: "64 tokens of 200 B",
        total: 12_800,
        piece: 200,
    },
];

pub const SMALL: Shape = SHAPES[1];
pub const FRAME: Shape = SHAPES[3];

impl Shape {
    /// Content lengths of the frames.
    fn frames(self) -> impl Iterator<Item = usize> {
        let count = self.total.div_ceil(self.piece);
        (0..count).map(move |index| self.piece.min(self.total - index * self.piece))
    }

    pub fn wire_len(self) -> usize {
        self.frames().map(|len| len + FRAME_OVERHEAD).sum()
    }

    /// How often it is repeated so that a measurement takes long enough: about 64 KiB, or once.
    pub fn repeats(self) -> usize {
        (65_536 / self.total).max(1)
    }
}

/// Seals a shape in place, over and over in the same buffer.
pub struct SealWire {
    sealer: Sealer,
    buffer: Vec<u8>,
    shape: Shape,
}

impl SealWire {
    pub fn new(shape: Shape) -> Self {
        Self {
            sealer: sealer(),
            buffer: vec![7; shape.wire_len()],
            shape,
        }
    }

    pub fn run(&mut self) {
        let mut at = 0;
        for len in self.shape.frames() {
            let frame = &mut self.buffer[at..];
            at += self.sealer.seal_in_place(black_box(frame), len).unwrap();
        }
        black_box(&mut self.buffer);
    }
}

/// The same with the AEAD alone: a counter for the nonce, header as associated data, body in place, tag written.
pub struct SealDirect {
    aead: ChaCha20Poly1305,
    seq: u64,
    buffer: Vec<u8>,
    shape: Shape,
}

impl SealDirect {
    pub fn new(shape: Shape) -> Self {
        Self {
            aead: ChaCha20Poly1305::new(&SECRET.into()),
            seq: 0,
            buffer: vec![7; shape.wire_len()],
            shape,
        }
    }

    pub fn run(&mut self) {
        let mut at = 0;
        for len in self.shape.frames() {
            let end = at + len + FRAME_OVERHEAD;
            let frame = black_box(&mut self.buffer[at..end]);
            direct_seal(&self.aead, self.seq, frame);
            self.seq += 1;
            at = end;
        }
        black_box(&mut self.buffer);
    }
}

impl SealDirect {
    fn run_bare(&mut self) {
        let mut at = 0;
        for len in self.shape.frames() {
            let content = black_box(&mut self.buffer[at + 4..at + 4 + len]);
            let tag = self
                .aead
                .encrypt_inout_detached(&nonce(self.seq).into(), &[], InOutBuf::from(content))
                .unwrap();
            black_box(tag);
            self.seq += 1;
            at += len + FRAME_OVERHEAD;
        }
        black_box(&mut self.buffer);
    }
}

fn nonce(seq: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&seq.to_be_bytes());
    nonce
}

fn direct_seal(aead: &ChaCha20Poly1305, seq: u64, frame: &mut [u8]) {
    let (header, rest) = frame.split_at_mut(4);
    let (body, tag_space) = rest.split_last_chunk_mut::<16>().unwrap();
    let tag = aead
        .encrypt_inout_detached(&nonce(seq).into(), header, InOutBuf::from(body))
        .unwrap();
    tag_space.copy_from_slice(&tag);
}

fn direct_open(aead: &ChaCha20Poly1305, seq: u64, frame: &mut [u8]) {
    let (header, rest) = frame.split_at_mut(4);
    let (body, tag) = rest.split_last_chunk_mut::<16>().unwrap();
    aead.decrypt_inout_detached(
        &nonce(seq).into(),
        header,
        InOutBuf::from(body),
        (&*tag).into(),
    )
    .unwrap();
}

fn sealer() -> Sealer {
    let mut sealer = testing::sealer(
        &rustcrypto::provider(),
        &Limits::DEFAULT,
        Half::S2c,
        SECRET,
        true,
    )
    .unwrap();
    sealer.set_padding(Padding::None);
    sealer
}

/// A wire of `repeats` times the shape, and its receiver. Opening consumes both: make them anew outside of what is timed.
pub struct OpenWire {
    opener: Opener,
    buffer: Vec<u8>,
}

impl OpenWire {
    pub fn new(wire: &[u8]) -> Self {
        Self {
            opener: testing::opener(
                &rustcrypto::provider(),
                &Limits::DEFAULT,
                Half::S2c,
                SECRET,
                None,
            )
            .unwrap(),
            buffer: wire.to_vec(),
        }
    }

    pub fn run(&mut self) {
        let mut at = 0;
        loop {
            let rest = black_box(&mut self.buffer[at..]);
            let opened = self.opener.open(rest).unwrap();
            at += opened.consumed;
            match black_box(opened.event) {
                Event::Data(_) => {}
                Event::NeedInput { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(at, self.buffer.len());
    }
}

/// The same with the AEAD alone.
pub struct OpenDirect {
    aead: ChaCha20Poly1305,
    buffer: Vec<u8>,
    shape: Shape,
    repeats: usize,
}

impl OpenDirect {
    pub fn new(wire: &[u8], shape: Shape, repeats: usize) -> Self {
        Self {
            aead: ChaCha20Poly1305::new(&SECRET.into()),
            buffer: wire.to_vec(),
            shape,
            repeats,
        }
    }

    pub fn run(&mut self) {
        let mut at = 0;
        let mut seq = 0;
        for _ in 0..self.repeats {
            for len in self.shape.frames() {
                let end = at + len + FRAME_OVERHEAD;
                direct_open(&self.aead, seq, black_box(&mut self.buffer[at..end]));
                black_box(&mut self.buffer[at..end]);
                seq += 1;
                at = end;
            }
        }
        assert_eq!(at, self.buffer.len());
    }
}

/// The shape sealed `repeats` times, by sealwire and by the AEAD alone.
pub fn wires(shape: Shape, repeats: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut by_sealwire, mut by_hand) = (SealWire::new(shape), SealDirect::new(shape));
    let (mut wire, mut direct) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        by_sealwire.buffer.fill(7);
        by_hand.buffer.fill(7);
        by_sealwire.run();
        by_hand.run();
        wire.extend_from_slice(&by_sealwire.buffer);
        direct.extend_from_slice(&by_hand.buffer);
    }
    (wire, direct)
}

/// Two medians from interleaved runs, and the median of the ratios of neighbours.
pub struct Comparison {
    pub sealwire: Duration,
    pub direct: Duration,
    /// Speed of sealwire by speed of the AEAD alone.
    pub ratio: f64,
}

/// Sealing, A B A B.
pub fn compare_seal(shape: Shape, rounds: usize) -> Comparison {
    let (mut a, mut b) = (SealWire::new(shape), SealDirect::new(shape));
    let repeats = shape.repeats();
    interleave(
        rounds,
        repeats,
        || timed(|| (0..repeats).for_each(|_| a.run())),
        || timed(|| (0..repeats).for_each(|_| b.run())),
    )
}

/// Opening, A B A B.
pub fn compare_open(shape: Shape, rounds: usize) -> Comparison {
    let repeats = shape.repeats();
    let (wire, direct) = wires(shape, repeats);
    interleave(
        rounds,
        repeats,
        || {
            let mut a = OpenWire::new(&wire);
            timed(|| a.run())
        },
        || {
            let mut b = OpenDirect::new(&direct, shape, repeats);
            timed(|| b.run())
        },
    )
}

/// Sealing beside the AEAD over the content alone: no header, no trailer, the tag thrown away. What the frame format costs is in this ratio.
pub fn compare_seal_bare(shape: Shape, rounds: usize) -> Comparison {
    let (mut a, mut b) = (SealWire::new(shape), SealDirect::new(shape));
    let repeats = shape.repeats();
    interleave(
        rounds,
        repeats,
        || timed(|| (0..repeats).for_each(|_| a.run())),
        || timed(|| (0..repeats).for_each(|_| b.run_bare())),
    )
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn interleave(
    rounds: usize,
    repeats: usize,
    mut a: impl FnMut() -> Duration,
    mut b: impl FnMut() -> Duration,
) -> Comparison {
    for _ in 0..rounds.div_ceil(10) {
        a();
        b();
    }
    let (mut sealwire, mut direct, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // Either goes first as often as the other.
        let (x, y) = if round % 2 == 0 {
            let x = a();
            (x, b())
        } else {
            let y = b();
            (a(), y)
        };
        ratios.push(y.as_secs_f64() / x.as_secs_f64());
        sealwire.push(x);
        direct.push(y);
    }
    ratios.sort_by(f64::total_cmp);
    sealwire.sort();
    direct.sort();
    let middle = rounds / 2;
    let per_run = |all: &[Duration]| all[middle] / u32::try_from(repeats).unwrap();
    Comparison {
        sealwire: per_run(&sealwire),
        direct: per_run(&direct),
        ratio: ratios[middle],
    }
}

/// Whether cargo wants a run that measures nothing: `cargo test --benches`, `-- --test`, `-- --list`.
pub fn only_tests() -> bool {
    let args: Vec<String> = std::env::args().collect();
    args.iter().any(|arg| arg == "--test" || arg == "--list") || !args.contains(&"--bench".into())
}

/// Rounds of a comparison: fewer with `--quick`, one where nothing is measured.
pub fn rounds() -> usize {
    if only_tests() {
        1
    } else if std::env::args().any(|arg| arg == "--quick") {
        101
    } else {
        1_001
    }
}
