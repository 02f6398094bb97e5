//! A session of Codex: what it sends in a second turn, and what its tools become.

use super::*;

/// The second turn of a session: it has called tools in the first, one of which gave a picture.
fn second_turn() -> Value {
    json!({
        "model": "my/model",
        "input": [
            {"type":"message","role":"developer","content":[{"type":"input_text","text":"You are a coding agent."}]},
            {"type":"message","role":"developer","content":[{"type":"input_text","text":"<permissions>read-only</permissions>"}]},
            {"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>linux</environment_context>"}]},
            {"type":"message","role":"user","content":[{"type":"input_text","text":"what is in shot.png?"}]},
            {"type":"reasoning","summary":[{"type":"summary_text","text":"a summary"}],"content":[{"type":"reasoning_text","text":"I should look."}],"encrypted_content":"opaque"},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"I look at it."}],"phase":"commentary"},
            {"type":"function_call","name":"view_image","arguments":"{\"path\":\"shot.png\"}","call_id":"call_1"},
            {"type":"custom_tool_call","status":"completed","call_id":"call_2","name":"apply_patch","input":"*** Begin Patch\n*** End Patch"},
            {"type":"function_call","name":"wait_agent","namespace":"multi_agent_v1","arguments":"{}","call_id":"call_3"},
            {"type":"function_call_output","call_id":"call_1","output":[{"type":"input_image","image_url":"data:image/png;base64,AA=="}]},
            {"type":"custom_tool_call_output","call_id":"call_2","output":"Done"},
            {"type":"function_call_output","call_id":"call_3","output":"{\"status\":\"idle\"}"},
            {"type":"message","role":"user","content":[{"type":"input_text","text":"and now?"}]},
        ],
        "tools": [
            {"type":"function","name":"exec_command","description":"Runs a command.","strict":false,"parameters":
                {"type":"object","properties":{"cmd":{"type":"string"},"workdir":{"type":"string"}},"required":["cmd"],"additionalProperties":false}},
            {"type":"function","name":"view_image","description":"Shows an image.","strict":false,"parameters":{"type":"object","properties":{"path":{"type":"string"}}}},
            {"type":"custom","name":"apply_patch","description":"Edits files.","format":{"type":"grammar","syntax":"lark","definition":"start: begin hunk+ end"}},
            {"type":"namespace","name":"multi_agent_v1","description":"Agents.","tools":[
                {"type":"function","name":"spawn_agent","description":"Starts one.","strict":false,"parameters":{"type":"object","properties":{"task":{"type":"string"}}}},
                {"type":"function","name":"wait_agent","description":"Waits.","strict":false,"parameters":{"type":"object","properties":{}}}]},
            {"type":"web_search","external_web_access":false},
            {"type":"tool_search"},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": true,
        "reasoning": {"effort":"medium","summary":"auto"},
        "store": false,
        "stream": true,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199-thread",
        "text": {"verbosity":"medium"},
        "client_metadata": {"x-codex-installation-id":"i-1","workspace":"me/secret-project"},
    })
}

