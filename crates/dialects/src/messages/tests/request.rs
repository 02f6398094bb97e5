//! Requests: members, system prompts, turns.

use serde_json::json;

use super::*;
use crate::InlineSystem;

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

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
fn the_line_of_billing_never_reaches_the_model() {
    let billing =
        "x-anthropic-billing-header: cc_version=2.1.197.abc; cc_entrypoint=cli; cch=00000;";
    let request = |system| messages(&with(json!({"system": system})));
    let expected = json!([{"role": "system", "content": "You are here.\nBe kind."}, user("hello")]);
    assert_eq!(
        request(json!([
            {"type": "text", "text": billing},
            {"type": "text", "text": "You are here.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": ""},
            {"type": "text", "text": "Be kind."},
        ])),
        expected
    );
    assert_eq!(
        request(json!(format!("{billing}\nYou are here.\nBe kind."))),
        expected
    );
    assert_eq!(request(json!(billing)), json!([user("hello")]));
}

#[test]
fn a_system_message_between_turns_is_not_hoisted_by_default() {
    let talk = with(json!({"system": "first", "messages": [
        user("a"),
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": [{"type": "text", "text": "the mode has changed"}]},
        user("c"),
    ]}));
    let of = |inline_system| {
        let settings = Settings {
            inline_system,
            ..Settings::default()
        };
        chat_with(&talk, &settings)["messages"].clone()
    };
    let system = |text: &str| json!({"role": "system", "content": text});
    let b = json!({"role": "assistant", "content": "b"});
    assert_eq!(InlineSystem::default(), InlineSystem::User);
    assert_eq!(
        of(InlineSystem::User),
        json!([
            system("first"),
            user("a"),
            b,
            user("<system-reminder>\nthe mode has changed\n</system-reminder>\nc")
        ])
    );
    assert_eq!(
        of(InlineSystem::Keep),
        json!([
            system("first"),
            user("a"),
            b,
            system("the mode has changed"),
            user("c")
        ])
    );
    assert_eq!(
        of(InlineSystem::Hoist),
        json!([
            system("first\nthe mode has changed"),
            user("a"),
            b,
            user("c")
        ])
    );
}

#[test]
fn system_messages_before_the_first_turn_belong_to_the_system_prompt() {
    let request = with(
        json!({"system": "one", "messages": [{"role": "system", "content": "two"}, user("a")]}),
    );
    assert_eq!(
        messages(&request),
        json!([{"role": "system", "content": "one\ntwo"}, user("a")])
    );
}

#[test]
fn a_system_message_does_not_part_results_from_their_calls() {
    let call = json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}});
    let request = talk(json!([
        user("a"),
        {"role": "assistant", "content": [call]},
        {"role": "system", "content": "note"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "r"}]},
    ]));
    for inline_system in [InlineSystem::User, InlineSystem::Keep] {
        let settings = Settings {
            inline_system,
            ..Settings::default()
        };
        let messages = chat_with(&request, &settings)["messages"].clone();
        assert_eq!(
            messages[2],
            json!({"role": "tool", "tool_call_id": "t1", "content": "r"})
        );
        assert!(
            messages[3]["content"]
                .as_str()
                .is_some_and(|text| text.contains("note"))
        );
    }
}

#[test]
fn messages_of_one_role_are_joined() {
    let request = talk(json!([
        user("a"), user("b"),
        {"role": "assistant", "content": "c"}, {"role": "assistant", "content": [{"type": "text", "text": "d"}, {"type": "text", "text": "e"}]},
        user("f"),
    ]));
    assert_eq!(
        messages(&request),
        json!([user("a\nb"), {"role": "assistant", "content": "c\nde"}, user("f")])
    );
}

#[test]
fn an_empty_turn_of_the_assistant_keeps_its_place() {
    let request = talk(json!([user("a"), {"role": "assistant", "content": []}, user("b")]));
    assert_eq!(
        messages(&request),
        json!([user("a"), {"role": "assistant", "content": ""}, user("b")])
    );
}

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

#[test]
fn nothing_in_history_fails_a_turn() {
    let request = talk(json!([
        7, null, {"role": "user"}, {"role": "oracle", "content": "a"},
        {"role": "assistant", "content": [
            {"type": "redacted_thinking", "data": "x"},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "url": "u", "encrypted_content": "e"}]},
            {"type": "mcp_tool_use", "id": "m", "name": "n", "input": {}}, {"type": "of_tomorrow"}, {"no": "type"}, 7,
            {"type": "text", "text": "found", "citations": [{"type": "web_search_result_location"}]},
            {"type": "tool_use", "id": "t", "name": "f", "input": "no object"}, {"type": "tool_use", "id": "u"},
        ]},
        {"role": "user", "content": [{"type": "tool_result"}, {"type": "container_upload", "file_id": "f"}, {"type": "text", "text": "b"}]},
    ]));
    assert_eq!(
        messages(&request),
        json!([
            user("a"),
            {"role": "assistant", "content": "found", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "", "content": ""},
            user("b"),
        ])
    );
}

#[test]
fn reasoning_goes_back_to_the_model_and_redacted_reasoning_does_not() {
    let request = talk(json!([
        user("a"),
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "because", "signature": "s"}, {"type": "redacted_thinking", "data": "x"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "r"}]},
    ]));
    let assistant = &messages(&request)[1];
    assert_eq!(assistant["reasoning_content"], "because");
    assert_eq!(assistant["content"], "");
    assert!(!assistant.to_string().contains('x'));
}

#[test]
fn a_prefill_is_continued() {
    let chat = chat(&talk(
        json!([user("a"), {"role": "assistant", "content": "The answer is ("}]),
    ));
    assert_eq!(chat["continue_final_message"], true);
    assert_eq!(chat["add_generation_prompt"], false);
    assert_eq!(
        chat["messages"][1],
        json!({"role": "assistant", "content": "The answer is ("})
    );
    let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}});
    let open = super::chat(&talk(
        json!([user("a"), {"role": "assistant", "content": [call]}]),
    ));
    assert!(open.get("continue_final_message").is_none());
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
