//! Runs an opener over a wire in fragments, and checks what holds for every opener.

use sealwire::{Error, Event, Opener};

/// An event, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ev {
    Data(Vec<u8>),
    Public(Vec<u8>),
    Final(Vec<u8>),
    Error(u16, String),
}

impl Ev {
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Final(_) | Self::Error(..))
    }

    fn len(&self) -> usize {
        match self {
            Self::Data(bytes) | Self::Public(bytes) | Self::Final(bytes) => bytes.len(),
            Self::Error(_, message) => message.len() + 2,
        }
    }

    fn from_event(event: Event<'_>) -> Option<Self> {
        Some(match event {
            Event::NeedInput { .. } => return None,
            Event::Data(data) => {
                assert!(!data.is_empty(), "Data is never empty");
                Self::Data(data.to_vec())
            }
            Event::Public(body) => {
                assert!((1..=512).contains(&body.len()));
                Self::Public(body.to_vec())
            }
            Event::Final(data) => Self::Final(data.to_vec()),
            Event::Error { code, message } => Self::Error(code.to_u16(), message.to_owned()),
            other => panic!("unknown event {other:?}"),
        })
    }
}

/// What a half released, and the error code with which it ended, if any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub events: Vec<Ev>,
    pub error: Option<&'static str>,
}

impl Outcome {
    fn push(&mut self, ev: Ev) {
        assert!(
            !self.events.last().is_some_and(Ev::is_end),
            "no event after the end"
        );
        self.events.push(ev);
    }

    fn check(&self, fed: usize) {
        let released: usize = self.events.iter().map(Ev::len).sum();
        assert!(
            released + 20 * self.events.len() <= fed,
            "released {released} bytes in {} events of {fed}",
            self.events.len()
        );
    }
}

/// How a wire arrives.
#[derive(Clone, Debug)]
pub enum Fragments<'a> {
    /// All at once.
    Whole,
    /// Chunks of these sizes plus one, over and over.
    Sizes(&'a [u8]),
    /// Always exactly what the opener asks for.
    AsNeeded,
}

/// Feeds the wire, then the end of input.
pub fn stream(opener: &mut Opener, wire: &[u8], fragments: &Fragments<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut buffer = Vec::new();
    let mut rest = wire;
    let mut sizes = match fragments {
        Fragments::Sizes(sizes) if !sizes.is_empty() => Some(sizes.iter().cycle()),
        _ => None,
    };
    let mut wanted = 4;
    loop {
        let size = match (fragments, &mut sizes) {
            (Fragments::AsNeeded, _) => wanted,
            (_, Some(sizes)) => usize::from(*sizes.next().unwrap()) + 1,
            _ => rest.len(),
        };
        let (chunk, tail) = rest.split_at(size.min(rest.len()));
        buffer.extend_from_slice(chunk);
        rest = tail;
        match drain(opener, &mut buffer, &mut outcome) {
            // After the end nothing is asked for; hand over what is left, if anything.
            Ok(needed) => wanted = needed.max(1),
            Err(error) => {
                dead(opener, error);
                outcome.error = Some(error.code());
                outcome.check(wire.len() - rest.len());
                return outcome;
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    assert_eq!(
        opener.is_ended(),
        outcome.events.last().is_some_and(Ev::is_end)
    );
    match opener.end_of_input() {
        Ok(()) => {
            assert!(outcome.events.last().is_some_and(Ev::is_end));
            assert_eq!(opener.end_of_input(), Ok(()));
        }
        Err(error) => {
            assert_eq!(error.code(), "truncated");
            dead(opener, error);
            outcome.error = Some(error.code());
        }
    }
    outcome.check(wire.len());
    outcome
}

/// Opens until input is needed; returns how much.
fn drain(opener: &mut Opener, buffer: &mut Vec<u8>, outcome: &mut Outcome) -> Result<usize, Error> {
    loop {
        let have = buffer.len();
        let opened = opener.open(buffer)?;
        let consumed = opened.consumed;
        assert!(consumed <= have);
        if let Event::NeedInput { needed } = opened.event {
            buffer.drain(..consumed);
            if opener.is_ended() {
                assert!(needed == 0 && buffer.is_empty());
                return Ok(0);
            }
            assert!(
                needed > buffer.len() && needed <= 4 + 16_404,
                "asks for {needed}, has {}",
                buffer.len()
            );
            return Ok(needed - buffer.len());
        }
        assert!(consumed >= 4 + 17, "an event has consumed its frame");
        outcome.push(Ev::from_event(opened.event).unwrap());
        buffer.drain(..consumed);
    }
}

/// A dead opener says the same again, whatever it is asked.
fn dead(opener: &mut Opener, error: Error) {
    let mut frame = [&[1, 0, 0, 21][..], b"x", &[1, 0, 0, 1], &[0; 16]].concat();
    let copy = frame.clone();
    assert_eq!(opener.open(&mut frame).err(), Some(error));
    assert_eq!(opener.open_message(&mut frame).err(), Some(error));
    assert_eq!(opener.open(&mut []).err(), Some(error));
    assert_eq!(opener.end_of_input(), Err(error));
    assert_eq!(frame, copy, "a dead opener touches nothing");
}

/// Opens each message by itself, then the end of input.
pub fn messages<'a>(opener: &mut Opener, messages: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut fed = 0;
    for message in messages {
        fed += message.len();
        let mut message = message.to_vec();
        match opener.open_message(&mut message) {
            Ok(event) => {
                if let Some(ev) = event.and_then(Ev::from_event) {
                    outcome.push(ev);
                }
            }
            Err(error) => {
                dead(opener, error);
                outcome.error = Some(error.code());
                outcome.check(fed);
                return outcome;
            }
        }
    }
    outcome.error = opener.end_of_input().err().map(|error| error.code());
    outcome.check(fed);
    outcome
}
