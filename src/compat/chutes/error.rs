//! What goes wrong in this profile, each with a stable code.

use core::fmt;

use crate::error::CryptoError;

/// An error of the profile. None holds a secret or content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChutesError {
    /// The instance's key is not base64 of a valid ML-KEM-768 encapsulation key.
    InstanceKey,
    /// The body is not one JSON object with unique names.
    NotAnObject,
    /// The body has a member `e2e_response_pk`, which is the protocol's own.
    ReservedMember,
    /// The path cannot be carried: it must begin with `/` and have at most 255 visible ASCII characters, without a query.
    Path,
    /// A request or response is shorter than its fixed parts.
    TooShort,
    /// It does not authenticate: changed, or for another key.
    Decrypt,
    /// What is inside is no sound gzip.
    Gzip(GzipFault),
    /// It unpacks to more than the bound.
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// A request without `e2e_response_pk`, or one that is not a valid key.
    ResponseKey,
    /// The sealed path is not the one that was asked for in clear.
    PathMismatch,
    /// This request was accepted before.
    Replayed,
    /// The key ring's configuration is out of bounds.
    KeyRing,
    /// The stream's line is none of those that exist.
    Event(EventFault),
    /// Chunks were reordered, repeated or left out: the sealed sequence does not fit.
    Sequence,
    /// The token counter inside the chunks went backwards or, where every token must show, jumped.
    Counter,
    /// The relay says that it failed; nothing of it is model output.
    RelayFailed,
    /// The stream or answer ended before its sealed end.
    Truncated,
    /// The crypto provider failed.
    Crypto(CryptoError),
}

/// What is wrong with a gzip stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GzipFault {
    /// Not gzip, or a header that breaks its rules.
    Header,
    /// The compressed data is not sound.
    Data,
    /// Checksum or length do not fit.
    Checksum,
    /// It ends too early.
    Truncated,
    /// Bytes behind the last member that are no member.
    Trailing,
}

/// What is wrong with a line of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventFault {
    /// Not a `data:` line, a comment or blank.
    NotData,
    /// Longer than the bound.
    TooLong,
    /// More chunks or bytes than the bound.
    TooMany,
    /// Not one JSON object.
    NotJson,
    /// Its members are not exactly one of `e2e_init`, `e2e`, `usage`, `e2e_error`.
    Members,
    /// A plaintext `[DONE]`: only a sealed one counts.
    PlaintextDone,
    /// A second `e2e_init`.
    SecondInit,
    /// Something before `e2e_init`.
    BeforeInit,
    /// `e2e_init` is not base64 of a KEM ciphertext.
    Init,
    /// `e2e` is not base64 of nonce, ciphertext and tag.
    Chunk,
    /// `usage` is not an object with counts.
    Usage,
    /// A chunk's nonce was seen before.
    NonceRepeated,
    /// Content behind the sealed `[DONE]`.
    AfterDone,
}

impl ChutesError {
    /// A stable code for programs, logs and vectors.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InstanceKey => "instance-key",
            Self::NotAnObject => "not-an-object",
            Self::ReservedMember => "reserved-member",
            Self::Path => "bad-path",
            Self::TooShort => "too-short",
            Self::Decrypt => "decrypt",
            Self::Gzip(fault) => match fault {
                GzipFault::Header => "gzip-header",
                GzipFault::Data => "gzip-data",
                GzipFault::Checksum => "gzip-checksum",
                GzipFault::Truncated => "gzip-truncated",
                GzipFault::Trailing => "gzip-trailing",
            },
            Self::TooLarge { .. } => "too-large",
            Self::ResponseKey => "response-key",
            Self::PathMismatch => "path-mismatch",
            Self::Replayed => "replayed",
            Self::KeyRing => "key-ring",
            Self::Event(fault) => match fault {
                EventFault::NotData => "event-not-data",
                EventFault::TooLong => "event-too-long",
                EventFault::TooMany => "event-too-many",
                EventFault::NotJson => "event-not-json",
                EventFault::Members => "event-members",
                EventFault::PlaintextDone => "event-plaintext-done",
                EventFault::SecondInit => "event-second-init",
                EventFault::BeforeInit => "event-before-init",
                EventFault::Init => "event-init",
                EventFault::Chunk => "event-chunk",
                EventFault::Usage => "event-usage",
                EventFault::NonceRepeated => "event-nonce-repeated",
                EventFault::AfterDone => "event-after-done",
            },
            Self::Sequence => "sequence",
            Self::Counter => "counter",
            Self::RelayFailed => "relay-failed",
            Self::Truncated => "truncated",
            Self::Crypto(_) => "crypto",
        }
    }
}

