//! Whole answers.

use serde_json::json;

use super::*;

#[test]
fn a_whole_answer_has_reasoning_text_and_calls_in_this_order() {
    let message = whole(&completion(
        json!({"role": "assistant", "reasoning_content": "why", "content": "so", "tool_calls": [
            {"id": "call_a-1", "type": "function", "function": {"name": "f", "arguments": "{\"z\": 1, \"a\": 2}"}}]}),
        "tool_calls",
    ));
    let seed = "ab".repeat(16);
    assert_eq!(
        message,
        json!({
            "id": format!("msg_{seed}"), "type": "message", "role": "assistant", "model": "model-a",
            "content": [
                {"type": "thinking", "thinking": "why", "signature": seed},
                {"type": "text", "text": "so"},
                {"type": "tool_use", "id": "call_a-1", "name": "f", "input": {"z": 1, "a": 2}},
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 10, "output_tokens": 7},
        })
    );
    assert!(
        message["content"][2]["input"]
            .to_string()
            .starts_with("{\"z\"")
    );
}

#[test]
fn reasoning_is_read_under_either_name() {
    for name in ["reasoning", "reasoning_content"] {
        let message = whole(&completion(json!({"content": "so", name: "why"}), "stop"));
        assert_eq!(message["content"][0]["thinking"], "why");
    }
}

#[test]
fn reasoning_between_marks_is_split_where_that_is_set() {
    let settings = Settings {
        split_think: true,
        ..Settings::default()
    };
    let content = json!({"content": "<think>why</think>\n\nso"});
    let body = completion(content, "stop").to_string();
    let answer = translated_with(&with(json!({})), &settings).answer;
    let message = json_of(&answer.whole(body.as_bytes()).expect("an answer"));
    assert_eq!(message["content"][0]["thinking"], "why");
    assert_eq!(message["content"][1]["text"], "so");
    let events = run(
        answer.stream(),
        &[
            delta(json!({"content": "<thi"})),
            delta(json!({"content": "nk>wh"})),
            delta(json!({"content": "y</think>\n\ns"})),
            delta(json!({"content": "o"})),
            finish("stop"),
            counts(30, 10, 7),
        ],
    );
    assert_eq!(accumulate(&events), message);
}

#[test]
fn an_empty_answer_is_one_empty_text() {
    for content in [
        json!({}),
        json!({"content": ""}),
        json!({"content": null, "tool_calls": []}),
    ] {
        let message = whole(&completion(content, "stop"));
        assert_eq!(message["content"], json!([{"type": "text", "text": ""}]));
        assert_eq!(message["stop_reason"], "end_turn");
    }
}

