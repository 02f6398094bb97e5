//! How an answer ended, and what it cost.

use serde_json::{Value, json};

use crate::chat::Usage;
use crate::{ApiError, estimate};

/// Why the model stopped, in this API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    /// `end_turn`, `max_tokens`, ..
    pub(super) reason: &'static str,
    /// The string that was met.
    pub(super) sequence: Option<String>,
}

/// What a Chat answer says about its end.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    /// `finish_reason`.
    pub(super) finish: Option<String>,
    /// vLLM's `stop_reason`: the string that was met, or a number of a token.
    pub(super) met: Option<Value>,
    /// It calls tools.
    pub(super) calls: bool,
    /// It has a `refusal`.
    pub(super) refused: bool,
}

impl End {
    /// Why the model stopped.
    ///
    /// # Errors
    /// It did not stop: the model server gave up, or never said.
    pub(super) fn stop(&self) -> Result<Stop, ApiError> {
        let reason = match self.finish.as_deref() {
            None => {
                return Err(ApiError::server_error(
                    502,
                    "incomplete_answer",
                    "the model server's answer ended before the model did: send the request again",
                ));
            }
            Some("abort" | "error") => {
                return Err(ApiError::server_error(
                    502,
                    "aborted_answer",
                    "the model server gave up in the middle of the answer: send the request again",
                ));
            }
            // A call that was cut off is nothing to run.
            Some("length") => "max_tokens",
            Some("content_filter") => "refusal",
            // A choice of tool that was forced ends in `stop`.
            Some(_) if self.calls => "tool_use",
            Some(_) if self.refused => "refusal",
            Some(_) => match &self.met {
                Some(Value::String(met)) => {
                    return Ok(Stop {
                        reason: "stop_sequence",
                        sequence: Some(met.clone()),
                    });
                }
                _ => "end_turn",
            },
        };
        Ok(Stop {
            reason,
            sequence: None,
        })
    }
}

/// The `usage` of an answer. What the model server does not count is estimated: clients fill their context by it, and a constant would mislead them.
pub(super) fn usage(counted: Option<Usage>, prompt_estimate: u64, answer_bytes: usize) -> Value {
    let counted = counted.unwrap_or_default();
    let cached = counted.prompt_tokens_details.cached_tokens;
    let input = match counted.prompt_tokens {
        0 => prompt_estimate,
        prompt => prompt.saturating_sub(cached),
    };
    let output = match counted.completion_tokens {
        0 => estimate::answer_tokens(answer_bytes),
        output => output,
    };
    let mut usage = json!({
        "input_tokens": input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
    });
    let reasoning = counted.completion_tokens_details.reasoning_tokens;
    if reasoning > 0 {
        usage["output_tokens_details"] = json!({"thinking_tokens": reasoning});
    }
    usage
}
