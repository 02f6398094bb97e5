//! What holds of every answer and every request.

use proptest::prelude::*;

use super::*;

/// What the model says: reasoning, text, and calls with their arguments.
#[derive(Debug, Clone)]
struct Answer {
    reasoning: String,
    text: String,
    refusal: String,
    calls: Vec<(&'static str, String)>,
    reason: &'static str,
}

fn answers() -> impl Strategy<Value = Answer> {
    let words = || prop_oneof![Just(String::new()), "[ \n]{0,3}[a-z<>/\"é😀 \n]{0,20}"];
    let call = prop_oneof![
        ("[a-zé\"\\\\ ]{0,9}").prop_map(|value| ("f", json!({"q": value}).to_string())),
        any::<String>().prop_map(|value| ("c", json!({"input": value}).to_string())),
        Just(("n__g", String::new())),
        "[a-z{}\"\\\\]{0,9}".prop_map(|value| ("c", value)),
    ];
    (
        words(),
        words(),
        prop_oneof![4 => Just(String::new()), 1 => "[a-z]{1,9}"],
        proptest::collection::vec(call, 0..4),
        prop_oneof![Just("stop"), Just("tool_calls"), Just("length")],
    )
        .prop_map(|(reasoning, text, refusal, calls, reason)| Answer {
            reasoning,
            text,
            refusal,
            calls,
            reason,
        })
}

fn request() -> Value {
    json!({"input":"x","include":["reasoning.encrypted_content"],"tools":[{"type":"function","name":"f"},{"type":"custom","name":"c"},
        {"type":"namespace","name":"n","tools":[{"type":"function","name":"g"}]}]})
}

/// The answer in chunks, cut after the given numbers of letters.
fn chunks(answer: &Answer, cuts: &[usize]) -> Vec<Value> {
    let mut lengths = cuts.iter().copied().cycle();
    let mut cut = |text: &str| {
        let letters: Vec<char> = text.chars().collect();
        let (mut pieces, mut rest) = (Vec::new(), letters.as_slice());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
            pieces.push(piece.iter().collect::<String>());
            rest = behind;
        }
        pieces
    };
    let mut chunks = vec![chunk(json!({"role":"assistant","content":""}))];
    for piece in cut(&answer.reasoning) {
        chunks.push(chunk(json!({"reasoning_content":piece})));
    }
    for piece in cut(&answer.text) {
        chunks.push(text(&piece));
    }
    for piece in cut(&answer.refusal) {
        chunks.push(chunk(json!({"refusal":piece})));
    }
    for (index, (name, arguments)) in answer.calls.iter().enumerate() {
        chunks.push(call(json!({"index":index,"id":format!("call_{index}"),"function":{"name":name,"arguments":""}})));
        for piece in cut(arguments) {
            chunks.push(call(json!({"index":index,"function":{"arguments":piece}})));
        }
    }
    chunks.push(stop(answer.reason));
    chunks.push(usage());
    chunks
}

fn completion(answer: &Answer) -> Value {
    let calls: Vec<Value> = answer
        .calls
        .iter()
        .enumerate()
        .map(|(index, (name, arguments))| {
            json!({"id":format!("call_{index}"),"type":"function","function":{"name":name,"arguments":arguments}})
        })
        .collect();
    json!({
        "choices":[{"index":0,"finish_reason":answer.reason,"message":{"role":"assistant","content":answer.text,
            "refusal":answer.refusal,"reasoning_content":answer.reasoning,"tool_calls":calls}}],
        "usage": usage()["usage"],
    })
}

/// What an application knows that only adds up deltas.
fn accumulated(events: &[Value]) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for event in events {
        if event["type"] == "response.output_item.added" {
            items.push(String::new());
        }
        if let Some(delta) = event["delta"].as_str() {
            let index = event["output_index"]
                .as_u64()
                .and_then(|i| usize::try_from(i).ok());
            items[index.expect("an index")].push_str(delta);
        }
    }
    items
}

/// All text of an item.
fn text_of(item: &Value) -> String {
    let parts = |name: &str| item[name].as_array().cloned().unwrap_or_default();
    let mut text: String = parts("content")
        .iter()
        .filter_map(|part| part["text"].as_str().or(part["refusal"].as_str()))
        .collect();
    for name in ["arguments", "input"] {
        text.push_str(item[name].as_str().unwrap_or_default());
    }
    text
}

