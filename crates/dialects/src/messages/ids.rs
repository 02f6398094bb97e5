//! Identifiers of tool calls. Anthropic's clients take letters, digits, `_` and `-`; some models count their calls as `functions.x:0`, and must see that again.
//! Such an identifier is written in base64 behind a mark, so that it comes back without anything being remembered.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Stands before an identifier that was written anew.
const MARK: &str = "toolu_b64_";

/// The identifier for the application.
pub(super) fn to_application(id: &str) -> Cow<'_, str> {
    let plain = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if plain && !id.starts_with(MARK) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(id)))
    }
}

/// The identifier that the model server gave, of the one that the application sends back.
pub(super) fn to_model(id: &str) -> Cow<'_, str> {
    id.strip_prefix(MARK)
        .and_then(|written| URL_SAFE_NO_PAD.decode(written).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        // Others may use the same mark for something else.
        .filter(|original| to_application(original) == id)
        .map_or(Cow::Borrowed(id), Cow::Owned)
}

/// The identifier of a call that the model server gave none.
pub(super) fn made_up(seed: &str, number: usize) -> String {
    format!("toolu_{seed}_{number}")
}
