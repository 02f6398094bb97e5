//! One half alone, from its traffic secrets (spec/conformance.md section 2.3).

use sealwire::{Error, Event, Half, Opener, Sealer, StreamErrorCode, SwitchKey, testing};
use serde_json::{Map, Value};

use super::{Outcome, Run, blocks};
use crate::input::{Input, Stop, fault, hex, object};

/// What a half gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Released {
    pub(super) events: Vec<Value>,
    /// Content of DATA and FINAL.
    pub(super) plaintext: Vec<u8>,
    /// Bodies of PUBLIC.
    pub(super) public: Vec<Vec<u8>>,
    pub(super) error: Option<Error>,
}

impl Released {
    pub(super) fn add(&mut self, event: &Event<'_>) {
        self.events.push(match event {
            Event::Data(content) => {
                self.plaintext.extend_from_slice(content);
                object([("type", "data".into()), ("bytes", hex(content))]).into()
            }
            Event::Final(content) => {
                self.plaintext.extend_from_slice(content);
                object([("type", "final".into()), ("bytes", hex(content))]).into()
            }
            Event::Public(body) => {
                self.public.push(body.to_vec());
                object([("type", "public".into()), ("bytes", hex(body))]).into()
            }
            Event::Error { code, message } => object([
                ("type", "error".into()),
                ("code", code.to_u16().into()),
                ("message", (*message).into()),
            ])
            .into(),
            _ => Value::Null,
        });
    }

    /// `events`, `released`, `released_sha256`, and `error` if there is one.
    pub(super) fn members(self, run: Run<'_>) -> Map<String, Value> {
        let digest = run.provider.verification.hash.sha256(&[&self.plaintext]);
        let mut members = object([
            ("events", self.events.into()),
            ("released", self.plaintext.len().into()),
            ("released_sha256", hex(&digest)),
        ]);
        if let Some(error) = self.error {
            members.insert("error".to_owned(), error.code().into());
        }
        members
    }
}

/// Opens what arrives in these sizes, what is left last, then the transport's end.
pub(super) fn open_all(opener: &mut Opener, wire: &[u8], sizes: &[usize]) -> Released {
    let mut released = Released::default();
    let mut rest = wire;
    let mut buffer = Vec::new();
    let mut sizes = sizes.iter();
    loop {
        let take = sizes.next().copied().unwrap_or(rest.len()).min(rest.len());
        let (piece, after) = rest.split_at(take);
        buffer.extend_from_slice(piece);
        rest = after;
        if let Err(error) = open_some(opener, &mut buffer, &mut released) {
            released.error = Some(error);
            return released;
        }
        if rest.is_empty() {
            break;
        }
    }
    released.error = opener.end_of_input().err();
    released
}

/// Opens all whole frames at the front of `buffer` and takes them away.
pub(super) fn open_some(
    opener: &mut Opener,
    buffer: &mut Vec<u8>,
    released: &mut Released,
) -> Result<(), Error> {
    loop {
        let opened = opener.open(buffer)?;
        let more = match opened.event {
            Event::NeedInput { .. } => false,
            event => {
                released.add(&event);
                true
            }
        };
        let consumed = opened.consumed;
        buffer.drain(..consumed);
        if !more {
            return Ok(());
        }
    }
}

/// A list of sizes.
pub(super) fn sizes(value: &Value) -> Result<Vec<usize>, Stop> {
    let sizes = value
        .as_array()
        .ok_or_else(|| fault("sizes are a list"))?
        .iter();
    sizes
        .map(|size| {
            size.as_u64()
                .and_then(|size| usize::try_from(size).ok())
                .ok_or_else(|| fault("a size is an integer"))
        })
        .collect()
}

fn half(input: Input<'_>) -> Result<Half, Stop> {
    match input.text("half")? {
        "c2s" => Ok(Half::C2s),
        "s2c" => Ok(Half::S2c),
        _ => Err(fault("unknown half")),
    }
}

fn late(input: Input<'_>) -> Result<Option<[u8; 32]>, Stop> {
    input
        .has("ts_late")
        .then(|| input.array("ts_late"))
        .transpose()
}

pub(super) fn open(run: Run<'_>) -> Result<Map<String, Value>, Stop> {
    let wire = run.input.hex("wire")?;
    let limits = run.limits()?;
    let open_in = |sizes: &[usize]| -> Result<Released, Stop> {
        let mut opener = testing::opener(
            run.provider,
            &limits,
            half(run.input)?,
            run.input.array("ts")?,
            late(run.input)?,
        )?;
        let released = open_all(&mut opener, &wire, sizes);
        // A failure stays what it is, whatever comes.
        if let Some(error) = released.error
            && opener.open(&mut [0; 64]).err() != Some(error)
        {
            return Err(fault("another error after the first"));
        }
        Ok(released)
    };
    let whole = open_in(&[])?;
    let mut cuts = vec![vec![1; wire.len()]];
    if let Some(chunks) = run.input.get("chunks") {
        cuts.push(sizes(chunks)?);
    }
    for cut in cuts {
        if open_in(&cut)? != whole {
            return Err(fault("other events when the bytes are cut otherwise"));
        }
    }
    Ok(whole.members(run))
}

pub(super) fn seal(run: Run<'_>) -> Result<Outcome, Stop> {
    let limits = run.limits()?;
    let ts = run.input.array("ts")?;
    let mut sealer = testing::sealer(run.provider, &limits, half(run.input)?, ts, true)?;
    if let Some(policy) = run.input.get("padding") {
        sealer.set_padding(blocks::padding_policy(policy)?);
    }
    let late = late(run.input)?.map(testing::switch_key);
    let mut wire = Vec::new();
    let result = run_ops(sealer, run.input.list("ops")?, late, &mut wire);
    let mut members = object([("wire", hex(&wire))]);
    match result {
        Ok(()) => {}
        Err(Stop::Code(code)) => {
            members.insert("error".to_owned(), code.into());
        }
        Err(other) => return Err(other),
    }
    Ok((members, Map::new()))
}

/// Runs sender operations. The sealer is gone after the last one if that ended the half.
pub(super) fn run_ops(
    sealer: Sealer,
    ops: &[Value],
    late: Option<SwitchKey>,
    wire: &mut Vec<u8>,
) -> Result<(), Stop> {
    let mut sealer = Some(sealer);
    let mut late = late;
    for op in ops {
        let op = Input(op);
        let Some(mut live) = sealer.take() else {
            return Err(fault("an operation after the end of the half"));
        };
        match op.text("op")? {
            "data" => {
                let content = op.hex("content")?;
                if content.is_empty() {
                    let mut frame = vec![0; live.sealed_len(0)?];
                    live.seal(&[], &mut frame)?;
                    wire.extend(frame);
                } else {
                    live.seal_vec(&content, wire)?;
                }
            }
            "final" => {
                live.finish(&op.hex("content")?, wire)?;
                continue;
            }
            "error" => {
                let code = StreamErrorCode::from_u16(op.small("code")?);
                live.fail(code, op.text("message")?, wire)?;
                continue;
            }
            "public" => live.public(&op.hex("bytes")?, wire)?,
            "key_update" => live.key_update(wire)?,
            "switch" => {
                let late = late.take().ok_or_else(|| fault("a second switch"))?;
                live.switch(late, wire)?;
            }
            "pad" => live.pad(op.small("zeros")?, wire)?,
            _ => return Err(fault("unknown operation")),
        }
        sealer = Some(live);
    }
    Ok(())
}
