//! Opening: frames in, events out (spec/protocol.md section 6.3; the step numbers below are those of its algorithm).

use super::Half;
use super::ratchet::{HalfKeys, RecordCrypto, Step};
use crate::crypto::Secret;
use crate::error::{Error, PeerMisbehaved, StreamErrorCode};
use crate::frame::{self, FrameHeader, FrameType, HEADER_LEN, InnerType, TAG_LEN, TRAILER_LEN};
use crate::limits::Limits;

/// Opens one half, in place in the caller's buffer.
///
/// The loop: call [`Opener::open`] with all bytes that have arrived and not been consumed; act on the event; drop `consumed` bytes from the
/// front; repeat until it asks for more input. When the transport ends, call [`Opener::end_of_input`].
///
/// After an error the half is dead: its keys are erased, the same error comes back for ever, and nothing more is released.
pub struct Opener {
    state: State,
    half: Half,
    limits: Limits,
    bytes: u64,
    pad_bytes: u64,
    empty: u32,
    updated: bool,
    /// c2s only: the late secret, until SWITCH.
    late: Option<Secret<32>>,
}

enum State {
    Open(HalfKeys),
    Ended,
    Failed(Error),
}

/// What [`Opener::open`] found.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Bytes at the front of the buffer that are done with. They may hold the event's content.
    pub consumed: usize,
    /// What there is.
    pub event: Event<'a>,
}

