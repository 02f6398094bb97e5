//! The profile chutes-v1 (spec/conformance.md section 2.6).

use std::fmt;
use std::sync::Arc;

use sealwire::compat::chutes::{
    self, ChutesError, Codec, Event, Head, InstanceKey, RequestKey, StreamLimits, StreamOpener,
};
use sealwire::crypto::{DecapsulationKey, KemKeyPair};
use sealwire::{Suite, testing};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::halves::sizes;
use super::{Outcome, Run};
use crate::input::{Stop, fault, hex, object, unhex};

type Members = Map<String, Value>;

/// Bytes that kinds which seal may draw: nothing of their result depends on them.
const COINS: [u8; 256] = [7; 256];
/// Bytes that a request unpacks to at most, where the case is about something else.
const ROOM: usize = 1 << 20;

impl From<ChutesError> for Stop {
    fn from(error: ChutesError) -> Self {
        Self::Code(error.code().to_owned())
    }
}

fn codec(run: Run<'_>) -> Codec {
    Codec::new(run.provider)
}

fn sha256(bytes: &[u8]) -> Value {
    hex(&Sha256::digest(bytes))
}

fn pair(run: Run<'_>, seed: &[u8]) -> Result<KemKeyPair, Stop> {
    testing::set_coins(seed);
    let kem = run.provider.kem(Suite::MlKem768);
    let kem = kem.ok_or_else(|| fault("the provider has no ML-KEM-768"))?;
    kem.generate()
        .map_err(|error| fault(format!("no key from the seed: {error}")))
}

/// A key from its seed, or as FIPS 203 expands it.
fn secret(run: Run<'_>, bytes: &[u8]) -> Result<Box<dyn DecapsulationKey>, Stop> {
    if bytes.len() == 64 {
        return pair(run, bytes).map(|pair| pair.secret_key);
    }
    testing::ml_kem_768_key(bytes).map_err(|_| fault("held is neither seed nor key"))
}

pub(super) fn key(run: Run<'_>) -> Result<Members, Stop> {
    let text = run.input.text("key")?;
    let key = InstanceKey::from_base64(run.provider, text)?;
    if key.to_base64() != text {
        return Err(fault("the key does not encode to itself"));
    }
    let bytes = chutes::testing::key_bytes(&key);
    Ok(object([("key_sha256", sha256(bytes))]))
}

pub(super) fn gunzip(run: Run<'_>) -> Result<Members, Stop> {
    let packed = run.input.hex("packed")?;
    let (content, ours) = chutes::testing::unpack(&packed, run.input.small("limit")?)?;
    Ok(object([
        ("length", content.len().into()),
        ("sha256", sha256(&content)),
        ("subfield", ours.map_or(Value::Null, hex)),
    ]))
}

pub(super) fn request_open(run: Run<'_>) -> Result<Members, Stop> {
    let codec = codec(run);
    let mut held = Vec::new();
    for key in run.input.list("held")? {
        let bytes = unhex(key).ok_or_else(|| fault("held is no hex"))?;
        held.push(chutes::testing::request_key("", secret(run, &bytes)?));
    }
    let mut ring = chutes::testing::key_ring(run.provider, &held)?;
    let (path, limit) = (run.input.text("path")?, run.input.small("limit")?);
    let open = |blob: &[u8], candidates: &[Arc<RequestKey>]| {
        chutes::open_request(&codec, candidates, blob, path, limit)
    };
    let earlier = run.input.get("before").and_then(Value::as_array);
    for blob in earlier.into_iter().flatten() {
        let blob = unhex(blob).ok_or_else(|| fault("before is no hex"))?;
        open(&blob, &ring.candidates(0))?.admit(&mut ring, 0)?;
    }
    let opened = open(&run.input.hex("blob")?, &ring.candidates(0))?;
    let under = chutes::testing::opened_under(&opened, &held);
    let request = opened.admit(&mut ring, 0)?;
    Ok(object([
        ("key", under.into()),
        ("members", members(&request.body)?),
        (
            "response_key_sha256",
            sha256(chutes::testing::client_key(&request.responder)),
        ),
    ]))
}

pub(super) fn request_seal(run: Run<'_>) -> Result<Members, Stop> {
    let pair = pair(run, &run.input.hex("held")?)?;
    let path = run.input.get("path").and_then(Value::as_str);
    let codec = Codec {
        extensions: path.is_some(),
        ..codec(run)
    };
    let text = chutes::testing::to_base64(&pair.public_key);
    let key = InstanceKey::from_base64(run.provider, &text)?;
    testing::set_coins(&COINS);
    let path = path.unwrap_or("/v1/chat/completions");
    let body = run.input.text("body")?.as_bytes();
    let (blob, _) = chutes::seal_request(&codec, &key, path, body)?;
    let held = [chutes::testing::request_key(&text, pair.secret_key)];
    let request = chutes::testing::open(&codec, &held, &blob, path, ROOM)?;
    Ok(object([("members", members(&request.body)?)]))
}

pub(super) fn response_open(run: Run<'_>) -> Result<Members, Stop> {
    let secret = secret(run, &run.input.hex("seed")?)?;
    let waiting = chutes::testing::await_response(&codec(run), secret);
    let reply = waiting.open(&run.input.hex("blob")?, run.input.small("limit")?)?;
    let (status, media_type) = match &reply.head {
        Some(head) => (head.status.into(), head.content_type.as_str().into()),
        None => (Value::Null, Value::Null),
    };
    Ok(object([
        ("status", status),
        ("media_type", media_type),
        ("body", hex(&reply.body)),
    ]))
}

