//! The profile `chutes-v1` (spec/compat-chutes.md): both roles against each other, and every fault with its own error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealwire::compat::chutes::testing as chutes_testing;
use sealwire::compat::chutes::{
    AwaitResponse, ChutesError, Codec, Event, EventFault, GzipFault, Head, InstanceKey, KeyRing,
    KeyRingConfig, Request, StreamLimits, StreamOpener, StreamSealer, Usage, gunzip, open_request,
    seal_request, usage_event,
};
use sealwire::{rustcrypto, testing};

const PATH: &str = "/v1/chat/completions";
const BODY: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}"#;
const LIMIT: usize = 1 << 20;

fn codec() -> Codec {
    Codec::new(&rustcrypto::provider())
}

/// A peer of the deployed kind.
fn deployed() -> Codec {
    Codec {
        extensions: false,
        ..codec()
    }
}

fn ring() -> KeyRing {
    KeyRing::new(&rustcrypto::provider(), KeyRingConfig::default()).unwrap()
}

fn key(ring: &mut KeyRing) -> InstanceKey {
    InstanceKey::from_base64(&rustcrypto::provider(), &ring.public_key(0).unwrap()).unwrap()
}

fn ok_head() -> Head {
    Head::new(200, "text/event-stream").unwrap()
}

fn exchange(client: &Codec, server: &Codec) -> (Request, AwaitResponse) {
    let mut ring = ring();
    let (blob, waiting) = seal_request(client, &key(&mut ring), PATH, BODY).unwrap();
    let opened = open_request(server, &ring.candidates(0), &blob, PATH, LIMIT).unwrap();
    (opened.admit(&mut ring, 0).unwrap(), waiting)
}

/// A stream of these lines, one event a piece: `e2e_init` first, the head second where the instance numbers.
fn stream(server: &Codec, lines: &[&str]) -> (Vec<String>, StreamOpener) {
    let (request, waiting) = exchange(&codec(), server);
    let mut out = Vec::new();
    let mut sealer = request.responder.into_stream(&ok_head(), &mut out).unwrap();
    for line in lines {
        sealer.seal(line.as_bytes(), &mut out).unwrap();
    }
    let events = String::from_utf8(out)
        .unwrap()
        .split_inclusive("\n\n")
        .map(str::to_owned)
        .collect();
    (events, waiting.into_stream(StreamLimits::default()))
}

fn counted(tokens: u64) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"t{tokens} \"}}}}],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n"
    )
}

/// Everything that the events give, then the end.
fn drain(opener: &mut StreamOpener, wire: &str) -> (Vec<Event>, Result<(), ChutesError>) {
    let mut events = Vec::new();
    opener.push(wire.as_bytes());
    loop {
        match opener.next_event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, opener.end_of_input()),
            Err(error) => {
                assert_eq!(opener.next_event(), Err(error), "errors stay");
                assert_eq!(opener.end_of_input(), Err(error), "errors stay");
                return (events, Err(error));
            }
        }
    }
}

#[test]
fn a_request_and_its_answer_cross() {
    for (client, server) in [
        (codec(), codec()),
        (codec(), deployed()),
        (deployed(), codec()),
        (deployed(), deployed()),
    ] {
        let (request, waiting) = exchange(&client, &server);
        assert_eq!(request.body, BODY);
        assert_eq!(request.extended, client.extensions && server.extensions);
        let head = Head::new(429, "application/json").unwrap();
        let blob = request.responder.seal(&head, b"{\"error\":{}}").unwrap();
        let reply = waiting.open(&blob, LIMIT).unwrap();
        assert_eq!(reply.body, b"{\"error\":{}}");
        assert_eq!(reply.head, server.extensions.then_some(head));
    }
}

