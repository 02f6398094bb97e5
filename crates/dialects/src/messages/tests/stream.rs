//! Streamed answers.

use serde_json::json;

use super::*;

#[test]
fn the_order_of_events() {
    let events = streamed(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning_content": "wh"})),
        delta(json!({"reasoning_content": "y"})),
        delta(json!({"content": "so"})),
        call(0, Some("t1"), Some("f"), ""),
        call(0, None, None, "{\"a\":1,\"b\""),
        call(0, None, None, ":2}"),
        finish("tool_calls"),
        counts(30, 10, 7),
    ]);
    let seed = "ab".repeat(16);
    let shown: Vec<Value> = events[1..].to_vec();
    assert_eq!(events[0]["type"], "message_start");
    assert_eq!(
        shown,
        [
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "wh"}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "y"}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": seed}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "so"}}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":1"}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ",\"b\":2}"}}),
            json!({"type": "content_block_stop", "index": 2}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
                "usage": {"input_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 10, "output_tokens": 7}}),
            json!({"type": "message_stop"}),
        ]
    );
}

#[test]
fn message_start_has_the_servers_count_if_the_first_event_has_one() {
    let mut first = delta(json!({"role": "assistant", "content": ""}));
    first["usage"] = json!({"prompt_tokens": 500, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 400}});
    let events = streamed(&[first, delta(json!({"content": "a"})), finish("stop")]);
    let usage = &events[0]["message"]["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["cache_read_input_tokens"]),
        (&json!(100), &json!(400))
    );
}

#[test]
fn message_start_is_never_zero_where_nothing_was_counted_yet() {
    let events = streamed(&[
        delta(json!({"content": "a"})),
        finish("stop"),
        counts(500, 0, 1),
    ]);
    assert!(
        events[0]["message"]["usage"]["input_tokens"]
            .as_u64()
            .is_some_and(|tokens| tokens > 0)
    );
    assert_eq!(accumulate(&events)["usage"]["input_tokens"], 500);
}

#[test]
fn a_keep_alive_may_come_at_any_time() {
    let mut stream = new_stream();
    let mut out = Vec::new();
    stream.begin(&mut out);
    assert!(out.is_empty());
    stream.keep_alive(&mut out);
    assert_eq!(out, b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
    stream
        .event(&delta(json!({"content": "a"})).to_string(), &mut out)
        .expect("an event");
    stream.keep_alive(&mut out);
    stream
        .event(&finish("stop").to_string(), &mut out)
        .expect("an event");
    stream.end(&mut out);
    let before = out.len();
    stream.keep_alive(&mut out);
    assert_eq!(out.len(), before, "nothing behind the end");
    assert_eq!(accumulate(&events(&out))["content"][0]["text"], "a");
}

#[test]
fn empty_deltas_make_no_blocks() {
    let events = streamed(&[
        delta(json!({"content": "", "reasoning_content": ""})),
        delta(json!({"content": null})),
        delta(json!({"content": "a"})),
        delta(json!({"content": ""})),
        finish("stop"),
    ]);
    assert_eq!(
        events
            .iter()
            .filter(|event| event["type"] == "content_block_start")
            .count(),
        1
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| event["type"] == "content_block_delta")
            .count(),
        1
    );
}

#[test]
fn the_last_text_and_the_reason_may_share_an_event() {
    let last = json!({"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "stop", "stop_reason": "END"}], "usage": null});
    let message = accumulate(&streamed(&[delta(json!({"content": "a"})), last]));
    assert_eq!(message["content"][0]["text"], "ab");
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("END"))
    );
}

#[test]
fn an_empty_stream_is_one_empty_text() {
    let message = accumulate(&streamed(&[
        delta(json!({"role": "assistant"})),
        finish("stop"),
        counts(30, 10, 1),
    ]));
    assert_eq!(message["content"], json!([{"type": "text", "text": ""}]));
}

#[test]
fn a_stream_that_never_says_why_it_ended_fails() {
    let events = streamed(&[delta(json!({"content": "half"})), counts(30, 10, 7)]);
    assert_eq!(
        kinds(&events),
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "error"
        ]
    );
    assert_eq!(events[4]["error"]["type"], "api_error");
    assert_eq!(kinds(&streamed(&[])), ["error"]);
    assert_eq!(kinds(&streamed(&[finish("abort")])), ["error"]);
}

#[test]
fn an_error_closes_the_open_block_and_is_the_last() {
    let error = json!({"error": {"message": "no room", "type": "overloaded", "code": 503}});
    let events = streamed(&[delta(json!({"reasoning": "why"})), error]);
    assert_eq!(
        kinds(&events),
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "error"
        ]
    );
    assert_eq!(
        events[5],
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "no room"}})
    );
    let mut stream = new_stream();
    let mut out = Vec::new();
    stream.fail(
        &ApiError::server_error(504, "timeout", "too late"),
        &mut out,
    );
    let first = out.clone();
    stream
        .event(&delta(json!({"content": "a"})).to_string(), &mut out)
        .expect("ignored");
    stream.end(&mut out);
    stream.keep_alive(&mut out);
    stream.fail(&ApiError::server_error(500, "x", "again"), &mut out);
    assert_eq!(out, first);
    assert_eq!(kind_of_error(&first), "timeout_error");
}

fn kind_of_error(out: &[u8]) -> String {
    events(out)[0]["error"]["type"]
        .as_str()
        .expect("a type")
        .to_owned()
}

#[test]
fn an_event_that_is_none_is_an_error_and_not_text() {
    let mut stream = new_stream();
    let mut out = Vec::new();
    let error = stream.event("data?", &mut out).expect_err("no event");
    assert_eq!(error.code, "bad_answer");
    assert!(out.is_empty());
}

#[test]
fn other_choices_are_not_mixed_in() {
    let other = json!({"choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": "length"}]});
    let message = accumulate(&streamed(&[
        delta(json!({"content": "a"})),
        other,
        finish("stop"),
    ]));
    assert_eq!(message["content"], json!([{"type": "text", "text": "a"}]));
    assert_eq!(message["stop_reason"], "end_turn");
}

#[test]
fn nothing_but_one_line_of_json_is_in_an_event() {
    let events = streamed(&[
        delta(json!({"content": "a\n\ndata: b\r\u{2028}"})),
        finish("stop"),
    ]);
    assert_eq!(
        accumulate(&events)["content"][0]["text"],
        "a\n\ndata: b\r\u{2028}"
    );
}

#[test]
fn late_reasoning_gets_a_block_of_its_own() {
    let message = accumulate(&streamed(&[
        delta(json!({"reasoning": "a"})),
        delta(json!({"content": "b"})),
        delta(json!({"reasoning": "c"})),
        finish("stop"),
    ]));
    let seed = "ab".repeat(16);
    assert_eq!(
        message["content"],
        json!([
            {"type": "thinking", "thinking": "a", "signature": seed}, {"type": "text", "text": "b"},
            {"type": "thinking", "thinking": "c", "signature": seed},
        ])
    );
}
