//! What each rule promises, by name.

mod answer;
mod arguments;
mod blocks;
mod count;
mod native;
mod properties;
mod replay;
mod request;
mod stream;
mod stream_calls;
mod tools;
mod turns;

use serde_json::{Value, json};

use super::translate;
use crate::{ApiError, Moment, Settings, Stream, Translated};

const MOMENT: Moment = Moment {
    unix: 1_790_000_000,
    seed: [0xab; 16],
};

/// A request with these members beside those that every request has.
fn with(members: Value) -> Value {
    let mut request = json!({
        "model": "model-a",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}],
    });
    for (name, value) in members.as_object().into_iter().flatten() {
        request[name] = value.clone();
    }
    request
}

/// A request with these messages.
fn talk(messages: Value) -> Value {
    with(json!({"messages": messages}))
}

fn translated(request: &Value) -> Translated {
    translated_with(request, &Settings::default())
}

fn translated_with(request: &Value, settings: &Settings) -> Translated {
    translate(request.to_string().as_bytes(), settings, MOMENT).expect("a request that is served")
}

fn refused(request: &Value) -> ApiError {
    match translate(request.to_string().as_bytes(), &Settings::default(), MOMENT) {
        Ok(_) => panic!("served: {request}"),
        Err(error) => error,
    }
}

/// The Chat request.
fn chat(request: &Value) -> Value {
    chat_with(request, &Settings::default())
}

fn chat_with(request: &Value, settings: &Settings) -> Value {
    json_of(&translated_with(request, settings).body)
}

/// The messages of the Chat request.
fn messages(request: &Value) -> Value {
    chat(request)["messages"].clone()
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// A message of the user.
fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// The whole answer to a completion.
fn whole(completion: &Value) -> Value {
    let answer = translated(&with(json!({}))).answer;
    let body = answer.whole(completion.to_string().as_bytes());
    json_of(&body.expect("an answer"))
}

/// A completion of one choice.
fn completion(message: Value, finish: &str) -> Value {
    json!({
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 10}},
    })
}

/// An event with this delta.
fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta}]})
}

/// An event with a fragment of a call.
fn call(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    delta(
        json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]}),
    )
}

/// An event that says why the model stopped.
fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// An event with counts alone.
fn counts(prompt: u64, cached: u64, answer: u64) -> Value {
    json!({"choices": [], "usage": {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "prompt_tokens_details": {"cached_tokens": cached},
    }})
}

fn new_stream() -> Box<dyn Stream> {
    translated(&with(json!({"stream": true}))).answer.stream()
}

/// The events that the application sees of a whole stream.
fn streamed(chunks: &[Value]) -> Vec<Value> {
    run(new_stream(), chunks)
}

fn run(mut stream: Box<dyn Stream>, chunks: &[Value]) -> Vec<Value> {
    let mut out = Vec::new();
    stream.begin(&mut out);
    for chunk in chunks {
        if let Err(error) = stream.event(&chunk.to_string(), &mut out) {
            stream.fail(&error, &mut out);
            return events(&out);
        }
    }
    stream.end(&mut out);
    events(&out)
}

/// Reads events, each of which must name its type twice.
fn events(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).expect("UTF-8");
    let mut events = Vec::new();
    for frame in text.split_terminator("\n\n") {
        let (head, data) = frame.split_once('\n').expect("two lines");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data"))
            .expect("JSON in one line");
        assert_eq!(head.strip_prefix("event: "), data["type"].as_str());
        events.push(data);
    }
    assert!(text.is_empty() || text.ends_with("\n\n"));
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect()
}

/// Puts a message together as clients do, and checks the order of events on the way.
fn accumulate(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut open: Option<(usize, String, bool)> = None;
    let mut over = false;
    for event in events {
        assert!(!over, "an event behind message_stop");
        let index = event["index"]
            .as_u64()
            .map(|index| usize::try_from(index).expect("an index"));
        match event["type"].as_str().expect("a type") {
            "ping" => {}
            "message_start" => {
                assert!(message.is_null());
                message = event["message"].clone();
                assert_eq!(message["content"], json!([]));
                assert!(message["stop_reason"].is_null());
            }
            "content_block_start" => {
                let content = message["content"].as_array_mut().expect("a message");
                assert_eq!(index, Some(content.len()));
                assert!(open.is_none(), "one block at a time");
                content.push(event["content_block"].clone());
                open = Some((content.len() - 1, String::new(), false));
            }
            "content_block_delta" => {
                let (at, input, signed) = open.as_mut().expect("an open block");
                assert_eq!(index, Some(*at));
                assert!(!*signed, "the signature is the last");
                let block = &mut message["content"][*at];
                let delta = &event["delta"];
                let mut add = |member: &str| {
                    let old = block[member].as_str().expect("text").to_owned();
                    let new = delta[member].as_str().expect("text");
                    assert!(!new.is_empty());
                    block[member] = (old + new).into();
                };
                match delta["type"].as_str().expect("a type") {
                    "text_delta" => add("text"),
                    "thinking_delta" => add("thinking"),
                    "signature_delta" => {
                        add("signature");
                        *signed = true;
                    }
                    "input_json_delta" => {
                        input.push_str(delta["partial_json"].as_str().expect("text"));
                    }
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                let (at, input, _) = open.take().expect("an open block");
                assert_eq!(index, Some(at));
                if !input.is_empty() {
                    let input: Value = serde_json::from_str(&input).expect("whole JSON");
                    assert!(input.is_object());
                    message["content"][at]["input"] = input;
                }
            }
            "message_delta" => {
                assert!(open.is_none());
                for (name, value) in event["delta"].as_object().expect("an object") {
                    message[name] = value.clone();
                }
                for (name, value) in event["usage"].as_object().expect("an object") {
                    message["usage"][name] = value.clone();
                }
            }
            "message_stop" => over = true,
            other => panic!("{other}"),
        }
    }
    assert!(over, "no message_stop: {events:?}");
    message
}
