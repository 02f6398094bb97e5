//! Times as certificates and Intel's documents write them, to unix seconds.

use x509_cert::der::DateTime;
use x509_cert::time::Validity;

/// Reads a time such as `2026-05-20T01:16:27Z` as unix seconds.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<u64> {
    text.parse::<DateTime>()
        .ok()
        .map(|time| time.unix_duration().as_secs())
}

/// Writes unix seconds as such a time.
#[must_use]
pub fn to_rfc3339(unix: u64) -> String {
    DateTime::from_unix_duration(std::time::Duration::from_secs(unix))
        .map_or_else(|_| format!("unix {unix}"), |time| time.to_string())
}

/// From when until when, unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) until: u64,
}

impl Window {
    pub(crate) const ALWAYS: Self = Self {
        from: 0,
        until: u64::MAX,
    };

    pub(crate) fn of(validity: &Validity) -> Self {
        Self {
            from: validity.not_before.to_unix_duration().as_secs(),
            until: validity.not_after.to_unix_duration().as_secs(),
        }
    }

    /// What both cover.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            until: self.until.min(other.until),
        }
    }

    pub(crate) const fn contains(self, now: u64) -> bool {
        self.from <= now && now <= self.until
    }
}
