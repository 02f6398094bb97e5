//! Writes the seed corpora: `cargo run --manifest-path fuzz/Cargo.toml --example seeds -- fuzz/seeds`.
//!
//! The targets read their input through `arbitrary`; this writes the encoding that `arbitrary`'s derive reads: fields in order, an enum's
//! variant as a `u32`, `true` before each element of a list, `false` after the last.

use std::path::Path;

use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::receipt::{Receipt, ReceiptKind, Usage};
use sealwire::server;
use sealwire::{Limits, Suite};
use sealwire_fuzz::fixture;

#[derive(Clone, Default)]
struct Enc(Vec<u8>);

impl Enc {
    fn new() -> Self {
        Self::default()
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    fn bool(self, value: bool) -> Self {
        self.u8(u8::from(value))
    }

    fn u16(self, value: u16) -> Self {
        self.raw(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    /// Variant `index` of `count`.
    fn variant(self, index: u64, count: u64) -> Self {
        self.u32(u32::try_from(((index << 32) + count - 1) / count).unwrap())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self = self.bool(true).u8(*byte);
        }
        self.bool(false)
    }

    fn list(mut self, items: impl IntoIterator<Item = Enc>) -> Self {
        for item in items {
            self = self.bool(true).raw(&item.0);
        }
        self.bool(false)
    }

    fn none(self) -> Self {
        self.bool(false)
    }

    /// `Bytes::Filled`.
    fn filled(self, len: u16, fill: u8) -> Self {
        self.variant(1, 2).u16(len).u8(fill)
    }
}

/// `Mutation::Xor`.
fn xor(at: u32, with: u8) -> Enc {
    Enc::new().variant(0, 9).u32(at).u8(with)
}

/// `Mutation::Head`.
fn head(at: u8, with: u8) -> Enc {
    Enc::new().variant(1, 9).u8(at).u8(with)
}

/// `FrameSpec::Sealed`; `inner` from 1 on.
fn sealed(inner: u8, len: u16, zeros: u16) -> Enc {
    let enc = Enc::new().variant(0, 4).variant(u64::from(inner) - 1, 7);
    enc.filled(len, b'x').u16(zeros).none().none()
}

fn public(len: u16) -> Enc {
    Enc::new().variant(1, 4).filled(len, 1)
}

/// `Receiver` without bounds.
fn receiver(c2s: bool) -> Enc {
    let enc = Enc::new().bool(c2s).u8(4).none().u8(32);
    enc.none().none().none()
}

fn frames(c2s: bool) -> Vec<Enc> {
    if c2s {
        vec![
            sealed(1, 40, 24),
            sealed(5, 0, 64),
            sealed(1, 9, 0),
            sealed(4, 0, 0),
            sealed(6, 0, 300),
            sealed(2, 5, 0),
        ]
    } else {
        vec![
            sealed(1, 200, 56),
            public(218),
            sealed(4, 0, 0),
            sealed(1, 1, 0),
            public(218),
            sealed(3, 6, 0),
        ]
    }
}

/// `Script` with every operation.
fn script(c2s: bool, end: Option<bool>) -> Enc {
    let op = |index| Enc::new().variant(index, 8);
    let room = |enc: Enc| enc.variant(0, 3);
    let mut ops = vec![
        room(op(0).filled(40, b'a')),
        room(op(1).filled(200, b'b')),
        op(2).filled(20_000, b'c'),
        op(3).u16(100),
    ];
    ops.push(if c2s { op(5) } else { op(6).filled(218, 1) });
    ops.push(op(4));
    ops.push(op(7).variant(2, 4));
    ops.push(room(op(0).filled(9, b'd')));
    let enc = Enc::new().bool(c2s).bool(true).u8(3).none().list(ops);
    match end {
        None => enc.none(),
        Some(true) => enc.bool(true).variant(0, 2).filled(30, b'e'),
        Some(false) => enc.bool(true).variant(1, 2).u16(3).u8(2),
    }
}

fn handshake(suite: Suite) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut ring, bundle) = fixture::ring(suite, false);
    let (h1, _, _) = fixture::start(&fixture::verified(&bundle));
    let Ok(RequestProgress::Done { request, .. }) = ParsedRequest::read(&h1) else {
        panic!("a whole H1");
    };
    fixture::coins(4);
    let mut h2 = Vec::new();
    let context = fixture::context().encode();
    server::accept(
        &mut ring,
        request,
        &context,
        &Limits::default(),
        fixture::NOW,
        &mut h2,
    )
    .unwrap();
    (bundle.as_bytes().to_vec(), h1, h2)
}

