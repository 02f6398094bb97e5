//! OpenAI Responses over Chat Completions.

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
