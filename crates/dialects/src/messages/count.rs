//! How long a prompt is.

use serde_json::{Map, Value, json};

use super::request::{self, Purpose, Request};
use crate::{ApiError, Settings, estimate};

/// Members of a Chat request that the template reads, beside the messages.
const TEMPLATE: [&str; 4] = [
    "tools",
    "chat_template_kwargs",
    "add_generation_prompt",
    "continue_final_message",
];

/// An estimate of a request's tokens, for `POST /v1/messages/count_tokens`.
///
/// # Errors
/// [`ApiError`], if it is no such request.
pub fn count_tokens(body: &[u8], settings: &Settings) -> Result<u64, ApiError> {
    let chat = prompt(body, settings)?;
    Ok(estimate::prompt_members(&chat))
}

/// The body of `POST /tokenize` at a model server that counts exactly: the same messages and tools. Its answer has the number as `count`.
///
/// # Errors
/// [`ApiError`], if it is no request for `count_tokens`.
pub fn tokenize(body: &[u8], settings: &Settings) -> Result<Vec<u8>, ApiError> {
    let mut chat = prompt(body, settings)?;
    let mut tokenize = Map::new();
    for name in ["model", "messages"].into_iter().chain(TEMPLATE) {
        if let Some(value) = chat.remove(name) {
            tokenize.insert(name.into(), value);
        }
    }
    // The model server would add one anyway; older ones add none.
    tokenize
        .entry("add_generation_prompt")
        .or_insert(json!(true));
    Ok(Value::Object(tokenize).to_string().into_bytes())
}

fn prompt(body: &[u8], settings: &Settings) -> Result<Map<String, Value>, ApiError> {
    let request = Request::parse(body)?;
    let model = request.model(settings)?;
    let (chat, _) = request::prompt(&request, settings, &model, Purpose::Count)?;
    Ok(chat)
}