#[test]
fn a_stream_crosses_whatever_the_fragmentation() {
    let lines = [&counted(1), "\n", &counted(2), "\n", "data: [DONE]\n", "\n"];
    for server in [codec(), deployed()] {
        for size in [1, 7, 100_000] {
            let (mut wire, mut opener) = stream(&server, &lines.map(|line| line));
            let usage = Usage {
                prompt: 3,
                completion: 2,
                cached: 1,
            };
            wire.push(usage_event(&usage));
            let wire = wire.concat();
            let mut events = Vec::new();
            for part in wire.as_bytes().chunks(size) {
                opener.push(part);
                while let Some(event) = opener.next_event().unwrap() {
                    events.push(event);
                }
            }
            opener.end_of_input().unwrap();
            if server.extensions {
                assert_eq!(events.remove(0), Event::Head(ok_head()));
            }
            let expected = [
                Event::Content(counted(1).into()),
                Event::Content("\n".into()),
                Event::Content(counted(2).into()),
                Event::Content("\n".into()),
                Event::Done("data: [DONE]\n".into()),
                Event::Done("\n".into()),
                Event::Usage(usage),
            ];
            assert_eq!(events, expected);
        }
    }
}

#[test]
fn what_the_published_client_made_opens() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/chutes/published.json");
    let text = std::fs::read_to_string(file).unwrap();
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let text = |path: &str| vectors.pointer(path).unwrap().as_str().unwrap();
    let bytes = |path: &str| STANDARD.decode(text(path)).unwrap();
    let secret = |path: &str| testing::ml_kem_768_key(&bytes(path)).unwrap();
    let codec = codec();

    let public = text("/request/instance_pk_b64");
    let key = InstanceKey::from_base64(&codec.provider, public).unwrap();
    assert_eq!(key.to_base64(), public);
    let held = chutes_testing::request_key(public, secret("/request/instance_sk_b64"));
    let blob = bytes("/request/blob_b64");
    let opened = chutes_testing::open(&codec, &[held], &blob, PATH, LIMIT).unwrap();
    let sent: serde_json::Value = serde_json::from_str(text("/request/plaintext_utf8")).unwrap();
    let mut got: serde_json::Value = serde_json::from_slice(&opened.body).unwrap();
    got["e2e_response_pk"] = sent["e2e_response_pk"].clone();
    assert_eq!(got, sent);

    let answer =
        || chutes_testing::await_response(&codec, secret("/request/client_response_sk_b64"));
    let reply = answer().open(&bytes("/response/blob_b64"), LIMIT).unwrap();
    assert_eq!(reply.head, None);
    assert_eq!(reply.body, text("/response/plaintext_utf8").as_bytes());

    let mut opener = answer().into_stream(StreamLimits::default());
    let (events, end) = drain(&mut opener, text("/stream/wire"));
    assert_eq!(end, Ok(()));
    let lines: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Content(line) | Event::Done(line) => {
                Some(String::from_utf8(line.clone()).unwrap())
            }
            _ => None,
        })
        .collect();
    let expected: Vec<_> = vectors["stream"]["plaintext_lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(lines, expected);

    let hex = |path: &str| {
        let text = text(path);
        (0..text.len() / 2)
            .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
            .collect::<Vec<_>>()
    };
    let chunk = chutes_testing::open_with(
        &codec.provider,
        hex("/hkdf_kat/shared_secret_hex").try_into().unwrap(),
        &hex("/hkdf_kat/ct_first16_hex"),
        "e2e-stream-v1",
        &bytes("/stream_chunk_kat/e2e_b64"),
    );
    let plain = text("/stream_chunk_kat/plaintext").as_bytes();
    assert_eq!(chunk.unwrap(), plain);
}

#[test]
fn an_instance_key_that_is_none_is_refused() {
    let provider = rustcrypto::provider();
    let good = ring().public_key(0).unwrap();
    let bytes = STANDARD.decode(&good).unwrap();
    // A coefficient of q or more.
    let mut modulus = bytes.clone();
    modulus[..3].fill(0xFF);
    for bad in [
        String::new(),
        good.trim_end_matches('=').to_owned() + "=A",
        STANDARD.encode(&bytes[1..]),
        STANDARD.encode(&modulus),
        format!("{good}\n"),
    ] {
        assert_eq!(
            InstanceKey::from_base64(&provider, &bad),
            Err(ChutesError::InstanceKey)
        );
    }
}