/// A line of `chutes::Script`.
fn line(variant: u64) -> Enc {
    Enc::new().variant(variant, 7)
}

/// Two lines and the end.
fn chutes_script(numbered: bool) -> Enc {
    let lines = [
        line(0).u8(9),
        line(1),
        line(4).u8(0).u8(1),
        line(1),
        line(2),
        line(1),
    ];
    Enc::new().bool(numbered).list(lines)
}

fn chutes(put: &dyn Fn(&str, &str, Enc)) {
    let act = |variant| Enc::new().variant(variant, 6);
    let plain = |at: u8, variant| act(3).u8(at).variant(variant, 8);
    for (numbered, kind) in [(true, "numbered"), (false, "deployed")] {
        for (name, acts) in [
            ("honest", vec![]),
            ("swapped", vec![act(0).u8(2).u8(4)]),
            ("dropped", vec![act(1).u8(3)]),
            ("repeated", vec![act(2).u8(2).u8(5)]),
            ("usage", vec![plain(2, 0).u64(5).u64(1)]),
            ("plain-done", vec![plain(3, 1)]),
            ("failure", vec![plain(4, 2)]),
            ("tool-call", vec![plain(2, 3)]),
            ("edited", vec![act(4).u8(3).list([xor(40, 1)])]),
            ("cut", vec![act(5).u8(5)]),
        ] {
            let input = Enc::new().raw(&chutes_script(numbered).0).list(acts);
            let input = input.list([]).none().bool(false).bytes(&[0, 6, 30]);
            put("chutes_stream", &format!("{kind}-{name}"), input);
        }
    }
    let member = |name: u8, value: u8| Enc::new().u8(name).u8(value);
    let known = [member(0, 6), member(1, 1), member(3, 7)];
    let input = |variant| Enc::new().variant(variant, 6);
    put("chutes_request", "blob", input(0).list([]));
    put(
        "chutes_request",
        "blob-changed",
        input(0).list([xor(1_100, 1)]),
    );
    put(
        "chutes_request",
        "json",
        input(1).bytes(b"{\"e2e_response_pk\":1}"),
    );
    put(
        "chutes_request",
        "changed",
        input(2).list(known.clone()).list([xor(3, 1)]),
    );
    put("chutes_request", "object", input(3).list(known).bool(true));
    let gzip = [
        &[
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, 1, 1, 0, 0xFE, 0xFF, b'x',
        ][..],
        &[0x83, 0x16, 0xDC, 0x8C, 1, 0, 0, 0],
    ]
    .concat();
    put("chutes_request", "packed", input(4).bytes(&gzip));
    let text = |enc: Enc, text: &str| {
        let len = text.len();
        enc.raw(text.as_bytes()).u8(u8::try_from(len).unwrap())
    };
    let sealed = input(5).bytes(b"{\"model\":\"m\"}");
    put("chutes_request", "sealed", text(sealed, "/v1/x"));

    let input = |variant| Enc::new().variant(variant, 3);
    put("chutes_gunzip", "bytes", input(0).bytes(&gzip).u32(100));
    let member = |stored: bool| {
        let enc = Enc::new().bytes(b"text ").u16(300).bool(stored);
        enc.bool(true)
            .bytes(b"SW\x02\0ab")
            .none()
            .bool(true)
            .bytes(b"n")
            .bool(true)
    };
    for (name, limit) in [("exact", 0), ("one-less", 1)] {
        let input = input(1).list([member(true), member(false)]).list([]);
        put("chutes_gunzip", name, input.variant(limit, 3));
    }
    put(
        "chutes_gunzip",
        "deflate",
        input(2).bytes(&gzip[10..16]).u32(100),
    );
}

fn attest(put: &dyn Fn(&str, &str, Enc)) {
    let documents = [
        "native",
        "chutes",
        "statement",
        "tokens",
        "jwks",
        "collateral",
        "policy",
    ];
    for (index, name) in (0..).zip(documents) {
        let changed = Enc::new().variant(1, 2).variant(index, 7);
        put("attest_documents", name, changed.clone().list([]));
        let changed = changed.list([xor(40, 1)]);
        put("attest_documents", &format!("{name}-changed"), changed);
    }
    let policy = b"any_measurement = true\n".as_slice();
    let bytes = Enc::new().variant(0, 2).variant(6, 7).bytes(policy);
    put("attest_documents", "policy-any", bytes);

    let changed = Enc::new().variant(2, 3);
    for (name, lists) in [
        ("good", [vec![], vec![], vec![]]),
        ("quote", [vec![xor(100, 1)], vec![], vec![]]),
        ("quote-signature", [vec![xor(640, 1)], vec![], vec![]]),
        ("statement", [vec![], vec![xor(20, 1)], vec![]]),
        ("collateral", [vec![], vec![], vec![xor(200, 1)]]),
    ] {
        let enc = lists.into_iter().fold(changed.clone(), Enc::list);
        put("attest_quotes", name, enc);
    }
    let snp = Enc::new().variant(1, 3).u8(2).list([]).list([]);
    put("attest_quotes", "snp", snp);

    let changed = Enc::new().variant(1, 2);
    for (name, at) in [
        ("evidence", 0),
        ("certificate", 1),
        ("overall", 2),
        ("token", 3),
    ] {
        let lists = (0..4).map(|list| (list == at).then(|| xor(60, 1)));
        let enc = lists.fold(changed.clone(), Enc::list);
        put("attest_gpus", name, enc);
    }
    let good = (0..4).fold(changed, |enc, _| enc.list([]));
    put("attest_gpus", "good", good);
}

