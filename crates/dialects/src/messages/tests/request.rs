//! Requests: members, system prompts, turns.

use serde_json::json;

use super::*;

#[test]
fn a_plain_request_becomes_a_plain_request() {
    let request = with(json!({
        "system": "be brief", "temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop_sequences": ["END", ""], "stream": true,
    }));
    assert_eq!(
        chat(&request),
        json!({
            "model": "model-a",
            "messages": [{"role": "system", "content": "be brief"}, user("hello")],
            "max_tokens": 100,
            "max_completion_tokens": 100,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "stop": ["END"],
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
    let translated = translated(&request);
    assert_eq!(
        (translated.model.as_str(), translated.stream),
        ("model-a", true)
    );
    assert!(translated.dropped.is_empty());
}

#[test]
fn members_that_are_not_known_or_none_of_the_servers_business_are_ignored() {
    let plain = chat(&with(json!({})));
    let request = with(json!({
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "{\"device_id\":\"d\"}"}, "service_tier": "auto", "speed": "fast", "diagnostics": {"previous_message_id": null},
        "cache_control": {"type": "ephemeral"}, "betas": ["x"], "of_tomorrow": {"a": [1]}, "tool_choice": null, "thinking": null,
    }));
    let translated = translated(&request);
    assert_eq!(json_of(&translated.body), plain);
    assert!(translated.dropped.is_empty());
}

#[test]
fn what_may_be_missed_is_noted_by_name() {
    let request = with(json!({
        "mcp_servers": [{"type": "url", "url": "https://example.com", "name": "n"}], "container": "c", "inference_geo": null,
    }));
    assert_eq!(translated(&request).dropped, ["container", "mcp_servers"]);
    assert!(
        translated(&with(json!({"mcp_servers": []})))
            .dropped
            .is_empty()
    );
}

#[test]
fn a_body_that_is_no_request_names_the_member() {
    for (request, param) in [
        (json!([]), None),
        (json!({"messages": []}), Some("model")),
        (json!({"model": 7, "messages": []}), Some("model")),
        (json!({"model": "m"}), Some("messages")),
        (json!({"model": "m", "messages": "hello"}), Some("messages")),
        (json!({"model": "m", "messages": []}), Some("messages")),
        (talk(json!([user("")])), Some("messages")),
        (with(json!({"max_tokens": -1})), Some("max_tokens")),
        (with(json!({"max_tokens": "many"})), Some("max_tokens")),
    ] {
        let error = refused(&request);
        assert_eq!(
            (error.status, error.param.as_deref()),
            (400, param),
            "{request}"
        );
    }
    let cut = translate(b"{\"model\":", &Settings::default(), MOMENT);
    assert!(cut.is_err_and(|error| error.code == "invalid_json"));
}

#[test]
fn a_request_without_a_model_gets_the_default() {
    let settings = Settings {
        default_model: Some("model-d".into()),
        ..Settings::default()
    };
    let mut request = with(json!({}));
    request["model"] = Value::Null;
    assert_eq!(chat_with(&request, &settings)["model"], "model-d");
    assert_eq!(chat_with(&with(json!({})), &settings)["model"], "model-a");
}

#[test]
fn half_of_a_surrogate_pair_does_not_fail_a_request() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"cut \ud83d"}]}"#;
    let translated = translate(body, &Settings::default(), MOMENT).expect("served");
    let chat = json_of(&translated.body);
    assert_eq!(chat["messages"][0]["content"], "cut \u{fffd}");
}

#[test]
fn max_tokens_is_clamped_to_what_the_model_has() {
    let settings = Settings {
        max_model_len: Some(8_192),
        ..Settings::default()
    };
    let chat = chat_with(&with(json!({"max_tokens": 64_000})), &settings);
    let tokens = chat["max_tokens"].as_u64().expect("a number");
    assert!((7_000..8_192).contains(&tokens), "{tokens}");
    assert_eq!(chat["max_tokens"], chat["max_completion_tokens"]);
}

#[test]
fn the_salt_of_the_cache_is_set() {
    let settings = Settings {
        cache_salt: Some("salt".into()),
        ..Settings::default()
    };
    assert_eq!(
        chat_with(&with(json!({"cache_salt": "theirs"})), &settings)["cache_salt"],
        "salt"
    );
    assert!(
        chat(&with(json!({"cache_salt": "theirs"})))
            .get("cache_salt")
            .is_none()
    );
}

#[test]
fn thinking_and_effort() {
    let of = |members| {
        let chat = chat(&with(members));
        (
            chat["reasoning_effort"].clone(),
            chat["chat_template_kwargs"]["enable_thinking"].clone(),
            chat["chat_template_kwargs"]["thinking"].clone(),
        )
    };
    let (on, off, none) = (json!(true), json!(false), Value::Null);
    for (members, effort, think) in [
        (json!({}), none.clone(), &none),
        (
            json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}),
            json!("none"),
            &off,
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            json!("low"),
            &on,
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 8000}}),
            json!("medium"),
            &on,
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 31999}}),
            json!("high"),
            &on,
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "medium"}}),
            json!("medium"),
            &on,
        ),
        (json!({"thinking": {"type": "adaptive"}}), none.clone(), &on),
        (
            json!({"thinking": {"type": "between_tools"}, "output_config": {"effort": "xhigh"}}),
            json!("high"),
            &on,
        ),
        (
            json!({"output_config": {"effort": "low"}}),
            json!("low"),
            &none,
        ),
        (
            json!({"output_config": {"effort": "of_tomorrow"}}),
            none.clone(),
            &none,
        ),
    ] {
        assert_eq!(
            of(members.clone()),
            (effort, think.clone(), think.clone()),
            "{members}"
        );
    }
}

#[test]
fn a_schema_for_the_answer_keeps_its_order() {
    let request = r#"{"model":"m","messages":[{"role":"user","content":"a"}],"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"z":{},"a":{}}}}}}"#;
    let translated = translate(request.as_bytes(), &Settings::default(), MOMENT).expect("served");
    let body = String::from_utf8(translated.body).expect("UTF-8");
    assert!(
        body.ends_with(r#""response_format":{"type":"json_schema","json_schema":{"name":"response","schema":{"type":"object","properties":{"z":{},"a":{}}}}}}"#),
        "{body}"
    );
}

#[test]
fn nothing_is_read_from_the_name_of_a_model_and_no_stream_is_asked_that_was_not() {
    let mut request = with(json!({}));
    for model in [
        "deepseek-r1-thinking",
        "qwen3-235b-thinking",
        "claude-opus-5",
    ] {
        request["model"] = model.into();
        assert_eq!(
            chat(&request),
            json!({"model": model, "messages": [user("hello")], "max_tokens": 100, "max_completion_tokens": 100})
        );
    }
}

#[test]
fn a_thread_that_nobody_keeps_is_refused_in_words_that_packages_know() {
    let body = br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],"thread":{"type":"create"}}"#;
    let settings = Settings::default();
    let error = super::super::native(body, &settings)
        .err()
        .expect("a thread");
    assert_eq!((error.status, error.retry), (400, Some(false)));
    assert!(super::super::count_tokens(body, &settings).is_err());
    let body: serde_json::Value =
        serde_json::from_slice(&crate::Dialect::Messages.error_body(&error, None)).expect("JSON");
    assert_eq!(
        body["error"]["details"]["error_code"],
        "thread_unsupported_request"
    );
}
