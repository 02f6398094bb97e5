//! Requests for model servers that speak this API themselves: what identifies somebody is taken out, and what they refuse.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::request::{self, Input};
use super::{items, reasoning, tools, unsupported};
use crate::members::{Members, raw, value};
use crate::{ApiError, Native, Settings};

/// Members that identify an application or its user, or that mean something to OpenAI's service only.
const PRIVATE: [&str; 9] = [
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "metadata",
    "client_metadata",
    "service_tier",
    "cache_salt",
];

/// Cleans a request. What is not named here keeps its text.
///
/// # Errors
/// [`ApiError`] that names the member which cannot be served.
pub(super) fn clean(body: &[u8], settings: &Settings) -> Result<Native, ApiError> {
    let mut request = request::members(body)?;
    request::refuse_stateful(&request)?;
    let model = request::model(&request, settings)?;
    let stream = request.read("stream", "a boolean")?.unwrap_or(false);
    for name in PRIVATE {
        request.remove(name);
    }
    request.set("model", raw(&model));
    // The API's default is to store.
    request.set("store", raw(&false));
    if let Some(salt) = &settings.cache_salt {
        request.set("cache_salt", raw(salt));
    }
    if let Input::Items(items) = request::input(&request)? {
        request.set("input", raw(&clean_items(items)?));
    }
    let mut dropped = Vec::new();
    clean_tools(&mut request, &mut dropped)?;
    Ok(Native {
        body: raw(&request).get().as_bytes().to_vec(),
        model,
        stream,
        dropped,
    })
}

fn clean_items(items: Vec<Box<RawValue>>) -> Result<Vec<Box<RawValue>>, ApiError> {
    let mut clean = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let Ok(mut members) = serde_json::from_str::<Members>(item.get()) else {
            continue;
        };
        match members.text("type").as_deref() {
            Some("item_reference") => {
                return Err(unsupported(
                    &format!("input[{index}]"),
                    "items are not stored here; send the item itself instead of an `item_reference`",
                ));
            }
            Some("reasoning") => {
                if readable(&mut members) {
                    clean.push(raw(&members));
                }
            }
            Some(kind) if !items::known(kind) => {}
            _ => clean.push(item),
        }
    }
    Ok(clean)
}

/// Makes reasoning readable for any server; whether there is any. Servers refuse blobs that are not their own.
fn readable(item: &mut Members) -> bool {
    let blob = item.text("encrypted_content");
    item.remove("encrypted_content");
    let has_text = |name: &str| {
        item.get(name)
            .and_then(value)
            .is_some_and(|parts| parts.as_array().is_some_and(|parts| !parts.is_empty()))
    };
    if has_text("content") || has_text("summary") {
        return true;
    }
    match blob.as_deref().and_then(reasoning::unseal) {
        Some(text) => {
            item.set(
                "content",
                raw(&json!([{"type": "reasoning_text", "text": text}])),
            );
            true
        }
        None => false,
    }
}

/// Leaves out the tools that nobody here executes, and a choice that asks for them; grammars, which servers refuse, become descriptions.
fn clean_tools(request: &mut Members, dropped: &mut Vec<String>) -> Result<(), ApiError> {
    let Some(list) = request.get("tools") else {
        return Ok(());
    };
    let mut known = tools::Tools::default();
    known.read(list, "tools", dropped)?;
    let list: Vec<Members> = serde_json::from_str(list.get()).unwrap_or_default();
    let mut clean: Vec<Members> = Vec::new();
    for mut tool in list {
        match tool.text("type").as_deref() {
            Some("function") => clean.push(tool),
            Some("custom") => {
                without_grammar(&mut tool);
                clean.push(tool);
            }
            Some("namespace") => {
                let inner: Option<Vec<Members>> = tool
                    .get("tools")
                    .and_then(|inner| serde_json::from_str(inner.get()).ok());
                let mut inner = inner.unwrap_or_default();
                inner.retain(|tool| {
                    matches!(tool.text("type").as_deref(), Some("function" | "custom"))
                });
                inner.iter_mut().for_each(without_grammar);
                tool.set("tools", raw(&inner));
                clean.push(tool);
            }
            _ => {}
        }
    }
    let choice = request.get("tool_choice").and_then(value);
    let kept = super::choice::Choice::read(choice.as_ref(), &known)?;
    let hosted = matches!(choice, Some(Value::Object(_)))
        && matches!(kept.chat, None | Some(Value::String(_)))
        && kept.only.is_none();
    if clean.is_empty() {
        request.remove("tools");
        request.remove("tool_choice");
    } else {
        request.set("tools", raw(&clean));
        if hosted {
            request.set("tool_choice", raw("auto"));
        }
    }
    Ok(())
}

fn without_grammar(tool: &mut Members) {
    let is_grammar = tool
        .get("format")
        .and_then(|format| serde_json::from_str::<Members>(format.get()).ok())
        .is_some_and(|format| format.get("definition").is_some());
    if is_grammar {
        let description = tools::custom_description(tool);
        tool.set("description", raw(&description));
        tool.set("format", raw(&json!({"type": "text"})));
    }
}
