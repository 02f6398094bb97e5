//! Streamed answers.
//!
//! ```text
//! ping*  message_start  (content_block_start  content_block_delta*  content_block_stop)*  message_delta  message_stop
//! ```
//!
//! One block is open at a time. A model server may mix what it sends: text and further calls that arrive while a call is open wait until its arguments are whole.

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Shape;
use super::calls::{Call, Calls};
use super::outcome::End;
use crate::chat::{Chunk, Part, Usage};
use crate::dialect::Dialect;
use crate::think::{Piece, ThinkSplitter};
use crate::{ApiError, Stream};

/// Writes one streamed answer.
pub(super) struct Events {
    shape: Arc<Shape>,
    /// `message_start` is out.
    started: bool,
    /// The last event is out.
    over: bool,
    /// Index of the next block.
    next: usize,
    open: Option<Open>,
    calls: Calls,
    /// What arrived while a call was open.
    waiting: Vec<(Prose, String)>,
    splitter: Option<ThinkSplitter>,
    usage: Option<Usage>,
    end: End,
    /// Of the answer so far.
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prose {
    Thinking,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Prose(Prose),
    /// The current one of the calls.
    Call,
}

impl Events {
    /// Of a shape.
    pub(super) fn new(shape: Arc<Shape>) -> Self {
        let splitter = shape.split_think.then(ThinkSplitter::default);
        Self {
            shape,
            started: false,
            over: false,
            next: 0,
            open: None,
            calls: Calls::default(),
            waiting: Vec::new(),
            splitter,
            usage: None,
            end: End::default(),
            bytes: 0,
        }
    }

    fn part(&mut self, part: &Part, out: &mut Vec<u8>) {
        let reasoning = part.reasoning().unwrap_or_default();
        let content = part.content.as_deref().unwrap_or_default();
        let refusal = part.refusal.as_deref().unwrap_or_default();
        self.bytes = [reasoning, content, refusal]
            .iter()
            .fold(self.bytes, |sum, text| sum.saturating_add(text.len()));
        self.prose(Prose::Thinking, reasoning, out);
        match &mut self.splitter {
            Some(splitter) => {
                let pieces = splitter.feed(content);
                self.pieces(pieces, out);
            }
            None => self.prose(Prose::Text, content, out),
        }
        self.end.refused |= !refusal.is_empty();
        self.prose(Prose::Text, refusal, out);
        for fragment in &part.tool_calls {
            let arguments = fragment.function.arguments.as_ref();
            self.bytes = self.bytes.saturating_add(arguments.map_or(0, String::len));
            self.calls.take(fragment);
            self.advance(false, out);
        }
    }

    fn pieces(&mut self, pieces: Vec<Piece>, out: &mut Vec<u8>) {
        for piece in pieces {
            match piece {
                Piece::Reasoning(text) => self.prose(Prose::Thinking, &text, out),
                Piece::Content(text) => self.prose(Prose::Text, &text, out),
            }
        }
    }

    fn prose(&mut self, kind: Prose, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.open == Some(Open::Call) {
            match self.waiting.last_mut() {
                Some((last, waiting)) if *last == kind => waiting.push_str(text),
                _ => self.waiting.push((kind, text.to_owned())),
            }
            return;
        }
        if self.open != Some(Open::Prose(kind)) {
            self.close(out);
            self.start_block(
                match kind {
                    Prose::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
                    Prose::Text => json!({"type": "text", "text": ""}),
                },
                out,
            );
            self.open = Some(Open::Prose(kind));
        }
        self.delta(
            match kind {
                Prose::Thinking => json!({"type": "thinking_delta", "thinking": text}),
                Prose::Text => json!({"type": "text_delta", "text": text}),
            },
            out,
        );
    }

