//! Every error of the protocol, sorted by who is at fault (spec/protocol.md section 8).

use core::fmt;

/// What went wrong.
///
/// An error returned by an object that takes `self` ends that object. [`Sealer`](crate::Sealer) and [`Opener`](crate::Opener) say for
/// each call whether they live on; once dead they return the same error again. No error holds a secret or content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A bundle is malformed or its signature is wrong; fetch another one, and suspect the relay.
    Bundle(BundleFault),
    /// A bundle is sound but not what the client's policy wants.
    Policy(PolicyFault),
    /// The bundle's window and the clock differ by more than 120 s: fetch a fresh bundle, then check the clock.
    ClockSkew {
        /// The caller's clock, unix seconds.
        now: u64,
        /// Start of the bundle's window, unix seconds.
        not_before: u64,
        /// End of the bundle's window, unix seconds.
        not_after: u64,
    },
    /// The context is not canonical or misses an item.
    BadContext,
    /// The handshake failed; nothing was accepted.
    Handshake(HandshakeFault),
    /// A frame was authentic and broke a rule, or its header did.
    PeerMisbehaved(PeerMisbehaved),
    /// A frame did not authenticate: changed, out of order, or under another key.
    Decrypt,
    /// The transport ended before the half did. What was released is a prefix of the truth.
    Truncated,
    /// The half has used all of its sequence numbers.
    Exhausted,
    /// The output does not fit; nothing changed, call again with more room.
    BufferTooSmall {
        /// Bytes needed in total.
        needed: usize,
    },
    /// The calling program used the API wrongly; nothing changed.
    ApiMisuse(ApiMisuse),
    /// A receipt is not acceptable.
    Receipt(ReceiptFault),
    /// The crypto provider failed.
    Crypto(CryptoError),
}

/// What is wrong with a bundle (section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleFault {
    /// Another version.
    Version,
    /// Unknown suite.
    Suite,
    /// Unknown flag.
    Flags,
    /// Truncated, trailing bytes, or a length that is not the suite's.
    Length,
    /// Empty, reversed, or longer than 1,200 s.
    Window,
    /// Not 1 to 255 bytes of UTF-8 without control characters.
    Label,
    /// The signature does not verify.
    Signature,
    /// The KEM key fails its check.
    KemKey,
}

/// Why a client does not take a sound bundle (section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyFault {
    /// The suite is not on the policy's list.
    Suite,
    /// The label is not the one wanted.
    Label,
    /// The policy requires a single-use key.
    SingleUse,
    /// The identity is neither attested nor pinned.
    Identity,
}

/// Why a handshake failed (section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// H1 does not start with "SW".
    Magic,
    /// Another version.
    Version,
    /// Unknown suite.
    Suite,
    /// A flag that is not 0.
    Flags,
    /// No key for this bundle id: it expired, was used up, or is of another instance.
    KeyUnknown,
    /// H1's suite is not the bundle's.
    SuiteMismatch,
    /// The context's label is not the bundle's.
    LabelMismatch,
    /// No capacity.
    Busy,
    /// Key confirmation failed: wrong key, changed bytes, or another context.
    Confirm,
    /// This H1 was accepted before.
    Replayed,
    /// The client's KEM key fails its check.
    ClientKey,
    /// H2 did not come before the client's deadline.
    Timeout,
    /// `EarlyData::Never`, and the carriage does not deliver H2 while the request is open.
    NoDuplex,
}

/// How a peer broke the rules of frames (section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// Unknown frame type.
    FrameType,
    /// Length out of the type's range.
    FrameLength,
    /// Unknown inner type.
    InnerType,
    /// Content length past the end, or not allowed for the inner type.
    ContentLength,
    /// Padding that is not zero.
    Padding,
    /// A frame that is not allowed in this half, or not now.
    UnexpectedFrame,
    /// Two KEY_UPDATE without content between them.
    KeyUpdateFlood,
    /// More than 32 empty frames in a row.
    EmptyFlood,
    /// More PAD bytes than the receiver's budget.
    PadBudget,
    /// More bytes than the receiver's budget.
    TooLarge,
    /// An ERROR message that is not UTF-8.
    BadError,
    /// Bytes after the end of the half.
    TrailingData,
    /// The answer ended with success before the request did.
    EarlyResponse,
}

/// How the calling program is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// Content longer than one frame takes; use the `_vec` methods, which split.
    ContentTooLong,
    /// `EarlyData::Never`: nothing may be sealed before SWITCH.
    EarlyDataForbidden,
    /// KEY_UPDATE twice without content between, or in c2s before SWITCH.
    KeyUpdateNow,
    /// SWITCH twice, or in s2c.
    SwitchNow,
    /// PUBLIC frames exist only in s2c.
    PublicInC2s,
    /// A PUBLIC body is 1 to 512 bytes.
    PublicLength,
    /// A padding policy whose size is below 2 or above 16,384.
    PaddingSize,
    /// The provider does not implement the suite.
    SuiteUnsupported,
    /// An exporter output of 0 or more than 8,160 bytes, or a label of more than 65,535.
    ExportLength,
    /// A key ring configuration out of the limits of section 2.3.
    KeyRing,
    /// More than 32 unpadded frames without content in a row.
    TooManyEmpty,
    /// The sealer was used after it failed or ended.
    Ended,
}

