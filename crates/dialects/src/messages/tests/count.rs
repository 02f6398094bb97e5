//! Sizes of prompts.

use serde_json::json;

use super::*;
use crate::messages::{count_tokens, tokenize};

fn count(request: &Value) -> u64 {
    count_tokens(request.to_string().as_bytes(), &Settings::default()).expect("a count")
}

#[test]
fn a_count_is_an_estimate_of_all_that_the_model_sees() {
    let mut bare = with(json!({}));
    bare.as_object_mut()
        .expect("an object")
        .shift_remove("max_tokens");
    let bare = count(&bare);
    assert!((1..50).contains(&bare), "{bare}");
    let system = count(&with(json!({"system": "be brief ".repeat(100)})));
    assert!((bare + 150..bare + 400).contains(&system), "{system}");
    let tool =
        json!([{"name": "f", "description": "d".repeat(400), "input_schema": {"type": "object"}}]);
    assert!(count(&with(json!({"tools": tool}))) > bare + 80);
}

#[test]
fn a_count_refuses_nothing_that_has_a_size() {
    let request = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}]}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "tool", "name": "web_search"}});
    assert!(count(&request) > 0);
    assert!(count(&json!({"model": "m", "messages": []})) > 0);
    assert!(count_tokens(b"{}", &Settings::default()).is_err());
}

#[test]
fn the_exact_count_asks_for_the_prompt_of_the_answer() {
    let request = with(json!({
        "system": "s", "stream": true, "thinking": {"type": "disabled"},
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    }));
    let settings = Settings {
        cache_salt: Some("salt".into()),
        ..Settings::default()
    };
    let body = tokenize(request.to_string().as_bytes(), &settings).expect("a body");
    let chat = chat(&request);
    assert_eq!(
        json_of(&body),
        json!({
            "model": "model-a", "messages": chat["messages"], "tools": chat["tools"],
            "chat_template_kwargs": {"enable_thinking": false, "thinking": false}, "add_generation_prompt": true,
        })
    );
    let prefill =
        talk(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]));
    let body = json_of(&tokenize(prefill.to_string().as_bytes(), &settings).expect("a body"));
    assert_eq!(
        (
            &body["add_generation_prompt"],
            &body["continue_final_message"]
        ),
        (&json!(false), &json!(true))
    );
}