    /// Writes what can be written of the calls. `all`: nothing more comes.
    fn advance(&mut self, all: bool, out: &mut Vec<u8>) {
        loop {
            if self.open == Some(Open::Call) {
                let whole = self.calls.current().is_none_or(Call::is_whole);
                let ready = self.calls.current_mut().map(|call| call.ready(all));
                if let Some(json) = ready.filter(|json| !json.is_empty()) {
                    self.delta(
                        json!({"type": "input_json_delta", "partial_json": json}),
                        out,
                    );
                }
                if !whole && !all {
                    return;
                }
                self.close(out);
                self.calls.next();
                for (kind, text) in std::mem::take(&mut self.waiting) {
                    self.prose(kind, &text, out);
                }
            }
            let number = self.calls.number();
            match self.calls.current() {
                Some(Call {
                    name: Some(name),
                    id,
                    ..
                }) => {
                    let block = json!({
                        "type": "tool_use",
                        "id": self.shape.call_id(id.as_deref(), number),
                        "name": name,
                        "input": {},
                    });
                    self.close(out);
                    self.start_block(block, out);
                    self.open = Some(Open::Call);
                    self.end.calls = true;
                }
                // One that names nothing cannot be called.
                Some(_) if all => self.calls.next(),
                _ => return,
            }
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let usage = self.shape.usage(self.usage, 0);
            let message = self.shape.message(&json!([]), None, None, &usage);
            write(out, "message_start", json!({"message": message}));
        }
    }

    fn start_block(&mut self, block: Value, out: &mut Vec<u8>) {
        self.start(out);
        let index = self.next;
        write(
            out,
            "content_block_start",
            json!({"index": index, "content_block": block}),
        );
    }

    fn delta(&mut self, delta: Value, out: &mut Vec<u8>) {
        write(
            out,
            "content_block_delta",
            json!({"index": self.next, "delta": delta}),
        );
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else {
            return;
        };
        if open == Open::Prose(Prose::Thinking) {
            let signature = self.shape.signature().to_owned();
            self.delta(
                json!({"type": "signature_delta", "signature": signature}),
                out,
            );
        }
        write(out, "content_block_stop", json!({"index": self.next}));
        self.next = self.next.saturating_add(1);
    }
}

impl Stream for Events {
    fn begin(&mut self, _out: &mut Vec<u8>) {
        // `message_start` says how long the prompt is: it waits for the model server's count.
    }

    fn event(&mut self, data: &str, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if self.over {
            return Ok(());
        }
        let chunk = Chunk::parse(data)?;
        if chunk.usage.is_some() {
            self.usage = chunk.usage;
            self.start(out);
        }
        // Nobody asked for a second choice.
        for choice in chunk.choices.iter().filter(|choice| choice.index == 0) {
            if !self.shape.prewarm {
                self.part(&choice.delta, out);
            }
            if let Some(finish) = choice
                .finish_reason
                .as_ref()
                .filter(|finish| !finish.is_empty())
            {
                self.end.finish = Some(finish.clone());
            }
            if choice.stop_reason.is_some() {
                self.end.met.clone_from(&choice.stop_reason);
            }
        }
        Ok(())
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if !self.over {
            write(out, "ping", json!({}));
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if let Some(mut splitter) = self.splitter.take() {
            let pieces = splitter.finish();
            self.pieces(pieces, out);
        }
        self.advance(true, out);
        let stop = match self.shape.stop(&self.end) {
            Ok(stop) => stop,
            Err(error) => return self.fail(&error, out),
        };
        self.close(out);
        if self.next == 0 && !self.shape.prewarm {
            self.start_block(json!({"type": "text", "text": ""}), out);
            self.open = Some(Open::Prose(Prose::Text));
            self.close(out);
        }
        self.start(out);
        let usage = self.shape.usage(self.usage, self.bytes);
        write(
            out,
            "message_delta",
            json!({
                "delta": {"stop_reason": stop.reason, "stop_sequence": stop.sequence},
                "usage": usage,
            }),
        );
        write(out, "message_stop", json!({}));
        self.over = true;
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.close(out);
        frame(out, "error", &Dialect::Messages.error_body(error, None));
        self.over = true;
    }
}

/// Writes an event whose members are those of an object, and its type.
fn write(out: &mut Vec<u8>, kind: &str, members: Value) {
    let mut event = json!({"type": kind});
    if let (Value::Object(event), Value::Object(members)) = (&mut event, members) {
        event.extend(members);
    }
    frame(out, kind, event.to_string().as_bytes());
}

fn frame(out: &mut Vec<u8>, kind: &str, data: &[u8]) {
    for piece in [b"event: ", kind.as_bytes(), b"\ndata: ", data, b"\n\n"] {
        out.extend_from_slice(piece);
    }
}
