//! Streamed answers, opened: nothing in clear becomes output, and only a sealed end counts (section 5).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr2;

use super::error::{ChutesError, EventFault};
use super::schedule::{CIPHERTEXT, Keys, Label, NONCE, TAG, derive, open_in_place};
use super::sealer::HEAD_LINE;
use super::usage::{Counter, Usage};
use super::{Head, json};
use crate::crypto::{CryptoProvider, DecapsulationKey};

/// Characters of a relay's own error that are kept.
const MAX_RELAY_TEXT: usize = 256;

/// Bounds of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes of one line on the wire.
    pub line: usize,
    /// Bytes of the whole stream on the wire.
    pub bytes: u64,
    /// Chunks.
    pub chunks: usize,
    /// The model server is known to count every token in a chunk of its own: then a jump of its counter is a chunk that is missing.
    pub every_token: bool,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            line: 8 * 1_024 * 1_024,
            bytes: 1_024 * 1_024 * 1_024,
            chunks: 1_024 * 1_024,
            every_token: false,
        }
    }
}

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Status and media type of the inner answer: first, and only from an instance of this library.
    Head(Head),
    /// Lines of the inner stream, each with its `\n`. Bytes as the model server sent them, which need not be UTF-8.
    Content(Vec<u8>),
    /// What the relay shows as usage. Unsigned: good for display, not for trust.
    Usage(Usage),
    /// The sealed `data: [DONE]` line, and later its blank line. Hand it on only when [`StreamOpener::end_of_input`] has said that the stream is whole.
    Done(Vec<u8>),
    /// The relay says, in clear, that it failed. The text is its own, bounded, without control characters.
    RelayError(String),
}

/// Opens one stream. After an error every call returns that error.
pub struct StreamOpener {
    provider: CryptoProvider,
    secret_key: Option<Box<dyn DecapsulationKey>>,
    keys: Option<Keys>,
    limits: StreamLimits,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are done with, and where the search for a line's end goes on.
    start: usize,
    scanned: usize,
    /// Bytes of the lines that were read.
    read: u64,
    chunks: usize,
    order: Order,
    counter: Counter,
    done: bool,
    dead: Option<ChutesError>,
}

/// How repeats are told.
enum Order {
    /// No chunk yet.
    Unknown,
    /// From an instance of this library: numbered from 0.
    Numbered {
        next: u32,
    },
    Nonces(BTreeSet<[u8; NONCE]>),
}

impl StreamOpener {
    pub(super) fn new(
        provider: CryptoProvider,
        secret_key: Box<dyn DecapsulationKey>,
        limits: StreamLimits,
    ) -> Self {
        Self {
            provider,
            secret_key: Some(secret_key),
            keys: None,
            limits,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            read: 0,
            chunks: 0,
            order: Order::Unknown,
            counter: Counter::new(limits.every_token),
            done: false,
            dead: None,
        }
    }

    /// Adds what arrived. After an error it is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.dead.is_some() {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned = self.scanned.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event, or `None` until more is pushed.
    ///
    /// # Errors
    /// [`ChutesError::Event`], [`ChutesError::Decrypt`], [`ChutesError::Sequence`], [`ChutesError::Counter`], [`ChutesError::RelayFailed`] behind
    /// [`Event::RelayError`].
    pub fn next_event(&mut self) -> Result<Option<Event>, ChutesError> {
        if let Some(error) = self.dead {
            return Err(error);
        }
        let result = self.advance();
        if let Err(error) = result {
            self.dead = Some(error);
            self.buffer = Vec::new();
        }
        result
    }

