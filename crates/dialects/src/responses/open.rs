//! Items that are open: each writes its events as it grows, and becomes an item of the output when it ends.

use serde_json::Value;

use super::calls::Call;
use super::custom::Input;
use super::events::{Event, Index, Position, Writer};
use super::object::{Item, Part, Shape, Status};
use super::reasoning;

/// Reasoning, as text or as a summary.
pub(super) struct OpenReasoning {
    id: String,
    output_index: usize,
    summary: bool,
    encrypted: bool,
    text: String,
}

impl OpenReasoning {
    pub(super) fn start(shape: &Shape, output_index: usize, to: &mut Writer<'_>) -> Self {
        let open = Self {
            id: shape.id("rs", output_index),
            output_index,
            summary: shape.wants.summary,
            encrypted: shape.wants.encrypted,
            text: String::new(),
        };
        let item = Item::Reasoning {
            id: open.id.clone(),
            summary: Vec::new(),
            content: Vec::new(),
            encrypted_content: None,
            status: Status::InProgress,
        };
        to.item("output_item.added", output_index, &item);
        let kind = open.kind("content_part.added", "reasoning_summary_part.added");
        to.part(kind, open.position(), &open.part());
        open
    }

    pub(super) fn add(&mut self, delta: &str, to: &mut Writer<'_>) {
        self.text.push_str(delta);
        let event = Event {
            delta: Some(delta),
            ..self.position().event()
        };
        to.write(
            self.kind("reasoning_text.delta", "reasoning_summary_text.delta"),
            &event,
        );
    }

    pub(super) fn close(self, status: Status, to: &mut Writer<'_>) -> Item {
        let event = Event {
            text: Some(&self.text),
            ..self.position().event()
        };
        to.write(
            self.kind("reasoning_text.done", "reasoning_summary_text.done"),
            &event,
        );
        let part = self.part();
        let kind = self.kind("content_part.done", "reasoning_summary_part.done");
        to.part(kind, self.position(), &part);
        let (summary, content) = match self.summary {
            true => (vec![part], Vec::new()),
            false => (Vec::new(), vec![part]),
        };
        let item = Item::Reasoning {
            encrypted_content: self.encrypted.then(|| reasoning::seal(&self.text)),
            id: self.id,
            summary,
            content,
            status,
        };
        to.item("output_item.done", self.output_index, &item);
        item
    }

    fn kind(&self, text: &'static str, summary: &'static str) -> &'static str {
        if self.summary { summary } else { text }
    }

    fn part(&self) -> Part {
        let text = self.text.clone();
        match self.summary {
            true => Part::SummaryText { text },
            false => Part::ReasoningText { text },
        }
    }

    fn position(&self) -> Position<'_> {
        Position {
            item_id: &self.id,
            output_index: self.output_index,
            part: match self.summary {
                true => Index::Summary(0),
                false => Index::Content(0),
            },
        }
    }
}

/// A message; a refusal is a part of its own.
pub(super) struct OpenMessage {
    id: String,
    output_index: usize,
    parts: Vec<Part>,
}

impl OpenMessage {
    pub(super) fn start(shape: &Shape, output_index: usize, to: &mut Writer<'_>) -> Self {
        let open = Self {
            id: shape.id("msg", output_index),
            output_index,
            parts: Vec::new(),
        };
        to.item(
            "output_item.added",
            output_index,
            &open.item(Status::InProgress),
        );
        open
    }

    pub(super) fn text(&mut self, delta: &str, logprobs: Vec<Value>, to: &mut Writer<'_>) {
        if !matches!(self.parts.last(), Some(Part::OutputText { .. })) {
            let part = Part::OutputText {
                text: String::new(),
                annotations: [],
                logprobs: Vec::new(),
            };
            self.next_part(part, to);
        }
        if !delta.is_empty() {
            let event = Event {
                delta: Some(delta),
                logprobs: Some(&logprobs),
                ..self.position().event()
            };
            to.write("output_text.delta", &event);
        }
        if let Some(Part::OutputText {
            text,
            logprobs: all,
            ..
        }) = self.parts.last_mut()
        {
            text.push_str(delta);
            all.extend(logprobs);
        }
    }

    pub(super) fn refuse(&mut self, delta: &str, to: &mut Writer<'_>) {
        if !matches!(self.parts.last(), Some(Part::Refusal { .. })) {
            let part = Part::Refusal {
                refusal: String::new(),
            };
            self.next_part(part, to);
        }
        let event = Event {
            delta: Some(delta),
            ..self.position().event()
        };
        to.write("refusal.delta", &event);
        if let Some(Part::Refusal { refusal }) = self.parts.last_mut() {
            refusal.push_str(delta);
        }
    }

    pub(super) fn close(mut self, status: Status, to: &mut Writer<'_>) -> Item {
        self.close_part(to);
        let parts = std::mem::take(&mut self.parts);
        let mut item = self.item(status);
        if let Item::Message { content, .. } = &mut item {
            *content = parts;
        }
        to.item("output_item.done", self.output_index, &item);
        item
    }

