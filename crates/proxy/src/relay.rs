//! What both profiles do alike toward a relay.

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

/// Sets the relay's key, marked so that it is not logged.
pub(crate) fn authorize(headers: &mut HeaderMap, key: Option<&str>) {
    if let Some(key) = key
        && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {key}"))
    {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}
