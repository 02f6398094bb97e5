//! When to try again, in an instance's words (RFC 9110 section 10.2.3), read and written anew: nothing else of the field passes.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{HeaderValue, RETRY_AFTER};
use httpdate::{fmt_http_date, parse_http_date};

/// The longest time that is passed on, and the farthest moment.
const MAX: Duration = Duration::from_secs(86_400);

/// A time or a moment at most a day ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    /// Seconds from now.
    Seconds(u64),
    /// A moment.
    At(SystemTime),
}

impl RetryAfter {
    /// The field of an answer, if it stands once and makes sense.
    pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Self> {
        let mut values = headers.get_all(RETRY_AFTER).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let text = value.to_str().ok()?.trim_matches([' ', '\t']);
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds: u64 = text.parse().ok()?;
            return (seconds <= MAX.as_secs()).then_some(Self::Seconds(seconds));
        }
        let at = parse_http_date(text).ok()?;
        // A moment that has passed says as little as none.
        let ahead = at.duration_since(now).ok()?;
        (ahead <= MAX).then_some(Self::At(at))
    }

    /// The field.
    pub(super) fn to_value(self) -> Option<HeaderValue> {
        match self {
            Self::Seconds(seconds) => Some(seconds.into()),
            Self::At(at) => fmt_http_date(at).try_into().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    const MOMENT: u64 = 784_111_777;

    fn passed_on(values: &[&str], now: u64) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(RETRY_AFTER, value.parse().expect("a value"));
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let value = RetryAfter::read(&headers, now)?.to_value()?;
        Some(value.to_str().expect("ASCII").to_owned())
    }

    #[test]
    fn a_number_of_seconds_of_at_most_a_day_passes() {
        for (value, expected) in [
            ("0", Some("0")),
            ("007", Some("7")),
            ("86400", Some("86400")),
            ("86401", None),
            ("99999999999999999999999", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1 s", None),
            ("", None),
        ] {
            assert_eq!(passed_on(&[value], 0).as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn a_moment_of_at_most_a_day_ahead_passes() {
        const IMF: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for value in [
            IMF,
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let passed = passed_on(&[value], MOMENT - 60);
            assert_eq!(passed.as_deref(), Some(IMF), "{value}");
        }
        assert!(passed_on(&[IMF], MOMENT - 86_400).is_some());
        assert_eq!(passed_on(&[IMF], MOMENT - 86_401), None);
        assert_eq!(passed_on(&[IMF], MOMENT + 1), None);
        assert_eq!(passed_on(&["Sun, 06 Nov 1994"], MOMENT - 60), None);
    }

    #[test]
    fn a_field_that_stands_twice_says_nothing() {
        assert_eq!(passed_on(&["1", "1"], 0), None);
    }
}
