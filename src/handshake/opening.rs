//! A client's first bytes where the context travels in line with H1: `lp(context) | H1` (spec/protocol.md section 9).

use alloc::vec::Vec;

use super::message::{ParsedRequest, RequestProgress};
use crate::codec::lp_len;
use crate::context::Context;
use crate::error::{Error, PeerMisbehaved};
use crate::limits::MAX_CONTEXT;

/// Context and H1 from the start of a byte stream.
#[non_exhaustive]
pub enum OpeningProgress<'a> {
    /// Call again with at least `needed` bytes in total, from the same start.
    NeedInput {
        /// Bytes from the start of the stream.
        needed: usize,
    },
    /// Both are whole.
    Done {
        /// Bytes of both; what follows are c2s frames.
        consumed: usize,
        /// The context's bytes, for [`server::accept`](crate::server::accept).
        context: &'a [u8],
        /// The message.
        request: ParsedRequest,
    },
}

/// Reads context and H1 from the start of `input`. The context itself is judged with H1's key, in [`server::accept`](crate::server::accept).
///
/// # Errors
/// `bad-context` for a length above 1,024, at once; otherwise as [`ParsedRequest::read`].
pub fn read_opening(input: &[u8]) -> Result<OpeningProgress<'_>, Error> {
    let Some((len, rest)) = input.split_first_chunk::<2>() else {
        return Ok(OpeningProgress::NeedInput { needed: 2 });
    };
    let len = usize::from(u16::from_be_bytes(*len));
    if len > MAX_CONTEXT {
        return Err(Error::BadContext);
    }
    let context_end = len.saturating_add(2);
    let Some((context, h1)) = rest.split_at_checked(len) else {
        return Ok(OpeningProgress::NeedInput {
            needed: context_end,
        });
    };
    Ok(match ParsedRequest::read(h1)? {
        RequestProgress::NeedInput { needed } => OpeningProgress::NeedInput {
            needed: context_end.saturating_add(needed),
        },
        RequestProgress::Done { consumed, request } => OpeningProgress::Done {
            consumed: context_end.saturating_add(consumed),
            context,
            request,
        },
    })
}

/// Reads the first message of a carriage that keeps boundaries: it is context and H1, exactly.
///
/// # Errors
/// As [`read_opening`]; `truncated` for a message that is too short, `trailing-data` for one that is too long.
pub fn read_opening_message(message: &[u8]) -> Result<(&[u8], ParsedRequest), Error> {
    match read_opening(message)? {
        OpeningProgress::NeedInput { .. } => Err(Error::Truncated),
        OpeningProgress::Done { consumed, .. } if consumed < message.len() => {
            Err(PeerMisbehaved::TrailingData.into())
        }
        OpeningProgress::Done {
            context, request, ..
        } => Ok((context, request)),
    }
}

/// `lp(context)`: what a client sends before H1 where the context travels in line.
#[must_use]
pub fn context_prefix(context: &Context) -> Vec<u8> {
    let context = context.encode();
    [&lp_len(&context), &*context].concat()
}