    /// The transport has ended. The stream is whole only if this says so.
    ///
    /// # Errors
    /// [`ChutesError::Truncated`] if the sealed `[DONE]` did not come or a line is cut; an earlier error.
    pub fn end_of_input(&mut self) -> Result<(), ChutesError> {
        if let Some(error) = self.dead {
            return Err(error);
        }
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        if self.done && rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return Ok(());
        }
        self.dead = Some(ChutesError::Truncated);
        Err(ChutesError::Truncated)
    }

    fn advance(&mut self) -> Result<Option<Event>, ChutesError> {
        while let Some(range) = self.line()? {
            // Taken out while its line is read, so that no line is copied.
            let buffer = core::mem::take(&mut self.buffer);
            let line = buffer.get(range).unwrap_or_default();
            let event = if line.is_empty() || line.starts_with(b":") {
                Ok(None)
            } else {
                self.event(line)
            };
            self.buffer = buffer;
            if let Some(event) = event? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Where the next whole line stands, without its end. A CR ends a line by itself, so that none waits for what may follow; the LF behind it then ends a blank
    /// one, which is nothing. Bounds are asked of each line and of what there is of the next, so that they hold wherever pieces end.
    fn line(&mut self) -> Result<Option<Range<usize>>, ChutesError> {
        let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
        let found = memchr2(b'\r', b'\n', fresh);
        let end = found.map_or(self.buffer.len(), |at| self.scanned.saturating_add(at));
        let line = self.buffer.get(self.start..end).unwrap_or_default();
        let long = line.len().saturating_add(usize::from(found.is_some()));
        let read = self
            .read
            .saturating_add(u64::try_from(long).unwrap_or(u64::MAX));
        if line.len() > self.limits.line {
            return Err(EventFault::TooLong.into());
        }
        if read > self.limits.bytes {
            return Err(EventFault::TooMany.into());
        }
        if found.is_none() {
            self.scanned = end;
            return Ok(None);
        }
        let range = self.start..self.start.saturating_add(line.len());
        self.read = read;
        self.start = end.saturating_add(1);
        self.scanned = self.start;
        Ok(Some(range))
    }

    fn event(&mut self, line: &[u8]) -> Result<Option<Event>, ChutesError> {
        let data = line
            .strip_prefix(b"data:")
            .ok_or(EventFault::NotData)?
            .trim_ascii();
        // The form that every instance writes; anything else takes the long way to the same checks.
        if let Some(chunk) = data
            .strip_prefix(b"{\"e2e\":\"")
            .and_then(|rest| rest.strip_suffix(b"\"}"))
            // Base64 has neither quotes nor escapes.
            && let Ok(sealed) = STANDARD.decode(chunk)
        {
            return self.chunk(sealed);
        }
        if data == b"[DONE]" {
            return Err(EventFault::PlaintextDone.into());
        }
        let object = json::Object::parse(data).map_err(|_| EventFault::NotJson)?;
        match object.only() {
            Some(("e2e_init", value)) => {
                let text = json::string(value).ok_or(EventFault::Init)?;
                self.init(&text).map(|()| None)
            }
            Some(("e2e", value)) => {
                let sealed = json::string(value).and_then(|text| STANDARD.decode(text).ok());
                self.chunk(sealed.ok_or(EventFault::Chunk)?)
            }
            Some(("usage", value)) => Ok(Some(Event::Usage(Usage::from_json(value)?))),
            Some(("e2e_error", value)) => {
                self.dead = Some(ChutesError::RelayFailed);
                Ok(Some(Event::RelayError(relay_text(value))))
            }
            _ => Err(EventFault::Members.into()),
        }
    }

    fn init(&mut self, text: &str) -> Result<(), ChutesError> {
        let Some(secret_key) = self.secret_key.take() else {
            return Err(EventFault::SecondInit.into());
        };
        let ciphertext = STANDARD
            .decode(text)
            .ok()
            .filter(|bytes| bytes.len() == CIPHERTEXT)
            .ok_or(EventFault::Init)?;
        let secret = secret_key.decapsulate(&ciphertext)?;
        self.keys = Some(derive(&self.provider, &secret, &ciphertext, Label::Stream)?);
        Ok(())
    }

    fn chunk(&mut self, mut sealed: Vec<u8>) -> Result<Option<Event>, ChutesError> {
        let keys = self.keys.as_ref().ok_or(EventFault::BeforeInit)?;
        if self.chunks >= self.limits.chunks {
            return Err(EventFault::TooMany.into());
        }
        self.chunks = self.chunks.saturating_add(1);
        if sealed.len() < NONCE.saturating_add(TAG) {
            return Err(EventFault::Chunk.into());
        }
        let (nonce, rest) = sealed
            .split_first_chunk_mut::<NONCE>()
            .ok_or(EventFault::Chunk)?;
        let (content, tag) = rest
            .split_last_chunk_mut::<TAG>()
            .ok_or(EventFault::Chunk)?;
        open_in_place(&*keys.aead, nonce, content, tag)?;
        let (nonce, end) = (*nonce, NONCE.saturating_add(content.len()));
        let first = self.order.admit(&nonce, &keys.prefix)?;
        sealed.truncate(end);
        sealed.drain(..NONCE);
        self.content(sealed, first)
    }

    /// `first`: the first chunk of a numbered stream, whose head it carries.
    fn content(&mut self, mut line: Vec<u8>, first: bool) -> Result<Option<Event>, ChutesError> {
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        if first {
            return core::str::from_utf8(&line)
                .ok()
                .and_then(head)
                .map(|head| Some(Event::Head(head)))
                .ok_or(ChutesError::Sequence);
        }
        let mut done = self.done;
        let mut rest = line.as_slice();
        while let Some((part, behind)) =
            memchr2(b'\r', b'\n', rest).and_then(|end| rest.split_at_checked(end))
        {
            rest = behind.get(1..).unwrap_or_default();
            if done && !part.trim_ascii().is_empty() {
                return Err(EventFault::AfterDone.into());
            }
            if let Some(data) = part.strip_prefix(b"data:").map(<[u8]>::trim_ascii) {
                if data == b"[DONE]" {
                    done = true;
                } else {
                    self.counter.observe(data)?;
                }
            }
        }
        self.done = done;
        Ok(Some(if done {
            Event::Done(line)
        } else {
            Event::Content(line)
        }))
    }
}

impl Order {
    /// Takes the nonce of an authentic chunk; true for the first of a numbered stream.
    fn admit(&mut self, nonce: &[u8; NONCE], prefix: &[u8; 8]) -> Result<bool, ChutesError> {
        let (head, number) = nonce.split_at(prefix.len());
        let numbered = head == prefix;
        if matches!(self, Self::Unknown) {
            *self = if numbered {
                Self::Numbered { next: 0 }
            } else {
                Self::Nonces(BTreeSet::new())
            };
        }
        match self {
            Self::Numbered { next } => {
                if !numbered || number != next.to_be_bytes() {
                    return Err(ChutesError::Sequence);
                }
                let first = *next == 0;
                *next = next.saturating_add(1);
                Ok(first)
            }
            Self::Nonces(seen) => {
                if !seen.insert(*nonce) {
                    return Err(EventFault::NonceRepeated.into());
                }
                Ok(false)
            }
            Self::Unknown => Err(ChutesError::Sequence),
        }
    }
}

/// `: sealwire STATUS TYPE`.
fn head(line: &str) -> Option<Head> {
    let (status, content_type) = line
        .strip_prefix(HEAD_LINE)?
        .strip_suffix('\n')?
        .split_once(' ')?;
    let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    let status = status.parse().ok().filter(|_| digits)?;
    Head::new(status, content_type.trim_end_matches(' '))
}

/// A relay's own words: a string, or the `message` or `detail` of an object, or nothing.
fn relay_text(json: &str) -> String {
    let member = |name: &str| {
        let object = json::Object::parse(json.as_bytes()).ok()?;
        json::string(object.get(name)?)
    };
    json::string(json)
        .or_else(|| member("message"))
        .or_else(|| member("detail"))
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_RELAY_TEXT)
        .collect()
}