#[test]
fn a_body_that_cannot_be_sealed_is_refused() {
    let key = key(&mut ring());
    for (body, path, expected) in [
        (&b"[]"[..], PATH, ChutesError::NotAnObject),
        (b"", PATH, ChutesError::NotAnObject),
        (b"{} {}", PATH, ChutesError::NotAnObject),
        (b"{\"a\":1,\"a\":2}", PATH, ChutesError::NotAnObject),
        (
            b"{\"e2e_response_pk\":1}",
            PATH,
            ChutesError::ReservedMember,
        ),
        (
            b"{\"e2e_response_p\\u006b\":1}",
            PATH,
            ChutesError::ReservedMember,
        ),
        (b"{}", "v1", ChutesError::Path),
        (b"{}", "/v1?x", ChutesError::Path),
        (b"{}", "/v1 x", ChutesError::Path),
    ] {
        let result = seal_request(&codec(), &key, path, body);
        assert_eq!(result.map(|_| ()), Err(expected), "{body:?} {path}");
    }
}

#[test]
fn the_body_arrives_as_it_was_sent() {
    let mut ring = ring();
    for (body, expected) in [
        ("{}", "{}"),
        (" { } \n", "{}"),
        (
            "{ \"z\": 1.10, \"\\u0061\":[ 1 ,2] }",
            "{\"z\":1.10,\"a\":[ 1 ,2]}",
        ),
    ] {
        let (blob, _) = seal_request(&codec(), &key(&mut ring), PATH, body.as_bytes()).unwrap();
        let opened = open_request(&codec(), &ring.candidates(0), &blob, PATH, LIMIT).unwrap();
        let request = opened.admit(&mut ring, 0).unwrap();
        assert_eq!(String::from_utf8(request.body).unwrap(), expected);
    }
}

#[test]
fn a_changed_request_does_not_open() {
    let mut ring = ring();
    let (blob, _) = seal_request(&codec(), &key(&mut ring), PATH, BODY).unwrap();
    let keys = ring.candidates(0);
    let open = |blob: &[u8]| open_request(&codec(), &keys, blob, PATH, LIMIT).map(|_| ());
    for at in [0, 1_087, 1_088, 1_099, 1_100, blob.len() - 1] {
        let mut changed = blob.clone();
        changed[at] ^= 1;
        assert_eq!(open(&changed), Err(ChutesError::Decrypt), "{at}");
    }
    assert_eq!(open(&blob[..blob.len() - 1]), Err(ChutesError::Decrypt));
    assert_eq!(open(&blob[..1_115]), Err(ChutesError::TooShort));
    assert_eq!(open(&[]), Err(ChutesError::TooShort));
    assert_eq!(open(&blob), Ok(()));
}

#[test]
fn another_path_than_the_sealed_one_is_refused() {
    let mut ring = ring();
    let key = key(&mut ring);
    let (blob, _) = seal_request(&codec(), &key, PATH, BODY).unwrap();
    let keys = ring.candidates(0);
    let result = open_request(&codec(), &keys, &blob, "/v1/completions", LIMIT);
    assert_eq!(result.map(|_| ()), Err(ChutesError::PathMismatch));
    // A deployed client seals none.
    let (blob, _) = seal_request(&deployed(), &key, PATH, BODY).unwrap();
    assert!(open_request(&codec(), &keys, &blob, "/v1/completions", LIMIT).is_ok());
}

