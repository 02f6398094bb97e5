//! Sealing: content in, frames out (spec/protocol.md section 6.2).

#[cfg(feature = "parallel")]
mod parallel;

use alloc::vec::Vec;

use super::ratchet::{HalfKeys, RecordCrypto, Step};
use super::{Half, Padding};
use crate::crypto::{AeadKey, Secret};
use crate::error::{ApiMisuse, Error, StreamErrorCode};
use crate::frame::{self, FrameHeader, FrameType, HEADER_LEN, InnerType, TAG_LEN, TRAILER_LEN};
use crate::limits::{Limits, MAX_CONTENT, MAX_PUBLIC};

/// Seals one half.
///
/// Each call that succeeds has used a sequence number: keep the bytes until the transport has taken them all, and never seal the same content
/// again. Dropping a sealer emits nothing; only [`Sealer::finish`] says that the half is complete.
///
/// ```text
/// [early]  --seal--> [early]      c2s under the early secret (refused under EarlyData::Never)
///    |  switch
///    v
/// [open]   --seal, key_update, public (s2c)--> [open]
///    |  finish / fail
///    v
/// (gone)
/// ```
pub struct Sealer {
    keys: HalfKeys,
    half: Half,
    padding: Padding,
    failed: Option<Error>,
    /// c2s only: SWITCH has not been sent.
    early: bool,
    early_forbidden: bool,
    /// A KEY_UPDATE was sent and no content since.
    updated: bool,
    /// Unpadded DATA and PAD frames without content, in a row.
    empty: u32,
    max_empty: u32,
}

/// Moves the client's sealer to the late secret. It comes from a verified H2.
pub struct SwitchKey(pub(crate) Secret<32>);

impl Sealer {
    pub(crate) fn c2s(
        crypto: RecordCrypto,
        limits: &Limits,
        early: Secret<32>,
        early_allowed: bool,
    ) -> Result<Self, Error> {
        Ok(Self {
            early: true,
            early_forbidden: !early_allowed,
            ..Self::new(crypto, limits, early, Half::C2s)?
        })
    }

    pub(crate) fn s2c(
        crypto: RecordCrypto,
        limits: &Limits,
        secret: Secret<32>,
    ) -> Result<Self, Error> {
        Self::new(crypto, limits, secret, Half::S2c)
    }

    fn new(
        crypto: RecordCrypto,
        limits: &Limits,
        secret: Secret<32>,
        half: Half,
    ) -> Result<Self, Error> {
        Ok(Self {
            keys: HalfKeys::new(crypto, limits.schedule, secret)?,
            half,
            padding: Padding::default(),
            failed: None,
            early: false,
            early_forbidden: false,
            updated: false,
            empty: 0,
            max_empty: limits.schedule.max_empty,
        })
    }

    /// Which half this seals.
    #[must_use]
    pub const fn half(&self) -> Half {
        self.half
    }

    /// Sets the padding of the frames to come.
    pub const fn set_padding(&mut self, padding: Padding) {
        self.padding = padding;
    }

    /// The padding of the frames to come.
    #[must_use]
    pub const fn padding(&self) -> Padding {
        self.padding
    }

    /// The longest content that one frame takes under the padding policy.
    #[must_use]
    pub const fn max_content(&self) -> usize {
        self.padding.max_content()
    }

    /// Whether content may be sealed now: false for a client under `EarlyData::Never` before SWITCH.
    #[must_use]
    pub const fn may_seal(&self) -> bool {
        !self.early_forbidden
    }

    /// Bytes of one frame with this much content.
    ///
    /// # Errors
    /// `ApiMisuse` beyond [`Sealer::max_content`].
    pub fn sealed_len(&self, content_len: usize) -> Result<usize, Error> {
        self.padding
            .padded_len(content_len)
            .map(frame_len)
            .ok_or(ApiMisuse::ContentTooLong.into())
    }

    /// Seals one DATA frame into `out` and returns its length, which is [`Sealer::sealed_len`].
    ///
    /// # Errors
    /// `BufferTooSmall` and `ApiMisuse` change nothing. `Exhausted` and `Crypto` end the sealer.
    pub fn seal(&mut self, content: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        self.check_content()?;
        let padded = self.padded(content.len())?;
        self.check_empty(padded)?;
        let len = self.write(InnerType::Data, content, padded, out, Step::Count)?;
        self.note_content(content.len(), padded);
        Ok(len)
    }

