//! Requests for a model server that has this API itself. They go on as they came, without what such servers refuse, and what is none of their business.

use serde_json::{Map, Value, json};

use super::blocks::{Content, Parts, blocks, user_part};
use super::request::{self, Purpose, Request, list, text};
use super::{system, tools};
use crate::members::{Members, raw};
use crate::{ApiError, Native, Settings, clamp, estimate};

/// Members that say who asks, or that servers refuse.
const LEFT_OUT: [&str; 10] = [
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "metadata",
    "service_tier",
    "speed",
    "user_profile_id",
    "workspace_id",
];

/// The request for a model server that speaks this API itself: cleaned, not translated. Members that need no cleaning keep their text.
///
/// # Errors
/// [`ApiError`], as [`super::translate`].
pub fn native(body: &[u8], settings: &Settings) -> Result<Native, ApiError> {
    let request = Request::parse(body)?;
    let members = &request.members;
    let model = request.model(settings)?;
    let asked = request.max_tokens()?;
    let tools = tools::Tools::read(members);
    tools.check(members)?;
    // Refuses what translation refuses.
    let (prompt, _) = request::prompt(&request, settings, &model, Purpose::Answer)?;

    let mut out: Members = serde_json::from_slice(body)
        .or_else(|_| serde_json::from_str(raw(members).get()))
        .unwrap_or_default();
    for name in LEFT_OUT {
        out.remove(name);
    }
    out.set("model", raw(&model));
    if let Some(prompt) = members.get("system") {
        match clean_system(prompt) {
            None => {}
            Some(Value::Null) => {
                out.remove("system");
            }
            Some(clean) => out.set("system", raw(&clean)),
        }
    }
    if let Some(messages) = clean_messages(members)? {
        out.set("messages", raw(&messages));
    }
    set_tools(&tools, members, &mut out);
    if let Some(asked) = asked {
        let clamped = clamp::clamp(settings, asked, estimate::prompt_members(&prompt));
        if clamped != asked {
            out.set("max_tokens", raw(&clamped));
        }
    }
    if let Some(salt) = &settings.cache_salt {
        out.set("cache_salt", raw(salt));
    }
    let mut dropped = tools.left_out;
    dropped.extend(request.missed());
    Ok(Native {
        body: raw(&out).get().as_bytes().to_vec(),
        model,
        stream: request.stream(),
        dropped,
    })
}

/// `system` without the line of billing; `None` if it has none, `null` if nothing is left.
fn clean_system(prompt: &Value) -> Option<Value> {
    let clean = match prompt {
        Value::String(text) => Value::String(system::without_billing(text).to_owned()),
        Value::Array(blocks) => blocks.iter().filter_map(clean_system_block).collect(),
        _ => return None,
    };
    match &clean {
        same if same == prompt => None,
        Value::String(text) if text.is_empty() => Some(Value::Null),
        Value::Array(blocks) if blocks.is_empty() => Some(Value::Null),
        _ => Some(clean),
    }
}

fn clean_system_block(block: &Value) -> Option<Value> {
    let Some(text) = block.get("text").and_then(Value::as_str) else {
        return Some(block.clone());
    };
    let clean = system::without_billing(text);
    if clean.is_empty() && !text.is_empty() {
        return None;
    }
    let mut block = block.clone();
    block["text"] = clean.into();
    Some(block)
}

/// The messages, if any of them needed it.
fn clean_messages(members: &Map<String, Value>) -> Result<Option<Vec<Value>>, ApiError> {
    let messages = list(members, "messages");
    let mut clean = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let last = index.saturating_add(1) == messages.len();
        clean.extend(clean_message(message, index, last)?);
    }
    Ok((clean.as_slice() != messages).then_some(clean))
}

/// A message; `None` if nothing is left of it.
fn clean_message(message: &Value, index: usize, last: bool) -> Result<Option<Value>, ApiError> {
    let Some(members) = message.as_object() else {
        return Ok(None);
    };
    let content = members.get("content");
    if matches!(text(members, "role"), Some("system" | "developer")) {
        let clean = content.and_then(clean_system);
        return Ok(match clean {
            None => Some(message.clone()),
            Some(Value::Null) => None,
            Some(clean) => Some(with_content(members, clean)),
        });
    }
    let Some(Value::Array(old)) = content else {
        return Ok(Some(message.clone()));
    };
    let mut new = Vec::with_capacity(old.len());
    for block in blocks(content, index, last) {
        let Some(original) = old.get(block.index) else {
            continue;
        };
        match block.content {
            Content::Typed("document" | "search_result", _) => {
                let mut parts = Parts::default();
                user_part(block, &mut parts)?;
                new.extend(parts.into_values().into_iter().map(native_part));
            }
            Content::Typed("tool_result", members) => new.push(clean_result(members)?),
            Content::Text(_) | Content::Typed("image" | "tool_use" | "thinking", _) => {
                new.push(original.clone())
            }
            // Servers know no others.
            Content::Typed(..) => {}
        }
    }
    Ok(match (new.is_empty(), old.is_empty()) {
        (true, false) => None,
        _ => Some(with_content(members, Value::Array(new))),
    })
}

/// A result, the documents of which are text.
fn clean_result(members: &Map<String, Value>) -> Result<Value, ApiError> {
    let Some(Value::Array(old)) = members.get("content") else {
        return Ok(Value::Object(members.clone()));
    };
    let mut new = Vec::with_capacity(old.len());
    for block in blocks(members.get("content"), 0, false) {
        match (block.content, old.get(block.index)) {
            (Content::Text(_) | Content::Typed("image", _), Some(original)) => {
                new.push(original.clone());
            }
            _ => {
                let mut parts = Parts::default();
                user_part(block, &mut parts)?;
                new.extend(parts.into_values().into_iter().map(native_part));
            }
        }
    }
    Ok(with_content(members, Value::Array(new)))
}

/// A Chat part as a block of this API.
fn native_part(part: Value) -> Value {
    match part.get("image_url").and_then(|image| image.get("url")) {
        Some(Value::String(url)) => {
            let source = match url
                .strip_prefix("data:")
                .and_then(|data| data.split_once(";base64,"))
            {
                Some((kind, data)) => {
                    json!({"type": "base64", "media_type": kind, "data": data})
                }
                None => json!({"type": "url", "url": url}),
            };
            json!({"type": "image", "source": source})
        }
        _ => part,
    }
}

fn with_content(members: &Map<String, Value>, content: Value) -> Value {
    let mut members = members.clone();
    members.insert("content".into(), content);
    Value::Object(members)
}

/// Tools that the application wrote out stay as they are; others get the schema that only Anthropic's models know.
fn set_tools(tools: &tools::Tools, members: &Map<String, Value>, out: &mut Members) {
    let old = list(members, "tools");
    if tools.kept.is_empty() {
        out.remove("tools");
        out.remove("tool_choice");
        return;
    }
    let new: Vec<Value> = tools
        .kept
        .iter()
        .map(|tool| match tool.written.and_then(|at| old.get(at)) {
            Some(written) => written.clone(),
            None => json!({
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.schema,
            }),
        })
        .collect();
    if new.as_slice() != old {
        out.set("tools", raw(&new));
    }
}
