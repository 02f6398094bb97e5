//! Members and items of requests.

use sealwire_dialects::InlineSystem;

use super::*;

#[test]
fn a_text_is_a_users_message_for_the_default_model() {
    let request = json!({"input":"hello"});
    assert_eq!(
        chat(&request),
        json!({"model":"default/model","stream":false,"messages":[{"role":"user","content":"hello"}]})
    );
    let error = translate(&request, &Settings::default())
        .err()
        .expect("no model");
    assert_eq!((error.status, error.param.as_deref()), (400, Some("model")));
}

#[test]
fn instructions_and_leading_developer_messages_are_one_system_message() {
    let request = json!({"instructions":"be brief","input":[
        {"type":"message","role":"developer","content":[{"type":"input_text","text":"one"},{"type":"input_text","text":"two"}]},
        {"role":"system","content":"three"},
        {"role":"user","content":[{"type":"input_text","text":"hello"}]},
    ]});
    assert_eq!(
        chat(&request)["messages"],
        json!([{"role":"system","content":"be brief\n\none\ntwo\n\nthree"},{"role":"user","content":"hello"}])
    );
}

#[test]
fn later_system_messages_follow_the_setting() {
    let request = json!({"input":[{"role":"developer","content":"first"},{"role":"user","content":"a"},
        {"role":"developer","content":"later"},{"role":"user","content":"b"}]});
    let messages = |inline_system| -> Value {
        let settings = Settings {
            inline_system,
            ..settings()
        };
        let translated = translate(&request, &settings).expect("served");
        let mut chat: Value = serde_json::from_slice(&translated.body).expect("JSON");
        chat["messages"].take()
    };
    let as_user = messages(InlineSystem::User);
    assert_eq!(as_user[0], json!({"role":"system","content":"first"}));
    // As in Messages.
    assert_eq!(
        as_user[2],
        json!({"role":"user","content":"<system-reminder>\nlater\n</system-reminder>"})
    );
    assert_eq!(
        messages(InlineSystem::Keep)[2],
        json!({"role":"system","content":"later"})
    );
    assert_eq!(
        messages(InlineSystem::Hoist),
        json!([{"role":"system","content":"first\n\nlater"},{"role":"user","content":"a"},{"role":"user","content":"b"}])
    );
}

#[test]
fn a_turn_of_the_assistant_is_one_message() {
    let messages = messages(&json!([
        {"role":"user","content":"x"},
        {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"why"}],"encrypted_content":null},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"so"}]},
        {"type":"function_call","call_id":"a","name":"f","arguments":"{\"q\": 1}"},
        {"type":"custom_tool_call","call_id":"b","name":"c","input":"free \"text\""},
        {"type":"function_call_output","call_id":"a","output":"one"},
        {"type":"custom_tool_call_output","call_id":"b","output":"two"},
    ]));
    assert_eq!(
        messages,
        json!([
            {"role":"user","content":"x"},
            {"role":"assistant","content":"so","reasoning_content":"why","tool_calls":[
                {"id":"a","type":"function","function":{"name":"f","arguments":"{\"q\": 1}"}},
                {"id":"b","type":"function","function":{"name":"c","arguments":"{\"input\":\"free \\\"text\\\"\"}"}},
            ]},
            {"role":"tool","tool_call_id":"a","content":"one"},
            {"role":"tool","tool_call_id":"b","content":"two"},
        ])
    );
}

