//! One peer against bytes from a transport (spec/conformance.md section 2.4, kind `carriage`).

use sealwire::client::{AwaitResponse, ClientConfig, EarlyData, ResponseProgress};
use sealwire::handshake::{OpeningProgress, context_prefix, read_opening, read_opening_message};
use sealwire::{Error, Event, HandshakeFault, Opener};
use serde_json::{Map, Value};

use super::Run;
use super::halves::{Released, open_some};
use super::handshake::{Instance, start};
use crate::input::{Stop, fault, hex, unhex};

/// How the bytes come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Stream,
    Message,
}

pub(super) fn carriage(run: Run<'_>) -> Result<Map<String, Value>, Stop> {
    let transport = match run.input.text("transport")? {
        "stream" => Transport::Stream,
        "message" => Transport::Message,
        _ => return Err(fault("unknown transport")),
    };
    let mut received = Vec::new();
    for piece in run.input.list("received")? {
        received.push(unhex(piece).ok_or_else(|| fault("received is no hex"))?);
    }
    let mut sent = Vec::new();
    let mut released = Released::default();
    let result = match run.input.text("role")? {
        "instance" => instance(run, transport, &received, &mut sent, &mut released),
        "client" => client(run, transport, &received, &mut sent, &mut released),
        _ => Err(fault("unknown role")),
    };
    let mut failure = None;
    match result {
        Ok(()) => {}
        Err(Stop::Code(code)) => failure = Some(code),
        Err(other) => return Err(other),
    }
    let mut members = released.members(run);
    members.insert("sent".to_owned(), sent.into());
    if let Some(code) = failure {
        members.insert("error".to_owned(), code.into());
    }
    Ok(members)
}

fn instance(
    run: Run<'_>,
    transport: Transport,
    received: &[Vec<u8>],
    sent: &mut Vec<Value>,
    released: &mut Released,
) -> Result<(), Stop> {
    let mut instance = Instance::new(run)?;
    instance.busy = run.params.flag("busy", false);
    let mut pieces = received.iter();
    let mut buffer = Vec::new();
    let (context, request) = match transport {
        Transport::Message => {
            let first = pieces.next().ok_or(Error::Truncated)?;
            let (context, request) = read_opening_message(first)?;
            (context.to_vec(), request)
        }
        Transport::Stream => loop {
            match read_opening(&buffer)? {
                OpeningProgress::Done {
                    consumed,
                    context,
                    request,
                } => {
                    let context = context.to_vec();
                    buffer.drain(..consumed);
                    break (context, request);
                }
                _ => buffer.extend_from_slice(pieces.next().ok_or(Error::Truncated)?),
            }
        },
    };
    let (mut accepted, h2) = instance.accept_request(request, &context, &run.limits()?)?;
    sent.push(hex(&h2));
    frames(transport, &mut accepted.opener, buffer, pieces, released)
}

fn client(
    run: Run<'_>,
    transport: Transport,
    received: &[Vec<u8>],
    sent: &mut Vec<Value>,
    released: &mut Released,
) -> Result<(), Stop> {
    let never = run.input.get("early").and_then(Value::as_str) == Some("never");
    if never && !run.input.flag("duplex", true) {
        // Such a client is built to know it (http.md section 4): it sends nothing.
        return Err(Error::from(HandshakeFault::NoDuplex).into());
    }
    let early_data = if never {
        EarlyData::Never
    } else {
        EarlyData::Allow
    };
    let limits = run.limits()?;
    let started = start(run, &ClientConfig { early_data, limits })?;
    let first = [context_prefix(&started.context), started.h1].concat();
    sent.push(hex(&first));

    let silence = run.input.get("then").and_then(Value::as_str) == Some("silence");
    let nothing_more = || -> Stop {
        // The deadline is a timer of the program, which drops the waiting state.
        if silence {
            Error::from(HandshakeFault::Timeout).into()
        } else {
            Error::Truncated.into()
        }
    };
    let mut pieces = received.iter();
    let mut buffer = Vec::new();
    let mut waiting: AwaitResponse = started.waiting;
    let mut connected = match transport {
        Transport::Message => waiting.read_message(pieces.next().ok_or_else(nothing_more)?)?,
        Transport::Stream => loop {
            match waiting.read(&buffer)? {
                ResponseProgress::Done {
                    consumed,
                    connected,
                } => {
                    buffer.drain(..consumed);
                    break connected;
                }
                ResponseProgress::NeedInput { next, .. } => waiting = next,
                _ => return Err(fault("unknown progress")),
            }
            buffer.extend_from_slice(pieces.next().ok_or_else(nothing_more)?);
        },
    };
    frames(transport, &mut connected.opener, buffer, pieces, released)
}

/// The half after the handshake, and the transport's end.
fn frames<'a>(
    transport: Transport,
    opener: &mut Opener,
    mut buffer: Vec<u8>,
    pieces: impl Iterator<Item = &'a Vec<u8>>,
    released: &mut Released,
) -> Result<(), Stop> {
    if transport == Transport::Stream {
        open_some(opener, &mut buffer, released)?;
    }
    for piece in pieces {
        match transport {
            Transport::Stream => {
                buffer.extend_from_slice(piece);
                open_some(opener, &mut buffer, released)?;
            }
            Transport::Message => {
                let mut message = piece.clone();
                let event: Option<Event<'_>> = opener.open_message(&mut message)?;
                if let Some(event) = event {
                    released.add(&event);
                }
            }
        }
    }
    Ok(opener.end_of_input()?)
}
