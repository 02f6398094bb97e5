//! Reasoning that comes back with the conversation. Applications return the items they were given, so nothing is stored here. What `encrypted_content`
//! holds is no secret from the application that sees the same text beside it; it is opaque so that applications do not build on it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What tells our blobs from those of other servers.
const PREFIX: &str = "sealwire-reasoning-v1.";

/// The value of `encrypted_content`.
pub(super) fn seal(text: &str) -> String {
    format!("{PREFIX}{}", STANDARD.encode(text))
}

/// The text of one of our blobs.
pub(super) fn unseal(blob: &str) -> Option<String> {
    let bytes = STANDARD.decode(blob.strip_prefix(PREFIX)?).ok()?;
    String::from_utf8(bytes).ok()
}

/// The text of an item of reasoning: its content, else its summary, else our blob.
pub(super) fn of_item(item: &Value) -> Option<String> {
    let parts = |name: &str, between: &str| {
        let parts = item.get(name)?.as_array()?;
        let texts: Vec<&str> = parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect();
        Some(texts.join(between)).filter(|text| !text.is_empty())
    };
    parts("content", "\n")
        .or_else(|| parts("summary", "\n\n"))
        .or_else(|| unseal(item.get("encrypted_content")?.as_str()?))
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_comes_before_summary_before_blob() {
        let blob = seal("of the blob é");
        for (item, expected) in [
            (
                json!({"content":[{"type":"reasoning_text","text":"of the content"}],"summary":[{"text":"no"}],"encrypted_content":blob}),
                Some("of the content"),
            ),
            (
                json!({"content":[],"summary":[{"type":"summary_text","text":"of"},{"text":"the summary"}],"encrypted_content":blob}),
                Some("of\n\nthe summary"),
            ),
            (
                json!({"content":null,"summary":[],"encrypted_content":blob}),
                Some("of the blob é"),
            ),
            (json!({"encrypted_content":"gAAAAABo"}), None),
            (json!({"encrypted_content":"sealwire-reasoning-v1.%"}), None),
            (json!({"content":"x","summary":7}), None),
        ] {
            assert_eq!(of_item(&item).as_deref(), expected, "{item}");
        }
    }
}