#[test]
fn a_request_is_accepted_once() {
    let mut ring = ring();
    let (blob, _) = seal_request(&codec(), &key(&mut ring), PATH, BODY).unwrap();
    let keys = ring.candidates(0);
    let open = || open_request(&codec(), &keys, &blob, PATH, LIMIT).unwrap();
    let (first, second) = (open(), open());
    assert!(first.admit(&mut ring, 0).is_ok());
    assert_eq!(
        second.admit(&mut ring, 0).map(|_| ()),
        Err(ChutesError::Replayed)
    );
}

#[test]
fn keys_rotate_and_end() {
    let config = KeyRingConfig {
        rotation: 10,
        lifetime: 15,
        filter_capacity: 2,
    };
    let mut ring = KeyRing::new(&rustcrypto::provider(), config).unwrap();
    let provider = rustcrypto::provider();
    let first = ring.public_key(0).unwrap();
    assert_eq!(ring.public_key(9).unwrap(), first);
    let second = ring.public_key(10).unwrap();
    assert_ne!(second, first);
    let seal = |key: &str| {
        let key = InstanceKey::from_base64(&provider, key).unwrap();
        seal_request(&codec(), &key, PATH, BODY).unwrap().0
    };
    let old = seal(&first);
    let keys = ring.candidates(14);
    assert_eq!(keys.len(), 2);
    let opened = open_request(&codec(), &keys, &old, PATH, LIMIT).unwrap();
    // Its key ended while it was opened.
    assert_eq!(
        opened.admit(&mut ring, 15).map(|_| ()),
        Err(ChutesError::Decrypt)
    );
    assert_eq!(ring.candidates(15).len(), 1);
    // A full filter ends a key too.
    for _ in 0..2 {
        let opened = open_request(&codec(), &ring.candidates(16), &seal(&second), PATH, LIMIT);
        opened.unwrap().admit(&mut ring, 16).unwrap();
    }
    assert!(ring.candidates(16).is_empty());
    assert_ne!(ring.public_key(16).unwrap(), second);
    for bad in [(0, 1, 1), (2, 1, 1), (1, 1, 0)] {
        let config = KeyRingConfig {
            rotation: bad.0,
            lifetime: bad.1,
            filter_capacity: bad.2,
        };
        assert_eq!(
            KeyRing::new(&provider, config).map(|_| ()),
            Err(ChutesError::KeyRing)
        );
    }
}

#[test]
fn a_bomb_is_refused_on_either_side() {
    let mut ring = ring();
    let body = format!("{{\"model\":\"m\",\"x\":\"{}\"}}", "a".repeat(3 << 20));
    let (blob, waiting) = seal_request(&codec(), &key(&mut ring), PATH, body.as_bytes()).unwrap();
    assert!(blob.len() < 64 << 10);
    let keys = ring.candidates(0);
    let refused = Err(ChutesError::TooLarge { limit: LIMIT });
    let result = open_request(&codec(), &keys, &blob, PATH, LIMIT);
    assert_eq!(result.map(|_| ()), refused);
    let opened = open_request(&codec(), &keys, &blob, PATH, 4 << 20).unwrap();
    let request = opened.admit(&mut ring, 0).unwrap();
    let answer = request.responder.seal(&ok_head(), &request.body).unwrap();
    assert_eq!(waiting.open(&answer, LIMIT).map(|_| ()), refused);
}