    /// Seals one DATA frame around content that already stands in `frame` from byte 4 on, and returns the frame's length.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn seal_in_place(&mut self, frame: &mut [u8], content_len: usize) -> Result<usize, Error> {
        self.check_content()?;
        let padded = self.padded(content_len)?;
        self.check_empty(padded)?;
        fill_after_content(frame, InnerType::Data, content_len, padded)?;
        let len = self.seal_body(frame, padded, None, Step::Count)?;
        self.note_content(content_len, padded);
        Ok(len)
    }

    /// Appends DATA frames for all of `content`, split as the policy needs; nothing for empty content.
    ///
    /// # Errors
    /// As [`Sealer::seal`]; frames appended before a fatal error are valid.
    pub fn seal_vec(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.check_content()?;
        self.reserve(content.len(), out);
        for piece in content.chunks(self.max_content()) {
            self.append(InnerType::Data, piece, Step::Count, out)?;
            self.note_content(piece.len(), piece.len());
        }
        Ok(())
    }

    /// Appends a PAD frame that shows `len` bytes of content, or what the policy makes of it.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn pad(&mut self, len: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        self.check_content()?;
        let padded = match self.padding {
            Padding::Fixed(_) => self.max_content(),
            _ if len > MAX_CONTENT => return Err(ApiMisuse::ContentTooLong.into()),
            _ => len,
        };
        self.check_empty(padded)?;
        self.append_padded(InnerType::Pad, &[], padded, Step::Count, out)?;
        self.note_content(0, padded);
        Ok(())
    }

    /// Appends KEY_UPDATE: the frames after it are under the next secret.
    ///
    /// # Errors
    /// `ApiMisuse` in c2s before SWITCH, and without content since the last one. Otherwise as [`Sealer::seal`].
    pub fn key_update(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.check_alive()?;
        if self.early || self.updated {
            return Err(ApiMisuse::KeyUpdateNow.into());
        }
        self.append(InnerType::KeyUpdate, &[], Step::Update, out)?;
        self.updated = true;
        Ok(())
    }

    /// Appends SWITCH: must be the first frame after H2 was verified, unless the half has ended.
    ///
    /// # Errors
    /// `ApiMisuse` in s2c and the second time. Otherwise as [`Sealer::seal`].
    pub fn switch(&mut self, key: SwitchKey, out: &mut Vec<u8>) -> Result<(), Error> {
        self.check_alive()?;
        if !self.early {
            return Err(ApiMisuse::SwitchNow.into());
        }
        self.append(InnerType::Switch, &[], Step::Switch(key.0), out)?;
        self.early = false;
        self.early_forbidden = false;
        Ok(())
    }

    /// Appends a PUBLIC frame: readable by the relay, changeable by nobody.
    ///
    /// # Errors
    /// `ApiMisuse` in c2s and unless `bytes` is 1 to 512 bytes. Otherwise as [`Sealer::seal`].
    pub fn public(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.check_alive()?;
        if self.half == Half::C2s {
            return Err(ApiMisuse::PublicInC2s.into());
        }
        if !(1..=MAX_PUBLIC).contains(&bytes.len()) {
            return Err(ApiMisuse::PublicLength.into());
        }
        let header = FrameHeader {
            frame_type: FrameType::Public,
            body_len: bytes.len().saturating_add(TAG_LEN),
        };
        let start = out.len();
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(bytes);
        let sealed = self.keys.next().and_then(|(key, nonce)| {
            let aad = out.get(start..).unwrap_or_default();
            Ok(key.seal_in_place(&nonce, aad, &mut [])?)
        });
        match sealed {
            Ok(tag) => out.extend_from_slice(&tag),
            Err(error) => {
                out.truncate(start);
                return Err(self.fail_with(error));
            }
        }
        self.advance(Step::Count)
    }

    /// Ends the half: appends `content` and FINAL. The only source of FINAL.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn finish(mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.check_content()?;
        self.reserve(content.len(), out);
        let (head, last) = self.split_last(content);
        self.seal_vec(head, out)?;
        self.append(InnerType::Final, last, Step::Count, out)
    }

    /// Ends the half with ERROR. The message is for people; what does not fit one frame is cut.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn fail(
        mut self,
        code: StreamErrorCode,
        message: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.check_content()?;
        let room = self.max_content().saturating_sub(2);
        let message = cut(message, room);
        let mut content = Vec::with_capacity(message.len().saturating_add(2));
        content.extend_from_slice(&code.to_u16().to_be_bytes());
        content.extend_from_slice(message.as_bytes());
        self.append(InnerType::Error, &content, Step::Count, out)
    }

    /// Room for content in frames, once for all of them: growing would copy what is sealed.
    fn reserve(&self, content_len: usize, out: &mut Vec<u8>) {
        let frames = content_len.div_ceil(self.max_content().max(1));
        out.reserve(content_len.saturating_add(frames.saturating_mul(frame_len(0))));
    }

    /// What goes before FINAL, and the content of FINAL, which is not empty unless all is.
    fn split_last<'a>(&self, content: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let last_len = match content.len().checked_rem(self.max_content()) {
            Some(0) if !content.is_empty() => self.max_content(),
            Some(rest) => rest,
            None => 0,
        };
        content
            .split_at_checked(content.len().saturating_sub(last_len))
            .unwrap_or_default()
    }

    fn check_alive(&self) -> Result<(), Error> {
        self.failed.map_or(Ok(()), Err)
    }

    fn check_content(&self) -> Result<(), Error> {
        self.check_alive()?;
        if self.early_forbidden {
            return Err(ApiMisuse::EarlyDataForbidden.into());
        }
        Ok(())
    }

    fn padded(&self, content_len: usize) -> Result<usize, Error> {
        self.padding
            .padded_len(content_len)
            .ok_or(ApiMisuse::ContentTooLong.into())
    }

    /// A receiver refuses more unpadded empty frames in a row than `MAX_EMPTY` (section 6.3 step 5).
    fn check_empty(&self, padded: usize) -> Result<(), Error> {
        if padded == 0 && self.empty >= self.max_empty {
            return Err(ApiMisuse::TooManyEmpty.into());
        }
        Ok(())
    }

    /// Notes a DATA or PAD frame that was sealed.
    const fn note_content(&mut self, content_len: usize, padded: usize) {
        if content_len > 0 {
            self.updated = false;
        }
        self.empty = if padded == 0 {
            self.empty.saturating_add(1)
        } else {
            0
        };
    }

    fn append(
        &mut self,
        inner: InnerType,
        content: &[u8],
        step: Step,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let padded = self.padded(content.len())?;
        self.append_padded(inner, content, padded, step, out)
    }

    fn append_padded(
        &mut self,
        inner: InnerType,
        content: &[u8],
        padded: usize,
        step: Step,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let start = out.len();
        out.resize(start.saturating_add(frame_len(padded)), 0);
        let space = out.get_mut(start..).unwrap_or_default();
        let result = self.write(inner, content, padded, space, step);
        if result.is_err() {
            out.truncate(start);
        }
        result.map(drop)
    }

    /// Writes one frame from content elsewhere.
    fn write(
        &mut self,
        inner: InnerType,
        content: &[u8],
        padded: usize,
        out: &mut [u8],
        step: Step,
    ) -> Result<usize, Error> {
        if content.len() == padded {
            let trailer = frame::trailer(inner, content.len());
            return self.seal_body(out, padded, Some((content, trailer)), step);
        }
        fill_after_content(out, inner, content.len(), padded)?;
        if let Some(space) = out.get_mut(HEADER_LEN..HEADER_LEN.saturating_add(content.len())) {
            space.copy_from_slice(content);
        }
        self.seal_body(out, padded, None, step)
    }

    /// Seals a frame and advances.
    fn seal_body(
        &mut self,
        out: &mut [u8],
        padded: usize,
        gather: Option<(&[u8], [u8; TRAILER_LEN])>,
        step: Step,
    ) -> Result<usize, Error> {
        let needed = frame_len(padded);
        let frame = out
            .get_mut(..needed)
            .ok_or(Error::BufferTooSmall { needed })?;
        let sealed = self
            .keys
            .next()
            .and_then(|(key, nonce)| encrypt(key, &nonce, frame, gather));
        sealed.map_err(|error| self.fail_with(error))?;
        self.advance(step)?;
        Ok(needed)
    }

    fn advance(&mut self, step: Step) -> Result<(), Error> {
        self.keys
            .advance(step)
            .map_err(|error| self.fail_with(error))
    }

    const fn fail_with(&mut self, error: Error) -> Error {
        self.failed = Some(error);
        error
    }
}

