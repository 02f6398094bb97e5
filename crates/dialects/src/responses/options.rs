//! How a Chat request is to be answered: tools, bounds, sampling, format, effort.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value, json};

use super::choice::Choice;
use super::invalid;
use super::object::Wants;
use super::tools::Tools;
use crate::members::{Members, raw, value};
use crate::{ApiError, Settings};

/// All of a Chat request but its model and its messages. Absent members are left out.
#[derive(Default, Serialize)]
pub(super) struct Options {
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Members>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_template_kwargs: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_salt: Option<String>,
}

/// Reads them from a request.
///
/// # Errors
/// A 400 for a member of a wrong type, or for a call that cannot be made.
pub(super) fn read(
    request: &Members,
    tools: &Tools,
    wants: &Wants,
    settings: &Settings,
    stream: bool,
) -> Result<Options, ApiError> {
    let choice = choice(request, tools)?;
    let chat_tools = tools.to_chat(choice.only.as_deref());
    let most: Option<u64> = request.read("max_output_tokens", "a whole number")?;
    if most == Some(0) {
        return Err(invalid(
            "max_output_tokens",
            "`max_output_tokens` must be at least 1",
        ));
    }
    let (reasoning_effort, chat_template_kwargs) = effort(request)?;
    Ok(Options {
        stream,
        stream_options: stream.then(|| json!({"include_usage": true})),
        tool_choice: choice.chat,
        parallel_tool_calls: match &chat_tools {
            Some(_) => request.read("parallel_tool_calls", "a boolean")?,
            None => None,
        },
        tools: chat_tools,
        response_format: response_format(request)?,
        max_tokens: most,
        max_completion_tokens: most,
        temperature: request.read("temperature", "a number")?,
        top_p: request.read("top_p", "a number")?,
        presence_penalty: request.read("presence_penalty", "a number")?,
        frequency_penalty: request.read("frequency_penalty", "a number")?,
        logprobs: wants.logprobs.then_some(true),
        top_logprobs: match wants.logprobs {
            true => request.read("top_logprobs", "a whole number")?,
            false => None,
        },
        reasoning_effort,
        chat_template_kwargs,
        cache_salt: settings.cache_salt.clone(),
    })
}

/// Which tools may be called.
pub(super) fn choice(request: &Members, tools: &Tools) -> Result<Choice, ApiError> {
    Choice::read(request.get("tool_choice").and_then(value).as_ref(), tools)
}

/// How much the model reasons, and what its template is told. Efforts that few model servers know become the nearest that all do.
pub(super) fn effort(request: &Members) -> Result<(Option<String>, Option<Value>), ApiError> {
    let reasoning: Members = request.read("reasoning", "an object")?.unwrap_or_default();
    let effort: Option<String> =
        reasoning
            .read("effort", "a string")
            .map_err(|error| ApiError {
                param: Some("reasoning.effort".into()),
                ..error
            })?;
    Ok(match effort.as_deref() {
        None => (None, None),
        Some("none") => (
            effort,
            Some(json!({"enable_thinking": false, "thinking": false})),
        ),
        Some("minimal") => (Some("low".to_owned()), None),
        Some("xhigh" | "max") => (Some("high".to_owned()), None),
        Some(_) => (effort, None),
    })
}

/// `text.format`, in Chat's nesting; the schema keeps its order.
fn response_format(request: &Members) -> Result<Option<Members>, ApiError> {
    let text: Members = request.read("text", "an object")?.unwrap_or_default();
    let wrong = || {
        invalid(
            "text.format",
            "`text.format` must be an object with a type of \"text\", \"json_object\" or \"json_schema\"",
        )
    };
    let Some(format) = text.get("format") else {
        return Ok(None);
    };
    let format: Members = serde_json::from_str(format.get()).map_err(|_| wrong())?;
    let mut chat = Members::default();
    match format.text("type").as_deref() {
        Some("text") => return Ok(None),
        Some("json_object") => chat.set("type", raw("json_object")),
        Some("json_schema") => {
            let mut schema = Members::default();
            schema.set(
                "name",
                raw(&format.text("name").unwrap_or_else(|| "response".to_owned())),
            );
            for name in ["description", "schema", "strict"] {
                if let Some(value) = format.get(name) {
                    schema.set(name, value.to_owned());
                }
            }
            if schema.get("schema").is_none() {
                return Err(invalid(
                    "text.format.schema",
                    "`text.format` of type \"json_schema\" must have a `schema`",
                ));
            }
            chat.set("type", raw("json_schema"));
            chat.set("json_schema", raw(&schema));
        }
        _ => return Err(wrong()),
    }
    Ok(Some(chat))
}
