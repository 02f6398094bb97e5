//! Writes the answer of one request.

use std::sync::Arc;

use super::events::{Events, Writer};
use super::object::Shape;
use super::said::Said;
use super::stream::Streamed;
use crate::members::raw;
use crate::{Answer, ApiError, Stream, chat};

/// The writer of one request's answer.
pub(super) struct Responses {
    shape: Arc<Shape>,
}

impl Responses {
    pub(super) fn new(shape: Arc<Shape>) -> Self {
        Self { shape }
    }
}

impl Answer for Responses {
    /// A whole completion goes the way of a streamed one, in one piece, so that both give the same.
    fn whole(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let completion = chat::Completion::parse(body)?;
        let mut said = Said::new(&self.shape);
        let to = &mut Writer {
            events: &mut Events::default(),
            out: &mut Vec::new(),
        };
        said.add(chunk(completion), to);
        said.finish(to);
        let response = raw(&self.shape.response(said.state()));
        Ok(response.get().as_bytes().to_vec())
    }

    fn stream(&self) -> Box<dyn Stream> {
        Box::new(Streamed::new(Arc::clone(&self.shape)))
    }
}

/// A completion as one chunk of a stream; each of its calls is one fragment.
fn chunk(completion: chat::Completion) -> chat::Chunk {
    let choices = completion.choices.into_iter().take(1).map(|choice| {
        let mut delta = choice.message;
        for (index, call) in (0..).zip(&mut delta.tool_calls) {
            call.index = Some(index);
        }
        chat::ChunkChoice {
            index: 0,
            delta,
            finish_reason: choice.finish_reason,
            stop_reason: choice.stop_reason,
            logprobs: choice.logprobs,
        }
    });
    chat::Chunk {
        model: completion.model,
        choices: choices.collect(),
        usage: completion.usage,
        error: None,
    }
}
