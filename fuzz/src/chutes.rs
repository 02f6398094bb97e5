//! Keys of the profile chutes-v1, and a stream that knows what was sealed into it.

use std::cell::LazyCell;

use arbitrary::Arbitrary;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealwire::Suite;
use sealwire::compat::chutes::{
    AwaitResponse, ChutesError, Codec, Event, Head, InstanceKey, StreamLimits, StreamOpener,
    testing,
};
use sealwire::crypto::{DecapsulationKey, KemKeyPair};
use sealwire::testing::set_coins;

use crate::fixture::{self, PROVIDER};
use crate::mutate::{self, Mutation};

/// A codec with fixed coins; `ours` puts data of our own inside.
pub fn codec(ours: bool) -> Codec {
    Codec {
        extensions: ours,
        ..Codec::new(PROVIDER)
    }
}

/// The pair that these coins give, the same at each call.
pub fn pair(seed: u8) -> KemKeyPair {
    fixture::coins(seed);
    PROVIDER.kem(Suite::MlKem768).unwrap().generate().unwrap()
}

thread_local! {
    static INSTANCE: LazyCell<String> = LazyCell::new(|| STANDARD.encode(pair(1).public_key));
    static CLIENT: LazyCell<String> = LazyCell::new(|| STANDARD.encode(pair(2).public_key));
}

pub fn instance_key() -> InstanceKey {
    INSTANCE.with(|text| InstanceKey::from_base64(PROVIDER, text).unwrap())
}

pub fn instance_secret() -> Box<dyn DecapsulationKey> {
    pair(1).secret_key
}

/// The client's key as it stands in a request.
pub fn client_key() -> String {
    CLIENT.with(|text| (**text).clone())
}

pub fn waiting() -> AwaitResponse {
    testing::await_response(&codec(true), pair(2).secret_key)
}

/// A line of the inner stream.
#[derive(Arbitrary, Clone, Debug)]
pub enum Line {
    Text(u8),
    Blank,
    Done,
    Comment,
    Counted { choice: u8, tokens: u8 },
    All { tokens: u8 },
    Raw(Vec<u8>),
}

impl Line {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(size) => {
                let text = "t".repeat(usize::from(*size));
                format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n").into()
            }
            Self::Blank => b"\n".to_vec(),
            Self::Done => b"data: [DONE]\n".to_vec(),
            Self::Comment => b": ping\n".to_vec(),
            Self::Counted { choice, tokens } => format!(
                "data: {{\"choices\":[{{\"index\":{choice}}}],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n"
            )
            .into(),
            Self::All { tokens } => {
                format!("data: {{\"choices\":[],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n").into()
            }
            Self::Raw(bytes) => bytes.clone(),
        }
    }

    /// Whether nothing but its place in the stream decides about it.
    fn is_plain(&self) -> bool {
        matches!(
            self,
            Self::Text(_) | Self::Blank | Self::Done | Self::Comment
        )
    }
}

/// What an instance seals.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    pub numbered: bool,
    pub lines: Vec<Line>,
}

/// The events of a stream, the init first, and the lines that its chunks give.
pub struct Sealed {
    pub events: Vec<Vec<u8>>,
    pub lines: Vec<Vec<u8>>,
}

const MAX_LINES: usize = 24;

impl Script {
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().take(MAX_LINES)
    }

    pub fn seal(&self) -> Sealed {
        let responder = testing::responder(&codec(self.numbered), &client_key()).unwrap();
        // The KEM's coins, then nonces that differ.
        let mut coins = vec![3; 32];
        coins.extend((0..u8::MAX).flat_map(|n| [n; 12]));
        set_coins(&coins);
        let mut wire = Vec::new();
        let head = Head::new(200, "text/event-stream").unwrap();
        let mut sealer = responder.into_stream(&head, &mut wire).unwrap();
        let mut lines = Vec::new();
        for line in self.lines() {
            let mut line = line.bytes();
            sealer.seal(&line, &mut wire).unwrap();
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            lines.push(line);
        }
        let text = String::from_utf8(wire).unwrap();
        Sealed {
            events: text
                .split_inclusive("\n\n")
                .map(|event| event.as_bytes().to_vec())
                .collect(),
            lines,
        }
    }

    /// For a script of plain lines: how many lines come out before the end, and the error if the stream is not whole.
    pub fn expected(&self) -> Option<(usize, Result<(), &'static str>)> {
        let mut done = None;
        for (at, line) in self.lines().enumerate() {
            if !line.is_plain() {
                return None;
            }
            match (done, line) {
                (Some(before), Line::Text(_) | Line::Done | Line::Comment) => {
                    return Some((before, Err("event-after-done")));
                }
                (None, Line::Done) => done = Some(at),
                _ => {}
            }
        }
        Some(match done {
            Some(_) => (self.lines().count(), Ok(())),
            None => (self.lines().count(), Err("truncated")),
        })
    }
}