#[test]
fn a_second_turn_is_translated() {
    let translated = translated(&second_turn());
    assert!(translated.stream);
    assert_eq!(translated.model, "my/model");
    assert_eq!(
        translated.dropped,
        ["web_search", "tool_search", "text.verbosity"]
    );
    let text = String::from_utf8(translated.body.clone()).expect("text");
    for private in ["0199-thread", "i-1", "secret-project", "opaque"] {
        assert!(!text.contains(private), "{private}");
    }
    let chat: Value = serde_json::from_slice(&translated.body).expect("JSON");
    assert_eq!(
        chat["messages"],
        json!([
            {"role":"system","content":"You are a coding agent.\n\n<permissions>read-only</permissions>"},
            {"role":"user","content":"<environment_context>linux</environment_context>"},
            {"role":"user","content":"what is in shot.png?"},
            {"role":"assistant","content":"I look at it.","reasoning_content":"I should look.","tool_calls":[
                {"id":"call_1","type":"function","function":{"name":"view_image","arguments":"{\"path\":\"shot.png\"}"}},
                {"id":"call_2","type":"function","function":{"name":"apply_patch","arguments":"{\"input\":\"*** Begin Patch\\n*** End Patch\"}"}},
                {"id":"call_3","type":"function","function":{"name":"multi_agent_v1__wait_agent","arguments":"{}"}},
            ]},
            {"role":"tool","tool_call_id":"call_1","content":"[the picture follows in the next message]"},
            {"role":"tool","tool_call_id":"call_2","content":"Done"},
            {"role":"tool","tool_call_id":"call_3","content":"{\"status\":\"idle\"}"},
            {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},
            {"role":"user","content":"and now?"},
        ])
    );
    let names: Vec<&Value> = chat["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| &tool["function"]["name"])
        .collect();
    assert_eq!(
        json!(names),
        json!([
            "exec_command",
            "view_image",
            "apply_patch",
            "multi_agent_v1__spawn_agent",
            "multi_agent_v1__wait_agent"
        ])
    );
    let description = chat["tools"][2]["function"]["description"]
        .as_str()
        .expect("text");
    assert!(
        description.starts_with("Edits files.") && description.ends_with("start: begin hunk+ end")
    );
    assert_eq!(
        chat["tools"][2]["function"]["parameters"]["required"],
        json!(["input"])
    );
    assert_eq!(
        (&chat["tool_choice"], &chat["parallel_tool_calls"]),
        (&json!("auto"), &json!(true))
    );
    assert_eq!(chat["reasoning_effort"], "medium");
    assert_eq!(chat["stream_options"], json!({"include_usage":true}));
    assert!(chat.get("max_tokens").is_none());
}

#[test]
fn the_beginning_of_the_prompt_stays_the_same_over_turns() {
    let mut request = second_turn();
    let first = chat(&request)["messages"].take();
    let input = request["input"].as_array_mut().expect("input");
    input.push(json!({"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]}));
    input.push(json!({"type":"message","role":"developer","content":[{"type":"input_text","text":"a new rule"}]}));
    input.push(json!({"type":"message","role":"user","content":"go on"}));
    let second = chat(&request)["messages"].take();
    let (first, second) = (
        first.as_array().expect("list"),
        second.as_array().expect("list"),
    );
    assert_eq!(first, &second[..first.len()]);
}

#[test]
fn schemas_of_tools_keep_their_order() {
    let body = br#"{"input":"x","tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"string"}}}}]}"#;
    let translated = responses::translate(body, &settings(), MOMENT).expect("served");
    let text = String::from_utf8(translated.body).expect("text");
    assert!(text.contains(r#""parameters":{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"string"}}}"#));
}

#[test]
fn choices_of_tools_are_resolved() {
    let tools = json!([{"type":"function","name":"f"},{"type":"custom","name":"c"},
        {"type":"namespace","name":"n","tools":[{"type":"function","name":"g"}]},{"type":"web_search"}]);
    let choose = |choice: Value| chat(&json!({"input":"x","tools":tools,"tool_choice":choice}));
    for (choice, expected) in [
        (json!("auto"), json!("auto")),
        (json!("none"), json!("none")),
        (json!("required"), json!("required")),
        (
            json!({"type":"function","name":"f"}),
            json!({"type":"function","function":{"name":"f"}}),
        ),
        (
            json!({"type":"custom","name":"c"}),
            json!({"type":"function","function":{"name":"c"}}),
        ),
        (
            json!({"type":"function","name":"g","namespace":"n"}),
            json!({"type":"function","function":{"name":"n__g"}}),
        ),
        (json!({"type":"web_search"}), json!("auto")),
    ] {
        let chat = choose(choice);
        assert_eq!(chat["tool_choice"], expected);
        assert_eq!(chat["tools"].as_array().map(Vec::len), Some(3));
    }
    let chat = choose(
        json!({"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"},{"type":"web_search"}]}),
    );
    assert_eq!(chat["tool_choice"], "required");
    assert_eq!(chat["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(chat["tools"][0]["function"]["name"], "n__g");
    let chat =
        choose(json!({"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]}));
    assert!(chat.get("tools").is_none() && chat.get("tool_choice").is_none());
}

#[test]
fn a_call_that_cannot_be_made_is_not_asked_for() {
    let hosted = json!([{"type":"web_search"}]);
    for (tools, choice) in [
        (hosted.clone(), json!("required")),
        (hosted.clone(), json!({"type":"function","name":"f"})),
        (
            hosted.clone(),
            json!({"type":"allowed_tools","mode":"required","tools":[{"type":"web_search"}]}),
        ),
    ] {
        let (status, _, param) = refused(&json!({"input":"x","tools":tools,"tool_choice":choice}));
        assert_eq!((status, param.as_deref()), (400, Some("tool_choice")));
    }
    // Where nothing is asked for, nothing is said about tools at all.
    let chat =
        chat(&json!({"input":"x","tools":hosted,"tool_choice":"auto","parallel_tool_calls":true}));
    for name in ["tools", "tool_choice", "parallel_tool_calls"] {
        assert!(chat.get(name).is_none(), "{name}");
    }
}

#[test]
fn long_names_are_shortened_and_come_back() {
    let (namespace, name) = (
        "mcp__a_server_with_quite_a_long_name",
        "a_tool_with_quite_a_long_name_too",
    );
    let request = json!({"input":[
        {"role":"user","content":"x"},
        {"type":"function_call","call_id":"a","namespace":namespace,"name":name,"arguments":"{}"},
        {"type":"function_call_output","call_id":"a","output":"y"},
    ],"tools":[{"type":"namespace","name":namespace,"tools":[
        {"type":"function","name":name},{"type":"function","name":format!("{name}_2")}]}]});
    let chat = chat(&request);
    let flat: Vec<&str> = (0..2)
        .filter_map(|at| chat["tools"][at]["function"]["name"].as_str())
        .collect();
    assert_ne!(flat[0], flat[1]);
    for flat in &flat {
        assert_eq!(flat.len(), 64);
        assert!(flat.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    }
    assert_eq!(
        chat["messages"][1]["tool_calls"][0]["function"]["name"],
        flat[0]
    );
    let events = streamed(
        &request,
        &[
            call(json!({"index":0,"id":"b","function":{"name":flat[1],"arguments":"{}"}})),
            stop("tool_calls"),
        ],
    );
    let item = &last(&events)["output"][0];
    assert_eq!(
        (&item["namespace"], &item["name"]),
        (&json!(namespace), &json!(format!("{name}_2")))
    );
}

#[test]
fn names_that_would_be_the_same_differ_at_the_model_server() {
    let request = json!({"input":"x","tools":[{"type":"function","name":"n__g"},
        {"type":"namespace","name":"n","tools":[{"type":"function","name":"g"}]}]});
    let chat = chat(&request);
    assert_eq!(chat["tools"][0]["function"]["name"], "n__g");
    let other = chat["tools"][1]["function"]["name"]
        .as_str()
        .expect("a name");
    assert_ne!(other, "n__g");
    let events = streamed(
        &request,
        &[
            call(json!({"index":0,"id":"a","function":{"name":other,"arguments":"{}"}})),
            call(json!({"index":1,"id":"b","function":{"name":"n__g","arguments":"{}"}})),
            stop("tool_calls"),
        ],
    );
    let output = &last(&events)["output"];
    assert_eq!(
        (&output[0]["namespace"], &output[0]["name"]),
        (&json!("n"), &json!("g"))
    );
    assert_eq!(
        (output[1].get("namespace"), &output[1]["name"]),
        (None, &json!("n__g"))
    );
}

#[test]
fn tools_between_the_items_are_lifted() {
    let chat = chat(&json!({"input":[{"role":"user","content":"x"},
        {"type":"additional_tools","tools":[{"type":"function","name":"f"}]},
        {"type":"additional_tools","tools":7}]}));
    assert_eq!(chat["tools"][0]["function"]["name"], "f");
    assert_eq!(chat["messages"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_tool_that_is_given_twice_is_one_tool() {
    let chat = chat(&json!({"input":[{"role":"user","content":"x"},
        {"type":"additional_tools","tools":[{"type":"function","name":"f","description":"second"}]}],
        "tools":[{"type":"function","name":"f","description":"first"}]}));
    assert_eq!(chat["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(chat["tools"][0]["function"]["description"], "first");
}
