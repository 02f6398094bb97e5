//! What the model says becomes output items. One is open at a time: a call whose arguments are not whole yet lets everything behind it wait.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::calls::{Calls, Stage};
use super::events::Writer;
use super::object::{Item, Shape, Status};
use super::open::{OpenMessage, OpenReasoning};
use super::open_call::OpenCall;
use crate::chat;

/// Items in the making.
pub(super) struct Build {
    shape: Arc<Shape>,
    done: Vec<Item>,
    open: Open,
    calls: Calls,
    waiting: VecDeque<Waiting>,
    /// White space that comes to nothing unless text follows: models write it between reasoning and calls.
    blank: Text,
}

/// A piece of what the model says.
pub(super) enum Piece {
    Reasoning(String),
    Text(Text),
    Refusal(String),
}

/// Text, and log probabilities of its tokens.
#[derive(Default)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) logprobs: Vec<Value>,
}

/// What waits until the open call is whole.
enum Waiting {
    Call(usize),
    Piece(Piece),
}

/// The item that is open.
enum Open {
    Nothing,
    Reasoning(OpenReasoning),
    Message(OpenMessage),
    Call(OpenCall),
}

impl Build {
    pub(super) fn new(shape: Arc<Shape>) -> Self {
        Self {
            shape,
            done: Vec::new(),
            open: Open::Nothing,
            calls: Calls::default(),
            waiting: VecDeque::new(),
            blank: Text::default(),
        }
    }

    /// The items that have ended.
    pub(super) fn output(&self) -> &[Item] {
        &self.done
    }

    /// The model says something.
    pub(super) fn piece(&mut self, piece: Piece, to: &mut Writer<'_>) {
        if self.is_blocked() {
            self.waiting.push_back(Waiting::Piece(piece));
        } else {
            self.say(piece, to);
        }
    }

    /// The model calls a tool, or goes on to.
    pub(super) fn call(&mut self, fragment: &chat::ToolCall, to: &mut Writer<'_>) {
        let slot = self.calls.add(fragment);
        let stage = self.calls.get(slot).stage;
        match stage {
            Stage::Nameless if self.calls.get(slot).name.is_empty() => {}
            Stage::Nameless if self.is_blocked() => {
                self.calls.get_mut(slot).stage = Stage::Waiting;
                self.waiting.push_back(Waiting::Call(slot));
            }
            Stage::Nameless => self.open_call(slot, to),
            Stage::Open => {
                if let Open::Call(open) = &mut self.open {
                    open.add(self.calls.get(slot), to);
                }
                self.go_on(to);
            }
            Stage::Waiting | Stage::Done => {}
        }
    }

    /// The model has stopped: all that is open ends, and the last item is not whole if the answer is not.
    pub(super) fn finish(&mut self, status: Status, to: &mut Writer<'_>) {
        while let Some(next) = self.waiting.pop_front() {
            match &self.open {
                // What waited shows only that other things were said meanwhile.
                Open::Call(open) if !self.calls.get_mut(open.slot).is_whole() => {
                    self.close(status, to);
                }
                _ => {}
            }
            self.take(next, to);
        }
        if matches!(self.open, Open::Nothing) && self.done.is_empty() {
            // Applications look for a message in the output.
            self.open_message(to);
        }
        self.close(status, to);
    }

    /// Whether the open item is a call that may go on, or something waits for one.
    fn is_blocked(&mut self) -> bool {
        match &self.open {
            Open::Call(open) => {
                !self.waiting.is_empty() || !self.calls.get_mut(open.slot).is_whole()
            }
            _ => false,
        }
    }

    /// What waited goes on where the open call has become whole.
    fn go_on(&mut self, to: &mut Writer<'_>) {
        while !self.waiting.is_empty() {
            match &self.open {
                Open::Call(open) if !self.calls.get_mut(open.slot).is_whole() => return,
                _ => {}
            }
            if let Some(next) = self.waiting.pop_front() {
                self.take(next, to);
            }
        }
    }

    fn take(&mut self, next: Waiting, to: &mut Writer<'_>) {
        match next {
            Waiting::Call(slot) => self.open_call(slot, to),
            Waiting::Piece(piece) => self.say(piece, to),
        }
    }

    fn say(&mut self, piece: Piece, to: &mut Writer<'_>) {
        match (piece, &mut self.open) {
            (Piece::Reasoning(text) | Piece::Refusal(text), _) if text.is_empty() => {}
            (Piece::Reasoning(text), Open::Reasoning(open)) => open.add(&text, to),
            (Piece::Reasoning(text), _) => {
                self.close(Status::Completed, to);
                let mut open = OpenReasoning::start(&self.shape, self.done.len(), to);
                open.add(&text, to);
                self.open = Open::Reasoning(open);
            }
            (Piece::Text(piece), Open::Message(open)) => {
                open.text(&piece.text, piece.logprobs, to);
            }
            (Piece::Text(piece), _) => {
                self.blank.text.push_str(&piece.text);
                self.blank.logprobs.extend(piece.logprobs);
                if !self.blank.text.trim().is_empty() {
                    self.open_message(to);
                }
            }
            (Piece::Refusal(text), Open::Message(open)) => open.refuse(&text, to),
            (Piece::Refusal(text), _) => {
                self.close(Status::Completed, to);
                let mut open = OpenMessage::start(&self.shape, self.done.len(), to);
                open.refuse(&text, to);
                self.open = Open::Message(open);
            }
        }
    }

    /// A message that begins with what was held back.
    fn open_message(&mut self, to: &mut Writer<'_>) {
        let Text { text, logprobs } = std::mem::take(&mut self.blank);
        self.close(Status::Completed, to);
        let mut open = OpenMessage::start(&self.shape, self.done.len(), to);
        open.text(&text, logprobs, to);
        self.open = Open::Message(open);
    }

    fn open_call(&mut self, slot: usize, to: &mut Writer<'_>) {
        self.close(Status::Completed, to);
        let repeated = self.calls.is_repeated(slot);
        let call = self.calls.get_mut(slot);
        call.stage = Stage::Open;
        self.open = Open::Call(OpenCall::start(
            &self.shape,
            self.done.len(),
            (slot, call, repeated),
            to,
        ));
    }

    /// Ends the open item.
    fn close(&mut self, status: Status, to: &mut Writer<'_>) {
        self.blank = Text::default();
        let item = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => return,
            Open::Reasoning(open) => open.close(status, to),
            Open::Message(open) => open.close(status, to),
            Open::Call(open) => {
                let call = self.calls.get_mut(open.slot);
                call.stage = Stage::Done;
                open.close(call, status, to)
            }
        };
        self.done.push(item);
    }
}
