//! RFC 9292 binary HTTP of indeterminate length, written piece by piece and read incrementally with bounds.
//!
//! Control data and field sections are encoded and parsed by the `bhttp` crate. Its own streaming reader is not used: it allocates what a length
//! promises without a bound and can lose its wake-up when a length arrives in parts. [`Decoder`] is sans-IO and finds the end of a section first,
//! within [`MessageLimits`], then lets `bhttp` parse it.
//!
//! ```text
//!          head complete          length > 0
//!  HEAD ------------------> LENGTH ------------> CONTENT
//!                             |  ^                 |
//!                   length 0  |  +-----------------+ all read
//!                             v
//!                          TRAILERS ----> END (zero bytes only)
//! ```

use std::io::Cursor;

use bhttp::{ControlData, FieldSection, Mode, StatusCode};

const FRAMING_REQUEST: u8 = 2;
const FRAMING_RESPONSE: u8 = 3;

/// Bounds of one message; each is checked before memory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of the head, and again of the trailers.
    pub section_bytes: usize,
    /// Fields of the head, and again of the trailers.
    pub fields: usize,
    /// Bytes of content altogether.
    pub content: u64,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self {
            section_bytes: 32 * 1_024,
            fields: 64,
            content: 32 * 1_024 * 1_024,
        }
    }
}

/// Why a message is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The framing indicator is not the one of an indeterminate-length request (2) or response (3), whichever was expected.
    #[error("framing indicator {0} where an indeterminate-length message was expected")]
    Framing(u8),
    /// Head or trailers exceed [`MessageLimits::section_bytes`].
    #[error("a section of the sealed message has more than {0} bytes")]
    SectionTooLarge(usize),
    /// Head or trailers exceed [`MessageLimits::fields`].
    #[error("a section of the sealed message has more than {0} fields")]
    TooManyFields(usize),
    /// The content exceeds [`MessageLimits::content`].
    #[error("the content of the sealed message has more than {0} bytes")]
    ContentTooLarge(u64),
    /// The message ends inside a part.
    #[error("the sealed message ends too early")]
    Truncated,
    /// Non-zero bytes after the end.
    #[error("bytes follow the end of the sealed message")]
    TrailingData,
    /// A field name that is not a lower-case token, a value with control characters, or a pseudo-field.
    #[error("a field of the sealed message is malformed")]
    Field,
    /// Method or path are not those of an ordinary request.
    #[error("the sealed request's method or path is malformed")]
    Control,
    /// The status is not a final one (200 to 599).
    #[error("the sealed response's status is not a final one")]
    Status,
}

impl MessageError {
    /// The status of the sealed answer to a request that is so (spec/http.md section 7).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::ContentTooLarge(_) => 413,
            Self::SectionTooLarge(_) | Self::TooManyFields(_) => 431,
            _ => 400,
        }
    }
}

/// Field lines in order; names are lower-case tokens, values hold no control characters but tab.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field line; the name is lower-cased.
    ///
    /// # Errors
    ///
    /// [`MessageError::Field`] if name or value is malformed; nothing changed.
    pub fn push(&mut self, name: &str, value: &[u8]) -> Result<(), MessageError> {
        let name = name.to_ascii_lowercase();
        if !is_token(name.as_bytes()) || !is_value(value) {
            return Err(MessageError::Field);
        }
        self.0.push((name, value.to_vec()));
        Ok(())
    }

    /// All values of a field, in order. The name is given in lower case.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |(have, _)| have == name)
            .map(|(_, value)| value.as_slice())
    }

    /// All field lines.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    fn from_section(section: &FieldSection) -> Result<Self, MessageError> {
        let mut fields = Self::new();
        for field in section.iter() {
            if !is_token(field.name()) || field.name().iter().any(u8::is_ascii_uppercase) {
                return Err(MessageError::Field);
            }
            let name = std::str::from_utf8(field.name()).map_err(|_| MessageError::Field)?;
            fields.push(name, field.value())?;
        }
        Ok(fields)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut section = FieldSection::default();
        for (name, value) in &self.0 {
            section.put(name.as_bytes(), value.as_slice());
        }
        // Writing to a Vec cannot fail.
        let _ = section.write_bhttp(Mode::IndeterminateLength, out);
    }
}

