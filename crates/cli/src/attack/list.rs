//! What a relay without any key tries.

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    InjectToolCall,
    ForgeDone,
    ForgeError,
    Reorder,
    Drop,
    Duplicate,
    Truncate,
    ReplayRequest,
    SwapKey,
    StaleEvidence,
    OtherEvidence,
    NoEvidence,
    ChangePath,
    ChangeMode,
    ForgeUsage,
    Html,
}

impl Attack {
    pub(super) const ALL: [Self; 16] = [
        Self::InjectToolCall,
        Self::ForgeDone,
        Self::ForgeError,
        Self::Reorder,
        Self::Drop,
        Self::Duplicate,
        Self::Truncate,
        Self::ReplayRequest,
        Self::SwapKey,
        Self::StaleEvidence,
        Self::OtherEvidence,
        Self::NoEvidence,
        Self::ChangePath,
        Self::ChangeMode,
        Self::ForgeUsage,
        Self::Html,
    ];

    /// The property of chutes-v1 that it is against, by its name in `GUARANTEES`.
    pub(super) const fn guarantee(self) -> &'static str {
        match self {
            Self::InjectToolCall | Self::ForgeError | Self::Html => "relay-text-is-not-output",
            Self::ForgeDone | Self::Truncate => "stream-truncation",
            Self::Reorder => "stream-order",
            Self::Drop => "stream-no-gap",
            Self::Duplicate => "stream-no-duplicate",
            Self::ReplayRequest => "request-replay",
            Self::SwapKey | Self::StaleEvidence | Self::OtherEvidence | Self::NoEvidence => {
                "request-secrecy"
            }
            Self::ChangePath => "path",
            Self::ChangeMode => "stream-flag",
            Self::ForgeUsage => "usage",
        }
    }

    /// Whether it is about evidence only: a client that sends its request all the same has accepted it.
    pub(super) const fn is_about_evidence(self) -> bool {
        matches!(
            self,
            Self::StaleEvidence | Self::OtherEvidence | Self::NoEvidence
        )
    }

    /// As the table shows it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InjectToolCall => "inject a tool call beside usage",
            Self::ForgeDone => "forge the end",
            Self::ForgeError => "forge an error of the model",
            Self::Reorder => "exchange two pieces",
            Self::Drop => "leave a piece out",
            Self::Duplicate => "repeat a piece",
            Self::Truncate => "cut the answer",
            Self::ReplayRequest => "run the request again",
            Self::SwapKey => "swap the instance's key",
            Self::StaleEvidence => "show evidence of another time",
            Self::OtherEvidence => "show evidence of another key",
            Self::NoEvidence => "show no evidence",
            Self::ChangePath => "change the path",
            Self::ChangeMode => "change the stream flag",
            Self::ForgeUsage => "forge token counts",
            Self::Html => "answer 200 with HTML",
        }
    }
}
