//! What comes back with the next request.

use serde_json::json;

use super::*;

#[test]
fn an_answer_comes_back_to_the_model_as_it_was() {
    let said = json!({"role": "assistant", "reasoning_content": "why", "content": "so", "tool_calls": [
        {"id": "functions.Read:0", "type": "function", "function": {"name": "Read", "arguments": "{\"path\":\"z\",\"limit\":3}"}},
        {"id": "functions.Read:1", "type": "function", "function": {"name": "Read", "arguments": "{}"}},
    ]});
    let answer = whole(&completion(said.clone(), "tool_calls"));
    let next = talk(
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": "b"}]),
    );
    let mut back = messages(&next)[1].clone();
    let mut expected = said;
    // The order of members is of no account.
    for message in [&mut back, &mut expected] {
        message.as_object_mut().expect("an object").sort_keys();
    }
    assert_eq!(back, expected);
}

#[test]
fn the_beginning_of_the_prompt_does_not_change_with_the_next_turn() {
    let turns = [
        json!({"role": "user", "content": "a"}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "b"}]}),
        json!({"role": "system", "content": "the date has changed"}),
        json!({"role": "user", "content": "c"}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "d"}]}),
        json!({"role": "user", "content": "e"}),
    ];
    let request = |count: usize, version: &str| {
        let billing = format!("x-anthropic-billing-header: cc_version={version}");
        with(
            json!({"system": [{"type": "text", "text": billing}, {"type": "text", "text": "s"}], "messages": turns[..count]}),
        )
    };
    let before = messages(&request(4, "2.1.197.1"));
    let after = messages(&request(6, "2.1.197.2"));
    let before = before.as_array().expect("messages");
    assert_eq!(
        after.as_array().and_then(|after| after.get(..before.len())),
        Some(before.as_slice())
    );
}
