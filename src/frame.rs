//! The frame header: encode and decode, no crypto, no allocation (spec/protocol.md section 6.1).

use crate::error::{Error, PeerMisbehaved};
use crate::limits::{MAX_CONTENT, MAX_PUBLIC};

/// Bytes of a frame header.
pub const HEADER_LEN: usize = 4;
/// Bytes of an AEAD tag.
pub const TAG_LEN: usize = 16;
/// Bytes of the inner type and the content length, at the end of a SEALED plaintext.
pub(crate) const TRAILER_LEN: usize = 4;

const SEALED_MIN: usize = TRAILER_LEN + TAG_LEN;
const SEALED_MAX: usize = MAX_CONTENT + SEALED_MIN;
const PUBLIC_MIN: usize = 1 + TAG_LEN;
const PUBLIC_MAX: usize = MAX_PUBLIC + TAG_LEN;

/// The two kinds of frame on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// Encrypted: content, padding, inner type.
    Sealed,
    /// Readable by the relay, authenticated; s2c only.
    Public,
}

impl FrameType {
    const fn to_u8(self) -> u8 {
        match self {
            Self::Sealed => 0x01,
            Self::Public => 0x02,
        }
    }
}

/// A frame header whose type is known and whose length is in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// SEALED or PUBLIC.
    pub frame_type: FrameType,
    /// Bytes of the body, tag included.
    pub body_len: usize,
}

impl FrameHeader {
    /// Reads and checks four bytes.
    ///
    /// # Errors
    /// `bad-frame-type`, `bad-frame-length`.
    pub fn decode(bytes: [u8; HEADER_LEN]) -> Result<Self, Error> {
        let [frame_type, length @ ..] = bytes;
        let body_len = read_u24(length);
        let (frame_type, range) = match frame_type {
            0x01 => (FrameType::Sealed, SEALED_MIN..=SEALED_MAX),
            0x02 => (FrameType::Public, PUBLIC_MIN..=PUBLIC_MAX),
            _ => return Err(PeerMisbehaved::FrameType.into()),
        };
        if !range.contains(&body_len) {
            return Err(PeerMisbehaved::FrameLength.into());
        }
        Ok(Self {
            frame_type,
            body_len,
        })
    }

    /// The four bytes of this header.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER_LEN] {
        let [a, b, c] = write_u24(self.body_len);
        [self.frame_type.to_u8(), a, b, c]
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub fn frame_len(self) -> usize {
        self.body_len.saturating_add(HEADER_LEN)
    }
}

/// What a SEALED frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InnerType {
    Data,
    Final,
    Error,
    KeyUpdate,
    Switch,
    Pad,
}

impl InnerType {
    pub(crate) const fn to_u8(self) -> u8 {
        match self {
            Self::Data => 0x01,
            Self::Final => 0x02,
            Self::Error => 0x03,
            Self::KeyUpdate => 0x04,
            Self::Switch => 0x05,
            Self::Pad => 0x06,
        }
    }

    pub(crate) const fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Data),
            0x02 => Some(Self::Final),
            0x03 => Some(Self::Error),
            0x04 => Some(Self::KeyUpdate),
            0x05 => Some(Self::Switch),
            0x06 => Some(Self::Pad),
            _ => None,
        }
    }

    /// Whether a content of this length is allowed.
    pub(crate) const fn allows(self, content_len: usize) -> bool {
        match self {
            Self::Data | Self::Final => true,
            Self::Error => content_len >= 2,
            Self::KeyUpdate | Self::Switch | Self::Pad => content_len == 0,
        }
    }
}

/// The last four bytes of a SEALED plaintext.
pub(crate) fn trailer(inner: InnerType, content_len: usize) -> [u8; TRAILER_LEN] {
    let [a, b, c] = write_u24(content_len);
    [inner.to_u8(), a, b, c]
}

pub(crate) fn read_u24(bytes: [u8; 3]) -> usize {
    let [a, b, c] = bytes;
    usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX)
}

/// Lengths above 2^24 - 1 do not occur: every caller is bounded by `MAX_CONTENT`.
fn write_u24(value: usize) -> [u8; 3] {
    let [_, a, b, c] = u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
    [a, b, c]
}
