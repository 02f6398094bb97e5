//! Answers as JSON: whole ones, and the events of streamed ones.

use serde_json::{Map, Value, json};

use super::acts::{Act, Tokens};
use super::asked::{Asked, Dialect};
use super::script::Style;

/// What all events of an answer share, and its choices.
pub(super) struct Reply {
    pub(super) dialect: Dialect,
    pub(super) model: String,
    pub(super) created: u64,
    /// Tokens of the prompt, and those of them that were known.
    pub(super) prompt: (usize, usize),
    pub(super) choices: Vec<Tokens>,
    /// Alternatives of each token, if tokens are shown.
    pub(super) alternatives: Option<usize>,
}

impl Reply {
    pub(super) fn new(asked: &Asked, model: &str, created: u64, choices: Vec<Tokens>) -> Self {
        Self {
            dialect: asked.dialect,
            model: model.to_owned(),
            created,
            prompt: asked.prompt_tokens(),
            choices,
            alternatives: asked.alternatives(),
        }
    }

    /// The counts after so many tokens of the answer, so many of them thought.
    pub(super) fn usage(&self, tokens: usize, thoughts: usize) -> Value {
        let (prompt, cached) = self.prompt;
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": tokens,
            "total_tokens": prompt + tokens,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": thoughts},
        })
    }

    pub(super) fn all_usage(&self) -> Value {
        let sum = |count: fn(&Tokens) -> usize| self.choices.iter().map(count).sum();
        self.usage(sum(Tokens::count), sum(Tokens::thoughts))
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": "demo-1",
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    /// An event of the stream.
    pub(super) fn event(&self, choices: Value) -> Value {
        let object = match self.dialect {
            Dialect::Chat => "chat.completion.chunk",
            Dialect::Completion => "text_completion",
        };
        self.envelope(object, choices)
    }

    /// The body of an answer that is not streamed.
    pub(super) fn whole(&self) -> Value {
        let choices: Vec<Value> = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, tokens)| match self.dialect {
                Dialect::Chat => json!({
                    "index": index,
                    "message": message(tokens),
                    "logprobs": self.logprobs(tokens.acts.iter()),
                    "finish_reason": tokens.finish,
                    "stop_reason": tokens.stop,
                }),
                Dialect::Completion => json!({
                    "index": index,
                    "text": tokens.text(),
                    "logprobs": self.logprobs(tokens.acts.iter()),
                    "finish_reason": tokens.finish,
                    "stop_reason": tokens.stop,
                }),
            })
            .collect();
        let object = match self.dialect {
            Dialect::Chat => "chat.completion",
            Dialect::Completion => "text_completion",
        };
        let mut whole = self.envelope(object, choices.into());
        if let Some(whole) = whole.as_object_mut() {
            whole.insert("usage".to_owned(), self.all_usage());
        }
        whole
    }

    /// A choice of an event that holds one token; `None` for what is no token.
    pub(super) fn piece(&self, index: usize, act: &Act) -> Option<Value> {
        let delta = match act {
            Act::Text(text) | Act::Bytes(text) if self.dialect == Dialect::Completion => {
                return Some(json!({
                    "index": index,
                    "text": text,
                    "logprobs": self.logprobs([act]),
                    "finish_reason": null,
                }));
            }
            Act::Text(text) | Act::Bytes(text) => json!({"content": text}),
            Act::Thought(Style::Field, text) => json!({"reasoning": text}),
            Act::Thought(_, text) => json!({"reasoning_content": text}),
            Act::Call {
                index: call,
                id,
                name,
            } => {
                let function = json!({"name": name, "arguments": ""});
                json!({"tool_calls": [{"index": call, "id": id, "type": "function", "function": function}]})
            }
            Act::Arguments {
                index: call,
                fragment,
            } => {
                json!({"tool_calls": [{"index": call, "function": {"arguments": fragment}}]})
            }
            Act::Wait(_) | Act::Break(..) | Act::Cut | Act::End => return None,
        };
        let mut choice = json!({"index": index, "delta": delta, "finish_reason": null});
        if act.text().is_some()
            && let Some(choice) = choice.as_object_mut()
        {
            choice.insert("logprobs".to_owned(), self.logprobs([act]));
        }
        Some(choice)
    }

    /// The choice of the event that says why an answer ends.
    pub(super) fn last(&self, index: usize, tokens: &Tokens) -> Value {
        match self.dialect {
            Dialect::Chat => {
                json!({"index": index, "delta": {}, "finish_reason": tokens.finish, "stop_reason": tokens.stop})
            }
            Dialect::Completion => {
                json!({"index": index, "text": "", "logprobs": null, "finish_reason": tokens.finish, "stop_reason": tokens.stop})
            }
        }
    }

    fn logprobs<'a>(&self, acts: impl IntoIterator<Item = &'a Act>) -> Value {
        let Some(alternatives) = self.alternatives else {
            return Value::Null;
        };
        let tokens: Vec<&str> = acts.into_iter().filter_map(Act::text).collect();
        match self.dialect {
            Dialect::Chat => {
                let content: Vec<Value> = tokens
                    .iter()
                    .map(|token| {
                        let mut shown = likely(token, 0);
                        let others = (0..alternatives).map(|place| likely(token, place));
                        shown.insert("top_logprobs".to_owned(), others.collect());
                        shown.into()
                    })
                    .collect();
                json!({"content": content, "refusal": null})
            }
            Dialect::Completion => {
                let mut offset = 0;
                let offsets: Vec<usize> = tokens
                    .iter()
                    .map(|token| {
                        let start = offset;
                        offset += token.chars().count();
                        start
                    })
                    .collect();
                let likelihoods = vec![-0.25; tokens.len()];
                let top: Vec<Value> = tokens.iter().map(|token| json!({*token: -0.25})).collect();
                json!({"tokens": tokens, "token_logprobs": likelihoods, "top_logprobs": top, "text_offset": offsets})
            }
        }
    }
}

