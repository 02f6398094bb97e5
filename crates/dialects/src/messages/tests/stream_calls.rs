//! Calls of tools in streams.

use serde_json::json;

use super::*;

#[test]
fn arguments_before_the_name_wait_for_it() {
    let events = streamed(&[
        call(0, None, None, "{\"a\""),
        call(0, Some("t"), None, ":1"),
        call(0, None, Some("f"), ""),
        call(0, None, None, "}"),
        finish("tool_calls"),
    ]);
    assert_eq!(
        accumulate(&events)["content"],
        json!([{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}])
    );
}

#[test]
fn text_that_arrives_in_a_call_gets_its_own_block_behind_it() {
    let events = streamed(&[
        call(0, Some("t"), Some("f"), "{\"a\":"),
        delta(json!({"content": "mean"})),
        delta(json!({"content": "while"})),
        call(0, None, None, "1}"),
        delta(json!({"content": " and after"})),
        finish("tool_calls"),
    ]);
    assert_eq!(
        accumulate(&events)["content"],
        json!([{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}, {"type": "text", "text": "meanwhile and after"}])
    );
}

#[test]
fn calls_that_are_mixed_come_out_one_by_one() {
    let events = streamed(&[
        call(0, Some("t0"), Some("f"), "{\"a\":"),
        call(1, Some("t1"), Some("g"), "{\"b\":"),
        call(0, None, None, "1}"),
        call(1, None, None, "2}"),
        finish("tool_calls"),
    ]);
    assert_eq!(
        accumulate(&events)["content"],
        json!([
            {"type": "tool_use", "id": "t0", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "t1", "name": "g", "input": {"b": 2}},
        ])
    );
}

#[test]
fn calls_are_told_apart_where_the_index_does_not_say_it() {
    let fragment = |index: Value, id: &str, name: &str, arguments: &str| {
        delta(
            json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
        )
    };
    for index in [json!(0), Value::Null] {
        let events = streamed(&[
            fragment(index.clone(), "t0", "f", "{}"),
            fragment(index.clone(), "t1", "f", "{\"a\":"),
            fragment(index, "t1", "f", "1}"),
            finish("tool_calls"),
        ]);
        let content = accumulate(&events)["content"].clone();
        assert_eq!(
            (&content[0]["id"], &content[1]["id"]),
            (&json!("t0"), &json!("t1"))
        );
        assert_eq!(content[1]["input"], json!({"a": 1}));
    }
}

#[test]
fn an_empty_list_of_calls_beside_text_is_text() {
    let events = streamed(&[
        delta(json!({"content": "a", "tool_calls": []})),
        delta(json!({"content": "b", "tool_calls": null})),
        finish("stop"),
    ]);
    let message = accumulate(&events);
    assert_eq!(message["content"], json!([{"type": "text", "text": "ab"}]));
    assert_eq!(message["stop_reason"], "end_turn");
}

#[test]
fn a_call_that_names_nothing_is_none() {
    let chunks = [
        call(0, Some("t"), None, "{}"),
        finish("tool_calls"),
        counts(30, 10, 7),
    ];
    let message = accumulate(&streamed(&chunks));
    assert_eq!(message["content"], json!([{"type": "text", "text": ""}]));
    assert_eq!(message["stop_reason"], "end_turn");
}

#[test]
fn a_call_that_a_limit_cut_off_is_closed_but_never_half_a_command() {
    let events = streamed(&[
        call(0, Some("t"), Some("Bash"), "{\"command\":\"rm -rf /"),
        finish("length"),
        counts(30, 10, 7),
    ]);
    let message = accumulate(&events);
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(
        message["content"][0]["input"],
        json!({"unparsed_arguments": "\"command\":\"rm -rf /"})
    );
}

#[test]
fn a_call_without_arguments_is_an_empty_object() {
    for fragments in [vec![""], vec![], vec!["{}"], vec!["{", "}"], vec!["null"]] {
        let mut chunks = vec![call(0, Some("t"), Some("f"), "")];
        chunks.extend(
            fragments
                .into_iter()
                .map(|piece| call(0, None, None, piece)),
        );
        chunks.push(finish("tool_calls"));
        let message = accumulate(&streamed(&chunks));
        assert_eq!(
            message["content"],
            json!([{"type": "tool_use", "id": "t", "name": "f", "input": {}}])
        );
    }
}

#[test]
fn a_call_is_closed_as_soon_as_it_is_whole() {
    let mut stream = new_stream();
    let mut seen = Vec::new();
    for chunk in [
        call(0, Some("t0"), Some("f"), "{\"a\":1"),
        call(0, None, None, "}"),
        call(1, Some("t1"), Some("g"), "{}"),
    ] {
        let mut out = Vec::new();
        let event = stream.event(&chunk.to_string(), &mut out);
        event.expect("an event");
        let events = events(&out);
        seen.push(kinds(&events).join(" "));
    }
    assert_eq!(
        seen,
        [
            "message_start content_block_start",
            "content_block_delta content_block_stop",
            "content_block_start content_block_delta content_block_stop",
        ]
    );
}
