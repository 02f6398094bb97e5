//! What the sealed request head carries (spec/http.md, section 7): the fields sealwire adds, and which fields of the application pass.

use std::fmt;
use std::str::FromStr;

use crate::message::Fields;

/// Sealed field with the client's unix time in seconds.
pub const TIME_FIELD: &str = "sealwire-time";
/// Sealed field with the client's wish for padding.
pub const PADDING_FIELD: &str = "sealwire-padding";
/// Greatest difference between the client's time and the instance's, in seconds.
pub const MAX_TIME_DIFFERENCE: u64 = 90;

/// Request fields of the application that a client seals and an instance hands to its model server; all others stop at the client.
pub const REQUEST_FIELDS: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

/// Response fields of the model server that an instance seals.
pub const RESPONSE_FIELDS: [&str; 5] = [
    "cache-control",
    "content-type",
    "openai-processing-ms",
    "retry-after",
    "x-request-id",
];

/// How the instance hides lengths and rhythm of its answer; the client wishes, the instance may do more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum PaddingWish {
    /// One frame per piece, no padding.
    #[default]
    None,
    /// Pieces are gathered for up to 50 ms or 5 events and padded by the Padme rule.
    Padme,
    /// Gathered likewise, padded to fixed buckets.
    Buckets,
    /// One frame of fixed size per tick, whether there is something to say or not.
    Constant,
}

impl PaddingWish {
    /// All wishes, weakest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Padme, Self::Buckets, Self::Constant];

    /// The wish as it stands in the field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Buckets => "buckets",
            Self::Padme => "padme",
            Self::Constant => "constant",
        }
    }
}

impl fmt::Display for PaddingWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no padding policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("padding is one of none, padme, buckets, constant")]
pub struct UnknownPadding;

impl FromStr for PaddingWish {
    type Err = UnknownPadding;

    fn from_str(text: &str) -> Result<Self, UnknownPadding> {
        Self::ALL
            .into_iter()
            .find(|wish| wish.as_str() == text)
            .ok_or(UnknownPadding)
    }
}

/// Why an instance refuses a sealed head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// No `sealwire-time`, or more than one, or not a number.
    #[error("the sealed head needs exactly one sealwire-time field with unix seconds")]
    Time,
    /// The clocks differ too much.
    #[error(
        "the client's clock and the instance's differ by {difference} s, more than {MAX_TIME_DIFFERENCE} s are refused: set the clock"
    )]
    ClockSkew {
        /// Seconds between the two clocks.
        difference: u64,
    },
    /// `sealwire-padding` is there and is none of the policies, or doubled.
    #[error("sealwire-padding is one of none, padme, buckets, constant")]
    Padding,
}

/// Reads and checks the fields that sealwire adds, against the instance's time in unix seconds.
///
/// # Errors
///
/// [`HeadError`]; the instance answers it with a sealed 400.
pub fn check_head(fields: &Fields, now: u64) -> Result<PaddingWish, HeadError> {
    let mut times = fields.get_all(TIME_FIELD);
    let time: u64 = match (times.next(), times.next()) {
        (Some(value), None) => decimal(value).ok_or(HeadError::Time)?,
        _ => return Err(HeadError::Time),
    };
    let difference = time.abs_diff(now);
    if difference > MAX_TIME_DIFFERENCE {
        return Err(HeadError::ClockSkew { difference });
    }
    let mut wishes = fields.get_all(PADDING_FIELD);
    match (wishes.next(), wishes.next()) {
        (None, _) => Ok(PaddingWish::None),
        (Some(value), None) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(HeadError::Padding),
        _ => Err(HeadError::Padding),
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in pairs {
            fields.push(name, value.as_bytes()).expect("a valid field");
        }
        fields
    }

    #[test]
    fn clock_within_ninety_seconds_passes() {
        for time in ["910", "1000", "1090"] {
            assert_eq!(
                check_head(&fields(&[("sealwire-time", time)]), 1_000),
                Ok(PaddingWish::None)
            );
        }
        for (time, difference) in [("909", 91), ("1091", 91), ("0", 1_000)] {
            assert_eq!(
                check_head(&fields(&[("sealwire-time", time)]), 1_000),
                Err(HeadError::ClockSkew { difference })
            );
        }
    }

    #[test]
    fn the_order_of_strength() {
        use PaddingWish::{Buckets, Constant, None, Padme};
        assert!(None < Padme && Padme < Buckets && Buckets < Constant);
        assert!(PaddingWish::ALL.is_sorted());
    }

    #[test]
    fn malformed_fields_are_refused() {
        for bad in [
            &[][..],
            &[("sealwire-time", "+5")],
            &[("sealwire-time", "")],
            &[("sealwire-time", "99999999999999999999999")],
            &[("sealwire-time", "5"), ("sealwire-time", "5")],
        ] {
            assert_eq!(check_head(&fields(bad), 5), Err(HeadError::Time));
        }
        for bad in ["", "NONE", "more"] {
            assert_eq!(
                check_head(
                    &fields(&[("sealwire-time", "5"), ("sealwire-padding", bad)]),
                    5
                ),
                Err(HeadError::Padding)
            );
        }
        for wish in PaddingWish::ALL {
            assert_eq!(
                check_head(
                    &fields(&[("sealwire-time", "5"), ("sealwire-padding", wish.as_str())]),
                    5
                ),
                Ok(wish)
            );
        }
    }
}