/// Control data and fields of a sealed request. Scheme and authority are fixed: `https` and empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// Method, such as `POST`.
    pub method: String,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Fields.
    pub fields: Fields,
}

/// Control data and fields of a sealed response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// Final status, 200 to 599.
    pub status: u16,
    /// Fields.
    pub fields: Fields,
}

impl RequestHead {
    /// Appends framing indicator, control data and fields.
    ///
    /// # Errors
    ///
    /// [`MessageError::Control`] if method or path is malformed; nothing is appended.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        if !is_token(self.method.as_bytes()) || !is_path(self.path.as_bytes()) {
            return Err(MessageError::Control);
        }
        out.push(FRAMING_REQUEST);
        // Writing to a Vec cannot fail.
        let _ = ControlData::Request {
            method: self.method.clone().into_bytes(),
            scheme: b"https".to_vec(),
            authority: Vec::new(),
            path: self.path.clone().into_bytes(),
        }
        .write_bhttp(out);
        self.fields.write(out);
        Ok(())
    }
}

impl ResponseHead {
    /// Appends framing indicator, status and fields.
    ///
    /// # Errors
    ///
    /// [`MessageError::Status`] if the status is not a final one; nothing is appended.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        let status = StatusCode::try_from(self.status)
            .ok()
            .filter(|status| !status.informational())
            .ok_or(MessageError::Status)?;
        out.push(FRAMING_RESPONSE);
        // Writing to a Vec cannot fail.
        let _ = ControlData::Response(status).write_bhttp(out);
        self.fields.write(out);
        Ok(())
    }
}

/// Appends one chunk of content; nothing for an empty piece, which would end the content.
pub fn encode_content(piece: &[u8], out: &mut Vec<u8>) {
    if !piece.is_empty() {
        write_varint(piece.len(), out);
        out.extend_from_slice(piece);
    }
}

/// Appends the end of the content and an empty trailer section.
pub fn encode_end(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
}

/// What [`Decoder::read`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a, H> {
    /// All input was taken and more is needed.
    NeedInput,
    /// The head; comes first and once.
    Head(H),
    /// Content, in order; never empty.
    Content(&'a [u8]),
    /// The message is complete; comes once. Only zero bytes may follow.
    End,
}

/// A head that a [`Decoder`] can read.
pub trait Head: Sized {
    #[doc(hidden)]
    const FRAMING: u8;
    #[doc(hidden)]
    const CONTROL_VECTORS: usize;
    #[doc(hidden)]
    fn parse(control: ControlData, fields: Fields) -> Result<Self, MessageError>;
}

impl Head for RequestHead {
    const FRAMING: u8 = FRAMING_REQUEST;
    const CONTROL_VECTORS: usize = 4;

    fn parse(control: ControlData, fields: Fields) -> Result<Self, MessageError> {
        let text = |bytes: Option<&[u8]>| {
            bytes
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .map(str::to_owned)
                .ok_or(MessageError::Control)
        };
        let method = text(control.method())?;
        let path = text(control.path())?;
        if !is_token(method.as_bytes()) || !is_path(path.as_bytes()) {
            return Err(MessageError::Control);
        }
        Ok(Self {
            method,
            path,
            fields,
        })
    }
}

impl Head for ResponseHead {
    const FRAMING: u8 = FRAMING_RESPONSE;
    const CONTROL_VECTORS: usize = 0;

    fn parse(control: ControlData, fields: Fields) -> Result<Self, MessageError> {
        match control.status() {
            Some(status) if !status.informational() => Ok(Self {
                status: status.code(),
                fields,
            }),
            _ => Err(MessageError::Status),
        }
    }
}

/// Reads one message incrementally; after an error every later call returns it again.
#[derive(Debug)]
pub struct Decoder<H> {
    limits: MessageLimits,
    state: State,
    content: u64,
    failed: Option<MessageError>,
    head: std::marker::PhantomData<fn() -> H>,
}

#[derive(Debug)]
enum State {
    Head(Section),
    Length { bytes: [u8; 8], have: usize },
    Content { left: u64 },
    Trailers(Section),
    End,
}