/// What a relay does to the events.
#[derive(Arbitrary, Clone, Debug)]
pub enum Act {
    Swap(u8, u8),
    Drop(u8),
    Repeat { from: u8, to: u8 },
    Plain { at: u8, what: Plain },
    Edit { at: u8, with: Vec<Mutation> },
    Truncate(u8),
}

/// What a relay can say without a key.
#[derive(Arbitrary, Clone, Debug)]
pub enum Plain {
    Usage { prompt: u64, completion: u64 },
    Done,
    Failure,
    ToolCall,
    Comment,
    Init,
    Chunk(Vec<u8>),
    Bytes(Vec<u8>),
}

impl Plain {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Usage { prompt, completion } => format!(
                "data: {{\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion}}}}}\n\n"
            )
            .into(),
            Self::Done => b"data: [DONE]\n\n".to_vec(),
            Self::Failure => b"data: {\"e2e_error\":{\"message\":\"gone\"}}\n\n".to_vec(),
            Self::ToolCall => {
                b"data: {\"usage\":{},\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}\n\n".to_vec()
            }
            Self::Comment => b": hello\n\n".to_vec(),
            Self::Init => format!("data: {{\"e2e_init\":\"{}\"}}\n\n", STANDARD.encode([9; 1_088])).into(),
            Self::Chunk(bytes) => format!("data: {{\"e2e\":\"{}\"}}\n\n", STANDARD.encode(bytes)).into(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

impl Act {
    pub fn apply(&self, events: &mut Vec<Vec<u8>>) {
        let count = events.len();
        let place = |at: &u8| usize::from(*at) % count;
        match self {
            _ if count == 0 => {}
            Self::Swap(a, b) => events.swap(place(a), place(b)),
            Self::Drop(at) => drop(events.remove(place(at))),
            Self::Repeat { from, to } => {
                let copy = events[place(from)].clone();
                events.insert(place(to), copy);
            }
            Self::Plain { at, what } => events.insert(place(at), what.bytes()),
            Self::Edit { at, with } => mutate::mutate(&mut events[place(at)], with),
            Self::Truncate(at) => events.truncate(place(at)),
        }
    }
}

/// Everything that an opener gave, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub events: Vec<Event>,
    pub end: Result<(), ChutesError>,
}

/// Runs an opener over a wire in pieces of these sizes, over and over; none means all at once.
pub fn open(limits: StreamLimits, wire: &[u8], sizes: &[u8]) -> Given {
    let mut opener = waiting().into_stream(limits);
    let mut events = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = wire;
    loop {
        let size = sizes
            .next()
            .map_or(usize::MAX, |size| 1 + usize::from(*size));
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        opener.push(piece);
        rest = behind;
        if let Err(error) = drain(&mut opener, &mut events) {
            opener.push(b"data: [DONE]\n\n");
            assert_eq!(opener.next_event(), Err(error), "errors stay");
            assert_eq!(opener.end_of_input(), Err(error), "errors stay");
            return Given {
                events,
                end: Err(error),
            };
        }
        if rest.is_empty() {
            let end = opener.end_of_input();
            return Given { events, end };
        }
    }
}

fn drain(opener: &mut StreamOpener, events: &mut Vec<Event>) -> Result<(), ChutesError> {
    while let Some(event) = opener.next_event()? {
        events.push(event);
    }
    Ok(())
}
