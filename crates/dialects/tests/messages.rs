//! Sessions of Claude Code over Chat Completions: what it sends, what the model server gets, what it sees.

use sealwire_dialects::{Dialect, Moment, Settings, messages, upstream};
use serde_json::{Value, json};

const MOMENT: Moment = Moment {
    unix: 1_790_000_000,
    seed: [7; 16],
};

fn settings() -> Settings {
    Settings {
        max_model_len: Some(131_072),
        cache_salt: Some("salt-of-this-installation".into()),
        ..Settings::default()
    }
}

/// What Claude Code sends in every request of a session, with these messages.
fn claude_code(messages: Value) -> Value {
    json!({
        "model": "model-a",
        "messages": messages,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.4f2; cc_entrypoint=cli; cch=1c0de;"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "# Environment\nWorking directory: /srv/project", "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [
            {"name": "Bash", "description": "Runs a command.", "input_schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
                "properties": {"command": {"type": "string"}, "timeout": {"type": "number"}, "description": {"type": "string"}},
                "required": ["command"], "additionalProperties": false}},
            {"name": "Read", "description": "Reads a file.", "input_schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
                "properties": {"file_path": {"type": "string"}, "limit": {"type": "integer"}}, "required": ["file_path"]}},
            {"name": "mcp__docs__search", "description": "Searches.", "input_schema": {"type": "object"}, "defer_loading": true},
        ],
        "metadata": {"user_id": "{\"device_id\":\"d0\",\"account_uuid\":\"\",\"session_id\":\"s0\"}"},
        "max_tokens": 32_000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": true,
    })
}

fn first_turn() -> Value {
    json!({"role": "user", "content": [
        {"type": "text", "text": "<system-reminder>\nToday is Friday.\n</system-reminder>"},
        {"type": "text", "text": "What is in logo.png?", "cache_control": {"type": "ephemeral"}},
    ]})
}

fn body(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// The last content of each block, as a client puts it together.
fn content(events: &str) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for line in events.lines() {
        let Some(data) = line.strip_prefix("data: ") else {
            continue;
        };
        let event: Value = serde_json::from_str(data).expect("JSON");
        let delta = &event["delta"];
        match event["type"].as_str() {
            Some("content_block_start") => blocks.push(event["content_block"].clone()),
            Some("content_block_delta") => {
                let block = blocks.last_mut().expect("a block");
                for member in ["text", "thinking", "signature"] {
                    if let Some(text) = delta[member].as_str() {
                        let old = block[member].as_str().unwrap_or_default().to_owned();
                        block[member] = (old + text).into();
                    }
                }
                input.push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            Some("content_block_stop") if !input.is_empty() => {
                let block = blocks.last_mut().expect("a block");
                block["input"] = serde_json::from_str(&std::mem::take(&mut input)).expect("JSON");
            }
            _ => {}
        }
    }
    Value::Array(blocks)
}

#[test]
fn the_first_request_of_a_session() {
    let request = claude_code(json!([first_turn()]));
    let translated = messages::translate(&body(&request), &settings(), MOMENT).expect("served");
    let chat = read(&translated.body);
    assert_eq!(
        chat["messages"],
        json!([
            {"role": "system", "content": "You are a coding agent.\n# Environment\nWorking directory: /srv/project"},
            {"role": "user", "content": "<system-reminder>\nToday is Friday.\n</system-reminder>\nWhat is in logo.png?"},
        ])
    );
    assert_eq!(chat["tools"].as_array().map(Vec::len), Some(3));
    assert_eq!(chat["reasoning_effort"], "high");
    assert_eq!(chat["chat_template_kwargs"]["enable_thinking"], true);
    assert_eq!(chat["max_tokens"], 32_000);
    assert_eq!(chat["cache_salt"], "salt-of-this-installation");
    assert_eq!(chat["stream_options"], json!({"include_usage": true}));
    for name in [
        "metadata",
        "context_management",
        "output_config",
        "thinking",
        "system",
    ] {
        assert!(chat.get(name).is_none(), "{name}");
    }
    let text = chat.to_string();
    for word in [
        "billing",
        "device_id",
        "$schema",
        "cache_control",
        "defer_loading",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    assert!(translated.dropped.is_empty());
}

#[test]
fn a_turn_with_tools_goes_round() {
    let request = claude_code(json!([first_turn()]));
    let translated = messages::translate(&body(&request), &settings(), MOMENT).expect("served");
    let mut stream = translated.answer.stream();
    let mut out = Vec::new();
    stream.begin(&mut out);
    stream.keep_alive(&mut out);
    // vLLM with a model that counts its calls.
    for chunk in [
        json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": null, "finish_reason": null}], "usage": {"prompt_tokens": 900, "completion_tokens": 0, "total_tokens": 900, "prompt_tokens_details": {"cached_tokens": 880}}}),
        json!({"choices": [{"index": 0, "delta": {"reasoning": "I must see it."}}], "usage": null}),
        json!({"choices": [{"index": 0, "delta": {"content": "I look at it."}}]}),
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"id": "functions.Read:0", "type": "function", "index": 0, "function": {"name": "Read", "arguments": ""}}]}}]}),
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{\"file_path\": \"/srv/proj"}}]}}]}),
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "ect/logo.png\"}"}}]}}]}),
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"id": "functions.Bash:1", "index": 1, "function": {"name": "Bash", "arguments": "{\"command\": \"ls\"}"}}]}}]}),
        json!({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "tool_calls", "stop_reason": null}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 900, "completion_tokens": 60, "prompt_tokens_details": {"cached_tokens": 880}}}),
    ] {
        stream
            .event(&chunk.to_string(), &mut out)
            .expect("an event");
    }
    stream.end(&mut out);
    let seen = String::from_utf8(out).expect("UTF-8");
    assert!(seen.starts_with("event: ping\n"));
    assert!(seen.contains(r#""usage":{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":880,"output_tokens":60}"#));
    assert!(seen.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));

    let said = content(&seen);
    let (look, list) = (said[2]["id"].clone(), said[3]["id"].clone());
    let next = claude_code(json!([
        first_turn(),
        {"role": "assistant", "content": said},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": look, "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}]},
            {"type": "tool_result", "tool_use_id": list, "is_error": true, "content": "command not found"},
        ]},
        {"role": "system", "content": "The user has opened logo.svg."},
    ]));
    let chat = read(
        &messages::translate(&body(&next), &settings(), MOMENT)
            .expect("served")
            .body,
    );
    assert_eq!(
        chat["messages"].as_array().map(|all| all[2..].to_vec()),
        json!([
            {"role": "assistant", "content": "I look at it.", "reasoning_content": "I must see it.", "tool_calls": [
                {"id": "functions.Read:0", "type": "function", "function": {"name": "Read", "arguments": "{\"file_path\":\"/srv/project/logo.png\"}"}},
                {"id": "functions.Bash:1", "type": "function", "function": {"name": "Bash", "arguments": "{\"command\":\"ls\"}"}},
            ]},
            {"role": "tool", "tool_call_id": "functions.Read:0", "content": "The result is in the next message."},
            {"role": "tool", "tool_call_id": "functions.Bash:1", "content": "Error: command not found"},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
                {"type": "text", "text": "<system-reminder>\nThe user has opened logo.svg.\n</system-reminder>"},
            ]},
        ])
        .as_array()
        .cloned()
    );
}

