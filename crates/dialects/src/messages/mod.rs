//! Anthropic Messages over Chat Completions.

use crate::{ApiError, Moment, Native, Settings, Translated};

/// Translates a request.
///
/// # Errors
/// [`ApiError`] that names the member which cannot be served.
pub fn translate(body: &[u8], settings: &Settings, moment: Moment) -> Result<Translated, ApiError> {
    let _ = (body, settings, moment);
    Err(ApiError::invalid_request(
        404,
        "unknown_url",
        "not served yet",
    ))
}

/// The request for a model server that speaks this API itself: cleaned, not translated.
///
/// # Errors
/// [`ApiError`], as [`translate`].
pub fn native(body: &[u8], settings: &Settings) -> Result<Native, ApiError> {
    let _ = (body, settings);
    Err(ApiError::invalid_request(
        404,
        "unknown_url",
        "not served yet",
    ))
}

/// An estimate of a request's tokens, for `POST /v1/messages/count_tokens`.
///
/// # Errors
/// [`ApiError`], as [`translate`].
pub fn count_tokens(body: &[u8], settings: &Settings) -> Result<u64, ApiError> {
    let _ = (body, settings);
    Err(ApiError::invalid_request(
        404,
        "unknown_url",
        "not served yet",
    ))
}

/// The body of `POST /tokenize` at a model server that counts exactly: the same messages and tools.
///
/// # Errors
/// [`ApiError`], as [`translate`].
pub fn tokenize(body: &[u8], settings: &Settings) -> Result<Vec<u8>, ApiError> {
    let _ = (body, settings);
    Err(ApiError::invalid_request(
        404,
        "unknown_url",
        "not served yet",
    ))
}