impl<H: Head> Decoder<H> {
    /// A decoder at the beginning of a message.
    #[must_use]
    pub fn new(limits: MessageLimits) -> Self {
        Self {
            limits,
            state: State::Head(Section::head(H::CONTROL_VECTORS)),
            content: 0,
            failed: None,
            head: std::marker::PhantomData,
        }
    }

    /// Reads on. Returns how many bytes of `input` were taken and what they gave; call again with the rest until it says [`Piece::NeedInput`].
    ///
    /// # Errors
    ///
    /// [`MessageError`]; the decoder is dead.
    pub fn read<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Piece<'a, H>), MessageError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.step(input).inspect_err(|error| {
            self.failed = Some(error.clone());
        })
    }

    /// Says whether the message may end here, and gives the [`Piece::End`] that a sender left out:
    /// RFC 9292 lets a message stop before an empty content or an empty trailer section.
    ///
    /// # Errors
    ///
    /// [`MessageError::Truncated`] if the message may not end here, or the error it already failed with.
    pub fn finish(&mut self) -> Result<(), MessageError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let complete = match &self.state {
            State::End => true,
            State::Length { have: 0, .. } => self.content == 0,
            State::Trailers(section) => section.bytes.is_empty(),
            State::Head(_) | State::Length { .. } | State::Content { .. } => false,
        };
        if complete {
            self.state = State::End;
            Ok(())
        } else {
            self.failed = Some(MessageError::Truncated);
            Err(MessageError::Truncated)
        }
    }

    fn step<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Piece<'a, H>), MessageError> {
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            match &mut self.state {
                State::Head(section) => {
                    let (used, complete) = section.feed(rest, &self.limits, Some(H::FRAMING))?;
                    taken += used;
                    if !complete {
                        return Ok((taken, Piece::NeedInput));
                    }
                    let head = parse_head::<H>(&section.bytes)?;
                    self.state = State::LENGTH;
                    return Ok((taken, Piece::Head(head)));
                }
                State::Length { bytes, have } => {
                    let Some((&byte, _)) = rest.split_first() else {
                        return Ok((taken, Piece::NeedInput));
                    };
                    if let Some(slot) = bytes.get_mut(*have) {
                        *slot = byte;
                    }
                    *have += 1;
                    taken += 1;
                    let Some((length, _)) = bytes.get(..*have).and_then(read_varint) else {
                        continue;
                    };
                    if length == 0 {
                        self.state = State::Trailers(Section::trailers());
                        continue;
                    }
                    self.content = self
                        .content
                        .checked_add(length)
                        .filter(|content| *content <= self.limits.content)
                        .ok_or(MessageError::ContentTooLarge(self.limits.content))?;
                    self.state = State::Content { left: length };
                }
                State::Content { left } => {
                    if rest.is_empty() {
                        return Ok((taken, Piece::NeedInput));
                    }
                    let length =
                        usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    let piece = rest.get(..length).unwrap_or_default();
                    *left -= length as u64;
                    if *left == 0 {
                        self.state = State::LENGTH;
                    }
                    return Ok((taken + length, Piece::Content(piece)));
                }
                State::Trailers(section) => {
                    let (used, complete) = section.feed(rest, &self.limits, None)?;
                    taken += used;
                    if !complete {
                        return Ok((taken, Piece::NeedInput));
                    }
                    let mut cursor = Cursor::new(section.bytes.as_slice());
                    let trailers = FieldSection::read_bhttp::<_, Cursor<&[u8]>>(
                        Mode::IndeterminateLength,
                        &mut cursor,
                    )
                    .map_err(|_| MessageError::Field)?;
                    // Checked like any field section, then dropped: the APIs carried here have no trailers.
                    Fields::from_section(&trailers)?;
                    self.state = State::End;
                    return Ok((taken, Piece::End));
                }
                State::End => {
                    if rest.iter().any(|byte| *byte != 0) {
                        return Err(MessageError::TrailingData);
                    }
                    return Ok((input.len(), Piece::NeedInput));
                }
            }
        }
    }
}

impl State {
    const LENGTH: Self = Self::Length {
        bytes: [0; 8],
        have: 0,
    };
}