#[test]
fn pictures_of_tools_follow_all_outputs_in_a_users_message() {
    let picture = json!({"type":"input_image","image_url":"data:image/png;base64,AA=="});
    let messages = messages(&json!([
        {"type":"function_call","call_id":"a","name":"view_image","arguments":"{}"},
        {"type":"function_call","call_id":"b","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"a","output":[picture]},
        {"type":"function_call_output","call_id":"b","output":[{"type":"input_text","text":"two"}]},
        {"role":"user","content":"and?"},
    ]));
    assert_eq!(messages[1]["role"], "tool");
    assert!(
        messages[1]["content"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert_eq!(
        messages[2],
        json!({"role":"tool","tool_call_id":"b","content":"two"})
    );
    assert_eq!(
        messages[3],
        json!({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]})
    );
    assert_eq!(messages[4], json!({"role":"user","content":"and?"}));
}

#[test]
fn pictures_of_tools_come_before_what_the_assistant_says_of_them() {
    let messages = messages(&json!([
        {"type":"function_call","call_id":"a","name":"view_image","arguments":"{}"},
        {"type":"function_call_output","call_id":"a","output":[{"type":"input_image","image_url":"data:,"}]},
        {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"I see"}]},
        {"role":"assistant","content":"a cat"},
        {"type":"function_call","call_id":"b","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"b","output":"y"},
    ]));
    let roles: Vec<&Value> = (0..5).map(|at| &messages[at]["role"]).collect();
    assert_eq!(
        json!(roles),
        json!(["assistant", "tool", "user", "assistant", "tool"])
    );
    assert_eq!(messages[3]["reasoning_content"], "I see");
    assert_eq!(messages[3]["tool_calls"][0]["id"], "b");
}

#[test]
fn reasoning_that_led_to_nothing_is_left_out() {
    let messages = messages(&json!([
        {"role":"user","content":"x"},
        {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
        {"role":"user","content":"y"},
        {"role":"assistant","content":"so"},
    ]));
    assert_eq!(
        messages,
        json!([{"role":"user","content":"x"},{"role":"user","content":"y"},{"role":"assistant","content":"so"}])
    );
}

#[test]
fn broken_arguments_of_the_past_become_an_empty_object() {
    for arguments in [
        json!("{\"q\":"),
        json!("[1]"),
        json!(""),
        json!(null),
        json!(7),
    ] {
        let messages = messages(
            &json!([{"type":"function_call","call_id":"a","name":"f","arguments":arguments}]),
        );
        assert_eq!(
            messages[0]["tool_calls"][0]["function"]["arguments"], "{}",
            "{arguments}"
        );
    }
}

#[test]
fn items_of_the_past_never_fail_a_request() {
    let messages = messages(&json!([
        {"role":"user","content":"x"},
        {"type":"reasoning","summary":[],"encrypted_content":"gAAAAABforeign"},
        {"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search"}},
        {"type":"compaction","encrypted_content":"x"},
        {"type":"mcp_call","id":"mcp_1"},
        {"type":"tool_search_call"},
        {"type":"unheard_of"},
        {"type":"function_call","call_id":"a"},
        {"type":7},
        7, null, "text", [],
        {"role":"unheard_of","content":"y"},
        {"role":"assistant","content":null},
        {},
    ]));
    assert_eq!(
        messages,
        json!([{"role":"user","content":"x"},{"role":"user","content":"y"}])
    );
}

#[test]
fn calls_of_built_in_tools_in_the_past_are_calls_of_functions() {
    let messages = messages(&json!([
        {"type":"local_shell_call","call_id":"a","action":{"type":"exec","command":["ls"]}},
        {"type":"local_shell_call_output","call_id":"a","output":"x"},
        {"type":"apply_patch_call","call_id":"b","operation":{"type":"delete_file"}},
        {"type":"apply_patch_call_output","call_id":"b","output":"y"},
        {"type":"shell_call","call_id":"c","action":{"commands":["ls"]}},
        {"type":"shell_call_output","call_id":"c","output":[{"stdout":"z","stderr":""}]},
    ]));
    let names: Vec<&Value> = [0, 2, 4]
        .iter()
        .map(|at| &messages[*at]["tool_calls"][0]["function"]["name"])
        .collect();
    assert_eq!(json!(names), json!(["local_shell", "apply_patch", "shell"]));
    let output = messages[5]["content"].as_str().expect("text");
    assert_eq!(
        serde_json::from_str::<Value>(output).expect("JSON"),
        json!([{"stdout":"z","stderr":""}])
    );
}

#[test]
fn text_that_was_cut_in_a_surrogate_pair_is_served() {
    let body = br#"{"model":"m","instructions":"a\ud83d","input":[{"role":"user","content":"cut \ud83d"}]}"#;
    let translated = responses::translate(body, &settings(), MOMENT).expect("served");
    let chat: Value = serde_json::from_slice(&translated.body).expect("JSON");
    assert_eq!(chat["messages"][0]["content"], "a\u{fffd}");
    assert_eq!(chat["messages"][1]["content"], "cut \u{fffd}");
}

#[test]
fn what_needs_a_store_is_refused() {
    let (status, code, param) = refused(&with("previous_response_id", json!("resp_1")));
    assert_eq!(
        (status, code.as_str(), param.as_deref()),
        (
            404,
            "previous_response_not_found",
            Some("previous_response_id")
        )
    );
    for (name, value) in [
        ("background", json!(true)),
        ("prompt", json!({"id":"pmpt_1"})),
        ("conversation", json!("conv_1")),
    ] {
        let (status, _, param) = refused(&with(name, value));
        assert_eq!((status, param.as_deref()), (400, Some(name)));
    }
    let (status, _, param) = refused(&json!({"input":[{"type":"item_reference","id":"msg_1"}]}));
    assert_eq!((status, param.as_deref()), (400, Some("input[0]")));
    // What asks for nothing is served.
    for (name, value) in [
        ("background", json!(false)),
        ("prompt", Value::Null),
        ("conversation", Value::Null),
        ("previous_response_id", Value::Null),
    ] {
        translated(&with(name, value));
    }
}

#[test]
fn members_of_a_wrong_type_are_named() {
    for (name, value) in [
        ("model", json!(7)),
        ("stream", json!("yes")),
        ("temperature", json!("hot")),
        ("max_output_tokens", json!(-1)),
        ("max_output_tokens", json!(0)),
        ("tools", json!({})),
        ("tools", json!([7])),
        ("tool_choice", json!("sometimes")),
        ("tool_choice", json!({})),
        ("text", json!("short")),
        ("reasoning", json!(7)),
        ("include", json!("all")),
        ("input", json!(7)),
        ("input", json!(null)),
        ("input", json!([])),
        ("instructions", json!(["a"])),
    ] {
        let (status, _, param) = refused(&with(name, value.clone()));
        assert_eq!((status, param.as_deref()), (400, Some(name)), "{value}");
    }
    for (name, value, path) in [
        ("tools", json!([{"type":"function"}]), "tools[0].name"),
        (
            "tools",
            json!([{"type":"namespace","name":"n","tools":[{"type":"custom"}]}]),
            "tools[0].tools[0].name",
        ),
        ("text", json!({"format":{"type":"grammar"}}), "text.format"),
        (
            "text",
            json!({"format":{"type":"json_schema","name":"x"}}),
            "text.format.schema",
        ),
        ("reasoning", json!({"effort":7}), "reasoning.effort"),
    ] {
        let (status, _, param) = refused(&with(name, value));
        assert_eq!((status, param.as_deref()), (400, Some(path)));
    }
    for body in ["", "7", "[]", "{", "{\"input\":\"\u{1}\"}"] {
        let error = responses::translate(body.as_bytes(), &settings(), MOMENT)
            .err()
            .expect(body);
        assert_eq!(error.status, 400);
    }
}

#[test]
fn unknown_members_are_ignored() {
    let request = json!({"input":"x","context_management":[{"type":"compaction"}],"unheard_of":{"a":[1]},"stream_options":{"include_obfuscation":false},"moderation":null});
    assert_eq!(
        chat(&request),
        json!({"model":"default/model","stream":false,"messages":[{"role":"user","content":"x"}]})
    );
}

#[test]
fn a_stream_asks_for_counts() {
    let chat = chat(&with("stream", json!(true)));
    assert_eq!(chat["stream"], true);
    assert_eq!(chat["stream_options"], json!({"include_usage":true}));
}

#[test]
fn sampling_is_passed_on() {
    let chat = chat(
        &json!({"input":"x","temperature":0.2,"top_p":0.9,"presence_penalty":0.5,"frequency_penalty":-0.5,"max_output_tokens":100}),
    );
    for (name, value) in [
        ("temperature", json!(0.2)),
        ("top_p", json!(0.9)),
        ("presence_penalty", json!(0.5)),
        ("frequency_penalty", json!(-0.5)),
        ("max_tokens", json!(100)),
        ("max_completion_tokens", json!(100)),
    ] {
        assert_eq!(chat[name], value, "{name}");
    }
}

#[test]
fn more_tokens_than_the_model_has_are_not_asked_for() {
    let settings = Settings {
        max_model_len: Some(4_096),
        ..settings()
    };
    let request = json!({"input":"word ".repeat(400),"max_output_tokens":32_000,"tools":[{"type":"function","name":"f"}]});
    let translated = translate(&request, &settings).expect("served");
    let chat: Value = serde_json::from_slice(&translated.body).expect("JSON");
    let most = chat["max_tokens"].as_u64().expect("a number");
    assert!((3_000..3_500).contains(&most), "{most}");
    assert_eq!(chat["max_completion_tokens"], most);
    assert_eq!(chat["tools"][0]["function"]["name"], "f");
    // The response repeats what was asked for.
    let body = translated
        .answer
        .whole(br#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#)
        .expect("a completion");
    let response: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(response["max_output_tokens"], 32_000);
}

#[test]
fn efforts_become_those_that_every_server_knows() {
    for (effort, expected) in [
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "high"),
        ("none", "none"),
    ] {
        let chat = chat(&with("reasoning", json!({"effort":effort})));
        assert_eq!(chat["reasoning_effort"], expected, "{effort}");
        assert_eq!(
            chat.get("chat_template_kwargs"),
            (effort == "none")
                .then(|| json!({"enable_thinking":false,"thinking":false}))
                .as_ref()
        );
    }
}

#[test]
fn the_cache_is_separated_where_a_salt_is_set() {
    let settings = Settings {
        cache_salt: Some("salt".into()),
        ..settings()
    };
    let request = json!({"input":"x","cache_salt":"of the application"});
    let translated = translate(&request, &settings).expect("served");
    let chat: Value = serde_json::from_slice(&translated.body).expect("JSON");
    assert_eq!(chat["cache_salt"], "salt");
}

#[test]
fn formats_of_the_answer_are_nested_and_schemas_keep_their_order() {
    let schema =
        r#"{"type":"object","properties":{"why":{"type":"string"},"answer":{"type":"number"}}}"#;
    let body = format!(
        r#"{{"input":"x","text":{{"format":{{"type":"json_schema","strict":true,"schema":{schema},"name":"codex_output_schema"}},"verbosity":"low"}}}}"#
    );
    let translated = responses::translate(body.as_bytes(), &settings(), MOMENT).expect("served");
    let chat = String::from_utf8(translated.body).expect("text");
    assert!(chat.contains(&format!(
        r#""response_format":{{"type":"json_schema","json_schema":{{"name":"codex_output_schema","schema":{schema},"strict":true}}}}"#
    )));
    assert_eq!(translated.dropped, ["text.verbosity"]);
    let format = |format: Value| self::chat(&with("text", json!({"format":format})));
    assert_eq!(
        format(json!({"type":"json_object"}))["response_format"],
        json!({"type":"json_object"})
    );
    assert!(
        format(json!({"type":"text"}))
            .get("response_format")
            .is_none()
    );
}