#[test]
fn stop_reasons() {
    let call = json!({"content": "a", "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]});
    let text = json!({"content": "a"});
    for (message, finish, met, reason, sequence) in [
        (&text, "stop", Value::Null, "end_turn", None),
        (&text, "stop", json!(151_645), "end_turn", None),
        (&text, "stop", json!("END"), "stop_sequence", Some("END")),
        (&text, "length", json!("END"), "max_tokens", None),
        (&text, "content_filter", Value::Null, "refusal", None),
        (&text, "of_tomorrow", Value::Null, "end_turn", None),
        // Calls were announced and none came: a client would wait for nothing.
        (&text, "tool_calls", Value::Null, "end_turn", None),
        (&call, "tool_calls", Value::Null, "tool_use", None),
        (&call, "function_call", Value::Null, "tool_use", None),
        // A forced choice.
        (&call, "stop", Value::Null, "tool_use", None),
        (&call, "length", Value::Null, "max_tokens", None),
    ] {
        let mut completion = completion(message.clone(), finish);
        completion["choices"][0]["stop_reason"] = met;
        let whole = whole(&completion);
        assert_eq!(whole["stop_reason"], reason, "{completion}");
        assert_eq!(whole["stop_sequence"].as_str(), sequence, "{completion}");
    }
    let refusal = whole(&completion(
        json!({"content": null, "refusal": "I will not"}),
        "stop",
    ));
    assert_eq!(
        (&refusal["stop_reason"], &refusal["content"][0]["text"]),
        (&json!("refusal"), &json!("I will not"))
    );
}

#[test]
fn an_answer_that_is_none_or_was_aborted_is_an_error_and_never_text() {
    let answer = translated(&with(json!({}))).answer;
    for (body, code) in [
        ("<html>".to_owned(), "bad_answer"),
        (
            json!({"error": {"message": "no"}}).to_string(),
            "bad_answer",
        ),
        (json!({"choices": []}).to_string(), "bad_answer"),
        (
            completion(json!({"content": "half"}), "abort").to_string(),
            "aborted_answer",
        ),
        (
            json!({"choices": [{"message": {"content": "half"}}]}).to_string(),
            "incomplete_answer",
        ),
    ] {
        let error = answer.whole(body.as_bytes()).expect_err("no answer");
        assert_eq!((error.status, error.code.as_str()), (502, code), "{body}");
    }
}

#[test]
fn input_tokens_are_those_that_the_cache_did_not_hold() {
    let mut completion = completion(json!({"content": "a"}), "stop");
    completion["usage"] = json!({"prompt_tokens": 888, "completion_tokens": 55, "prompt_tokens_details": {"cached_tokens": 111},
        "completion_tokens_details": {"reasoning_tokens": 5}});
    assert_eq!(
        whole(&completion)["usage"],
        json!({"input_tokens": 777, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 111, "output_tokens": 55,
            "output_tokens_details": {"thinking_tokens": 5}})
    );
    completion["usage"]["prompt_tokens_details"] = Value::Null;
    assert_eq!(whole(&completion)["usage"]["input_tokens"], 888);
}

#[test]
fn usage_is_estimated_where_the_server_counts_nothing() {
    let mut completion = completion(json!({"content": "a text of some length"}), "stop");
    completion["usage"] = Value::Null;
    let usage = whole(&completion)["usage"].clone();
    assert!(
        usage["input_tokens"]
            .as_u64()
            .is_some_and(|tokens| tokens > 0)
    );
    assert!(
        usage["output_tokens"]
            .as_u64()
            .is_some_and(|tokens| tokens > 0)
    );
}

#[test]
fn a_request_for_no_answer_fills_the_cache_and_gets_none() {
    let request = with(json!({"max_tokens": 0, "stream": true}));
    let translated = translated(&request);
    assert_eq!(json_of(&translated.body)["max_tokens"], 1);
    let body = completion(json!({"content": "a", "reasoning": "b"}), "length").to_string();
    let message = json_of(&translated.answer.whole(body.as_bytes()).expect("an answer"));
    assert_eq!(message["content"], json!([]));
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(message["usage"]["output_tokens"], 0);
    let events = run(
        translated.answer.stream(),
        &[
            delta(json!({"content": "a"})),
            finish("stop"),
            counts(30, 10, 7),
        ],
    );
    assert_eq!(
        kinds(&events),
        ["message_start", "message_delta", "message_stop"]
    );
    assert_eq!(accumulate(&events), message);
}

#[test]
fn an_identifier_that_clients_refuse_is_written_so_that_it_comes_back() {
    for id in [
        "functions.x:0",
        "call 1",
        "ä",
        "toolu_b64_x",
        "toolu_b64_",
        "a/b",
    ] {
        let call =
            json!({"tool_calls": [{"id": id, "function": {"name": "x", "arguments": "{}"}}]});
        let block = whole(&completion(call, "tool_calls"))["content"][0].clone();
        let shown = block["id"].as_str().expect("text").to_owned();
        assert!(
            shown
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
            "{shown}"
        );
        let back = messages(&talk(json!([
            {"role": "user", "content": "a"}, {"role": "assistant", "content": [block]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": shown, "content": "r"}]},
        ])));
        assert_eq!(back[1]["tool_calls"][0]["id"], id);
        assert_eq!(back[2]["tool_call_id"], id);
    }
    // Not written by us.
    let foreign = talk(
        json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_b64_!"}]}]),
    );
    assert_eq!(messages(&foreign)[0]["tool_call_id"], "toolu_b64_!");
}

#[test]
fn calls_without_an_identifier_get_one_each() {
    let call = json!({"function": {"name": "f", "arguments": ""}});
    let content = whole(&completion(
        json!({"tool_calls": [call, call]}),
        "tool_calls",
    ))["content"]
        .clone();
    assert_ne!(content[0]["id"], content[1]["id"]);
    assert!(
        content[0]["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("toolu_"))
    );
}
