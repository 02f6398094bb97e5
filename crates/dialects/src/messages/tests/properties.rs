//! What holds of any input.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::messages::{count_tokens, native, tokenize};

/// What a model says.
#[derive(Debug, Clone)]
struct Said {
    reasoning: String,
    content: String,
    calls: Vec<(String, String, String)>,
    finish: &'static str,
    counted: bool,
}

fn said() -> impl Strategy<Value = Said> {
    let arguments = prop_oneof![
        4 => json_object().prop_map(|value| value.to_string()),
        1 => Just("{}".to_owned()),
        1 => Just(String::new()),
        // Faulty, or cut off.
        1 => "[{}\\[\\]a\":, 1nul\\\\]{0,20}",
        1 => (json_object(), any::<prop::sample::Index>()).prop_map(|(value, at)| {
            let text = value.to_string();
            text.chars().take(at.index(text.chars().count() + 1)).collect()
        }),
    ];
    let call = ("[a-zA-Z0-9_.:-]{1,12}", "[a-zA-Z_]{1,10}", arguments);
    (
        "[a-z é\n<>🙂]{0,20}",
        "[a-z é\n<>🙂]{0,20}",
        prop::collection::vec(call, 0..4),
        prop::sample::select(vec!["stop", "length", "tool_calls", "content_filter"]),
        any::<bool>(),
    )
        .prop_map(|(reasoning, content, calls, finish, counted)| Said {
            reasoning,
            content,
            calls: calls
                .into_iter()
                .enumerate()
                .map(|(at, (id, name, arguments))| (format!("{id}{at}"), name, arguments))
                .collect(),
            finish,
            counted,
        })
}

fn json_object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\{},:é🙂\n]{0,12}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z\"]{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::vec(("[a-z\",}]{0,5}", value), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

impl Said {
    fn usage(&self) -> Value {
        if self.counted {
            json!({"prompt_tokens": 50, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 20}})
        } else {
            Value::Null
        }
    }

    fn message(&self) -> Value {
        let calls: Vec<Value> = self
            .calls
            .iter()
            .map(|(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
            .collect();
        json!({"role": "assistant", "content": self.content, "reasoning_content": self.reasoning, "tool_calls": calls})
    }

    fn completion(&self) -> Value {
        json!({"choices": [{"index": 0, "message": self.message(), "finish_reason": self.finish}], "usage": self.usage()})
    }

    /// Deltas of one kind after the other, each cut at the given places.
    fn deltas(&self, cuts: &[usize]) -> Vec<Value> {
        let mut deltas = vec![json!({"role": "assistant", "content": ""})];
        deltas.extend(cut(&self.reasoning, cuts).map(|piece| json!({"reasoning_content": piece})));
        deltas.extend(cut(&self.content, cuts).map(|piece| json!({"content": piece})));
        for (index, (id, name, arguments)) in self.calls.iter().enumerate() {
            deltas.push(json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]}));
            deltas.extend(cut(arguments, cuts).map(
                |piece| json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}),
            ));
        }
        deltas
    }

    fn chunks(&self, deltas: Vec<Value>) -> Vec<Value> {
        let mut chunks: Vec<Value> = deltas.into_iter().map(delta).collect();
        chunks.push(finish(self.finish));
        chunks.push(json!({"choices": [], "usage": self.usage()}));
        chunks
    }
}

/// A text in pieces of the given lengths, again and again.
fn cut<'a>(text: &'a str, lengths: &'a [usize]) -> impl Iterator<Item = String> + 'a {
    let mut characters = text.chars().peekable();
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        characters.peek()?;
        let length = lengths.next().copied().unwrap_or(1);
        Some(characters.by_ref().take(length).collect())
    })
}