    fn item(&self, status: Status) -> Item {
        Item::Message {
            id: self.id.clone(),
            status,
            role: "assistant",
            content: Vec::new(),
        }
    }

    fn next_part(&mut self, part: Part, to: &mut Writer<'_>) {
        self.close_part(to);
        self.parts.push(part.clone());
        to.part("content_part.added", self.position(), &part);
    }

    fn close_part(&self, to: &mut Writer<'_>) {
        let Some(part) = self.parts.last() else {
            return;
        };
        let event = self.position().event();
        match part {
            Part::OutputText { text, logprobs, .. } => to.write(
                "output_text.done",
                &Event {
                    text: Some(text),
                    logprobs: Some(logprobs),
                    ..event
                },
            ),
            Part::Refusal { refusal } => to.write(
                "refusal.done",
                &Event {
                    refusal: Some(refusal),
                    ..event
                },
            ),
            Part::ReasoningText { .. } | Part::SummaryText { .. } => {}
        }
        to.part("content_part.done", self.position(), part);
    }

    /// The last part's.
    fn position(&self) -> Position<'_> {
        Position {
            item_id: &self.id,
            output_index: self.output_index,
            part: Index::Content(self.parts.len().saturating_sub(1)),
        }
    }
}

/// A call of a function or a custom tool.
pub(super) struct OpenCall {
    /// Which of the answer's calls.
    pub(super) slot: usize,
    id: String,
    output_index: usize,
    call_id: String,
    name: String,
    namespace: Option<String>,
    /// The text, of a custom tool.
    input: Option<Input>,
    /// How much of the arguments was written.
    sent: usize,
}

impl OpenCall {
    /// `repeated`: another call of this answer has the same identifier.
    pub(super) fn start(
        shape: &Shape,
        output_index: usize,
        (slot, call, repeated): (usize, &Call, bool),
        to: &mut Writer<'_>,
    ) -> Self {
        let origin = shape.tools.origin(&call.name);
        let mut open = Self {
            slot,
            id: shape.id(if origin.custom { "ctc" } else { "fc" }, output_index),
            output_index,
            call_id: match call.id.is_empty() || repeated {
                true => shape.id("call", output_index),
                false => call.id.clone(),
            },
            name: origin.name,
            namespace: origin.namespace,
            input: origin.custom.then(Input::default),
            sent: 0,
        };
        let item = open.item(String::new(), Status::InProgress);
        to.item("output_item.added", output_index, &item);
        open.add(call, to);
        open
    }

    /// Writes what is new of the arguments.
    pub(super) fn add(&mut self, call: &Call, to: &mut Writer<'_>) {
        let new = call.arguments.get(self.sent..).unwrap_or_default();
        self.sent = call.arguments.len();
        match &mut self.input {
            Some(input) => {
                let delta = input.feed(new).to_owned();
                self.delta(&delta, to);
            }
            None => self.delta(new, to),
        }
    }

    /// Free text that was cut looks like text that was not, and applications run what is done: a custom call that is not completed has no events that
    /// say so, and is in the final response only.
    pub(super) fn close(mut self, call: &Call, status: Status, to: &mut Writer<'_>) -> Item {
        let whole = status == Status::Completed;
        let text = match self.input.take() {
            Some(mut input) => {
                let rest = input.finish().to_owned();
                self.input = Some(Input::default());
                self.delta(&rest, to);
                input.into_text()
            }
            // A call without arguments: applications parse them.
            None if whole && call.arguments.trim().is_empty() => {
                self.delta("{}", to);
                format!("{}{{}}", call.arguments)
            }
            None => call.arguments.clone(),
        };
        let event = Event {
            item_id: Some(&self.id),
            output_index: Some(self.output_index),
            ..Event::default()
        };
        match self.input {
            Some(_) if whole => to.write(
                "custom_tool_call_input.done",
                &Event {
                    input: Some(&text),
                    ..event
                },
            ),
            Some(_) => {}
            None => to.write(
                "function_call_arguments.done",
                &Event {
                    name: Some(&self.name),
                    arguments: Some(&text),
                    ..event
                },
            ),
        }
        let item = self.item(text, status);
        if whole || self.input.is_none() {
            to.item("output_item.done", self.output_index, &item);
        }
        item
    }

    fn delta(&self, delta: &str, to: &mut Writer<'_>) {
        if delta.is_empty() {
            return;
        }
        let event = Event {
            item_id: Some(&self.id),
            output_index: Some(self.output_index),
            delta: Some(delta),
            ..Event::default()
        };
        to.write(
            match self.input {
                Some(_) => "custom_tool_call_input.delta",
                None => "function_call_arguments.delta",
            },
            &event,
        );
    }

    fn item(&self, text: String, status: Status) -> Item {
        let (id, call_id, name) = (self.id.clone(), self.call_id.clone(), self.name.clone());
        let namespace = self.namespace.clone();
        match self.input {
            Some(_) => Item::CustomToolCall {
                id,
                call_id,
                name,
                namespace,
                input: text,
                status,
            },
            None => Item::FunctionCall {
                id,
                call_id,
                name,
                namespace,
                arguments: text,
                status,
            },
        }
    }
}