impl fmt::Display for ChutesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::InstanceKey => {
                "the instance's key is not base64 of a valid ML-KEM-768 key: suspect the relay"
            }
            Self::NotAnObject => "the body must be one JSON object whose names are unique",
            Self::ReservedMember => {
                "the body must not have a member e2e_response_pk: the protocol sets it"
            }
            Self::Path => {
                "the path must begin with / and have at most 255 visible ASCII characters, without a query"
            }
            Self::TooShort => "shorter than key ciphertext, nonce and tag",
            Self::Decrypt => {
                "it does not authenticate: changed on the way, or sealed to another key"
            }
            Self::Gzip(fault) => match fault {
                GzipFault::Header => "the content is not gzip",
                GzipFault::Data => "the gzip data is not sound",
                GzipFault::Checksum => "the gzip checksum does not fit",
                GzipFault::Truncated => "the gzip data ends too early",
                GzipFault::Trailing => "there are bytes behind the gzip data",
            },
            Self::TooLarge { limit } => {
                return write!(f, "the content unpacks to more than {limit} bytes");
            }
            Self::ResponseKey => {
                "the request has no e2e_response_pk that is base64 of a valid ML-KEM-768 key"
            }
            Self::PathMismatch => {
                "the path asked for is not the one that the client sealed: suspect the relay"
            }
            Self::Replayed => "this request was accepted before; seal it anew",
            Self::KeyRing => {
                "a key ring needs 0 < rotation <= lifetime and room for at least one request"
            }
            Self::Event(fault) => match fault {
                EventFault::NotData => "the stream has a line that is no data line",
                EventFault::TooLong => "the stream has a line longer than the bound",
                EventFault::TooMany => "the stream has more chunks or bytes than the bound",
                EventFault::NotJson => "an event is not one JSON object",
                EventFault::Members => "an event has other members than the protocol knows",
                EventFault::PlaintextDone => {
                    "the relay says [DONE] in clear; only a sealed end counts"
                }
                EventFault::SecondInit => "a second e2e_init",
                EventFault::BeforeInit => "an event before e2e_init",
                EventFault::Init => "e2e_init is not base64 of an ML-KEM-768 ciphertext",
                EventFault::Chunk => "e2e is not base64 of nonce, ciphertext and tag",
                EventFault::Usage => "usage is not an object with counts of tokens",
                EventFault::NonceRepeated => "a chunk came twice",
                EventFault::AfterDone => "a chunk with content behind the sealed [DONE]",
            },
            Self::Sequence => "chunks were reordered, repeated or left out",
            Self::Counter => {
                "the token counter inside the chunks does not fit: chunks were reordered or left out"
            }
            Self::RelayFailed => "the relay says that it failed",
            Self::Truncated => "it ended before its sealed end: what came is a prefix of the truth",
            Self::Crypto(error) => return error.fmt(f),
        };
        f.write_str(text)
    }
}

impl core::error::Error for ChutesError {}

impl From<CryptoError> for ChutesError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<GzipFault> for ChutesError {
    fn from(fault: GzipFault) -> Self {
        Self::Gzip(fault)
    }
}

impl From<EventFault> for ChutesError {
    fn from(fault: EventFault) -> Self {
        Self::Event(fault)
    }
}
