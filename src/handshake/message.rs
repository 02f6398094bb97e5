//! H1 and H2: parsing into parts (spec/protocol.md section 5.1). No crypto.

use alloc::vec::Vec;

use crate::codec::Reader;
use crate::crypto::Suite;
use crate::error::{Error, HandshakeFault};

/// Section 2.1.
pub(crate) const MAGIC: [u8; 2] = *b"SW";
/// Section 2.1.
pub(crate) const VERSION: u8 = 0x01;
/// Bytes of confirm1 and confirm2.
pub(crate) const CONFIRM_LEN: usize = 32;

const H1_PREFIX: usize = 22;
const H2_PREFIX: usize = 2;

/// Bytes of H1 in a suite.
#[must_use]
pub const fn h1_len(suite: Suite) -> usize {
    H1_PREFIX
        .saturating_add(suite.ciphertext_len())
        .saturating_add(suite.public_key_len())
        .saturating_add(CONFIRM_LEN)
}

/// Bytes of H2 in a suite.
#[must_use]
pub const fn h2_len(suite: Suite) -> usize {
    H2_PREFIX
        .saturating_add(suite.ciphertext_len())
        .saturating_add(CONFIRM_LEN)
}

/// A whole H1 whose magic, version, suite and flags are right.
pub struct ParsedRequest {
    bytes: Vec<u8>,
    suite: Suite,
    bundle_id: [u8; 16],
}

/// What [`ParsedRequest::read`] found.
#[non_exhaustive]
pub enum RequestProgress {
    /// Call again with at least `needed` bytes in total, from the same start.
    NeedInput {
        /// Bytes from the start of H1.
        needed: usize,
    },
    /// H1 is whole.
    Done {
        /// Bytes of H1; what follows are c2s frames.
        consumed: usize,
        /// The message.
        request: ParsedRequest,
    },
}

impl ParsedRequest {
    /// Parses H1 from the start of `input`. A field is judged as soon as it is whole.
    ///
    /// # Errors
    /// `bad-magic`, `bad-version`, `bad-suite`, `bad-flags`.
    pub fn read(input: &[u8]) -> Result<RequestProgress, Error> {
        if input.get(..2).is_some_and(|magic| magic != MAGIC) {
            return Err(HandshakeFault::Magic.into());
        }
        if input.get(2).is_some_and(|version| *version != VERSION) {
            return Err(HandshakeFault::Version.into());
        }
        let Some(suite) = input.get(3..5).and_then(|bytes| Reader::new(bytes).u16()) else {
            return Ok(RequestProgress::NeedInput { needed: H1_PREFIX });
        };
        let suite = Suite::from_u16(suite).ok_or(HandshakeFault::Suite)?;
        if input.get(5).is_some_and(|flags| *flags != 0) {
            return Err(HandshakeFault::Flags.into());
        }
        let needed = h1_len(suite);
        let Some(bytes) = input.get(..needed) else {
            return Ok(RequestProgress::NeedInput { needed });
        };
        let bundle_id = bytes
            .get(6..H1_PREFIX)
            .and_then(|id| id.try_into().ok())
            .ok_or(Error::Truncated)?;
        Ok(RequestProgress::Done {
            consumed: needed,
            request: Self {
                bytes: bytes.to_vec(),
                suite,
                bundle_id,
            },
        })
    }

    /// The suite that H1 names.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Which bundle the client used.
    #[must_use]
    pub const fn bundle_id(&self) -> [u8; 16] {
        self.bundle_id
    }

    /// The whole message.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn ciphertext(&self) -> &[u8] {
        let end = H1_PREFIX.saturating_add(self.suite.ciphertext_len());
        self.bytes.get(H1_PREFIX..end).unwrap_or_default()
    }

    pub(crate) fn client_key(&self) -> &[u8] {
        let start = H1_PREFIX.saturating_add(self.suite.ciphertext_len());
        let end = start.saturating_add(self.suite.public_key_len());
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub(crate) fn confirm(&self) -> [u8; CONFIRM_LEN] {
        self.bytes.last_chunk().copied().unwrap_or_default()
    }
}

/// Appends H1 without confirm1.
pub(crate) fn write_h1(
    out: &mut Vec<u8>,
    suite: Suite,
    bundle_id: &[u8; 16],
    ciphertext: &[u8],
    client_key: &[u8],
) {
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&suite.to_u16().to_be_bytes());
    out.push(0);
    out.extend_from_slice(bundle_id);
    out.extend_from_slice(ciphertext);
    out.extend_from_slice(client_key);
}

/// Appends H2 without confirm2.
pub(crate) fn write_h2(out: &mut Vec<u8>, ciphertext: &[u8]) {
    out.push(VERSION);
    out.push(0);
    out.extend_from_slice(ciphertext);
}

/// The parts of H2, or how many bytes are needed in all.
pub(crate) enum ResponseParts<'a> {
    NeedInput(usize),
    Whole {
        message: &'a [u8],
        ciphertext: &'a [u8],
        confirm: [u8; CONFIRM_LEN],
    },
}

/// Parses H2 from the start of `input`.
pub(crate) fn read_h2(suite: Suite, input: &[u8]) -> Result<ResponseParts<'_>, Error> {
    if input.first().is_some_and(|version| *version != VERSION) {
        return Err(HandshakeFault::Version.into());
    }
    if input.get(1).is_some_and(|flags| *flags != 0) {
        return Err(HandshakeFault::Flags.into());
    }
    let needed = h2_len(suite);
    let Some(message) = input.get(..needed) else {
        return Ok(ResponseParts::NeedInput(needed));
    };
    let end = H2_PREFIX.saturating_add(suite.ciphertext_len());
    Ok(ResponseParts::Whole {
        message,
        ciphertext: message.get(H2_PREFIX..end).unwrap_or_default(),
        confirm: message.last_chunk().copied().unwrap_or_default(),
    })
}