/// Texts and reasoning in one piece each, before the calls: what the order of arrival decides is left out.
fn normal(message: &Value) -> Value {
    let content = message["content"].as_array().expect("content");
    let joined = |kind: &str, member: &str| -> String {
        content
            .iter()
            .filter(|block| block["type"] == kind)
            .map(|block| block[member].as_str().expect("text"))
            .collect()
    };
    let calls: Vec<&Value> = content
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .collect();
    json!([
        joined("thinking", "thinking"),
        joined("text", "text"),
        calls,
        message["stop_reason"],
        message["usage"]
    ])
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "user",
        "assistant",
        "system",
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "base64",
        "content",
        "search_result",
        "tool",
        "any",
        "disabled",
        "enabled",
        "json_schema",
        "custom",
        "bash_20250124",
        "computer_20250124",
        "web_search_20250305",
        "x-anthropic-billing-header: a",
        "",
    ]);
    let key = prop::sample::select(vec![
        "role",
        "content",
        "type",
        "text",
        "source",
        "data",
        "id",
        "name",
        "input",
        "tool_use_id",
        "thinking",
        "is_error",
        "input_schema",
        "schema",
        "format",
        "effort",
        "budget_tokens",
        "title",
        "url",
        "media_type",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|members| Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_accumulates_to_the_whole_answer(said in said(), cuts in prop::collection::vec(1..7_usize, 1..5)) {
        let expected = whole(&said.completion());
        let events = streamed(&said.chunks(said.deltas(&cuts)));
        prop_assert_eq!(accumulate(&events), expected);
    }

    #[test]
    fn a_stream_in_any_order_has_the_same_parts(
        said in said(),
        cuts in prop::collection::vec(1..7_usize, 1..5),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        // Neighbours change places, unless they belong to the same text or call.
        let mut deltas = said.deltas(&cuts);
        let lane = |delta: &Value| {
            let call = delta["tool_calls"][0]["index"].as_u64();
            (delta["reasoning_content"].is_string(), delta["content"].is_string(), call)
        };
        // The first fragments of calls keep their order: it is the order of the calls.
        let first = |delta: &Value| delta["tool_calls"][0]["id"].is_string();
        for at in order {
            let at = at.index(deltas.len());
            let Some(pair) = deltas.get(at..at.saturating_add(2)) else { continue };
            if let [a, b] = pair && lane(a) != lane(b) && !(first(a) && first(b)) {
                deltas.swap(at, at + 1);
            }
        }
        let expected = whole(&said.completion());
        let message = accumulate(&streamed(&said.chunks(deltas)));
        prop_assert_eq!(normal(&message), normal(&expected));
    }

    #[test]
    fn an_answer_fed_back_is_what_the_model_said(said in said(), streaming in any::<bool>()) {
        let answer = if streaming {
            accumulate(&streamed(&said.chunks(said.deltas(&[3]))))
        } else {
            whole(&said.completion())
        };
        let next = talk(json!([
            {"role": "user", "content": "a"}, {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": "b"},
        ]));
        let back = &messages(&next)[1];
        prop_assert_eq!(back["content"].as_str(), Some(said.content.as_str()));
        prop_assert_eq!(back["reasoning_content"].as_str().unwrap_or_default(), said.reasoning.as_str());
        let calls = back["tool_calls"].as_array().cloned().unwrap_or_default();
        prop_assert_eq!(calls.len(), said.calls.len());
        for (back, (id, name, arguments)) in calls.iter().zip(&said.calls) {
            prop_assert_eq!(back["id"].as_str(), Some(id.as_str()));
            prop_assert_eq!(back["function"]["name"].as_str(), Some(name.as_str()));
            let text = back["function"]["arguments"].as_str().expect("text");
            let object: Value = serde_json::from_str(text).expect("templates read it");
            prop_assert!(object.is_object());
            if let Ok(said @ Value::Object(_)) = serde_json::from_str(arguments) {
                prop_assert_eq!(&object, &said);
                prop_assert_eq!(text, said.to_string(), "the order of members");
            }
        }
    }

    #[test]
    fn any_request_is_served_or_refused(
        messages in any_json(), system in any_json(), tools in any_json(), choice in any_json(), thinking in any_json(), output in any_json(),
        other in any_json(),
    ) {
        let request = json!({
            "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": messages}, messages], "system": system, "tools": [tools],
            "tool_choice": choice, "thinking": thinking, "output_config": output, "stop_sequences": other, "stream": other,
        });
        let settings = Settings { max_model_len: Some(100), ..Settings::default() };
        for body in [request.to_string(), messages.to_string(), json!({"model": "m", "messages": messages}).to_string()] {
            let body = body.as_bytes();
            if let Ok(translated) = translate(body, &settings, MOMENT) {
                prop_assert!(json_of(&translated.body).is_object());
            }
            if let Ok(native) = native(body, &settings) {
                prop_assert!(json_of(&native.body).is_object());
            }
            let _ = (count_tokens(body, &settings), tokenize(body, &settings));
        }
    }

    #[test]
    fn any_event_is_taken_or_refused(events in prop::collection::vec(any_json(), 0..6), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut stream = new_stream();
        let mut out = Vec::new();
        for event in &events {
            let chunk = json!({"choices": [{"delta": event, "finish_reason": "stop"}]});
            for data in [event.to_string(), chunk.to_string()] {
                let _ = stream.event(&data, &mut out);
            }
        }
        stream.end(&mut out);
        super::events(&out);
        let answer = translated(&with(json!({}))).answer;
        let _ = answer.whole(&bytes);
        let _ = translate(&bytes, &Settings::default(), MOMENT);
    }
}