proptest! {
    #[test]
    fn a_streamed_answer_ends_as_the_whole_one(
        answer in answers(),
        cuts in proptest::collection::vec(1_usize..6, 1..6),
        split_think in any::<bool>(),
    ) {
        let settings = Settings { split_think, ..settings() };
        let whole = whole_with(&request(), &settings, &completion(&answer));
        let events = streamed_with(&request(), &settings, &chunks(&answer, &cuts));
        prop_assert_eq!(last(&events), &whole);
        let texts: Vec<String> = whole["output"].as_array().expect("output").iter().map(text_of).collect();
        prop_assert_eq!(accumulated(&events), texts);
    }

    #[test]
    fn output_that_comes_back_is_what_the_model_said(answer in answers()) {
        let output = whole(&request(), &completion(&answer))["output"].take();
        let mut again = request();
        again["input"] = output;
        let first = translate(&again, &settings());
        let said: Vec<&(&str, String)> = answer.calls.iter().collect();
        let message = match first {
            Ok(translated) => {
                let chat: Value = serde_json::from_slice(&translated.body).expect("JSON");
                prop_assert_eq!(chat["messages"].as_array().map(Vec::len), Some(1));
                chat["messages"][0].clone()
            }
            // Nothing was said.
            Err(error) => {
                prop_assert_eq!(error.param.as_deref(), Some("input"));
                prop_assert!(said.is_empty());
                return Ok(());
            }
        };
        if !answer.text.trim().is_empty() && answer.refusal.is_empty() {
            prop_assert_eq!(&message["content"], &json!(answer.text));
        }
        if !answer.reasoning.is_empty() {
            prop_assert_eq!(&message["reasoning_content"], &json!(answer.reasoning));
        }
        for (at, (name, arguments)) in said.into_iter().enumerate() {
            let call = &message["tool_calls"][at];
            prop_assert_eq!(&call["id"], &json!(format!("call_{at}")));
            prop_assert_eq!(&call["function"]["name"], &json!(name));
            let replayed: Value = serde_json::from_str(call["function"]["arguments"].as_str().expect("text")).expect("JSON");
            prop_assert!(replayed.is_object());
            if let Ok(said @ Value::Object(_)) = serde_json::from_str::<Value>(arguments)
                && (*name != "c" || said["input"].is_string())
            {
                prop_assert_eq!(replayed, said);
            }
        }
        // What was read from history gives the same again: nothing drifts over turns.
        let second: Value = serde_json::from_slice(&translate(&again, &settings()).expect("served").body).expect("JSON");
        prop_assert_eq!(&second["messages"][0], &message);
    }

    #[test]
    fn no_request_ends_in_a_panic(request in anything()) {
        let body = request.to_string();
        let _ = responses::native(body.as_bytes(), &settings());
        if let Ok(translated) = responses::translate(body.as_bytes(), &settings(), MOMENT) {
            let chat: Value = serde_json::from_slice(&translated.body).expect("JSON");
            prop_assert!(chat["messages"].as_array().is_some_and(|messages| !messages.is_empty()));
        }
    }

    #[test]
    fn no_answer_ends_in_a_panic(data in proptest::collection::vec(anything_of_a_chunk(), 0..6)) {
        let translated = translated(&request());
        let mut stream = translated.answer.stream();
        let mut out = Vec::new();
        stream.begin(&mut out);
        for data in &data {
            let _ = translated.answer.whole(data.to_string().as_bytes());
            let _ = stream.event(&data.to_string(), &mut out);
            stream.keep_alive(&mut out);
        }
        stream.end(&mut out);
        let events = events(&out);
        prop_assert!(matches!(kinds(&events).last(), Some(&("completed" | "incomplete" | "failed"))));
    }

    #[test]
    fn no_bytes_end_in_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = responses::translate(&bytes, &settings(), MOMENT);
        let _ = responses::native(&bytes, &settings());
    }
}

/// Names and words that the translation looks for.
fn words(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn tree(
    names: &'static [&'static str],
    texts: &'static [&'static str],
) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => (0..3_i64).prop_map(Value::from),
        4 => words(texts).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => proptest::collection::btree_map(words(names), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn anything() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "type",
        "role",
        "content",
        "text",
        "name",
        "namespace",
        "tools",
        "arguments",
        "input",
        "output",
        "call_id",
        "format",
        "parameters",
        "function",
        "image_url",
        "summary",
        "encrypted_content",
        "mode",
        "schema",
        "effort",
        "action",
    ];
    const TEXTS: &[&str] = &[
        "message",
        "user",
        "assistant",
        "developer",
        "function",
        "custom",
        "namespace",
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "reasoning",
        "additional_tools",
        "input_text",
        "input_image",
        "allowed_tools",
        "required",
        "json_schema",
        "x",
        "",
        "{}",
        "sealwire-reasoning-v1.eA==",
        "web_search",
    ];
    let member =
        |name: &'static str| tree(NAMES, TEXTS).prop_map(move |value| (name.to_owned(), value));
    let input = prop_oneof![
        3 => proptest::collection::vec(tree(NAMES, TEXTS), 0..6).prop_map(Value::from),
        1 => tree(NAMES, TEXTS),
    ];
    let tools = proptest::collection::vec(tree(NAMES, TEXTS), 0..3).prop_map(Value::from);
    (
        input,
        proptest::option::of(tools),
        proptest::collection::vec(
            prop_oneof![
                member("tool_choice"),
                member("text"),
                member("reasoning"),
                member("instructions"),
                member("include")
            ],
            0..2,
        ),
    )
        .prop_map(|(input, tools, others)| {
            let mut request = json!({"input": input});
            if let Some(tools) = tools {
                request["tools"] = tools;
            }
            for (name, value) in others {
                request[name] = value;
            }
            request
        })
}

fn anything_of_a_chunk() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "delta",
        "message",
        "content",
        "refusal",
        "reasoning",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "index",
        "id",
        "finish_reason",
        "logprobs",
        "token",
        "usage",
    ];
    const TEXTS: &[&str] = &[
        "f",
        "c",
        "n__g",
        "{}",
        "{\"input\":\"",
        "\\ud83d",
        "\"}",
        "stop",
        "length",
        "abort",
        " ",
        "x",
        "",
    ];
    let fragment = tree(NAMES, TEXTS);
    let calls = (0..3_u64, words(&["", "f", "c"]), words(TEXTS)).prop_map(|(index, name, arguments)| {
        json!([{"index":index,"function":{"name":name,"arguments":arguments}}])
    });
    prop_oneof![
        tree(NAMES, TEXTS),
        fragment.prop_map(|delta| json!({"choices":[{"delta":delta}]})),
        calls.prop_map(|calls| json!({"choices":[{"delta":{"tool_calls":calls}}]})),
        words(TEXTS).prop_map(|text| json!({"choices":[{"delta":{"content":text}}]})),
        words(TEXTS).prop_map(|reason| json!({"choices":[{"delta":{},"finish_reason":reason}]})),
    ]
}
