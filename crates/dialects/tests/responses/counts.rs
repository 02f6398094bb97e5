//! Sizes of prompts.

use sealwire_dialects::responses::{count_tokens, tokenize};

use super::*;

fn count(request: &Value) -> u64 {
    count_tokens(request.to_string().as_bytes(), &settings()).expect("a count")
}

#[test]
fn a_count_is_an_estimate_of_all_that_the_model_sees() {
    let bare = count(&json!({"input": "hello"}));
    assert!((1..50).contains(&bare), "{bare}");
    let instructed = count(&json!({"input": "hello", "instructions": "be brief ".repeat(100)}));
    assert!(
        (bare + 150..bare + 400).contains(&instructed),
        "{instructed}"
    );
    let tool = json!([{"type": "function", "name": "f", "description": "d".repeat(400), "parameters": {"type": "object"}}]);
    assert!(count(&json!({"input": "hello", "tools": tool})) > bare + 80);
    // What the API lets out has no size.
    assert!(count(&json!({"input": null})) > 0);
    assert!(count(&json!({})) > 0);
}

#[test]
fn what_is_stored_elsewhere_has_no_count() {
    let request = json!({"input": "hello", "previous_response_id": "resp_1"});
    let error = count_tokens(request.to_string().as_bytes(), &settings()).expect_err("unknown");
    assert_eq!(
        (error.status, error.param.as_deref()),
        (404, Some("previous_response_id"))
    );
    assert!(count_tokens(b"[]", &settings()).is_err());
}

#[test]
fn the_exact_count_asks_for_the_prompt_of_the_answer() {
    let request = json!({
        "instructions": "s", "input": "hello", "reasoning": {"effort": "none"},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
    });
    let body = tokenize(request.to_string().as_bytes(), &settings()).expect("a body");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let chat = chat(&request);
    assert_eq!(
        body,
        json!({
            "model": "default/model", "messages": chat["messages"], "tools": chat["tools"],
            "chat_template_kwargs": {"enable_thinking": false, "thinking": false}, "add_generation_prompt": true,
        })
    );
}
