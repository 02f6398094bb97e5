//! Opening: frames in, events out (spec/protocol.md section 6.3; the step numbers below are those of its algorithm).

#[cfg(feature = "parallel")]
mod parallel;

use super::Half;
use super::ratchet::{HalfKeys, RecordCrypto, Step};
use crate::crypto::{AeadKey, Secret};
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

/// Whether a frame has still to be authenticated and decrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Sealed,
    /// It has been, under the key and the nonce that are its own.
    #[cfg(feature = "parallel")]
    Opened,
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

/// What a frame amounts to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No whole frame.
    NeedInput {
        needed: usize,
    },
    /// PAD, SWITCH, KEY_UPDATE, DATA without content.
    Quiet,
    Data,
    Public,
    Final,
    Error,
}

impl Found {
    fn event(self, content: &mut [u8]) -> Event<'_> {
        match self {
            Self::NeedInput { needed } => Event::NeedInput { needed },
            Self::Quiet => Event::NeedInput { needed: HEADER_LEN },
            Self::Data => Event::Data(content),
            Self::Public => Event::Public(content),
            Self::Final => Event::Final(content),
            Self::Error => {
                let (code, message) = error_parts(content);
                Event::Error { code, message }
            }
        }
    }
}

/// An event as offsets into the caller's buffer, for callers that own the buffer.
pub(crate) struct Located {
    pub(crate) found: Found,
    pub(crate) consumed: usize,
    pub(crate) content: core::ops::Range<usize>,
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
        let located = self.open_located(buffer)?;
        let content = buffer.get_mut(located.content).unwrap_or_default();
        Ok(Opened {
            consumed: located.consumed,
            event: located.found.event(content),
        })
    }

    pub(crate) fn open_located(&mut self, buffer: &mut [u8]) -> Result<Located, Error> {
        let mut start: usize = 0;
        loop {
            let rest = buffer.get_mut(start..).unwrap_or_default();
            let Some((frame_len, found, content_len)) = self.step(rest)? else {
                let needed = self.needed(rest);
                return Ok(Located {
                    found: Found::NeedInput { needed },
                    consumed: start,
                    content: 0..0,
                });
            };
            let content = start.saturating_add(HEADER_LEN);
            start = start.saturating_add(frame_len);
            if found != Found::Quiet {
                return Ok(Located {
                    found,
                    consumed: start,
                    content: content..content.saturating_add(content_len),
                });
            }
        }
    }

    /// Opens a message that must be exactly one frame, as in carriages that keep boundaries (section 9). `None` for a frame without an event.
    ///
    /// # Errors
    /// As [`Opener::open`]; `bad-frame-length` for a message that is shorter or longer than its frame.
    pub fn open_message<'a>(&mut self, message: &'a mut [u8]) -> Result<Option<Event<'a>>, Error> {
        let judged = match self.state {
            State::Open(_) => true,
            State::Ended => message.is_empty(),
            State::Failed(_) => false,
        };
        if judged {
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

    /// Whether FINAL or ERROR has been released, and nothing has come after it.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// One frame from the front of `input`: its length, what it is, the length of its content. `None` if it is not whole.
    fn step(&mut self, input: &mut [u8]) -> Result<Option<(usize, Found, usize)>, Error> {
        let result = self.try_step(input, Body::Sealed);
        result.map_err(|error| self.fail(error))
    }

    fn try_step(
        &mut self,
        input: &mut [u8],
        body: Body,
    ) -> Result<Option<(usize, Found, usize)>, Error> {
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
        if body == Body::Sealed {
            decrypt(key, &nonce, header, frame)?;
        }
        let (found, content_len, step) = match header.frame_type {
            FrameType::Public => (
                Found::Public,
                header.body_len.saturating_sub(TAG_LEN),
                Step::Count,
            ),
            FrameType::Sealed => self.interpret(plaintext(frame), wire_len)?,
        };
        self.bytes = bytes;
        // Step 7.
        match found {
            Found::Final | Found::Error => {
                self.late = None;
                self.state = State::Ended;
            }
            Found::NeedInput { .. } | Found::Quiet | Found::Data | Found::Public => {
                if let State::Open(keys) = &mut self.state {
                    keys.advance(step)?;
                }
            }
        }
        Ok(Some((frame_len, found, content_len)))
    }

    /// Steps 4 to 6 for the plaintext of a SEALED frame.
    fn interpret(
        &mut self,
        plaintext: &[u8],
        wire_len: u64,
    ) -> Result<(Found, usize, Step), Error> {
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
        let (found, step) = match inner {
            InnerType::Data if content_len == 0 => (Found::Quiet, Step::Count),
            InnerType::Pad => (Found::Quiet, Step::Count),
            InnerType::Data => {
                self.updated = false;
                (Found::Data, Step::Count)
            }
            InnerType::Final => (Found::Final, Step::Count),
            InnerType::Error => {
                let message = content.get(2..).unwrap_or_default();
                core::str::from_utf8(message).map_err(|_| PeerMisbehaved::BadError)?;
                (Found::Error, Step::Count)
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
        };
        Ok((found, content_len, step))
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

/// Steps 2 and 3 for a whole frame: authenticates it, and decrypts a SEALED one in place.
fn decrypt(
    key: &dyn AeadKey,
    nonce: &[u8; 12],
    header: FrameHeader,
    frame: &mut [u8],
) -> Result<(), Error> {
    let (sealed, tag) = frame
        .split_last_chunk_mut::<TAG_LEN>()
        .ok_or(Error::Decrypt)?;
    let opened = match header.frame_type {
        FrameType::Public => key.open_in_place(nonce, sealed, &mut [], tag),
        FrameType::Sealed => {
            let body = sealed.get_mut(HEADER_LEN..).unwrap_or_default();
            key.open_in_place(nonce, &header.encode(), body, tag)
        }
    };
    opened.map_err(|_| Error::Decrypt)
}

/// Content, zeros and trailer of a SEALED frame that was decrypted.
fn plaintext(frame: &[u8]) -> &[u8] {
    frame
        .split_last_chunk::<TAG_LEN>()
        .and_then(|(opened, _)| opened.get(HEADER_LEN..))
        .unwrap_or_default()
}

/// Code and message of an ERROR frame's content, which was checked before the frame was accepted.
pub(crate) fn error_parts(content: &[u8]) -> (StreamErrorCode, &str) {
    content
        .split_first_chunk::<2>()
        .map_or((StreamErrorCode::Internal, ""), |(code, message)| {
            (
                StreamErrorCode::from_u16(u16::from_be_bytes(*code)),
                core::str::from_utf8(message).unwrap_or_default(),
            )
        })
}
