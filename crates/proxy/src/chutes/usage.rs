//! Counts of tokens that the application did not ask for.

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct Event {
    choices: Vec<IgnoredAny>,
    usage: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Whether the data of an inner event holds usage and no choice. The profile makes every instance send one; many programs that did not ask for it
/// cannot take it.
pub(super) fn is_usage_alone(data: &str) -> bool {
    serde_json::from_str::<Event>(data)
        .is_ok_and(|event| event.choices.is_empty() && event.usage.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_usage_without_choices_is_alone() {
        for (data, alone) in [
            (r#"{"choices":[],"usage":{"total_tokens":3}}"#, true),
            (r#"{"choices":[],"usage":null}"#, false),
            (r#"{"choices":[]}"#, false),
            (
                r#"{"choices":[{"delta":{}}],"usage":{"total_tokens":3}}"#,
                false,
            ),
            (r#"{"usage":{"total_tokens":3}}"#, false),
            ("[DONE]", false),
            ("", false),
        ] {
            assert_eq!(is_usage_alone(data), alone, "{data}");
        }
    }
}
