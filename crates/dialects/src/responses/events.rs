//! Server-sent events of a streamed response, numbered.

use serde::Serialize;
use serde_json::Value;

use super::object::{Item, Part, Response};

/// Members of an event, in the order in which they are written. Which of them an event has depends on its type.
#[derive(Default, Serialize)]
pub(super) struct Event<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<&'a Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<&'a Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a [Value]>,
}

/// Writes events; each has the next number.
#[derive(Debug, Default)]
pub(super) struct Events {
    next: u64,
}

/// Writes the events of items to one buffer.
pub(super) struct Writer<'a> {
    pub(super) events: &'a mut Events,
    pub(super) out: &'a mut Vec<u8>,
}

/// Where a part is.
#[derive(Clone, Copy)]
pub(super) struct Position<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) part: Index,
}

/// The number of a part in its list.
#[derive(Clone, Copy)]
pub(super) enum Index {
    /// In the item's content.
    Content(usize),
    /// In the summary of reasoning.
    Summary(usize),
}

impl<'a> Position<'a> {
    /// An event of this part.
    pub(super) fn event(self) -> Event<'a> {
        let (content_index, summary_index) = match self.part {
            Index::Content(index) => (Some(index), None),
            Index::Summary(index) => (None, Some(index)),
        };
        Event {
            item_id: Some(self.item_id),
            output_index: Some(self.output_index),
            content_index,
            summary_index,
            ..Event::default()
        }
    }
}

impl Writer<'_> {
    /// An event of a part.
    pub(super) fn write(&mut self, kind: &str, event: &Event<'_>) {
        self.events.write(self.out, kind, event);
    }

    /// `output_item.*`.
    pub(super) fn item(&mut self, kind: &str, output_index: usize, item: &Item) {
        let event = Event {
            output_index: Some(output_index),
            item: Some(item),
            ..Event::default()
        };
        self.write(kind, &event);
    }

    /// `content_part.*` and `reasoning_summary_part.*`.
    pub(super) fn part(&mut self, kind: &str, at: Position<'_>, part: &Part) {
        let event = Event {
            part: Some(part),
            ..at.event()
        };
        self.write(kind, &event);
    }
}

/// An event with what all events have.
#[derive(Serialize)]
struct Numbered<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

impl Events {
    /// Appends one event of a type, `response.` left out.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, kind: &str, event: &Event<'_>) {
        let kind = format!("response.{kind}");
        out.extend_from_slice(format!("event: {kind}\ndata: ").as_bytes());
        let numbered = Numbered {
            kind: &kind,
            sequence_number: self.next,
            event,
        };
        // Fails for maps with keys that are no strings; there are none.
        let _ = serde_json::to_writer(&mut *out, &numbered);
        out.extend_from_slice(b"\n\n");
        self.next += 1;
    }
}
