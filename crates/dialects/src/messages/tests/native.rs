//! Requests for model servers that have this API themselves.

use serde_json::json;

use super::*;
use crate::Native;
use crate::messages::native;

fn cleaned(request: &Value) -> Native {
    native(request.to_string().as_bytes(), &Settings::default()).expect("served")
}

fn clean(request: &Value) -> Value {
    json_of(&cleaned(request).body)
}

#[test]
fn a_request_that_needs_no_cleaning_keeps_its_text() {
    let body = r#"{"model":"m","max_tokens":10,"temperature":1.0,"of_tomorrow":{"z":1e2,"a":12345678901234567890123},"messages":[{"content":"a","role":"user"}],"tools":[{"input_schema":{"type":"object"},"name":"f"}],"stream":true}"#;
    let native = native(body.as_bytes(), &Settings::default()).expect("served");
    assert_eq!(String::from_utf8(native.body).expect("UTF-8"), body);
    assert_eq!((native.model.as_str(), native.stream), ("m", true));
    assert!(native.dropped.is_empty());
}

#[test]
fn who_asks_and_what_servers_refuse_is_left_out() {
    let request = with(json!({
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}, {"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "metadata": {"user_id": "u"}, "context_management": {"edits": []}, "user_profile_id": "p", "mcp_servers": [{"name": "n"}],
    }));
    let native = cleaned(&request);
    let mut expected = with(
        json!({"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]}),
    );
    expected["max_tokens"] = 100.into();
    assert_eq!(json_of(&native.body), expected);
    assert_eq!(native.dropped, ["mcp_servers"]);
    let billing = with(json!({"system": "x-anthropic-billing-header: cc_version=2"}));
    assert!(clean(&billing).get("system").is_none());
}

#[test]
fn tools_of_anthropics_servers_are_left_out_and_those_of_the_application_written_out() {
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    let own = json!({"name": "f", "input_schema": {"$schema": "s", "type": "object"}, "cache_control": {"type": "ephemeral"}});
    let native = cleaned(&with(
        json!({"tools": [own, search, {"type": "bash_20250124", "name": "bash"}]}),
    ));
    let tools = json_of(&native.body)["tools"].clone();
    assert_eq!(tools[0], own);
    assert_eq!(tools[1]["name"], "bash");
    assert!(tools[1]["input_schema"]["properties"]["command"].is_object());
    assert!(tools[1].get("type").is_none());
    assert_eq!(native.dropped, ["web_search_20250305"]);
    let alone = with(json!({"tools": [search]})).to_string();
    let error = super::super::native(alone.as_bytes(), &Settings::default());
    assert!(error.is_err_and(|error| error.status == 400));
    let none = clean(&with(
        json!({"tools": [search], "tool_choice": {"type": "none"}}),
    ));
    assert!(none.get("tools").is_none() && none.get("tool_choice").is_none());
}

#[test]
fn blocks_that_servers_refuse_become_text_or_go() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let request = talk(json!([
        {"role": "user", "content": [
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "body"}},
            {"type": "document", "source": {"type": "content", "content": [image]}}]},
        {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}, {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "tool_use", "id": "functions.x:0", "name": "x", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.x:0", "content": [
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}, image]}]},
    ]));
    let messages = clean(&request)["messages"].clone();
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        messages[0]["content"],
        json!([
            text("<document>"),
            text("body"),
            text("</document>"),
            text("<document>"),
            image,
            text("</document>")
        ])
    );
    assert_eq!(
        messages[1]["content"],
        json!([{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "tool_use", "id": "functions.x:0", "name": "x", "input": {}}])
    );
    let result = &messages[2]["content"][0];
    assert_eq!(
        (&result["tool_use_id"], &result["content"][1]),
        (&json!("functions.x:0"), &image)
    );
    assert!(
        result["content"][0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("PDF"))
    );
    assert_eq!(messages.as_array().map(Vec::len), Some(3));
    let new = talk(json!([{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "u"}}]}])).to_string();
    assert!(native(new.as_bytes(), &Settings::default()).is_err());
}

#[test]
fn the_salt_the_default_model_and_the_clamp_are_set() {
    let settings = Settings {
        cache_salt: Some("salt".into()),
        default_model: Some("d".into()),
        max_model_len: Some(4_096),
        ..Settings::default()
    };
    let body = br#"{"max_tokens":32000,"messages":[{"role":"user","content":"a"}]}"#;
    let native = native(body, &settings).expect("served");
    let body = json_of(&native.body);
    assert_eq!(
        (&body["cache_salt"], &body["model"]),
        (&json!("salt"), &json!("d"))
    );
    assert!(
        body["max_tokens"]
            .as_u64()
            .is_some_and(|tokens| tokens < 4_096)
    );
}

#[test]
fn a_request_for_no_answer_stays_one() {
    assert_eq!(clean(&with(json!({"max_tokens": 0})))["max_tokens"], 0);
}