/// What is wrong with a receipt (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptFault {
    /// Not the encoding of a receipt.
    Encoding,
    /// The signature does not verify.
    Signature,
    /// A field is not this stream's.
    Mismatch,
    /// Out of order, or after the final one.
    Order,
}

/// What a crypto provider can report. It says nothing about secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoError {
    /// The random generator failed.
    Random,
    /// A public key, ciphertext or signature is not acceptable.
    Invalid,
    /// The backend failed in another way.
    Backend,
}

/// Codes of ERROR frames (section 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamErrorCode {
    /// The sender failed.
    Internal,
    /// Cancelled by the other side or the operator.
    Cancelled,
    /// The model server failed or broke off.
    Upstream,
    /// The model server did not answer in time.
    UpstreamTimeout,
    /// A bound on size was exceeded.
    TooLarge,
    /// The other half failed.
    Protocol,
    /// The other half ended without FINAL.
    Incomplete,
    /// The sender is stopping.
    ShuttingDown,
    /// A code that this version does not know: treat it as [`StreamErrorCode::Internal`].
    Unknown(u16),
}

impl StreamErrorCode {
    /// The code on the wire.
    #[must_use]
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::Internal => 1,
            Self::Cancelled => 2,
            Self::Upstream => 3,
            Self::UpstreamTimeout => 4,
            Self::TooLarge => 5,
            Self::Protocol => 6,
            Self::Incomplete => 7,
            Self::ShuttingDown => 8,
            Self::Unknown(code) => code,
        }
    }

    /// From the wire.
    #[must_use]
    pub const fn from_u16(code: u16) -> Self {
        match code {
            1 => Self::Internal,
            2 => Self::Cancelled,
            3 => Self::Upstream,
            4 => Self::UpstreamTimeout,
            5 => Self::TooLarge,
            6 => Self::Protocol,
            7 => Self::Incomplete,
            8 => Self::ShuttingDown,
            unknown => Self::Unknown(unknown),
        }
    }
}

/// Codes of the relay plane: a closed list (section 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayCode {
    /// No capacity now.
    Busy,
    /// The instance is not there.
    Gone,
    /// The bundle's key is not held any more.
    KeyUnknown,
    /// The relay wants a key, or another one.
    Auth,
    /// A quota is used up.
    Quota,
    /// The request is too large for the relay.
    TooLarge,
    /// The handshake was refused.
    Refused,
    /// The same H1 came before.
    Replayed,
    /// The relay or the instance failed.
    Internal,
}

impl RelayCode {
    /// The whole list.
    pub const ALL: [Self; 9] = [
        Self::Busy,
        Self::Gone,
        Self::KeyUnknown,
        Self::Auth,
        Self::Quota,
        Self::TooLarge,
        Self::Refused,
        Self::Replayed,
        Self::Internal,
    ];

    /// The code's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Gone => "gone",
            Self::KeyUnknown => "key-unknown",
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::TooLarge => "too-large",
            Self::Refused => "refused",
            Self::Replayed => "replayed",
            Self::Internal => "internal",
        }
    }

    /// From the wire; `None` for a name that is not on the list.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

