//! Requests for model servers that speak the API themselves.

use super::*;

fn native(request: &str, settings: &Settings) -> (String, Vec<String>) {
    let native = responses::native(request.as_bytes(), settings).expect("served");
    (
        String::from_utf8(native.body).expect("text"),
        native.dropped,
    )
}

#[test]
fn only_what_identifies_somebody_is_taken_out() {
    let request = r#"{"zeta":[1.0,{"b":1,"a":2}],"model":"m","user":"u","metadata":{"a":"b"},"client_metadata":{"c":"d"},"prompt_cache_key":"k","safety_identifier":"s","input":"x","temperature":0.50}"#;
    assert_eq!(
        native(request, &settings()).0,
        r#"{"zeta":[1.0,{"b":1,"a":2}],"model":"m","input":"x","temperature":0.50,"store":false}"#
    );
}

#[test]
fn model_and_salt_are_set() {
    let settings = Settings {
        cache_salt: Some("salt".into()),
        ..settings()
    };
    let native = responses::native(br#"{"input":"x","stream":true,"store":true}"#, &settings)
        .expect("served");
    assert_eq!(
        (native.model.as_str(), native.stream),
        ("default/model", true)
    );
    let body: Value = serde_json::from_slice(&native.body).expect("JSON");
    assert_eq!(
        body,
        json!({"input":"x","stream":true,"store":false,"model":"default/model","cache_salt":"salt"})
    );
}

#[test]
fn reasoning_is_readable_for_any_server() {
    let request = json!({"input":"x","include":["reasoning.encrypted_content"]});
    let completion =
        json!({"choices":[{"message":{"reasoning":"why","content":"so"},"finish_reason":"stop"}]});
    let mut ours = whole(&request, &completion)["output"][0].take();
    ours["content"] = json!([]);
    let request = json!({"input":[
        {"role":"user","content":"x"},
        {"type":"reasoning","id":"1","summary":[{"type":"summary_text","text":"kept"}],"encrypted_content":"gAAA"},
        {"type":"reasoning","id":"2","summary":[],"encrypted_content":"gAAA"},
        ours,
        {"type":"web_search_call","id":"ws"},
    ]});
    let (body, _) = native(&request.to_string(), &settings());
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["input"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        body["input"][1],
        json!({"type":"reasoning","id":"1","summary":[{"type":"summary_text","text":"kept"}]})
    );
    assert_eq!(
        body["input"][2]["content"],
        json!([{"type":"reasoning_text","text":"why"}])
    );
    assert!(body["input"][2].get("encrypted_content").is_none());
}

#[test]
fn tools_that_servers_refuse_are_changed_or_left_out() {
    let request = json!({"input":"x","tool_choice":{"type":"web_search"},"tools":[
        {"type":"function","name":"f","parameters":{"type":"object"}},
        {"type":"custom","name":"apply_patch","description":"Patches.","format":{"type":"grammar","syntax":"lark","definition":"start: LINE"}},
        {"type":"namespace","name":"n","tools":[{"type":"function","name":"g"},{"type":"mcp"},
            {"type":"custom","name":"run","format":{"type":"grammar","syntax":"regex","definition":"[a-z]+"}}]},
        {"type":"web_search"},
    ]});
    let (body, dropped) = native(&request.to_string(), &settings());
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(3));
    assert_eq!(body["tools"][1]["format"], json!({"type":"text"}));
    let description = body["tools"][1]["description"].as_str().expect("text");
    assert!(description.starts_with("Patches.") && description.contains("start: LINE"));
    let inner = &body["tools"][2]["tools"];
    assert_eq!(inner.as_array().map(Vec::len), Some(2));
    assert_eq!(inner[0], json!({"type":"function","name":"g"}));
    assert_eq!(inner[1]["format"], json!({"type":"text"}));
    assert_eq!(body["tool_choice"], "auto");
    assert_eq!(dropped, ["mcp", "web_search"]);
}

#[test]
fn what_needs_a_store_is_refused_there_too() {
    for request in [
        r#"{"input":"x","previous_response_id":"resp_1"}"#,
        r#"{"input":"x","background":true}"#,
        r#"{"input":[{"type":"item_reference","id":"a"}]}"#,
        r#"{"input":"x","tool_choice":"required","tools":[{"type":"web_search"}]}"#,
    ] {
        let error = responses::native(request.as_bytes(), &settings())
            .err()
            .expect(request);
        assert!(error.param.is_some(), "{request}");
    }
}
