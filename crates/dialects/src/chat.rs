//! What model servers answer in Chat Completions, read leniently: members may be absent, null or unknown.

use std::borrow::Cow;

use sealwire_http::json_body::read_lossily;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::ApiError;

/// `null` as if it were absent.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// One event of a streamed completion.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Chunk {
    /// The model's name at the model server.
    pub model: Option<String>,
    /// Choices; empty in an event that holds usage alone.
    #[serde(deserialize_with = "nullable")]
    pub choices: Vec<ChunkChoice>,
    /// Counts so far.
    pub usage: Option<Usage>,
    /// The model server failed in the middle.
    pub error: Option<Value>,
}

/// One choice's part of an event.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct ChunkChoice {
    /// Which choice.
    #[serde(deserialize_with = "nullable")]
    pub index: u64,
    /// What is new.
    #[serde(deserialize_with = "nullable")]
    pub delta: Part,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// vLLM: the stop string or token that was met.
    pub stop_reason: Option<Value>,
    /// Log probabilities, as they came.
    pub logprobs: Option<Value>,
}

/// A whole completion.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Completion {
    /// The model's name at the model server.
    pub model: Option<String>,
    /// Choices.
    #[serde(deserialize_with = "nullable")]
    pub choices: Vec<Choice>,
    /// Counts.
    pub usage: Option<Usage>,
}

/// One whole choice.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// What the model said.
    #[serde(deserialize_with = "nullable")]
    pub message: Part,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// vLLM: the stop string or token that was met.
    pub stop_reason: Option<Value>,
    /// Log probabilities, as they came.
    pub logprobs: Option<Value>,
}

/// A message, or what is new of it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Text.
    pub content: Option<String>,
    /// Why the model refuses.
    pub refusal: Option<String>,
    /// Reasoning, as DeepSeek, SGLang and older vLLM name it.
    pub reasoning_content: Option<String>,
    /// Reasoning, as newer vLLM names it.
    pub reasoning: Option<String>,
    /// Calls of tools.
    #[serde(deserialize_with = "nullable")]
    pub tool_calls: Vec<ToolCall>,
}

impl Part {
    /// The reasoning, under either name.
    #[must_use]
    pub fn reasoning(&self) -> Option<&str> {
        let non_empty = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if non_empty(&self.reasoning_content) {
            return self.reasoning_content.as_deref();
        }
        self.reasoning.as_deref().filter(|text| !text.is_empty())
    }
}

/// A call of a tool, or what is new of it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct ToolCall {
    /// Which call of the answer; the key of its fragments.
    pub index: Option<u64>,
    /// In the first fragment only.
    pub id: Option<String>,
    /// What is called.
    #[serde(deserialize_with = "nullable")]
    pub function: Function,
}

/// A function and its arguments.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Function {
    /// The name, whole, in one fragment.
    pub name: Option<String>,
    /// JSON text, or the next piece of it. Some servers send an object.
    #[serde(deserialize_with = "arguments")]
    pub arguments: Option<String>,
}

fn arguments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Of the prompt, those from the cache included.
    #[serde(deserialize_with = "nullable")]
    pub prompt_tokens: u64,
    /// Of the answer, reasoning included.
    #[serde(deserialize_with = "nullable")]
    pub completion_tokens: u64,
    /// Details of the prompt.
    #[serde(deserialize_with = "nullable")]
    pub prompt_tokens_details: PromptDetails,
    /// Details of the answer.
    #[serde(deserialize_with = "nullable")]
    pub completion_tokens_details: CompletionDetails,
}

/// Details of a prompt's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct PromptDetails {
    /// Those that the prefix cache held.
    #[serde(deserialize_with = "nullable")]
    pub cached_tokens: u64,
}

/// Details of an answer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct CompletionDetails {
    /// Those of reasoning.
    #[serde(deserialize_with = "nullable")]
    pub reasoning_tokens: u64,
}

impl Chunk {
    /// Reads the data of one event.
    ///
    /// # Errors
    /// What the model server reports in it, or that it is no such event.
    pub fn parse(data: &str) -> Result<Self, ApiError> {
        let mut chunk: Self = serde_json::from_str(data).map_err(|_| {
            ApiError::server_error(
                502,
                "bad_answer",
                "the model server sent an event that is none of a chat completion",
            )
        })?;
        match chunk.error.take() {
            None => Ok(chunk),
            Some(error) => Err(crate::upstream::error(502, error.to_string().as_bytes())),
        }
    }
}

impl Completion {
    /// Reads a whole completion, which has at least one choice.
    ///
    /// # Errors
    /// That it is none.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        read_lossily(body)
            .filter(|completion: &Self| !completion.choices.is_empty())
            .ok_or_else(|| {
                ApiError::server_error(
                    502,
                    "bad_answer",
                    "the model server's answer is no chat completion",
                )
            })
    }
}

/// Text without what a JSON string cannot show to every client; borrowed where nothing is left out.
#[must_use]
pub fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}