#[test]
fn a_search_of_the_web_gets_a_clear_answer() {
    // Claude Code's own request for its tool WebSearch.
    let request = json!({
        "model": "model-a", "max_tokens": 32_000, "stream": true,
        "system": [{"type": "text", "text": "You are an assistant for performing a web search tool use"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Perform a web search for the query: rust"}]}],
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}],
        "tool_choice": {"type": "tool", "name": "web_search"},
    });
    let Err(error) = messages::translate(&body(&request), &settings(), MOMENT) else {
        panic!("nobody can search here");
    };
    assert_eq!(Dialect::Messages.status(&error), 400);
    let shown = read(&Dialect::Messages.error_body(&error, None));
    assert_eq!(shown["type"], "error");
    assert_eq!(shown["error"]["type"], "invalid_request_error");
    assert!(shown["error"]["message"].as_str().is_some_and(|text| text.starts_with("web_search_20250305 runs at Anthropic's servers")));
}

#[test]
fn a_title_for_the_session_is_asked_in_one_piece() {
    let request = json!({
        "model": "model-small", "max_tokens": 32_000, "temperature": 1, "thinking": {"type": "disabled"},
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}, {"type": "text", "text": "Give a title."}],
        "messages": [{"role": "user", "content": "What is in logo.png?"}],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": false}}},
        "tools": [],
    });
    let translated = messages::translate(&body(&request), &settings(), MOMENT).expect("served");
    let chat = read(&translated.body);
    assert!(!translated.stream && chat.get("stream").is_none() && chat.get("tools").is_none());
    assert_eq!(chat["reasoning_effort"], "none");
    assert_eq!(
        chat["response_format"]["json_schema"]["schema"]["required"],
        json!(["title"])
    );
    let completion = json!({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "{\"title\":\"Logo\"}", "tool_calls": [], "refusal": null, "reasoning": null}, "finish_reason": "stop", "stop_reason": null}], "usage": {"prompt_tokens": 40, "completion_tokens": 6, "total_tokens": 46, "prompt_tokens_details": null}});
    let message = read(
        &translated
            .answer
            .whole(&body(&completion))
            .expect("an answer"),
    );
    assert_eq!(
        message["content"],
        json!([{"type": "text", "text": "{\"title\":\"Logo\"}"}])
    );
    assert_eq!(
        (&message["stop_reason"], &message["model"]),
        (&json!("end_turn"), &json!("model-small"))
    );
}

#[test]
fn the_context_is_counted_piece_by_piece() {
    // `/context` asks for tools, system prompt and messages apart.
    let all = claude_code(json!([first_turn()]));
    let count = |members: &[&str]| {
        let mut request =
            json!({"model": "model-a", "messages": [{"role": "user", "content": "foo"}]});
        for name in members {
            request[*name] = all[*name].clone();
        }
        messages::count_tokens(&body(&request), &settings()).expect("a count")
    };
    let bare = count(&[]);
    assert!(count(&["tools"]) > bare + 50);
    assert!(count(&["system"]) > bare);
    let tokenize = messages::tokenize(&body(&all), &settings()).expect("a body");
    assert!(read(&tokenize).get("cache_salt").is_none());
}

#[test]
fn a_prompt_that_is_too_long_is_said_in_words_that_offer_to_compact() {
    let refusal = json!({"error": {"message": "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens in the messages, Please reduce the length of the messages.", "type": "BadRequestError", "code": 400}});
    let error = upstream::error(400, &body(&refusal));
    let shown = read(&Dialect::Messages.error_body(&error, None));
    assert_eq!(
        shown["error"]["message"],
        "prompt is too long: 140000 tokens > 131072 maximum"
    );
}