/// A token as logprobs show it; the one in the first place was said.
fn likely(token: &str, place: usize) -> Map<String, Value> {
    let token = match place {
        0 => token.to_owned(),
        place => format!("{token}{place}"),
    };
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    let mut map = Map::new();
    map.insert("bytes".to_owned(), json!(token.as_bytes()));
    map.insert("token".to_owned(), token.into());
    map.insert("logprob".to_owned(), (-0.25 - f64::from(place)).into());
    map
}

fn message(tokens: &Tokens) -> Value {
    let mut calls: Vec<Value> = Vec::new();
    let mut thoughts: [String; 2] = Default::default();
    let [content, field] = &mut thoughts;
    let mut arguments: Vec<String> = Vec::new();
    for act in &tokens.acts {
        match act {
            Act::Thought(Style::Field, text) => field.push_str(text),
            Act::Thought(_, text) => content.push_str(text),
            Act::Call { id, name, .. } => {
                calls.push(json!({"id": id, "type": "function", "function": {"name": name}}));
                arguments.push(String::new());
            }
            Act::Arguments { index, fragment } => {
                if let Some(arguments) = arguments.get_mut(*index) {
                    arguments.push_str(fragment);
                }
            }
            _ => {}
        }
    }
    for (call, arguments) in calls.iter_mut().zip(arguments) {
        call["function"]["arguments"] = arguments.into();
    }
    let text = tokens.text();
    // A call alone has no content.
    let said = Some(text).filter(|text| !text.is_empty() || calls.is_empty());
    let mut message = json!({"role": "assistant", "content": said, "refusal": null});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    for (name, thought) in ["reasoning_content", "reasoning"].into_iter().zip(thoughts) {
        if !thought.is_empty() {
            message[name] = thought.into();
        }
    }
    message
}
