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
    /// Reads a `usage` object of Chat Completions, Responses or Messages; `None` if it does not count the prompt.
    #[must_use]
    pub fn from_json(usage: &Value) -> Option<Self> {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        if let Some(input) = count("prompt_tokens") {
            return Some(Self {
                input,
                output: count("completion_tokens").unwrap_or(0),
                cached: usage
                    .pointer("/prompt_tokens_details/cached_tokens")
                    .and_then(Value::as_u64)
                    .unwrap_or(0),
            });
        }
        let input = count("input_tokens")?;
        let output = count("output_tokens").unwrap_or(0);
        if let Some(details) = usage.get("input_tokens_details") {
            return Some(Self {
                input,
                output,
                cached: details
                    .get("cached_tokens")
                    .and_then(Value::as_u64)
                    .unwrap_or(0),
            });
        }
        // Messages counts what the cache held, or was given to it, apart from the rest of the prompt.
        let cached = count("cache_read_input_tokens").unwrap_or(0);
        let written = count("cache_creation_input_tokens").unwrap_or(0);
        Some(Self {
            input: input.saturating_add(cached).saturating_add(written),
            output,
            cached,
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
    fn every_api_counts_in_its_own_words() {
        let expected = Some(TokenUsage {
            input: 10,
            output: 3,
            cached: 4,
        });
        for usage in [
            json!({"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}),
            json!({"input_tokens": 10, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 4}}),
            json!({"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 1}),
        ] {
            assert_eq!(TokenUsage::from_json(&usage), expected, "{usage}");
        }
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