/// `printf ''|gzip` and the like, by hand: what members, fields and faults a reader must know.
#[test]
fn gzip_of_other_programs_is_read_and_its_faults_are_told() {
    let stored = |flags: u8, fields: &[u8], text: &[u8]| {
        let mut out = vec![0x1F, 0x8B, 8, flags, 1, 2, 3, 4, 0, 3];
        out.extend_from_slice(fields);
        out.push(1);
        let len = u16::try_from(text.len()).unwrap();
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(text);
        out.extend_from_slice(&zlib_rs::crc32::crc32(0, text).to_le_bytes());
        out.extend_from_slice(&u32::from(len).to_le_bytes());
        out
    };
    let plain = stored(0, b"", b"ab");
    let named = stored(0x1C, b"\x06\0XX\x02\0zzname\0comment\0", b"cd");
    let mut both = plain.clone();
    both.extend_from_slice(&named);
    assert_eq!(gunzip(&plain, 2).unwrap(), b"ab");
    assert_eq!(gunzip(&both, 4).unwrap(), b"abcd");
    assert_eq!(gunzip(&both, 3), Err(ChutesError::TooLarge { limit: 3 }));
    assert_eq!(gunzip(&stored(0, b"", b""), 0).unwrap(), b"");
    let fault = |data: &[u8]| match gunzip(data, LIMIT) {
        Err(ChutesError::Gzip(fault)) => Some(fault),
        _ => None,
    };
    let with = |at: usize, byte: u8| {
        let mut data = plain.clone();
        data[at] = byte;
        data
    };
    assert_eq!(fault(b""), Some(GzipFault::Header));
    assert_eq!(fault(b"{\"a\":1} and more"), Some(GzipFault::Header));
    assert_eq!(fault(&with(2, 7)), Some(GzipFault::Header));
    assert_eq!(fault(&with(3, 0x20)), Some(GzipFault::Header));
    assert_eq!(fault(&with(10, 7)), Some(GzipFault::Data));
    assert_eq!(fault(&with(15, b'x')), Some(GzipFault::Checksum));
    let last = plain.len() - 1;
    assert_eq!(fault(&with(last, 1)), Some(GzipFault::Checksum));
    for end in 2..plain.len() {
        assert_eq!(fault(&plain[..end]), Some(GzipFault::Truncated), "{end}");
    }
    for end in 10..30 {
        assert_eq!(fault(&named[..end]), Some(GzipFault::Truncated), "{end}");
    }
    let mut trailing = plain.clone();
    trailing.extend_from_slice(&[0, 0]);
    assert_eq!(fault(&trailing), Some(GzipFault::Trailing));
    let mut checked = stored(0x02, b"\0\0", b"ab");
    assert_eq!(fault(&checked), Some(GzipFault::Checksum));
    let sum = zlib_rs::crc32::crc32(0, &checked[..10]).to_le_bytes();
    checked[10..12].copy_from_slice(&sum[..2]);
    assert_eq!(gunzip(&checked, 2).unwrap(), b"ab");
}

#[test]
fn a_request_without_a_sound_response_key_is_refused() {
    // Made by an own sealer of raw JSON: a client that seals what it likes.
    let mut ring = ring();
    let key = key(&mut ring);
    let good = ring.public_key(0).unwrap();
    let mut modulus = STANDARD.decode(&good).unwrap();
    modulus[..3].fill(0xFF);
    let keys = ring.candidates(0);
    for (json, expected) in [
        (String::from("{}"), Some(ChutesError::ResponseKey)),
        (
            "{\"e2e_response_pk\":7}".into(),
            Some(ChutesError::ResponseKey),
        ),
        (
            "{\"e2e_response_pk\":\"AAAA\"}".into(),
            Some(ChutesError::ResponseKey),
        ),
        (
            format!("{{\"e2e_response_pk\":\"{}\"}}", STANDARD.encode(&modulus)),
            Some(ChutesError::ResponseKey),
        ),
        ("[]".into(), Some(ChutesError::NotAnObject)),
        (format!("{{\"e2e_response_pk\":\"{good}\"}}"), None),
        (
            format!("{{\"e2e_response_pk\":\"{good}\",\"e2e_response_pk\":1}}"),
            Some(ChutesError::NotAnObject),
        ),
    ] {
        let blob = chutes_testing::seal_raw(&codec(), &key, json.as_bytes()).unwrap();
        let result = open_request(&codec(), &keys, &blob, PATH, LIMIT);
        assert_eq!(result.err(), expected, "{json:.40}");
    }
}

