//! What the model says, chunk by chunk, until it stops.

use std::sync::Arc;

use serde_json::{Value, json};

use super::build::{Build, Piece, Text};
use super::events::Writer;
use super::object::{Failure, Shape, State, Status};
use crate::chat;
use crate::think::{self, ThinkSplitter};

/// One answer in the making.
pub(super) struct Said {
    logprobs: bool,
    build: Build,
    think: Option<ThinkSplitter>,
    finish: Option<String>,
    usage: Option<chat::Usage>,
}

impl Said {
    pub(super) fn new(shape: &Arc<Shape>) -> Self {
        Self {
            logprobs: shape.wants.logprobs,
            build: Build::new(Arc::clone(shape)),
            think: shape.wants.split_think.then(ThinkSplitter::default),
            finish: None,
            usage: None,
        }
    }

    /// Takes what is new.
    pub(super) fn add(&mut self, chunk: chat::Chunk, to: &mut Writer<'_>) {
        if chunk.usage.is_some() {
            self.usage = chunk.usage;
        }
        for choice in chunk.choices {
            // Others were not asked for.
            if choice.index == 0 {
                self.choice(choice, to);
            }
        }
    }

    /// Whether the model said why it stopped.
    pub(super) fn has_reason(&self) -> bool {
        self.finish.is_some()
    }

    /// The model has stopped: ends what is open. If it broke off, that stays open: what applications act on must be whole.
    pub(super) fn finish(&mut self, to: &mut Writer<'_>) {
        for piece in self
            .think
            .as_mut()
            .map(ThinkSplitter::finish)
            .into_iter()
            .flatten()
        {
            self.build.piece(split(piece), to);
        }
        let (status, _) = self.status();
        if status != Status::Failed {
            self.build.finish(status, to);
        }
    }

    /// What has come of the answer.
    pub(super) fn state(&self) -> State<'_> {
        let (status, incomplete) = self.status();
        let error = (status == Status::Failed).then(|| Failure {
            code: "server_error".to_owned(),
            message: "the model server broke the answer off; try again".to_owned(),
        });
        State {
            status,
            output: self.build.output(),
            usage: self.usage,
            incomplete,
            error,
        }
    }

    /// What has come of an answer that was broken off.
    pub(super) fn failed(&self, error: Failure) -> State<'_> {
        State {
            status: Status::Failed,
            output: self.build.output(),
            usage: self.usage,
            incomplete: None,
            error: Some(error),
        }
    }

    fn status(&self) -> (Status, Option<&'static str>) {
        match self.finish.as_deref() {
            Some("length") => (Status::Incomplete, Some("max_output_tokens")),
            Some("content_filter") => (Status::Incomplete, Some("content_filter")),
            Some("error" | "abort" | "insufficient_system_resource") => (Status::Failed, None),
            _ => (Status::Completed, None),
        }
    }

    fn choice(&mut self, choice: chat::ChunkChoice, to: &mut Writer<'_>) {
        let delta = choice.delta;
        let reasoning = delta.reasoning();
        if let Some(text) = reasoning {
            self.build.piece(Piece::Reasoning(text.to_owned()), to);
        }
        let text_only = reasoning.is_none() && delta.tool_calls.is_empty();
        let content = delta.content.unwrap_or_default();
        // Tokens of reasoning and of calls have no place in the API.
        let logprobs = match choice.logprobs {
            Some(logprobs) if self.logprobs && (text_only || !content.is_empty()) => {
                tokens(&logprobs)
            }
            _ => Vec::new(),
        };
        match &mut self.think {
            Some(think) => {
                for piece in think.feed(&content) {
                    self.build.piece(split(piece), to);
                }
            }
            None if content.is_empty() && logprobs.is_empty() => {}
            None => {
                let text = Text {
                    text: content,
                    logprobs,
                };
                self.build.piece(Piece::Text(text), to);
            }
        }
        if let Some(refusal) = delta.refusal {
            self.build.piece(Piece::Refusal(refusal), to);
        }
        for call in &delta.tool_calls {
            self.build.call(call, to);
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            self.finish = Some(reason);
        }
    }
}

fn split(piece: think::Piece) -> Piece {
    match piece {
        think::Piece::Reasoning(text) => Piece::Reasoning(text),
        think::Piece::Content(text) => Piece::Text(Text {
            text,
            logprobs: Vec::new(),
        }),
    }
}

/// Chat's log probabilities in this API's form, whose members are never null.
fn tokens(logprobs: &Value) -> Vec<Value> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    list(logprobs.get("content"))
        .into_iter()
        .filter(|token| token.get("token").is_some_and(Value::is_string))
        .map(|token| {
            let mut entry = entry(&token);
            let top = list(token.get("top_logprobs"));
            entry["top_logprobs"] = top.iter().map(self::entry).collect();
            entry
        })
        .collect()
}

fn entry(token: &Value) -> Value {
    let member = |name: &str| token.get(name).filter(|value| !value.is_null()).cloned();
    json!({
        "token": member("token").unwrap_or_default(),
        "bytes": member("bytes").unwrap_or_else(|| json!([])),
        "logprob": member("logprob").unwrap_or_else(|| json!(0.0)),
    })
}