fn parse_head<H: Head>(bytes: &[u8]) -> Result<H, MessageError> {
    let mut cursor = Cursor::new(bytes.get(1..).unwrap_or_default());
    let control =
        ControlData::read_bhttp::<_, Cursor<&[u8]>>(H::FRAMING == FRAMING_REQUEST, &mut cursor)
            .map_err(|error| match error {
                bhttp::Error::InvalidStatus => MessageError::Status,
                _ => MessageError::Control,
            })?;
    let section =
        FieldSection::read_bhttp::<_, Cursor<&[u8]>>(Mode::IndeterminateLength, &mut cursor)
            .map_err(|_| MessageError::Field)?;
    H::parse(control, Fields::from_section(&section)?)
}

/// Collects a head or a trailer section and finds its end, looking at each length once.
#[derive(Debug)]
struct Section {
    bytes: Vec<u8>,
    /// Start of the first element that was not complete yet.
    scanned: usize,
    expect: Expect,
    fields: usize,
}

#[derive(Debug, Clone, Copy)]
enum Expect {
    Framing { vectors: usize },
    Vectors(usize),
    Status,
    Name,
    Value,
}

impl Section {
    const fn head(vectors: usize) -> Self {
        Self {
            bytes: Vec::new(),
            scanned: 0,
            expect: Expect::Framing { vectors },
            fields: 0,
        }
    }

    const fn trailers() -> Self {
        Self {
            bytes: Vec::new(),
            scanned: 0,
            expect: Expect::Name,
            fields: 0,
        }
    }

    /// Takes input up to the end of the section. Returns how much was taken and whether the section is complete.
    fn feed(
        &mut self,
        input: &[u8],
        limits: &MessageLimits,
        framing: Option<u8>,
    ) -> Result<(usize, bool), MessageError> {
        let before = self.bytes.len();
        let room = limits.section_bytes.saturating_sub(before);
        let offered = input.get(..room.min(input.len())).unwrap_or_default();
        self.bytes.extend_from_slice(offered);
        let complete = self.scan(limits, framing)?;
        if complete {
            // What follows the section belongs to the caller again; it all came with this input.
            self.bytes.truncate(self.scanned);
            return Ok((self.scanned.saturating_sub(before), true));
        }
        if self.bytes.len() >= limits.section_bytes && offered.len() < input.len() {
            return Err(MessageError::SectionTooLarge(limits.section_bytes));
        }
        Ok((offered.len(), false))
    }

    fn scan(&mut self, limits: &MessageLimits, framing: Option<u8>) -> Result<bool, MessageError> {
        loop {
            let rest = self.bytes.get(self.scanned..).unwrap_or_default();
            match self.expect {
                Expect::Framing { vectors } => {
                    let Some(&indicator) = rest.first() else {
                        return Ok(false);
                    };
                    if Some(indicator) != framing {
                        return Err(MessageError::Framing(indicator));
                    }
                    self.scanned += 1;
                    self.expect = match vectors {
                        0 => Expect::Status,
                        vectors => Expect::Vectors(vectors),
                    };
                }
                Expect::Status => {
                    let Some((_, used)) = read_varint(rest) else {
                        return Ok(false);
                    };
                    self.scanned += used;
                    self.expect = Expect::Name;
                }
                Expect::Vectors(_) | Expect::Name | Expect::Value => {
                    let Some((length, used)) = read_varint(rest) else {
                        return Ok(false);
                    };
                    let end = usize::try_from(length)
                        .ok()
                        .and_then(|length| length.checked_add(used)?.checked_add(self.scanned))
                        .filter(|end| *end <= limits.section_bytes)
                        .ok_or(MessageError::SectionTooLarge(limits.section_bytes))?;
                    if end > self.bytes.len() {
                        return Ok(false);
                    }
                    self.scanned = end;
                    self.expect = match self.expect {
                        Expect::Vectors(1) => Expect::Name,
                        Expect::Vectors(left) => Expect::Vectors(left.saturating_sub(1)),
                        Expect::Name if length == 0 => return Ok(true),
                        Expect::Name => {
                            self.fields += 1;
                            if self.fields > limits.fields {
                                return Err(MessageError::TooManyFields(limits.fields));
                            }
                            Expect::Value
                        }
                        _ => Expect::Name,
                    };
                }
            }
        }
    }
}

