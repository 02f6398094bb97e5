//! A call that is open: it writes its events as its arguments come, and becomes an item of the output when it ends.

use super::calls::Call;
use super::custom::Input;
use super::events::{Event, Writer};
use super::object::{Item, Shape, Status};

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