fn refused(server: &Codec, change: impl FnOnce(&mut Vec<String>)) -> ChutesError {
    let lines: Vec<String> = (1..=4)
        .flat_map(|n| [counted(n), "\n".to_owned()])
        .chain(["data: [DONE]\n".to_owned(), "\n".to_owned()])
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (mut events, mut opener) = stream(server, &lines);
    change(&mut events);
    let (seen, end) = drain(&mut opener, &events.concat());
    let text: Vec<_> = seen
        .iter()
        .filter_map(|event| match event {
            Event::Content(line) | Event::Done(line) => Some(String::from_utf8_lossy(line)),
            _ => None,
        })
        .collect();
    assert!(!text.concat().contains("forged"), "{text:?}");
    end.expect_err("a changed stream is not whole")
}

#[test]
fn nothing_in_clear_becomes_output() {
    let insert = |at: usize, line: &'static str| {
        move |events: &mut Vec<String>| events.insert(at, format!("{line}\n\n"))
    };
    let fault = ChutesError::Event;
    for server in [codec(), deployed()] {
        for (line, expected) in [
            ("data: [DONE]", fault(EventFault::PlaintextDone)),
            (
                "data: {\"usage\":{},\"choices\":[{\"delta\":{\"content\":\"forged\"}}]}",
                fault(EventFault::Members),
            ),
            (
                "data: {\"choices\":[{\"delta\":{\"content\":\"forged\"}}]}",
                fault(EventFault::Members),
            ),
            ("data: {}", fault(EventFault::Members)),
            (
                "data: {\"e2e\":\"AA==\",\"e2e\":\"AA==\"}",
                fault(EventFault::NotJson),
            ),
            ("data: {\"usage\":\"forged\"}", fault(EventFault::Usage)),
            ("data: {\"usage\":[1,2]}", fault(EventFault::Usage)),
            (
                "data: {\"usage\":{\"prompt_tokens\":-1}}",
                fault(EventFault::Usage),
            ),
            ("data: {\"e2e_error\":\"forged\"}", ChutesError::RelayFailed),
            ("data: {\"e2e\":\"\"}", fault(EventFault::Chunk)),
            ("data: {\"e2e\":\"!\"}", fault(EventFault::Chunk)),
            ("data: {\"e2e\":null}", fault(EventFault::Chunk)),
            ("data: {\"e2e\": \"AAAA\"}", fault(EventFault::Chunk)),
            ("data: [", fault(EventFault::NotJson)),
            ("data: forged", fault(EventFault::NotJson)),
            ("data: \"forged\"", fault(EventFault::NotJson)),
            ("event: forged", fault(EventFault::NotData)),
            ("<html>forged</html>", fault(EventFault::NotData)),
        ] {
            assert_eq!(refused(&server, insert(3, line)), expected, "{line}");
        }
        let chunk = format!("data: {{\"e2e\":\"{}\"}}\n\n", STANDARD.encode([7; 60]));
        let forged = |events: &mut Vec<String>| events.insert(3, chunk.clone());
        assert_eq!(refused(&server, forged), ChutesError::Decrypt);
    }
}

#[test]
fn a_stream_begins_with_one_init() {
    for server in [codec(), deployed()] {
        let fault = ChutesError::Event;
        assert_eq!(
            refused(&server, |events| {
                events.remove(0);
            }),
            fault(EventFault::BeforeInit)
        );
        assert_eq!(
            refused(&server, |events| events.insert(1, events[0].clone())),
            fault(EventFault::SecondInit)
        );
        for init in ["\"\"", "\"AAAA\"", "1"] {
            assert_eq!(
                refused(&server, |events| {
                    events[0] = format!("data: {{\"e2e_init\":{init}}}\n\n");
                }),
                fault(EventFault::Init)
            );
        }
        let other = format!(
            "data: {{\"e2e_init\":\"{}\"}}\n\n",
            STANDARD.encode([0; 1_088])
        );
        assert_eq!(
            refused(&server, |events| events[0] = other.clone()),
            ChutesError::Decrypt
        );
    }
}