/// Reads a QUIC variable-length integer: the value and its length, or `None` if it is not complete.
fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = 1_usize << (first >> 6);
    let mut value = u64::from(first & 0x3f);
    for byte in bytes.get(1..length)? {
        value = value << 8 | u64::from(*byte);
    }
    Some((value, length))
}

fn write_varint(value: usize, out: &mut Vec<u8>) {
    let value = value as u64;
    let (length, tag) = match value {
        0..0x40 => (1, 0x00),
        0x40..0x4000 => (2, 0x40),
        0x4000..0x4000_0000 => (4, 0x80),
        // A slice in memory is shorter than 2^62 bytes.
        _ => (8, 0xc0),
    };
    let start = out.len();
    out.extend(value.to_be_bytes().into_iter().skip(8 - length));
    if let Some(first) = out.get_mut(start) {
        *first |= tag;
    }
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_value(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
}

fn is_path(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'/') && bytes.iter().all(|byte| (0x21..0x7f).contains(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> RequestHead {
        let mut fields = Fields::new();
        fields
            .push("Content-Type", b"application/json")
            .expect("valid");
        fields.push("accept", b"*/*").expect("valid");
        RequestHead {
            method: "POST".into(),
            path: "/v1/chat/completions?x=1".into(),
            fields,
        }
    }

    fn encoded(pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        request().encode(&mut out).expect("valid");
        for piece in pieces {
            encode_content(piece, &mut out);
        }
        encode_end(&mut out);
        out
    }

    /// Feeds `bytes` in parts of the given sizes; returns head, content and whether the end came.
    fn decode<H: Head>(
        bytes: &[u8],
        parts: &mut dyn Iterator<Item = usize>,
        limits: MessageLimits,
    ) -> Result<(Option<H>, Vec<u8>, bool), MessageError> {
        let mut decoder = Decoder::<H>::new(limits);
        let (mut head, mut content, mut ended) = (None, Vec::new(), false);
        let mut at = 0;
        while at < bytes.len() {
            let size = parts.next().unwrap_or(1).clamp(1, bytes.len() - at);
            let mut part = &bytes[at..at + size];
            at += size;
            loop {
                let (used, piece) = decoder.read(part)?;
                part = &part[used..];
                match piece {
                    Piece::NeedInput => break,
                    Piece::Head(found) => head = Some(found),
                    Piece::Content(piece) => content.extend_from_slice(piece),
                    Piece::End => ended = true,
                }
            }
            assert!(part.is_empty());
        }
        decoder.finish()?;
        Ok((head, content, ended))
    }

    fn all() -> std::iter::Repeat<usize> {
        std::iter::repeat(usize::MAX)
    }

    #[test]
    fn bhttp_reads_what_is_written() {
        let bytes = encoded(&[b"hello ", b"", &[b'x'; 20_000]]);
        let message =
            bhttp::Message::read_bhttp(&mut Cursor::new(&bytes[..])).expect("a whole message");
        assert_eq!(message.control().method(), Some(&b"POST"[..]));
        assert_eq!(message.header().get(b"accept"), Some(&b"*/*"[..]));
        assert_eq!(message.content().len(), 20_006);
    }

    #[test]
    fn ends_that_rfc_9292_lets_out() {
        let whole = encoded(&[]);
        for cut in [0, 1, 2] {
            let result = decode::<RequestHead>(
                &whole[..whole.len() - cut],
                &mut all(),
                MessageLimits::default(),
            );
            assert_eq!(result.expect("complete").0, Some(request()));
        }
        let mut padded = encoded(&[b"a"]);
        padded.extend_from_slice(&[0; 100]);
        assert!(decode::<RequestHead>(&padded, &mut all(), MessageLimits::default()).is_ok());
        padded.push(1);
        assert_eq!(
            decode::<RequestHead>(&padded, &mut all(), MessageLimits::default()).err(),
            Some(MessageError::TrailingData)
        );
    }

    #[test]
    fn any_other_cut_is_truncation() {
        let whole = encoded(&[b"hello", b"world"]);
        let head = encoded(&[]).len() - 2;
        // At the end of the head RFC 9292 lets an empty content be left out; that the half is complete says its FINAL frame.
        for cut in (0..whole.len() - 1).filter(|cut| *cut != head) {
            assert_eq!(
                decode::<RequestHead>(&whole[..cut], &mut all(), MessageLimits::default()).err(),
                Some(MessageError::Truncated),
                "{cut}"
            );
        }
    }

    #[test]
    fn bounds_hold_before_memory_is_taken() {
        let limits = MessageLimits {
            section_bytes: 64,
            fields: 1,
            content: 4,
        };
        // A length of 2^61 bytes is refused on its header.
        let huge = [2, 0xe0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            decode::<RequestHead>(&huge, &mut all(), limits).err(),
            Some(MessageError::SectionTooLarge(64))
        );
        assert_eq!(
            decode::<RequestHead>(&encoded(&[]), &mut all(), limits).err(),
            Some(MessageError::SectionTooLarge(64))
        );
        let response = |fields: usize, content: &[u8]| {
            let mut head = ResponseHead {
                status: 200,
                fields: Fields::new(),
            };
            for _ in 0..fields {
                head.fields.push("a", b"b").expect("valid");
            }
            let mut out = Vec::new();
            head.encode(&mut out).expect("valid");
            encode_content(content, &mut out);
            encode_end(&mut out);
            out
        };
        assert!(decode::<ResponseHead>(&response(1, b"1234"), &mut all(), limits).is_ok());
        assert_eq!(
            decode::<ResponseHead>(&response(2, b""), &mut all(), limits).err(),
            Some(MessageError::TooManyFields(1))
        );
        assert_eq!(
            decode::<ResponseHead>(&response(0, b"12345"), &mut all(), limits).err(),
            Some(MessageError::ContentTooLarge(4))
        );
    }

    #[test]
    fn malformed_heads_are_refused() {
        let cases: [(&[u8], MessageError); 7] = [
            (&[0], MessageError::Framing(0)),
            (&[3], MessageError::Framing(3)),
            (b"\x02\x00\x05https\x00\x01/\x00", MessageError::Control),
            (b"\x02\x03GET\x05https\x00\x01x\x00", MessageError::Control),
            (
                b"\x02\x03GET\x05https\x00\x03/\r\n\x00",
                MessageError::Control,
            ),
            (
                b"\x02\x03GET\x05https\x00\x01/\x01A\x01b\x00",
                MessageError::Field,
            ),
            (
                b"\x02\x03GET\x05https\x00\x01/\x01a\x01\n\x00",
                MessageError::Field,
            ),
        ];
        for (bytes, error) in cases {
            assert_eq!(
                decode::<RequestHead>(bytes, &mut all(), MessageLimits::default()).err(),
                Some(error)
            );
        }
        for status in [
            &b"\x03\x40\x64\x00"[..],
            b"\x03\x00\x00",
            b"\x03\x42\x58\x00",
        ] {
            assert_eq!(
                decode::<ResponseHead>(status, &mut all(), MessageLimits::default()).err(),
                Some(MessageError::Status)
            );
        }
    }

    #[test]
    fn an_error_stays() {
        let mut decoder = Decoder::<RequestHead>::new(MessageLimits::default());
        assert_eq!(decoder.read(&[9]).err(), Some(MessageError::Framing(9)));
        assert_eq!(decoder.read(&[2]).err(), Some(MessageError::Framing(9)));
        assert_eq!(decoder.finish().err(), Some(MessageError::Framing(9)));
    }

    proptest! {
        #[test]
        fn any_fragmentation_gives_the_same(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
            mut sizes in proptest::collection::vec(1_usize..40, 1..20),
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let bytes = encoded(&pieces);
            sizes.push(1);
            let got = decode::<RequestHead>(
                &bytes,
                &mut sizes.iter().copied().cycle(),
                MessageLimits::default(),
            );
            prop_assert_eq!(got, Ok((Some(request()), pieces.concat(), true)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            size in 1_usize..20,
        ) {
            let mut sizes = std::iter::repeat(size);
            let _ = decode::<RequestHead>(&bytes, &mut sizes, MessageLimits::default());
            let _ = decode::<ResponseHead>(&bytes, &mut sizes, MessageLimits::default());
        }
    }
}
