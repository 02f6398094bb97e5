//! OpenAI Responses over Chat Completions: requests as Codex and the SDKs send them, and the answers they get.

#[path = "responses/answers.rs"]
mod answers;
#[path = "responses/codex.rs"]
mod codex;
#[path = "responses/counts.rs"]
mod counts;
#[path = "responses/failures.rs"]
mod failures;
#[path = "responses/native.rs"]
mod native;
#[path = "responses/properties.rs"]
mod properties;
#[path = "responses/requests.rs"]
mod requests;

use sealwire_dialects::{ApiError, Moment, Settings, Translated, responses};
use serde_json::{Value, json};

const MOMENT: Moment = Moment {
    unix: 1_800_000_000,
    seed: [0xab; 16],
};

fn settings() -> Settings {
    Settings {
        default_model: Some("default/model".into()),
        ..Settings::default()
    }
}

fn translated(request: &Value) -> Translated {
    translate(request, &settings()).expect("a request that is served")
}

fn translate(request: &Value, settings: &Settings) -> Result<Translated, ApiError> {
    responses::translate(request.to_string().as_bytes(), settings, MOMENT)
}

/// The Chat request for a request.
fn chat(request: &Value) -> Value {
    serde_json::from_slice(&translated(request).body).expect("JSON")
}

/// The Chat messages for an input.
fn messages(input: &Value) -> Value {
    chat(&json!({"input": input}))["messages"].take()
}

/// A request with one member set.
fn with(name: &str, value: Value) -> Value {
    let mut request = json!({"input": "hello"});
    request[name] = value;
    request
}

/// The error that a request gives.
fn refused(request: &Value) -> (u16, String, Option<String>) {
    let error = translate(request, &settings())
        .err()
        .unwrap_or_else(|| panic!("served: {request}"));
    (error.status, error.code, error.param.map(String::from))
}

/// The events of a streamed answer that ends as it should.
fn streamed(request: &Value, chunks: &[Value]) -> Vec<Value> {
    streamed_with(request, &settings(), chunks)
}

fn streamed_with(request: &Value, settings: &Settings, chunks: &[Value]) -> Vec<Value> {
    let translated = translate(request, settings).expect("a request that is served");
    let mut stream = translated.answer.stream();
    let mut out = Vec::new();
    stream.begin(&mut out);
    for chunk in chunks {
        stream
            .event(&chunk.to_string(), &mut out)
            .expect("an event");
    }
    stream.end(&mut out);
    events(&out)
}

/// The whole answer for a completion.
fn whole(request: &Value, completion: &Value) -> Value {
    whole_with(request, &settings(), completion)
}

fn whole_with(request: &Value, settings: &Settings, completion: &Value) -> Value {
    let translated = translate(request, settings).expect("a request that is served");
    let body = translated
        .answer
        .whole(completion.to_string().as_bytes())
        .expect("a completion");
    serde_json::from_slice(&body).expect("JSON")
}

/// Reads server-sent events; checks what holds of every stream: a name that is the type, numbers in order.
fn events(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("text");
    assert!(text.is_empty() || text.ends_with("\n\n"));
    let mut events = Vec::new();
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').expect("two lines");
        let name = name.strip_prefix("event: ").expect("a name");
        let data = data.strip_prefix("data: ").expect("data");
        let value: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(value["type"], name);
        assert_eq!(value["sequence_number"], events.len());
        events.push(value);
    }
    events
}

/// The types of events, `response.` left out and deltas in a row as one.
fn kinds(events: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str()?.strip_prefix("response."))
        .collect();
    kinds.dedup_by(|one, other| one == other && one.ends_with(".delta"));
    kinds
}

/// The response object of the last event.
fn last(events: &[Value]) -> &Value {
    &events.last().expect("an event")["response"]
}

/// All deltas of a type, together.
fn deltas(events: &[Value], kind: &str) -> String {
    events
        .iter()
        .filter(|event| event["type"] == kind)
        .filter_map(|event| event["delta"].as_str())
        .collect()
}

/// A chunk with a delta.
fn chunk(delta: Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]})
}

fn text(text: &str) -> Value {
    chunk(json!({"content": text}))
}

fn call(fragment: Value) -> Value {
    chunk(json!({"tool_calls": [fragment]}))
}

/// A chunk that says why the model stopped.
fn stop(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The chunk of counts, as vLLM ends a stream.
fn usage() -> Value {
    json!({"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42,
        "prompt_tokens_details": {"cached_tokens": 16}, "completion_tokens_details": {"reasoning_tokens": 5}}})
}
