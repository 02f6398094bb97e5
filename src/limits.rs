//! Sizes and bounds (spec/protocol.md section 2.3).

/// Content plus padding of one SEALED frame, bytes.
pub const MAX_CONTENT: usize = 16_384;
/// What a frame costs beyond content and padding, bytes: header 4, trailer 4, tag 16.
pub const FRAME_OVERHEAD: usize = 24;
/// Body of a PUBLIC frame, bytes.
pub const MAX_PUBLIC: usize = 512;
/// Bytes of a label.
pub const MAX_LABEL: usize = 255;
/// Bytes of a context.
pub const MAX_CONTEXT: usize = 1_024;
/// Bytes of a billing handle.
pub const MAX_BILLING: usize = 128;
/// Attempts of one request.
pub const MAX_ATTEMPTS: u8 = 8;
/// Longest window of a bundle and longest life of its key, seconds.
pub const MAX_WINDOW: u64 = 1_200;
/// Clock difference that a client forgives a bundle, seconds.
pub const SKEW: u64 = 120;

pub(crate) const EPOCH_FRAMES: u32 = 65_536;
pub(crate) const MAX_FRAMES: u64 = 1 << 48;
pub(crate) const MAX_EMPTY: u32 = 32;

/// What a receiver is willing to take in one half.
///
/// Time is the carriage's affair: the core never reads a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of frames in the half, headers included. Beyond it: `too-large`.
    pub max_bytes: u64,
    /// Bytes of PAD frames and of DATA frames without content in the half, headers included. Beyond it: `pad-budget`.
    pub max_pad_bytes: u64,
    pub(crate) schedule: Schedule,
}

impl Limits {
    /// No bound on bytes beyond the protocol's own, 64 MiB of PAD frames.
    pub const DEFAULT: Self = Self {
        max_bytes: u64::MAX,
        max_pad_bytes: 64 * 1024 * 1024,
        schedule: Schedule::WIRE,
    };

    /// The same limits with another bound on the half's bytes.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The same limits with another bound on PAD bytes.
    #[must_use]
    pub const fn with_max_pad_bytes(mut self, bytes: u64) -> Self {
        self.max_pad_bytes = bytes;
        self
    }

    /// Shrunk constants, for vectors: both ends need the same.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    #[must_use]
    pub const fn with_schedule(
        mut self,
        epoch_frames: u32,
        max_frames: u64,
        max_empty: u32,
    ) -> Self {
        self.schedule = Schedule {
            epoch_frames,
            max_frames,
            max_empty,
        };
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The counters that are protocol constants on the wire and parameters in vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) epoch_frames: u32,
    pub(crate) max_frames: u64,
    pub(crate) max_empty: u32,
}

impl Schedule {
    pub(crate) const WIRE: Self = Self {
        epoch_frames: EPOCH_FRAMES,
        max_frames: MAX_FRAMES,
        max_empty: MAX_EMPTY,
    };
}