/// Writes header and tag of a whole frame, and encrypts its body, which is in place or gathered from (content, trailer).
fn encrypt(
    key: &dyn AeadKey,
    nonce: &[u8; 12],
    frame: &mut [u8],
    gather: Option<(&[u8], [u8; TRAILER_LEN])>,
) -> Result<(), Error> {
    let header = FrameHeader {
        frame_type: FrameType::Sealed,
        body_len: frame.len().saturating_sub(HEADER_LEN),
    };
    let too_small = Error::BufferTooSmall {
        needed: frame_len(0),
    };
    let (header_space, rest) = frame
        .split_first_chunk_mut::<HEADER_LEN>()
        .ok_or(too_small)?;
    let (body, tag_space) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(too_small)?;
    *header_space = header.encode();
    *tag_space = match gather {
        Some((content, trailer)) => key.seal_scatter(nonce, header_space, content, &trailer, body),
        None => key.seal_in_place(nonce, header_space, body),
    }?;
    Ok(())
}

/// At most `room` bytes of `message`, cut at a character's boundary.
fn cut(message: &str, room: usize) -> &str {
    let mut end = room.min(message.len());
    while !message.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    message.get(..end).unwrap_or_default()
}

const fn frame_len(padded: usize) -> usize {
    padded.saturating_add(HEADER_LEN + TRAILER_LEN + TAG_LEN)
}

/// Writes zeros and trailer behind a content of `content_len` bytes. Checks the space of the whole frame first.
fn fill_after_content(
    out: &mut [u8],
    inner: InnerType,
    content_len: usize,
    padded: usize,
) -> Result<(), Error> {
    let needed = frame_len(padded);
    let (zeros, trailer) = out
        .get_mut(..needed)
        .and_then(|frame| frame.get_mut(HEADER_LEN..needed.saturating_sub(TAG_LEN)))
        .and_then(|body| body.get_mut(content_len..))
        .and_then(|tail| tail.split_last_chunk_mut::<TRAILER_LEN>())
        .ok_or(Error::BufferTooSmall { needed })?;
    zeros.fill(0);
    *trailer = frame::trailer(inner, content_len);
    Ok(())
}
