//! Blocks: results of tools, images, documents.

use serde_json::json;

use super::*;

#[test]
fn results_of_tools_come_first_and_their_images_follow() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let request = talk(json!([
        user("a"),
        {"role": "assistant", "content": [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t1", "name": "see", "input": {"z": 1, "a": [2]}},
            {"type": "tool_use", "id": "t2", "name": "run", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "text", "text": "hurry"},
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "seen"}, image]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "no such file", "is_error": true},
        ]},
    ]));
    assert_eq!(
        messages(&request),
        json!([
            user("a"),
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "see", "arguments": "{\"z\":1,\"a\":[2]}"}},
                {"id": "t2", "type": "function", "function": {"name": "run", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "t1", "content": "seen"},
            {"role": "tool", "tool_call_id": "t2", "content": "Error: no such file"},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "text", "text": "hurry"},
            ]},
        ])
    );
}

#[test]
fn a_result_says_that_its_image_follows_and_an_error_is_marked_once() {
    let result = |content, is_error| {
        messages(&talk(json!([{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": is_error}]}])))
    };
    let image =
        json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]);
    let shown = result(image, false);
    assert_eq!(shown[0]["content"], "The result is in the next message.");
    assert_eq!(
        shown[1]["content"][0]["image_url"]["url"],
        "https://example.com/a.png"
    );
    assert_eq!(result(json!("Error: no"), true)[0]["content"], "Error: no");
    assert_eq!(result(Value::Null, false)[0]["content"], "");
    let found = result(json!([{"type": "tool_reference", "tool_name": "f"}]), false);
    assert_eq!(found[0]["content"], "f");
}

#[test]
fn documents_and_search_results_become_text() {
    let content = messages(&talk(json!([{"role": "user", "content": [
        {"type": "document", "title": "T", "context": "C", "source": {"type": "text", "media_type": "text/plain", "data": "body"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "inner"}]}},
        {"type": "search_result", "source": "https://example.com", "title": "S", "content": [{"type": "text", "text": "found"}], "citations": {"enabled": true}},
    ]}])))[0]["content"]
        .as_str()
        .expect("text alone")
        .to_owned();
    assert_eq!(
        content,
        "<document>\n<title>T</title>\n<context>C</context>\nbody\n</document>\n<document>\ninner\n</document>\n\
         <search_result>\n<title>S</title>\n<source>https://example.com</source>\nfound\n</search_result>"
    );
}

#[test]
fn what_cannot_be_shown_is_refused_when_it_is_new_and_named_when_it_is_history() {
    let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}});
    let file = json!({"type": "image", "source": {"type": "file", "file_id": "file_1"}});
    for block in [pdf, file] {
        let turn = json!({"role": "user", "content": [{"type": "text", "text": "read"}, block]});
        let error = refused(&talk(json!([turn])));
        assert_eq!(
            (error.status, error.param.as_deref()),
            (400, Some("messages.0.content.1"))
        );
        let later = messages(&talk(
            json!([turn, {"role": "assistant", "content": "no"}, user("go on")]),
        ));
        assert!(
            later[0]["content"]
                .as_str()
                .is_some_and(|text| text.contains("was left out here"))
        );
        // The agent's loop attached it: the model can go another way.
        let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [block]}, block]});
        let looped = messages(&talk(json!([result])));
        assert!(
            looped[0]["content"]
                .as_str()
                .is_some_and(|text| text.contains("was left out here"))
        );
    }
}