/// An event of a half. Content is a part of the caller's buffer, authenticated.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// No whole frame is left: call again with at least `needed` bytes behind what was consumed.
    NeedInput {
        /// Bytes from the start of the next frame.
        needed: usize,
    },
    /// Content, never empty.
    Data(&'a mut [u8]),
    /// The body of a PUBLIC frame: the relay has read it, nobody has changed it.
    Public(&'a [u8]),
    /// The last content, maybe empty, and the end: the sender finished.
    Final(&'a mut [u8]),
    /// The end: the sender gave up, and says why.
    Error {
        /// Why.
        code: StreamErrorCode,
        /// For people.
        message: &'a str,
    },
}

/// What a frame amounts to, as offsets into the buffer.
enum Found {
    Quiet,
    Data { content_len: usize },
    Public,
    Final { content_len: usize },
    Error { content_len: usize },
}

impl Opener {
    pub(crate) fn new(
        crypto: RecordCrypto,
        limits: &Limits,
        half: Half,
        secret: Secret<32>,
        late: Option<Secret<32>>,
    ) -> Result<Self, Error> {
        Ok(Self {
            state: State::Open(HalfKeys::new(crypto, limits.schedule, secret)?),
            half,
            limits: *limits,
            bytes: 0,
            pad_bytes: 0,
            empty: 0,
            updated: false,
            late,
        })
    }

    /// Opens the next frame that means something to the caller; frames that do not (PAD, SWITCH, empty DATA) are consumed on the way.
    ///
    /// # Errors
    /// Any error of section 6.3; it is final. Bytes after the end give `trailing-data`, also on a later call.
    pub fn open<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Opened<'a>, Error> {
        let mut start: usize = 0;
        loop {
            let rest = buffer.get_mut(start..).unwrap_or_default();
            let Some((header, found)) = self.step(rest)? else {
                let needed = self.needed(rest);
                return Ok(Opened {
                    consumed: start,
                    event: Event::NeedInput { needed },
                });
            };
            let end = start.saturating_add(header.frame_len());
            if !matches!(found, Found::Quiet) {
                let frame = buffer.get_mut(start..end).unwrap_or_default();
                return Ok(Opened {
                    consumed: end,
                    event: event(frame, &header, &found),
                });
            }
            start = end;
        }
    }

    /// Opens a message that must be exactly one frame, as in carriages that keep boundaries (section 9). `None` for a frame without an event.
    ///
    /// # Errors
    /// As [`Opener::open`]; `bad-frame-length` for a message that is shorter or longer than its frame.
    pub fn open_message<'a>(&mut self, message: &'a mut [u8]) -> Result<Option<Event<'a>>, Error> {
        if let State::Open(_) = self.state {
            let whole = match message.first_chunk::<HEADER_LEN>() {
                None => Err(PeerMisbehaved::FrameLength.into()),
                Some(bytes) => FrameHeader::decode(*bytes),
            };
            let whole = whole.map_err(|error| self.fail(error))?;
            if message.len() != whole.frame_len() {
                return Err(self.fail(PeerMisbehaved::FrameLength.into()));
            }
        }
        Ok(match self.open(message)?.event {
            Event::NeedInput { .. } => None,
            event => Some(event),
        })
    }

    /// Tells that the transport has ended.
    ///
    /// # Errors
    /// `truncated` if FINAL or ERROR has not been released, whatever came before; the error of the half if it had one.
    pub fn end_of_input(&mut self) -> Result<(), Error> {
        match self.state {
            State::Ended => Ok(()),
            State::Failed(error) => Err(error),
            State::Open(_) => Err(self.fail(Error::Truncated)),
        }
    }

    /// Whether FINAL or ERROR has been released.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// One frame from the front of `input`, or `None` if it is not whole.
    fn step(&mut self, input: &mut [u8]) -> Result<Option<(FrameHeader, Found)>, Error> {
        let result = self.try_step(input);
        result.map_err(|error| self.fail(error))
    }

    fn try_step(&mut self, input: &mut [u8]) -> Result<Option<(FrameHeader, Found)>, Error> {
        // Step 0.
        let keys = match &mut self.state {
            State::Failed(error) => return Err(*error),
            State::Ended if input.is_empty() => return Ok(None),
            State::Ended => return Err(PeerMisbehaved::TrailingData.into()),
            State::Open(keys) => keys,
        };
        // Step 1.
        let Some(header_bytes) = input.first_chunk::<HEADER_LEN>().copied() else {
            return Ok(None);
        };
        let header = FrameHeader::decode(header_bytes)?;
        if header.frame_type == FrameType::Public && self.half == Half::C2s {
            return Err(PeerMisbehaved::UnexpectedFrame.into());
        }
        let (key, nonce) = keys.next()?;
        let frame_len = header.frame_len();
        let wire_len = u64::try_from(frame_len).unwrap_or(u64::MAX);
        let bytes = self.bytes.saturating_add(wire_len);
        if bytes > self.limits.max_bytes {
            return Err(PeerMisbehaved::TooLarge.into());
        }
        // Step 2.
        let Some(frame) = input.get_mut(..frame_len) else {
            return Ok(None);
        };
        let (sealed, tag) = frame
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(Error::Decrypt)?;
        let (found, step) = match header.frame_type {
            FrameType::Public => {
                key.open_in_place(&nonce, sealed, &mut [], tag)
                    .map_err(|_| Error::Decrypt)?;
                (Found::Public, Step::Count)
            }
            FrameType::Sealed => {
                let plaintext = sealed.get_mut(HEADER_LEN..).unwrap_or_default();
                key.open_in_place(&nonce, &header_bytes, plaintext, tag)
                    .map_err(|_| Error::Decrypt)?;
                let plaintext: &[u8] = plaintext;
                self.interpret(plaintext, wire_len)?
            }
        };
        self.bytes = bytes;
        // Step 7.
        match found {
            Found::Final { .. } | Found::Error { .. } => {
                self.late = None;
                self.state = State::Ended;
            }
            Found::Quiet | Found::Data { .. } | Found::Public => {
                if let State::Open(keys) = &mut self.state {
                    keys.advance(step)?;
                }
            }
        }
        Ok(Some((header, found)))
    }

    /// Steps 4 to 6 for the plaintext of a SEALED frame.
    fn interpret(&mut self, plaintext: &[u8], wire_len: u64) -> Result<(Found, Step), Error> {
        let (padded, trailer) = plaintext
            .split_last_chunk::<TRAILER_LEN>()
            .ok_or(Error::Decrypt)?;
        let [inner, content_len @ ..] = *trailer;
        let inner = InnerType::from_u8(inner).ok_or(PeerMisbehaved::InnerType)?;
        let content_len = frame::read_u24(content_len);
        let (content, zeros) = padded
            .split_at_checked(content_len)
            .filter(|_| inner.allows(content_len))
            .ok_or(PeerMisbehaved::ContentLength)?;
        if zeros.iter().fold(0, |or, byte| or | byte) != 0 {
            return Err(PeerMisbehaved::Padding.into());
        }
        match inner {
            InnerType::Data | InnerType::Pad if padded.is_empty() => {
                self.empty = self.empty.saturating_add(1);
                if self.empty > self.limits.schedule.max_empty {
                    return Err(PeerMisbehaved::EmptyFlood.into());
                }
            }
            InnerType::Data | InnerType::Pad => self.empty = 0,
            _ => {}
        }
        if matches!(inner, InnerType::Data | InnerType::Pad) && content_len == 0 {
            self.pad_bytes = self.pad_bytes.saturating_add(wire_len);
            if self.pad_bytes > self.limits.max_pad_bytes {
                return Err(PeerMisbehaved::PadBudget.into());
            }
        }
        Ok(match inner {
            InnerType::Data if content_len == 0 => (Found::Quiet, Step::Count),
            InnerType::Pad => (Found::Quiet, Step::Count),
            InnerType::Data => {
                self.updated = false;
                (Found::Data { content_len }, Step::Count)
            }
            InnerType::Final => (Found::Final { content_len }, Step::Count),
            InnerType::Error => {
                let message = content.get(2..).unwrap_or_default();
                core::str::from_utf8(message).map_err(|_| PeerMisbehaved::BadError)?;
                (Found::Error { content_len }, Step::Count)
            }
            InnerType::KeyUpdate => {
                if self.half == Half::C2s && self.late.is_some() {
                    return Err(PeerMisbehaved::UnexpectedFrame.into());
                }
                if self.updated {
                    return Err(PeerMisbehaved::KeyUpdateFlood.into());
                }
                self.updated = true;
                (Found::Quiet, Step::Update)
            }
            InnerType::Switch => {
                // In s2c there never was a late secret; in c2s it is gone after the first SWITCH.
                let late = self.late.take().ok_or(PeerMisbehaved::UnexpectedFrame)?;
                (Found::Quiet, Step::Switch(late))
            }
        })
    }

    /// How many bytes the frame at the front of `rest` needs in all.
    fn needed(&self, rest: &[u8]) -> usize {
        if self.is_ended() {
            return 0;
        }
        rest.first_chunk::<HEADER_LEN>()
            .and_then(|header| FrameHeader::decode(*header).ok())
            .map_or(HEADER_LEN, FrameHeader::frame_len)
    }

    /// Erases the keys and makes the error permanent.
    fn fail(&mut self, error: Error) -> Error {
        self.late = None;
        self.state = State::Failed(error);
        error
    }
}

/// The event of a frame that was opened in place.
fn event<'a>(frame: &'a mut [u8], header: &FrameHeader, found: &Found) -> Event<'a> {
    let body = frame.get_mut(HEADER_LEN..).unwrap_or_default();
    let len = match *found {
        Found::Quiet => 0,
        Found::Data { content_len }
        | Found::Final { content_len }
        | Found::Error { content_len } => content_len,
        Found::Public => header.body_len.saturating_sub(TAG_LEN),
    };
    let content = body.get_mut(..len).unwrap_or_default();
    match *found {
        Found::Quiet => Event::NeedInput { needed: HEADER_LEN },
        Found::Data { .. } => Event::Data(content),
        Found::Final { .. } => Event::Final(content),
        Found::Public => Event::Public(content),
        Found::Error { .. } => {
            let content: &[u8] = content;
            let (code, message) = content
                .split_first_chunk::<2>()
                .map_or((1, &[][..]), |(code, message)| {
                    (u16::from_be_bytes(*code), message)
                });
            Event::Error {
                code: StreamErrorCode::from_u16(code),
                // Checked as UTF-8 before the frame was accepted.
                message: core::str::from_utf8(message).unwrap_or_default(),
            }
        }
    }
}
