//! Counts of tokens that the application did not ask for.

use sealwire_http::sse;
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct Event {
    choices: Vec<IgnoredAny>,
    usage: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Whether an inner event holds usage and no choice. The profile makes every instance send one; many programs that did not ask for it
/// cannot take it.
pub(super) fn is_usage_alone(event: &[u8]) -> bool {
    sse::data(event)
        .and_then(|data| serde_json::from_str::<Event>(&data).ok())
        .is_some_and(|event| event.choices.is_empty() && event.usage.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_usage_without_choices_is_alone() {
        for (event, alone) in [
            (r#"data: {"choices":[],"usage":{"total_tokens":3}}"#, true),
            (r#"data: {"choices":[],"usage":null}"#, false),
            (r#"data: {"choices":[]}"#, false),
            (
                r#"data: {"choices":[{"delta":{}}],"usage":{"total_tokens":3}}"#,
                false,
            ),
            (r#"data: {"usage":{"total_tokens":3}}"#, false),
            ("data: [DONE]", false),
            (": note", false),
        ] {
            let event = format!("{event}\n\n");
            assert_eq!(is_usage_alone(event.as_bytes()), alone, "{event}");
        }
    }
}