impl Error {
    /// The stable code of section 8, the same in every implementation and vector.
    ///
    /// The four variants that are local to this API (`BufferTooSmall`, `ApiMisuse`, `Crypto` and what they hold) have codes that never travel.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bundle(fault) => match fault {
                BundleFault::Version => "bundle-version",
                BundleFault::Suite => "bundle-suite",
                BundleFault::Flags => "bundle-flags",
                BundleFault::Length => "bundle-length",
                BundleFault::Window => "bundle-window",
                BundleFault::Label => "bundle-label",
                BundleFault::Signature => "bundle-signature",
                BundleFault::KemKey => "bundle-kem-key",
            },
            Self::Policy(fault) => match fault {
                PolicyFault::Suite => "policy-suite",
                PolicyFault::Label => "label-mismatch",
                PolicyFault::SingleUse => "policy-single-use",
                PolicyFault::Identity => "identity-untrusted",
            },
            Self::ClockSkew { .. } => "clock-skew",
            Self::BadContext => "bad-context",
            Self::Handshake(fault) => match fault {
                HandshakeFault::Magic => "bad-magic",
                HandshakeFault::Version => "bad-version",
                HandshakeFault::Suite => "bad-suite",
                HandshakeFault::Flags => "bad-flags",
                HandshakeFault::KeyUnknown => "key-unknown",
                HandshakeFault::SuiteMismatch => "suite-mismatch",
                HandshakeFault::LabelMismatch => "label-mismatch",
                HandshakeFault::Busy => "busy",
                HandshakeFault::Confirm => "confirm-failed",
                HandshakeFault::Replayed => "replayed",
                HandshakeFault::ClientKey => "bad-client-key",
                HandshakeFault::Timeout => "handshake-timeout",
                HandshakeFault::NoDuplex => "no-duplex",
            },
            Self::PeerMisbehaved(fault) => match fault {
                PeerMisbehaved::FrameType => "bad-frame-type",
                PeerMisbehaved::FrameLength => "bad-frame-length",
                PeerMisbehaved::InnerType => "bad-inner-type",
                PeerMisbehaved::ContentLength => "bad-content-length",
                PeerMisbehaved::Padding => "bad-padding",
                PeerMisbehaved::UnexpectedFrame => "unexpected-frame",
                PeerMisbehaved::KeyUpdateFlood => "key-update-flood",
                PeerMisbehaved::EmptyFlood => "empty-flood",
                PeerMisbehaved::PadBudget => "pad-budget",
                PeerMisbehaved::TooLarge => "too-large",
                PeerMisbehaved::BadError => "bad-error",
                PeerMisbehaved::TrailingData => "trailing-data",
                PeerMisbehaved::EarlyResponse => "early-response",
            },
            Self::Decrypt => "decrypt",
            Self::Truncated => "truncated",
            Self::Exhausted => "exhausted",
            Self::BufferTooSmall { .. } => "buffer-too-small",
            Self::ApiMisuse(_) => "api-misuse",
            Self::Receipt(fault) => match fault {
                ReceiptFault::Encoding => "bad-receipt",
                ReceiptFault::Signature => "receipt-signature",
                ReceiptFault::Mismatch => "receipt-mismatch",
                ReceiptFault::Order => "receipt-order",
            },
            Self::Crypto(_) => "crypto",
        }
    }

    /// What an instance tells the relay and the client about a failed handshake: one uniform `refused` for all that
    /// could tell an attacker which check failed (section 5.4).
    #[must_use]
    pub const fn relay_code(&self) -> RelayCode {
        match self {
            Self::Handshake(HandshakeFault::KeyUnknown) => RelayCode::KeyUnknown,
            Self::Handshake(HandshakeFault::Busy) => RelayCode::Busy,
            Self::Handshake(HandshakeFault::Replayed) => RelayCode::Replayed,
            Self::Handshake(_)
            | Self::BadContext
            | Self::Truncated
            | Self::PeerMisbehaved(PeerMisbehaved::TrailingData) => RelayCode::Refused,
            Self::PeerMisbehaved(PeerMisbehaved::TooLarge) => RelayCode::TooLarge,
            _ => RelayCode::Internal,
        }
    }

    /// The code of the ERROR frame with which an instance ends s2c when c2s failed with this error (section 5.5).
    #[must_use]
    pub const fn stream_code(&self) -> StreamErrorCode {
        match self {
            Self::Truncated => StreamErrorCode::Incomplete,
            Self::PeerMisbehaved(PeerMisbehaved::TooLarge | PeerMisbehaved::PadBudget) => {
                StreamErrorCode::TooLarge
            }
            Self::Crypto(_) | Self::ApiMisuse(_) | Self::BufferTooSmall { .. } => {
                StreamErrorCode::Internal
            }
            _ => StreamErrorCode::Protocol,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Bundle(fault) => match fault {
                BundleFault::Version => "the bundle is of another protocol version",
                BundleFault::Suite => "the bundle names an unknown suite",
                BundleFault::Flags => "the bundle sets an unknown flag",
                BundleFault::Length => "the bundle's length does not fit its content",
                BundleFault::Window => "the bundle's window is empty or longer than 1,200 s",
                BundleFault::Label => {
                    "the label is not 1 to 255 bytes of UTF-8 without control characters"
                }
                BundleFault::Signature => "the bundle's signature does not verify",
                BundleFault::KemKey => "the bundle's KEM key is not valid",
            },
            Self::Policy(fault) => match fault {
                PolicyFault::Suite => "the policy does not accept the bundle's suite",
                PolicyFault::Label => "the bundle is for another label than the one wanted",
                PolicyFault::SingleUse => {
                    "the policy requires a single-use bundle, and this one is not"
                }
                PolicyFault::Identity => "the bundle's identity is neither attested nor pinned",
            },
            Self::ClockSkew {
                now,
                not_before,
                not_after,
            } => {
                return write!(
                    f,
                    "the clock reads {now}, the bundle is valid from {not_before} to {not_after}: fetch a fresh bundle, then check the clock"
                );
            }
            Self::BadContext => "the context is not canonical",
            Self::Handshake(fault) => match fault {
                HandshakeFault::Magic => "not a sealwire handshake",
                HandshakeFault::Version => "another protocol version",
                HandshakeFault::Suite => "unknown suite",
                HandshakeFault::Flags => "unknown flag in the handshake",
                HandshakeFault::KeyUnknown => {
                    "no key for this bundle; fetch a fresh bundle and try again"
                }
                HandshakeFault::SuiteMismatch => "the handshake's suite is not the bundle's",
                HandshakeFault::LabelMismatch => "the context's label is not the bundle's",
                HandshakeFault::Busy => "no capacity; try again later",
                HandshakeFault::Confirm => "key confirmation failed",
                HandshakeFault::Replayed => "this handshake was accepted before",
                HandshakeFault::ClientKey => "the client's KEM key is not valid",
                HandshakeFault::Timeout => "no answer to the handshake before the deadline",
                HandshakeFault::NoDuplex => {
                    "no answer to the handshake while the request is open, and early data is forbidden: use a full-duplex carriage, or single-use bundles with early data"
                }
            },
            Self::PeerMisbehaved(fault) => match fault {
                PeerMisbehaved::FrameType => "unknown frame type",
                PeerMisbehaved::FrameLength => "frame length out of range",
                PeerMisbehaved::InnerType => "unknown inner type",
                PeerMisbehaved::ContentLength => "content length out of range",
                PeerMisbehaved::Padding => "padding is not zero",
                PeerMisbehaved::UnexpectedFrame => "a frame that is not allowed here",
                PeerMisbehaved::KeyUpdateFlood => "key updates without content between them",
                PeerMisbehaved::EmptyFlood => "too many empty frames in a row",
                PeerMisbehaved::PadBudget => "more padding than the budget allows",
                PeerMisbehaved::TooLarge => "more bytes than the budget allows",
                PeerMisbehaved::BadError => "an error frame whose message is not UTF-8",
                PeerMisbehaved::TrailingData => "bytes after the end of the stream",
                PeerMisbehaved::EarlyResponse => "a successful answer before the request's end",
            },
            Self::Decrypt => "a frame did not authenticate",
            Self::Truncated => "the transport ended before the stream did",
            Self::Exhausted => "the stream has used all of its sequence numbers",
            Self::BufferTooSmall { needed } => {
                return write!(f, "the output needs {needed} bytes");
            }
            Self::ApiMisuse(misuse) => match misuse {
                ApiMisuse::ContentTooLong => "the content does not fit one frame",
                ApiMisuse::EarlyDataForbidden => {
                    "early data is forbidden; wait for H2, then switch"
                }
                ApiMisuse::KeyUpdateNow => "a key update is not allowed here",
                ApiMisuse::SwitchNow => "a switch is not allowed here",
                ApiMisuse::PublicInC2s => "public frames exist only from instance to client",
                ApiMisuse::PublicLength => "a public frame holds 1 to 512 bytes",
                ApiMisuse::PaddingSize => "the padding size is out of range",
                ApiMisuse::SuiteUnsupported => "the provider does not implement the suite",
                ApiMisuse::ExportLength => "the exporter's lengths are out of range",
                ApiMisuse::KeyRing => "the key ring's configuration is out of range",
                ApiMisuse::TooManyEmpty => {
                    "too many empty frames in a row; pad them, or send content"
                }
                ApiMisuse::Ended => "the stream has ended",
            },
            Self::Receipt(fault) => match fault {
                ReceiptFault::Encoding => "not a receipt",
                ReceiptFault::Signature => "the receipt's signature does not verify",
                ReceiptFault::Mismatch => "the receipt is of another stream",
                ReceiptFault::Order => "the receipt is out of order",
            },
            Self::Crypto(error) => return error.fmt(f),
        };
        f.write_str(text)
    }
}

impl core::error::Error for Error {}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random => "the random generator failed",
            Self::Invalid => "a key, ciphertext or signature is not acceptable",
            Self::Backend => "the crypto backend failed",
        })
    }
}

impl core::error::Error for CryptoError {}

impl fmt::Display for RelayCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<PeerMisbehaved> for Error {
    fn from(fault: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(fault)
    }
}

impl From<HandshakeFault> for Error {
    fn from(fault: HandshakeFault) -> Self {
        Self::Handshake(fault)
    }
}

impl From<BundleFault> for Error {
    fn from(fault: BundleFault) -> Self {
        Self::Bundle(fault)
    }
}

impl From<ApiMisuse> for Error {
    fn from(misuse: ApiMisuse) -> Self {
        Self::ApiMisuse(misuse)
    }
}

impl From<ReceiptFault> for Error {
    fn from(fault: ReceiptFault) -> Self {
        Self::Receipt(fault)
    }
}