/// What came of a stream.
#[derive(Default, PartialEq)]
struct Came {
    head: Option<Head>,
    usage: Vec<Value>,
    content: Vec<u8>,
    held: Vec<u8>,
    relay: Option<String>,
    error: Option<ChutesError>,
}

impl Came {
    fn drain(&mut self, opener: &mut StreamOpener) -> Result<(), ChutesError> {
        while let Some(event) = opener.next_event()? {
            match event {
                Event::Head(head) => self.head = Some(head),
                Event::Content(line) => self.content.extend_from_slice(&line),
                Event::Done(line) => self.held.extend_from_slice(&line),
                Event::Usage(usage) => self.usage.push(json!({
                    "prompt": usage.prompt,
                    "completion": usage.completion,
                    "cached": usage.cached,
                })),
                Event::RelayError(text) => self.relay = Some(text),
                _ => {}
            }
        }
        Ok(())
    }

    fn run(mut opener: StreamOpener, wire: &[u8], sizes: &[usize]) -> Self {
        let mut came = Self::default();
        let mut rest = wire;
        for size in sizes.iter().copied().chain([usize::MAX]) {
            let piece = rest.split_off(..size.min(rest.len())).unwrap_or_default();
            opener.push(piece);
            if let Err(error) = came.drain(&mut opener) {
                // What is good behind a fault changes nothing.
                opener.push(b": more\n");
                let stays =
                    opener.next_event() == Err(error) && opener.end_of_input() == Err(error);
                came.error = stays.then_some(error);
                return came;
            }
        }
        match opener.end_of_input() {
            Ok(()) => came.content.append(&mut came.held),
            Err(error) => came.error = Some(error),
        }
        came
    }
}

/// Longest wire that is run byte by byte too.
const BYTEWISE: usize = 16_384;

pub(super) fn stream_open(run: Run<'_>) -> Result<Members, Stop> {
    let limits = StreamLimits {
        line: run.input.small("max_line")?,
        bytes: run.input.number("max_bytes")?,
        chunks: run.input.small("max_chunks")?,
        every_token: run.input.flag("every_token", false),
    };
    let seed = run.input.hex("seed")?;
    let wire: Result<Vec<u8>, _> = run
        .input
        .text("wire")?
        .chars()
        .map(|c| u8::try_from(u32::from(c)))
        .collect();
    let wire = wire.map_err(|_| fault("a character of wire is no byte"))?;
    let came = |sizes: &[usize]| -> Result<Came, Stop> {
        let waiting = chutes::testing::await_response(&codec(run), secret(run, &seed)?);
        Ok(Came::run(waiting.into_stream(limits), &wire, sizes))
    };
    let whole = came(&[])?;
    let mut cuts = Vec::new();
    if let Some(given) = run.input.get("chunks") {
        cuts.push(sizes(given)?);
    }
    if wire.len() <= BYTEWISE {
        cuts.push(vec![1; wire.len()]);
    }
    for cut in cuts {
        if came(&cut)? != whole {
            return Err(fault("another result when the bytes are cut otherwise"));
        }
    }
    if let Some(error) = whole.error {
        let mut members = object([
            ("error", error.code().into()),
            ("released", whole.content.len().into()),
            ("released_sha256", sha256(&whole.content)),
        ]);
        members.extend(whole.relay.map(|text| ("relay".to_owned(), text.into())));
        return Ok(members);
    }
    let head = whole
        .head
        .map(|head| json!({"status": head.status, "media_type": head.content_type}));
    Ok(object([
        ("head", head.into()),
        ("usage", whole.usage.into()),
        ("content", text_or_hex(whole.content)),
    ]))
}

pub(super) fn stream_seal(run: Run<'_>) -> Result<Outcome, Stop> {
    let responder = chutes::testing::responder(&codec(run), run.input.text("response_key")?)?;
    let head = Head::new(run.input.small("status")?, run.input.text("media_type")?);
    let head = head.ok_or_else(|| fault("no head"))?;
    testing::set_coins(&run.coins.hex("encaps_c")?);
    let mut wire = Vec::new();
    let mut sealer = responder.into_stream(&head, &mut wire)?;
    for line in run.input.list("lines")? {
        let line = line.as_str().ok_or_else(|| fault("a line is no text"))?;
        sealer.seal(line.as_bytes(), &mut wire)?;
    }
    Ok((object([("wire", text(wire)?)]), Map::new()))
}

/// Text as it is; other bytes as `{"hex": ..}`.
fn text_or_hex(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).map_or_else(|error| json!({"hex": hex(error.as_bytes())}), Value::from)
}

fn text(bytes: Vec<u8>) -> Result<Value, Stop> {
    String::from_utf8(bytes)
        .map(Value::from)
        .map_err(|_| fault("the result is no UTF-8"))
}

/// `[name, text of the value]` of each member, in order.
fn members(json: &[u8]) -> Result<Value, Stop> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                list.push(json!([name, value.get()]));
            }
            Ok(list)
        }
    }

    let mut reader = serde_json::Deserializer::from_slice(json);
    reader
        .deserialize_map(List)
        .and_then(|list| reader.end().map(|()| list.into()))
        .map_err(|error| fault(format!("the body is no object: {error}")))
}
