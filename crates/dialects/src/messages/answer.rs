//! Whole answers, and what they share with streamed ones.

use std::sync::Arc;

use serde_json::{Value, json};

use super::outcome::{self, End};
use super::request::Chat;
use super::{arguments, ids, stream};
use crate::chat::{Completion, CompletionDetails, ToolCall, Usage};
use crate::think::{Piece, ThinkSplitter};
use crate::{Answer, ApiError, Moment, Settings, Stream};

/// What the answer of a request has, however it comes.
pub(super) struct Shape {
    /// The model that the application named.
    pub(super) model: String,
    /// Random, in hexadecimal.
    pub(super) seed: String,
    /// Estimate of the prompt's tokens.
    pub(super) prompt: u64,
    /// The application wants no answer.
    pub(super) prewarm: bool,
    /// As in [`Settings`].
    pub(super) split_think: bool,
}

/// Writes the answer of one request.
pub(super) struct Writer(Arc<Shape>);

impl Writer {
    /// Of a shape.
    pub(super) fn new(shape: Shape) -> Self {
        Self(Arc::new(shape))
    }
}

impl Shape {
    /// Of a request.
    pub(super) fn new(chat: &Chat, settings: &Settings, moment: Moment) -> Self {
        Self {
            model: chat.model.clone(),
            seed: moment
                .seed
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            prompt: chat.prompt,
            prewarm: chat.prewarm,
            split_think: settings.split_think,
        }
    }

    /// The message, with the given content and end.
    pub(super) fn message(
        &self,
        content: &Value,
        reason: Option<&str>,
        sequence: Option<&str>,
        usage: &Value,
    ) -> Value {
        json!({
            "id": format!("msg_{}", self.seed),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": usage,
        })
    }

    /// The signature of reasoning. Nobody checks it, but clients drop reasoning that has none, and it must come back with the next request.
    pub(super) fn signature(&self) -> &str {
        &self.seed
    }

    /// The identifier of a call, for the application.
    pub(super) fn call_id(&self, id: Option<&str>, number: usize) -> String {
        match id {
            Some(id) => ids::to_application(id).into_owned(),
            None => ids::made_up(&self.seed, number),
        }
    }
}

impl Answer for Writer {
    fn whole(&self, chat: &[u8]) -> Result<Vec<u8>, ApiError> {
        let shape = &self.0;
        let completion = Completion::parse(chat)?;
        let Some(choice) = completion.choices.into_iter().next() else {
            return Err(ApiError::server_error(
                502,
                "bad_answer",
                "the model server's answer is empty",
            ));
        };
        let part = choice.message;
        let mut reasoning = part.reasoning().unwrap_or_default().to_owned();
        let content = part.content.unwrap_or_default();
        let refusal = part.refusal.unwrap_or_default();
        let mut bytes = reasoning
            .len()
            .saturating_add(content.len())
            .saturating_add(refusal.len());
        let mut text = String::new();
        if shape.split_think {
            let mut splitter = ThinkSplitter::default();
            let pieces = splitter.feed(&content);
            for piece in pieces.into_iter().chain(splitter.finish()) {
                match piece {
                    Piece::Reasoning(piece) => reasoning.push_str(&piece),
                    Piece::Content(piece) => text.push_str(&piece),
                }
            }
        } else {
            text = content;
        }
        text.push_str(&refusal);
        let mut blocks = Vec::new();
        if !reasoning.is_empty() {
            blocks.push(
                json!({"type": "thinking", "thinking": reasoning, "signature": shape.signature()}),
            );
        }
        if !text.is_empty() {
            blocks.push(json!({"type": "text", "text": text}));
        }
        let mut calls = false;
        for (number, call) in part.tool_calls.iter().enumerate() {
            bytes = bytes.saturating_add(call.function.arguments.as_ref().map_or(0, String::len));
            if let Some(block) = tool_use(shape, call, number) {
                calls = true;
                blocks.push(block);
            }
        }
        if blocks.is_empty() {
            blocks.push(json!({"type": "text", "text": ""}));
        }
        if shape.prewarm {
            blocks.clear();
            bytes = 0;
        }
        let end = End {
            finish: choice.finish_reason,
            met: choice.stop_reason,
            calls,
            refused: !refusal.is_empty(),
        };
        let stop = shape.stop(&end)?;
        let usage = shape.usage(completion.usage, bytes);
        let message = shape.message(
            &Value::Array(blocks),
            Some(stop.reason),
            stop.sequence.as_deref(),
            &usage,
        );
        Ok(message.to_string().into_bytes())
    }

    fn stream(&self) -> Box<dyn Stream> {
        Box::new(stream::Events::new(Arc::clone(&self.0)))
    }
}

impl Shape {
    /// Why the model stopped; a request for no answer got as many tokens as it asked for.
    pub(super) fn stop(&self, end: &End) -> Result<outcome::Stop, ApiError> {
        let stop = end.stop()?;
        Ok(if self.prewarm {
            outcome::Stop {
                reason: "max_tokens",
                sequence: None,
            }
        } else {
            stop
        })
    }

    /// The usage, of which a request for no answer has none for it.
    pub(super) fn usage(&self, counted: Option<Usage>, answer_bytes: usize) -> Value {
        let counted = counted.map(|mut counted| {
            if self.prewarm {
                counted.completion_tokens = 0;
                counted.completion_tokens_details = CompletionDetails::default();
            }
            counted
        });
        outcome::usage(counted, self.prompt, answer_bytes)
    }
}

/// The block of a call; `None` if it names nothing that could be called.
fn tool_use(shape: &Shape, call: &ToolCall, number: usize) -> Option<Value> {
    let name = call
        .function
        .name
        .as_ref()
        .filter(|name| !name.is_empty())?;
    let id = call.id.as_deref().filter(|id| !id.is_empty());
    Some(json!({
        "type": "tool_use",
        "id": shape.call_id(id, number),
        "name": name,
        "input": arguments::object(call.function.arguments.as_deref().unwrap_or_default()),
    }))
}
