//! How many tokens a Chat request has, roughly: for clamps and for `count_tokens`, where exact counts would cost a round trip.

use serde_json::{Map, Value};

/// Bytes of prose for one token; JSON has more short tokens.
const PROSE_TENTHS: u64 = 40;
const JSON_TENTHS: u64 = 36;
/// What one image costs a typical vision model.
const IMAGE: u64 = 1_000;
/// Marks around a message and its role.
const MESSAGE: u64 = 4;

/// An estimate of the prompt of a Chat request: its messages and tools. At least 1.
#[must_use]
pub fn prompt_tokens(request: &Value) -> u64 {
    request.as_object().map_or(1, prompt_members)
}

/// An estimate of an answer of so many bytes.
#[must_use]
pub fn answer_tokens(bytes: usize) -> u64 {
    tokens(bytes, PROSE_TENTHS)
}

/// The same as [`prompt_tokens`], for the members of the request.
pub(crate) fn prompt_members(request: &Map<String, Value>) -> u64 {
    let messages: u64 = request
        .get("messages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|message| MESSAGE.saturating_add(message_tokens(message)))
        .sum();
    let tools = request
        .get("tools")
        .and_then(Value::as_array)
        .map_or(0, |tools| tools.iter().map(json_tokens).sum());
    messages.saturating_add(tools).max(1)
}

fn message_tokens(message: &Value) -> u64 {
    let calls = message
        .get("tool_calls")
        .and_then(Value::as_array)
        .map_or(0, |calls| calls.iter().map(json_tokens).sum::<u64>());
    let reasoning = message.get("reasoning_content").map_or(0, content_tokens);
    message
        .get("content")
        .map_or(0, content_tokens)
        .saturating_add(calls)
        .saturating_add(reasoning)
}

fn content_tokens(content: &Value) -> u64 {
    match content {
        Value::String(text) => prose(text),
        Value::Array(parts) => parts
            .iter()
            .map(|part| match part.get("text") {
                Some(Value::String(text)) => prose(text),
                _ if part.get("image_url").is_some() => IMAGE,
                _ => json_tokens(part),
            })
            .sum(),
        _ => 0,
    }
}

fn prose(text: &str) -> u64 {
    tokens(text.len(), PROSE_TENTHS)
}

fn json_tokens(value: &Value) -> u64 {
    tokens(value.to_string().len(), JSON_TENTHS)
}

fn tokens(bytes: usize, tenths: u64) -> u64 {
    u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .saturating_mul(10)
        .div_ceil(tenths)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn longer_prompts_have_more_tokens_and_images_do_not_count_their_bytes() {
        assert_eq!(prompt_tokens(&json!({})), 1);
        let short = prompt_tokens(&json!({"messages":[{"role":"user","content":"a word"}]}));
        let long =
            prompt_tokens(&json!({"messages":[{"role":"user","content":"a word ".repeat(100)}]}));
        assert!(short < long && long < 700, "{short} {long}");
        let image = json!({"messages":[{"role":"user","content":[
            {"type":"image_url","image_url":{"url":"x".repeat(1_000_000)}}]}]});
        assert!(prompt_tokens(&image) < 2_000);
    }

    #[test]
    fn reasoning_calls_and_tools_count() {
        let message = json!({"role":"assistant","content":"","reasoning_content":"why ".repeat(50),
            "tool_calls":[{"function":{"name":"f","arguments":"x".repeat(200)}}]});
        let turn = prompt_tokens(&json!({"messages":[message]}));
        assert!((100..200).contains(&turn), "{turn}");
        let tools = json!({"tools":[{"function":{"description":"d".repeat(360)}}]});
        assert!(prompt_tokens(&tools) >= 100);
        assert_eq!(prompt_tokens(&json!("no request")), 1);
        assert_eq!((answer_tokens(0), answer_tokens(400)), (0, 100));
    }
}
