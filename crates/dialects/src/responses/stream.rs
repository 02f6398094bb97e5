//! A streamed answer in the API's events.

use std::sync::Arc;

use super::events::{Event, Events, Writer};
use super::object::{Failure, Shape, State};
use super::said::Said;
use crate::{ApiError, Stream, chat};

/// Writes one streamed answer.
pub(super) struct Streamed {
    shape: Arc<Shape>,
    events: Events,
    said: Said,
    /// The last event was written.
    over: bool,
}

impl Streamed {
    pub(super) fn new(shape: Arc<Shape>) -> Self {
        Self {
            events: Events::default(),
            said: Said::new(&shape),
            over: false,
            shape,
        }
    }
}

impl Stream for Streamed {
    fn begin(&mut self, out: &mut Vec<u8>) {
        for kind in ["created", "in_progress"] {
            response(&self.shape, State::default(), kind, &mut self.events, out);
        }
    }

    fn event(&mut self, data: &str, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if !self.over {
            let chunk = chat::Chunk::parse(data)?;
            let events = &mut self.events;
            self.said.add(chunk, &mut Writer { events, out });
        }
        Ok(())
    }

    /// Comments do not keep Codex waiting, events do.
    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if !self.over {
            let state = State::default();
            response(&self.shape, state, "in_progress", &mut self.events, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if !self.said.has_reason() {
            let error = ApiError::server_error(
                502,
                "truncated",
                "the model server's stream ended before the answer did; try again",
            );
            return self.fail(&error, out);
        }
        self.over = true;
        let events = &mut self.events;
        self.said.finish(&mut Writer { events, out });
        let state = self.said.state();
        let kind = state.status.name();
        response(&self.shape, state, kind, &mut self.events, out);
    }

    /// The item that is open stays open: what applications act on must be whole.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if !self.over {
            self.over = true;
            let state = self.said.failed(Failure::of(error));
            response(&self.shape, state, "failed", &mut self.events, out);
        }
    }
}

/// An event that holds the response object.
fn response(shape: &Shape, state: State<'_>, kind: &str, events: &mut Events, out: &mut Vec<u8>) {
    let event = Event {
        response: Some(shape.response(state)),
        ..Event::default()
    };
    events.write(out, kind, &event);
}
