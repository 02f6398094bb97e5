//! Suites on the command line.

use sealwire::Suite;

/// Reads a suite's number.
///
/// # Errors
///
/// One sentence for the user.
pub fn parse(text: &str) -> Result<Suite, String> {
    text.parse()
        .ok()
        .and_then(Suite::from_u16)
        .ok_or_else(|| "a suite is 1 (ML-KEM-768) or 2 (X-Wing)".to_owned())
}

/// The suites that were named, in order, or all.
#[must_use]
pub fn or_all(named: &[Suite]) -> Vec<Suite> {
    if named.is_empty() {
        Suite::ALL.to_vec()
    } else {
        named.to_vec()
    }
}
