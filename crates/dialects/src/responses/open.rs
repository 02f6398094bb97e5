//! Reasoning and messages that are open: each writes its events as it grows, and becomes an item of the output when it ends.

use serde_json::Value;

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
