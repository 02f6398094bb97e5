//! Padding policies: how long a frame's content looks (spec/protocol.md section 6.5).

use crate::error::{ApiMisuse, Error};
use crate::limits::MAX_CONTENT;

/// How a sender pads each SEALED frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Lengths show as they are.
    None,
    /// To the next of 64, 128, 256, 512, 1,024, 2,048, 4,096, 8,192, 16,384 bytes.
    #[default]
    Buckets,
    /// Padmé: at most 12 % more, few distinct lengths.
    Padme,
    /// Every frame alike.
    Fixed(FixedSize),
}

/// The content length that every frame shows under [`Padding::Fixed`], 2 to 16,384 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedSize(usize);

impl Padding {
    const SMALLEST_BUCKET: usize = 64;

    /// Every frame shows `size` bytes of content.
    ///
    /// # Errors
    /// `ApiMisuse` unless 2 <= size <= 16,384.
    pub fn fixed(size: usize) -> Result<Self, Error> {
        if (2..=MAX_CONTENT).contains(&size) {
            Ok(Self::Fixed(FixedSize(size)))
        } else {
            Err(ApiMisuse::PaddingSize.into())
        }
    }

    /// The longest content of one frame.
    #[must_use]
    pub const fn max_content(self) -> usize {
        match self {
            Self::Fixed(FixedSize(size)) => size,
            Self::None | Self::Buckets | Self::Padme => MAX_CONTENT,
        }
    }

    /// Content plus zeros for a content of `len` bytes; `None` beyond [`Padding::max_content`].
    #[must_use]
    pub fn padded_len(self, len: usize) -> Option<usize> {
        if len > self.max_content() {
            return None;
        }
        Some(match self {
            Self::None => len,
            Self::Buckets => len.max(Self::SMALLEST_BUCKET).next_power_of_two(),
            Self::Padme => padme(len),
            Self::Fixed(FixedSize(size)) => size,
        })
    }
}

/// Padmé (Nikitin et al., PETS 2019, algorithm 1): keeps as many leading bits as the length's exponent has bits.
fn padme(len: usize) -> usize {
    let Some(exponent) = len.checked_ilog2() else {
        return len;
    };
    let Some(significand) = exponent.checked_ilog2().map(|bits| bits.saturating_add(1)) else {
        return len;
    };
    let step = 1_usize
        .checked_shl(exponent.saturating_sub(significand))
        .unwrap_or(1);
    len.checked_next_multiple_of(step).unwrap_or(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_map_lengths_as_the_specification_says() {
        let cases = [
            (Padding::None, 0, 0),
            (Padding::None, 16_384, 16_384),
            (Padding::Buckets, 0, 64),
            (Padding::Buckets, 64, 64),
            (Padding::Buckets, 65, 128),
            (Padding::Buckets, 8_193, 16_384),
            (Padding::Padme, 0, 0),
            (Padding::Padme, 1, 1),
            (Padding::Padme, 9, 10),
            (Padding::Padme, 200, 208),
            (Padding::Padme, 16_383, 16_384),
        ];
        for (policy, len, padded) in cases {
            assert_eq!(policy.padded_len(len), Some(padded), "{policy:?} {len}");
        }
        assert_eq!(Padding::None.padded_len(16_385), None);
        assert_eq!(Padding::fixed(100).unwrap().padded_len(3), Some(100));
        assert_eq!(Padding::fixed(100).unwrap().padded_len(101), None);
        assert!(Padding::fixed(1).is_err() && Padding::fixed(16_385).is_err());
    }

    #[test]
    fn padding_is_monotonic_and_fits_a_frame() {
        for policy in [Padding::None, Padding::Buckets, Padding::Padme] {
            let mut last = 0;
            for len in 0..=MAX_CONTENT {
                let padded = policy.padded_len(len).unwrap();
                assert!(padded >= len && padded >= last && padded <= MAX_CONTENT);
                last = padded;
            }
        }
    }
}
