//! Tools and their choice.

use serde_json::json;

use super::*;

fn search() -> Value {
    json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 8})
}

fn read() -> Value {
    json!({"name": "Read", "input_schema": {"type": "object", "properties": {}}})
}

#[test]
fn a_tool_becomes_a_function_in_the_order_it_was_written() {
    let request = r#"{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"name":"f","description":"d","input_schema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"z":{"type":"string"},"a":{}},"required":["z"],"additionalProperties":false},"strict":true,"defer_loading":true,"cache_control":{"type":"ephemeral"},"eager_input_streaming":true,"allowed_callers":["direct"],"input_examples":[{}]}]}"#;
    let translated = translate(request.as_bytes(), &Settings::default(), MOMENT).expect("served");
    let body = String::from_utf8(translated.body).expect("UTF-8");
    assert!(
        body.ends_with(r#""tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{}},"required":["z"],"additionalProperties":false},"strict":true}}]}"#),
        "{body}"
    );
}

#[test]
fn a_tool_without_a_schema_takes_any_object() {
    let tools =
        |tool| chat(&with(json!({"tools": [tool]})))["tools"][0]["function"]["parameters"].clone();
    assert_eq!(
        tools(json!({"name": "f"})),
        json!({"type": "object", "properties": {}})
    );
    assert_eq!(
        tools(json!({"name": "f", "type": "custom", "input_schema": {"properties": {"a": {}}}})),
        json!({"properties": {"a": {}}, "type": "object"})
    );
}

#[test]
fn tools_that_the_application_runs_get_the_documented_schema() {
    let request = with(json!({"tools": [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 1000},
        {"type": "text_editor_20250124", "name": "str_replace_editor"},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "computer_20251124", "name": "computer", "display_width_px": 1280, "display_height_px": 800, "enable_zoom": true},
        {"type": "computer_20241022", "name": "old_computer", "display_width_px": 1, "display_height_px": 1},
    ]}));
    let translated = translated(&request);
    assert!(translated.dropped.is_empty());
    let tools = json_of(&translated.body)["tools"].clone();
    let function = |at: usize| tools[at]["function"].clone();
    let properties = |at: usize| -> Vec<String> {
        let properties = function(at)["parameters"]["properties"].clone();
        properties
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(
        (function(0)["name"].as_str(), properties(0)),
        (
            Some("bash"),
            vec!["command".to_owned(), "restart".to_owned()]
        )
    );
    assert_eq!(function(1)["name"], "str_replace_based_edit_tool");
    assert_eq!(
        function(1)["parameters"]["properties"]["command"]["enum"],
        json!(["view", "create", "str_replace", "insert"])
    );
    assert_eq!(
        function(1)["parameters"]["required"],
        json!(["command", "path"])
    );
    assert!(properties(1).contains(&"insert_text".to_owned()));
    assert_eq!(
        function(2)["parameters"]["properties"]["command"]["enum"][4],
        "undo_edit"
    );
    assert_eq!(
        function(3)["parameters"]["properties"]["command"]["enum"],
        json!([
            "view",
            "create",
            "str_replace",
            "insert",
            "delete",
            "rename"
        ])
    );
    assert!(
        function(4)["description"]
            .as_str()
            .is_some_and(|text| text.contains("1280") && text.contains("800"))
    );
    assert!(properties(4).contains(&"region".to_owned()));
    assert!(
        function(4)["parameters"]["properties"]["action"]["enum"]
            .to_string()
            .contains("zoom")
    );
    assert_eq!(properties(5), ["action", "coordinate", "text"]);
    assert!(
        !function(5)["parameters"]["properties"]["action"]["enum"]
            .to_string()
            .contains("wait")
    );
}

#[test]
fn tools_that_run_at_anthropics_servers_are_left_out_with_a_note() {
    let request = with(json!({"tools": [
        read(), search(), {"type": "web_fetch_20250910", "name": "web_fetch"}, {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}, {"type": "computer_toolset_20260801"},
        {"type": "mcp_toolset", "mcp_server_name": "n"}, {"type": "bash_of_tomorrow", "name": "bash"}, {"description": "nameless"},
    ]}));
    let translated = translated(&request);
    assert_eq!(
        translated.dropped,
        [
            "web_search_20250305",
            "web_fetch_20250910",
            "code_execution_20250825",
            "tool_search_tool_regex_20251119",
            "computer_toolset_20260801",
            "mcp_toolset",
            "bash_of_tomorrow",
            "a tool without a name",
        ]
    );
    let tools = json_of(&translated.body)["tools"].clone();
    assert_eq!(tools.as_array().map(Vec::len), Some(1));
    // One that says what it takes can be called, whatever its type.
    let typed = with(
        json!({"tools": [{"type": "of_tomorrow", "name": "f", "input_schema": {"type": "object"}}]}),
    );
    assert_eq!(chat(&typed)["tools"][0]["function"]["name"], "f");
}

#[test]
fn a_search_of_the_web_alone_is_refused_in_words() {
    let error = refused(&with(json!({"tools": [search()]})));
    assert_eq!((error.status, error.param.as_deref()), (400, Some("tools")));
    assert!(
        error
            .message
            .contains("web_search_20250305 runs at Anthropic's servers")
    );
    let forced = with(
        json!({"tools": [read(), search()], "tool_choice": {"type": "tool", "name": "web_search"}}),
    );
    let error = refused(&forced);
    assert_eq!(
        (error.status, error.param.as_deref()),
        (400, Some("tool_choice"))
    );
    assert!(error.message.contains("Anthropic's servers"));
    // Nothing would be called.
    let none = with(json!({"tools": [search()], "tool_choice": {"type": "none"}}));
    assert!(chat(&none).get("tools").is_none());
}

#[test]
fn a_choice_that_cannot_be_met_is_refused() {
    for tools in [json!([]), json!([read()])] {
        let request =
            with(json!({"tools": tools, "tool_choice": {"type": "tool", "name": "Write"}}));
        assert_eq!(refused(&request).param.as_deref(), Some("tool_choice"));
    }
    let error = refused(&with(json!({"tool_choice": {"type": "any"}})));
    assert_eq!(error.param.as_deref(), Some("tool_choice"));
}

#[test]
fn choices_are_mapped() {
    for (choice, expected) in [
        (json!({"type": "auto"}), json!("auto")),
        (json!({"type": "any"}), json!("required")),
        (json!({"type": "none"}), json!("none")),
        (
            json!({"type": "tool", "name": "Read"}),
            json!({"type": "function", "function": {"name": "Read"}}),
        ),
        (json!({"type": "of_tomorrow"}), Value::Null),
    ] {
        let chat = chat(&with(json!({"tools": [read()], "tool_choice": choice})));
        assert_eq!(chat["tool_choice"], expected);
        assert!(chat.get("parallel_tool_calls").is_none());
    }
    let one = chat(&with(
        json!({"tools": [read()], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
    ));
    assert_eq!(one["parallel_tool_calls"], false);
    assert!(
        chat(&with(json!({"tool_choice": {"type": "auto"}})))
            .get("tool_choice")
            .is_none()
    );
}
