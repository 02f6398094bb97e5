//! How long a prompt is.

use serde_json::{Map, Value, json};

use super::options;
use super::request::{self, Input, Prompt};
use crate::members::{Members, value};
use crate::{ApiError, Settings, estimate};

/// An estimate of a request's tokens, for `POST /v1/responses/input_tokens`.
///
/// # Errors
/// [`ApiError`], if it is no such request.
pub fn count_tokens(body: &[u8], settings: &Settings) -> Result<u64, ApiError> {
    let request = read(body)?;
    Ok(estimate::prompt_members(&chat(&request, settings)?))
}

/// The body of `POST /tokenize` at a model server that counts exactly: the same messages and tools. Its answer has the number as `count`.
///
/// # Errors
/// [`ApiError`], if it is no request for `input_tokens`.
pub fn tokenize(body: &[u8], settings: &Settings) -> Result<Vec<u8>, ApiError> {
    let request = read(body)?;
    let mut tokenize = chat(&request, settings)?;
    if let (_, Some(template)) = options::effort(&request)? {
        tokenize.insert("chat_template_kwargs".into(), template);
    }
    let model = request::model(&request, settings)?;
    tokenize.insert("model".into(), model.into());
    // The model server would add one anyway; older ones add none.
    tokenize.insert("add_generation_prompt".into(), json!(true));
    Ok(Value::Object(tokenize).to_string().into_bytes())
}

fn read(body: &[u8]) -> Result<Members, ApiError> {
    let request = request::members(body)?;
    request::refuse_stateful(&request)?;
    Ok(request)
}

/// Messages and tools as Chat Completions have them.
fn chat(request: &Members, settings: &Settings) -> Result<Map<String, Value>, ApiError> {
    // Instructions and tools have a size without it.
    let input = match request.get("input") {
        None => Input::Items(Vec::new()),
        Some(_) => request::input(request)?,
    };
    let Prompt {
        messages, tools, ..
    } = request::prompt(request, &input, settings)?;
    let only = options::choice(request, &tools)?.only;
    let mut chat = Map::new();
    chat.insert("messages".into(), messages.into());
    let tools = tools.to_chat(only.as_deref());
    if let Some(tools) = tools.as_deref().and_then(value) {
        chat.insert("tools".into(), tools);
    }
    Ok(chat)
}
