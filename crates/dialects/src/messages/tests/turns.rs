//! Turns: system prompts, users, assistants.

use serde_json::json;

use super::*;
use crate::InlineSystem;

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
fn a_developer_is_a_system() {
    let request = talk(json!([{"role": "developer", "content": "d"}, user("a")]));
    assert_eq!(
        messages(&request)[0],
        json!({"role": "system", "content": "d"})
    );
}