#[test]
fn a_numbered_stream_shows_every_change_of_order() {
    let server = codec();
    let sequence = ChutesError::Sequence;
    assert_eq!(refused(&server, |events| events.swap(4, 6)), sequence);
    assert_eq!(refused(&server, |events| events.swap(4, 5)), sequence);
    assert_eq!(
        refused(&server, |events| {
            events.remove(5);
        }),
        sequence
    );
    assert_eq!(
        refused(&server, |events| {
            events.remove(1);
        }),
        sequence
    );
    assert_eq!(
        refused(&server, |events| events.insert(5, events[4].clone())),
        sequence
    );
    assert_eq!(
        refused(&server, |events| {
            // The end, drawn forward.
            let done = events.len() - 2;
            events.swap(4, done);
        }),
        sequence
    );
    assert_eq!(
        refused(&server, |events| events.truncate(events.len() - 2)),
        ChutesError::Truncated
    );
}

#[test]
fn a_deployed_stream_shows_what_nonces_and_counters_can() {
    let server = deployed();
    // init, t1, blank, t2, blank, ..
    assert_eq!(
        refused(&server, |events| events.swap(1, 3)),
        ChutesError::Counter
    );
    assert_eq!(
        refused(&server, |events| events.insert(5, events[1].clone())),
        ChutesError::Event(EventFault::NonceRepeated)
    );
    assert_eq!(
        refused(&server, |events| events.truncate(events.len() - 2)),
        ChutesError::Truncated
    );
    let drawn_forward = |events: &mut Vec<String>| {
        let done = events.remove(events.len() - 2);
        events.insert(3, done);
    };
    assert_eq!(
        refused(&server, drawn_forward),
        ChutesError::Event(EventFault::AfterDone)
    );
    // A gap shows only where every token is known to have a chunk.
    let (t1, t2, t3) = (counted(1), counted(2), counted(3));
    for (every_token, expected) in [(false, Ok(())), (true, Err(ChutesError::Counter))] {
        let (request, waiting) = exchange(&codec(), &server);
        let mut wire = Vec::new();
        let mut sealer: StreamSealer = request
            .responder
            .into_stream(&ok_head(), &mut wire)
            .unwrap();
        sealer.seal(t1.as_bytes(), &mut wire).unwrap();
        sealer.seal(t2.as_bytes(), &mut Vec::new()).unwrap();
        sealer.seal(t3.as_bytes(), &mut wire).unwrap();
        sealer.seal(b"data: [DONE]\n", &mut wire).unwrap();
        let mut opener = waiting.into_stream(StreamLimits {
            every_token,
            ..StreamLimits::default()
        });
        let (_, end) = drain(&mut opener, &String::from_utf8(wire).unwrap());
        assert_eq!(end, expected);
    }
}

#[test]
fn counters_are_kept_for_each_choice() {
    let line = |index: u64, tokens: u64| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index}}}],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n"
        )
    };
    let total = |tokens: u64| {
        format!("data: {{\"choices\":[],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n")
    };
    let run = |lines: &[String]| {
        let lines: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .chain(["data: [DONE]\n"])
            .collect();
        let (wire, mut opener) = stream(&deployed(), &lines);
        drain(&mut opener, &wire.concat()).1
    };
    assert_eq!(run(&[line(0, 1), line(1, 1), line(0, 2), total(3)]), Ok(()));
    assert_eq!(run(&[line(0, 5), line(0, 5), total(5)]), Ok(()));
    assert_eq!(run(&[line(0, 5), line(0, 4)]), Err(ChutesError::Counter));
    assert_eq!(run(&[line(0, 5), total(4)]), Err(ChutesError::Counter));
}