fn main() {
    let root = std::env::args().nth(1).expect("the folder to write to");
    let put = |target: &str, name: &str, enc: Enc| {
        let folder = Path::new(&root).join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), enc.0).unwrap();
    };

    chutes(&put);
    attest(&put);
    for (x_wing, name) in [(false, "mlkem"), (true, "xwing")] {
        let (bundle, _, h2) = handshake(fixture::suite(x_wing));
        let policy = Enc::new()
            .list([Enc::new().bool(x_wing)])
            .raw(&[0; 2])
            .variant(0, 3)
            .u8(0)
            .bool(false);
        let changed = Enc::new().variant(1, 3).bool(x_wing).bool(false);
        put("bundle", name, Enc::new().variant(0, 3).bytes(&bundle));
        put(
            "bundle",
            &format!("{name}-valid"),
            changed.clone().list([]).raw(&policy.0),
        );
        // The first and the last second of the clock, and the ones beside them.
        for (case, edge, by) in [
            ("too-early", 0, -1_i8),
            ("first", 0, 0),
            ("last", 1, 0),
            ("too-late", 1, 1),
        ] {
            let clock = Enc::new().variant(edge, 3).raw(&by.to_le_bytes());
            put(
                "bundle",
                &format!("{name}-{case}"),
                changed
                    .clone()
                    .list([])
                    .list([Enc::new().bool(x_wing)])
                    .raw(&[0; 2])
                    .raw(&clock.0)
                    .bool(false),
            );
        }
        put(
            "bundle",
            &format!("{name}-flags"),
            changed.clone().list([head(3, 2)]).raw(&policy.0),
        );
        put(
            "bundle",
            &format!("{name}-signature"),
            changed.list([xor(u32::MAX, 1)]).raw(&policy.0),
        );
        put(
            "bundle",
            &format!("{name}-key"),
            Enc::new()
                .variant(2, 3)
                .none()
                .u8(if x_wing { 2 } else { 1 })
                .u8(0)
                .u64(fixture::NOW.unix)
                .u16(600)
                .filled(9, b'l')
                .variant(0, 2)
                .list([xor(1, 0x0F)])
                .none()
                .raw(&policy.0),
        );

        let h1 = Enc::new().bool(x_wing).bool(false).bytes(&[0, 9, 200]);
        for (case, enc) in [
            ("valid", h1.clone().variant(1, 3).list([]).list([])),
            (
                "ciphertext",
                h1.clone().variant(1, 3).list([xor(100, 1)]).list([]),
            ),
            (
                "magic",
                h1.clone().variant(1, 3).list([head(1, 1)]).list([]),
            ),
            (
                "version",
                h1.clone().variant(1, 3).list([head(2, 2)]).list([]),
            ),
            (
                "suite",
                h1.clone().variant(1, 3).list([head(4, 3)]).list([]),
            ),
            (
                "flags",
                h1.clone().variant(1, 3).list([head(5, 1)]).list([]),
            ),
            (
                "context",
                h1.clone().variant(1, 3).list([]).list([xor(5, 1)]),
            ),
            (
                "lying",
                h1.clone()
                    .variant(2, 3)
                    .list([xor(1, 15)])
                    .variant(2, 3)
                    .u8(2),
            ),
        ] {
            put("handshake_h1", &format!("{name}-{case}"), enc);
        }

        let enc = Enc::new().bool(x_wing).bytes(&[0, 9]);
        for (case, enc) in [
            ("bytes", enc.clone().variant(0, 3).bytes(&h2)),
            ("valid", enc.clone().variant(1, 3).list([])),
            ("changed", enc.clone().variant(1, 3).list([xor(50, 1)])),
            ("other", enc.variant(2, 3)),
        ] {
            put("handshake_h2", &format!("{name}-{case}"), enc);
        }
    }

    let context = fixture::context().encode();
    put("context", "bytes", Enc::new().variant(0, 3).bytes(&context));
    let item = |kind: u8, value: &[u8]| Enc::new().u8(kind).none().bytes(value);
    put(
        "context",
        "items",
        Enc::new().variant(1, 3).list([
            item(1, b"demo"),
            item(2, &[7; 16]),
            item(3, &[1]),
            item(4, b"acct"),
        ]),
    );

    for (name, header) in [
        ("sealed-least", [1, 0, 0, 20]),
        ("sealed-most", [1, 0, 0x40, 0x14]),
        ("public-least", [2, 0, 0, 17]),
        ("public-most", [2, 0, 2, 16]),
    ] {
        put("frame_header", name, Enc::new().raw(&header));
    }

    for (c2s, name) in [(true, "c2s"), (false, "s2c")] {
        put(
            "opener_null",
            name,
            receiver(c2s).bytes(&[0, 30, 255]).list(frames(c2s)),
        );
        put(
            "differential_fragmentation",
            name,
            receiver(c2s).bytes(&[0]).bytes(&[3, 250]).list(frames(c2s)),
        );
        for (end, end_name) in [
            (None, "open"),
            (Some(true), "final"),
            (Some(false), "error"),
        ] {
            for real in [false, true] {
                put(
                    "sealer_ops",
                    &format!("{name}-{end_name}-{}", if real { "real" } else { "null" }),
                    Enc::new()
                        .bool(real)
                        .raw(&script(c2s, end).0)
                        .bytes(&[100, 7]),
                );
            }
        }
        let change = |index| {
            Enc::new()
                .variant(1, 2)
                .raw(&script(c2s, Some(true)).0)
                .variant(index, 5)
        };
        for (case, enc) in [
            ("same", change(0).list([])),
            ("changed", change(0).list([xor(300, 4)])),
            ("drop", change(1).u8(3)),
            ("repeat", change(2).u8(2)),
            ("swap", change(3).u8(1).u8(4)),
            ("cut", change(4).u8(5)),
        ] {
            put("opener_ops", &format!("{name}-{case}"), enc.bytes(&[90]));
        }
    }

    // Every bound exactly at what the frames need, and one below; padding between empty frames starts their count anew.
    for (name, near) in [("at", 1), ("below", 0)] {
        let edge = |set: bool| {
            if set {
                Enc::new().bool(true).variant(near, 3)
            } else {
                Enc::new().none()
            }
        };
        for (index, bound) in ["frames", "bytes", "pad-bytes", "empty"].iter().enumerate() {
            let mut enc = Enc::new().bool(false).u8(4).none().u8(32).none().none();
            enc = enc.bool(true);
            for other in 0..4 {
                enc = enc.raw(&edge(other == index).0);
            }
            let frames = [
                sealed(1, 5, 0),
                sealed(1, 0, 0),
                sealed(6, 0, 0),
                sealed(6, 0, 40),
                sealed(1, 0, 0),
                sealed(6, 0, 0),
                sealed(1, 0, 40),
                sealed(6, 0, 0),
                sealed(2, 3, 0),
            ];
            put(
                "opener_null",
                &format!("{bound}-{name}"),
                enc.bytes(&[200]).list(frames),
            );
        }
    }

    let receipt = Receipt {
        kind: ReceiptKind::Final,
        request_complete: true,
        usage_known: true,
        status: 200,
        index: 0,
        usage: Usage {
            tokens_in: 10,
            tokens_out: 20,
            tokens_cached: 0,
        },
        time: fixture::NOW.unix,
        request_id: [7; 16],
        attempt: 1,
        th2: [4; 32],
        bundle_hash: [5; 32],
        context_hash: [6; 32],
    };
    let fields = |last: bool| {
        let enc = Enc::new().bool(last).bool(true).bool(true).u16(200).u32(0);
        enc.u64(10).u64(20).u64(0).u64(fixture::NOW.unix)
    };
    put(
        "receipt",
        "bytes",
        Enc::new()
            .variant(0, 4)
            .bytes(&receipt.sign(&fixture::identity())),
    );
    put(
        "receipt",
        "signed",
        Enc::new().variant(2, 4).raw(&fields(true).0).list([]),
    );
    let wrong = |last, index| fields(last).variant(index, 8);
    put(
        "receipt",
        "stream",
        Enc::new().variant(3, 4).list([
            wrong(false, 0),
            wrong(false, 0),
            wrong(false, 2).u8(1),
            wrong(true, 0),
            wrong(true, 0),
        ]),
    );
}
