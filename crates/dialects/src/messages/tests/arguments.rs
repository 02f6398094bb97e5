//! Arguments of calls.

use serde_json::json;

use super::super::arguments::{Arguments, UNPARSED, object};
use super::*;

/// What goes out for each piece, and at the end.
fn pieces(pieces: &[&str]) -> Vec<String> {
    let mut arguments = Arguments::default();
    let mut all = Vec::new();
    for piece in pieces {
        let mut out = String::new();
        arguments.push(piece, &mut out);
        all.push(out);
    }
    let mut out = String::new();
    arguments.finish(&mut out);
    all.push(out);
    all
}

#[test]
fn members_go_out_as_soon_as_they_are_whole_and_as_they_were_written() {
    assert_eq!(
        pieces(&[
            "{\"a\": ",
            "1.0",
            ", \"b\":\"x,}",
            "\\\"\", \"c\": {\"d\": [1, 2]}",
            " }",
            "\n"
        ]),
        [
            "",
            "",
            "{\"a\": 1.0",
            ", \"b\":\"x,}\\\"\"",
            ", \"c\": {\"d\": [1, 2]} }",
            "",
            ""
        ]
    );
}

#[test]
fn no_arguments_are_an_empty_object() {
    for text in ["", " ", "null", "{}", " { } "] {
        assert_eq!(object(text), json!({}), "{text:?}");
    }
}

#[test]
fn a_value_that_was_cut_off_is_never_run() {
    // A limit of tokens stopped the model in the middle of a command.
    let cut = r#"{"cwd":"/srv","command":"rm -rf /srv/"#;
    let expected = json!({"cwd": "/srv", UNPARSED: "\"command\":\"rm -rf /srv/"});
    assert_eq!(object(cut), expected);
    assert_eq!(object(r#"{"count":12"#), json!({UNPARSED: "\"count\":12"}));
    assert_eq!(object("{"), json!({UNPARSED: ""}));
}

#[test]
fn what_is_no_object_is_kept_as_text() {
    for text in ["not JSON", "[1]", "7", "\"{}\"", "```json\n{}"] {
        assert_eq!(object(text), json!({UNPARSED: text}), "{text}");
    }
}

#[test]
fn from_the_first_fault_on_the_text_is_kept() {
    for (text, expected) in [
        (
            "{\"a\":1,\"b\":nope,\"c\":3}",
            json!({"a": 1, UNPARSED: "\"b\":nope,\"c\":3}"}),
        ),
        ("{\"a\":1,,}", json!({"a": 1, UNPARSED: ",}"})),
        (
            "{\"a\":\"line\nbreak\"}",
            json!({UNPARSED: "\"a\":\"line\nbreak\"}"}),
        ),
        ("{a:1}", json!({UNPARSED: "a:1}"})),
        ("{\"a\":[1}}", json!({UNPARSED: "\"a\":[1}}"})),
        ("{\"a\":1e999}", json!({UNPARSED: "\"a\":1e999}"})),
    ] {
        assert_eq!(object(text), expected, "{text}");
    }
}

#[test]
fn small_slips_lose_nothing() {
    assert_eq!(object("{\"a\":1,}"), json!({"a": 1}));
    assert_eq!(object("{\"a\":1}{\"a\":2}"), json!({"a": 1}));
    assert_eq!(object("\n{\"a\":1}\n"), json!({"a": 1}));
}

#[test]
fn nesting_without_end_does_not_fail() {
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(object(&deep)[UNPARSED].is_string());
    let closed = format!("{{\"a\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000));
    assert!(object(&closed)[UNPARSED].is_string());
}

#[test]
fn a_whole_answer_keeps_unreadable_arguments_under_one_member() {
    let call =
        json!({"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "not JSON"}}]});
    let message = whole(&completion(call, "tool_calls"));
    assert_eq!(
        message["content"][0]["input"],
        json!({UNPARSED: "not JSON"})
    );
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn arguments_that_a_server_sends_as_an_object_are_read() {
    let call = json!({"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": {"b": 1, "a": 2}}}]});
    let message = whole(&completion(call, "tool_calls"));
    assert_eq!(message["content"][0]["input"], json!({"b": 1, "a": 2}));
}