#[test]
fn bounds_of_a_stream_hold() {
    let (wire, _) = stream(&codec(), &[&counted(1), "data: [DONE]\n"]);
    let (wire, run) = (wire.concat(), |limits: StreamLimits| {
        let (wire, waiting) = {
            let (request, waiting) = exchange(&codec(), &codec());
            let mut out = Vec::new();
            let mut sealer = request.responder.into_stream(&ok_head(), &mut out).unwrap();
            sealer.seal(counted(1).as_bytes(), &mut out).unwrap();
            sealer.seal(b"data: [DONE]\n", &mut out).unwrap();
            (String::from_utf8(out).unwrap(), waiting)
        };
        drain(&mut waiting.into_stream(limits), &wire).1
    });
    let limits = StreamLimits::default();
    let too_many = Err(ChutesError::Event(EventFault::TooMany));
    let bytes = u64::try_from(wire.len()).unwrap();
    assert_eq!(run(StreamLimits { bytes, ..limits }), Ok(()));
    assert_eq!(
        run(StreamLimits {
            bytes: bytes - 1,
            ..limits
        }),
        too_many
    );
    assert_eq!(
        run(StreamLimits {
            chunks: 3,
            ..limits
        }),
        Ok(())
    );
    assert_eq!(
        run(StreamLimits {
            chunks: 2,
            ..limits
        }),
        too_many
    );
    let too_long = Err(ChutesError::Event(EventFault::TooLong));
    assert_eq!(
        run(StreamLimits {
            line: 1_000,
            ..limits
        }),
        too_long
    );
    let (_, mut opener) = stream(&codec(), &[]);
    opener.push(&vec![b'x'; limits.line + 1]);
    assert_eq!(opener.next_event().map(|_| ()), too_long);
}

#[test]
fn padding_is_blanks_that_old_peers_trim() {
    let (request, waiting) = exchange(&codec(), &deployed());
    let mut wire = Vec::new();
    let mut sealer = request
        .responder
        .into_stream(&ok_head(), &mut wire)
        .unwrap();
    let start = wire.len();
    sealer.seal_padded(b"data: {}\n", 64, &mut wire).unwrap();
    let first = wire.len() - start;
    sealer
        .seal_padded(b"data: {\"longer\":1}\n", 64, &mut wire)
        .unwrap();
    assert_eq!(wire.len() - start, 2 * first);
    sealer.seal_padded(b"\n", 64, &mut wire).unwrap();
    sealer
        .seal_padded(b"data: [DONE]\n", 64, &mut wire)
        .unwrap();
    let mut opener = waiting.into_stream(StreamLimits::default());
    let (events, end) = drain(&mut opener, &String::from_utf8(wire).unwrap());
    assert_eq!(end, Ok(()));
    let Event::Content(line) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(line.len(), 64);
    assert_eq!(line.trim_ascii_end(), b"data: {}");
    assert_eq!(events[2], Event::Content("\n".into()));
    assert!(matches!(events[3], Event::Done(_)));
}

#[test]
fn a_relays_own_error_is_its_own() {
    let (mut events, mut opener) = stream(&codec(), &[&counted(1)]);
    events.push("data: {\"e2e_error\":{\"message\":\"no\\u0007 luck\"}}\n\n".to_owned());
    let (seen, end) = drain(&mut opener, &events.concat());
    assert_eq!(seen.last(), Some(&Event::RelayError("no luck".to_owned())));
    assert_eq!(end, Err(ChutesError::RelayFailed));
}

#[test]
fn request_keys_are_shared_by_requests_in_progress() {
    let mut ring = ring();
    let key = key(&mut ring);
    let (blob, _) = seal_request(&codec(), &key, PATH, BODY).unwrap();
    let candidates = ring.candidates(0);
    assert_eq!(Arc::strong_count(&candidates[0]), 2);
    let opened = open_request(&codec(), &candidates, &blob, PATH, LIMIT).unwrap();
    drop(candidates);
    assert!(opened.admit(&mut ring, 0).is_ok());
}
