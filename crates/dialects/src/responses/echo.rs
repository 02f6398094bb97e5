//! What a response object repeats of its request. Members that could identify somebody come back to the application from here, and go nowhere else.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value, json};

use super::invalid;
use crate::ApiError;
use crate::members::{Members, raw};

/// The repeated members; clients that validate want every one.
#[derive(Debug, Serialize)]
pub(super) struct Echo {
    background: bool,
    instructions: Option<String>,
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<Number>,
    pub(super) model: String,
    parallel_tool_calls: bool,
    previous_response_id: Option<String>,
    prompt_cache_key: Option<String>,
    reasoning: Members,
    safety_identifier: Option<String>,
    service_tier: &'static str,
    store: bool,
    temperature: Number,
    text: Members,
    tool_choice: Box<RawValue>,
    tools: Box<RawValue>,
    top_logprobs: u64,
    top_p: Number,
    presence_penalty: Number,
    frequency_penalty: Number,
    truncation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    metadata: Box<RawValue>,
}

impl Echo {
    /// Takes from a request what its responses repeat.
    ///
    /// # Errors
    /// A 400 for a member of a wrong type.
    pub(super) fn read(request: &Members, model: &str) -> Result<Self, ApiError> {
        let number = |name: &str, default: u64| -> Result<Number, ApiError> {
            let number = request.read(name, "a number")?;
            Ok(number.unwrap_or_else(|| Number::from(default)))
        };
        let object = |name: &str| -> Result<Members, ApiError> {
            Ok(request.read(name, "an object")?.unwrap_or_default())
        };
        let mut reasoning = object("reasoning")?;
        reasoning.set_default("effort", &Value::Null);
        reasoning.set_default("summary", &Value::Null);
        let mut text = object("text")?;
        text.set_default("format", &json!({"type": "text"}));
        Ok(Self {
            background: false,
            instructions: request.read("instructions", "a string")?,
            max_output_tokens: request.read("max_output_tokens", "a whole number")?,
            max_tool_calls: request.read("max_tool_calls", "a number")?,
            model: model.to_owned(),
            parallel_tool_calls: request
                .read("parallel_tool_calls", "a boolean")?
                .unwrap_or(true),
            previous_response_id: None,
            prompt_cache_key: request.text("prompt_cache_key"),
            reasoning,
            safety_identifier: request.text("safety_identifier"),
            service_tier: "default",
            // Whatever was asked for, nothing is stored; but clients compare it with their wish.
            store: request.read("store", "a boolean")?.unwrap_or(false),
            temperature: number("temperature", 1)?,
            text,
            tool_choice: match request.get("tool_choice") {
                Some(choice) => choice.to_owned(),
                None => raw("auto"),
            },
            tools: tools(request)?,
            top_logprobs: request.read("top_logprobs", "a whole number")?.unwrap_or(0),
            top_p: number("top_p", 1)?,
            presence_penalty: number("presence_penalty", 0)?,
            frequency_penalty: number("frequency_penalty", 0)?,
            truncation: request
                .text("truncation")
                .unwrap_or_else(|| "disabled".to_owned()),
            user: request.text("user"),
            metadata: match request.get("metadata") {
                Some(metadata) if metadata.get().starts_with('{') => metadata.to_owned(),
                _ => raw(&json!({})),
            },
        })
    }
}

/// The tools as they came; members of functions that a response must have are added.
fn tools(request: &Members) -> Result<Box<RawValue>, ApiError> {
    let Some(tools) = request.get("tools") else {
        return Ok(raw::<[u8]>(&[]));
    };
    let mut tools: Vec<Members> = serde_json::from_str(tools.get())
        .map_err(|_| invalid("tools", "`tools` must be a list of objects"))?;
    for tool in &mut tools {
        if tool.text("type").as_deref() == Some("function") {
            for name in ["description", "parameters", "strict"] {
                tool.set_default(name, &Value::Null);
            }
        }
    }
    Ok(raw(&tools))
}
