//! Token counts as model servers report them.

use serde::Serialize;
use serde_json::{Value, json};

/// Tokens of one exchange, as the model server counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TokenUsage {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
    /// Of the prompt, from a cache.
    pub cached: u64,
}

impl TokenUsage {
    /// Reads a `usage` object of the OpenAI API; `None` if it does not count the prompt.
    #[must_use]
    pub fn from_json(usage: &Value) -> Option<Self> {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        Some(Self {
            input: count("prompt_tokens")?,
            output: count("completion_tokens").unwrap_or(0),
            cached: usage
                .pointer("/prompt_tokens_details/cached_tokens")
                .and_then(Value::as_u64)
                .unwrap_or(0),
        })
    }

    /// The `usage` object, with the counts alone.
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input.saturating_add(self.output),
            "prompt_tokens_details": {"cached_tokens": self.cached},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_there_and_back() {
        let usage = TokenUsage {
            input: 7,
            output: 3,
            cached: 2,
        };
        assert_eq!(TokenUsage::from_json(&usage.to_json()), Some(usage));
    }

    #[test]
    fn what_does_not_count_the_prompt_is_none() {
        for bad in [
            "null",
            "7",
            "[]",
            "{}",
            r#"{"prompt_tokens":-1}"#,
            r#"{"prompt_tokens":1.5}"#,
            r#"{"completion_tokens":1}"#,
        ] {
            let value = serde_json::from_str(bad).expect("JSON");
            assert_eq!(TokenUsage::from_json(&value), None, "{bad}");
        }
        let prompt = json!({"prompt_tokens": 4, "prompt_tokens_details": null});
        assert_eq!(
            TokenUsage::from_json(&prompt).map(|usage| (usage.input, usage.output, usage.cached)),
            Some((4, 0, 0))
        );
    }
}
