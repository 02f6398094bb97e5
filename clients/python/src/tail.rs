//! The end of an event stream, held back until the answer is known to be whole [H-66].

use bytes::{Bytes, BytesMut};
use sealwire_http::sse::{self, Splitter};

use crate::errors::{Class, Fault};

/// Largest single event of a streamed answer, and most bytes behind its `[DONE]`.
const MAX_EVENT: usize = 8 * 1_024 * 1_024;

/// Passes whole events on, but for `[DONE]` and all behind it.
pub(crate) struct Tail {
    splitter: Splitter,
    held: BytesMut,
    done: bool,
    /// Leaves events out that hold usage and no choice.
    without_usage: bool,
}

impl Tail {
    pub(crate) fn new(without_usage: bool) -> Self {
        Self {
            splitter: Splitter::new(MAX_EVENT),
            held: BytesMut::new(),
            done: false,
            without_usage,
        }
    }

    /// Takes content; appends the events that are whole and may go.
    pub(crate) fn push(&mut self, content: &[u8], ready: &mut Vec<u8>) -> Result<(), Fault> {
        let too_large = || {
            Fault::new(
                Class::Answer,
                "answer-too-large",
                format!("an event of the answer has more than {MAX_EVENT} bytes"),
            )
        };
        self.splitter.push(content);
        while let Some(event) = self.splitter.next_event().map_err(|_| too_large())? {
            if let Some(data) = sse::data(&event) {
                if self.without_usage && is_usage_alone(&data) {
                    continue;
                }
                // Clients stop reading at whatever begins so.
                self.done |= data.trim_start().starts_with("[DONE]");
            }
            if self.done {
                self.held.extend_from_slice(&event);
            } else {
                ready.extend_from_slice(&event);
            }
        }
        if self.held.len() > MAX_EVENT {
            return Err(too_large());
        }
        Ok(())
    }

    /// All that was held, once the answer is known to be whole.
    pub(crate) fn release(mut self) -> Bytes {
        self.held.extend_from_slice(&self.splitter.into_rest());
        self.held.freeze()
    }
}

/// Whether an event holds usage and no choice. The profile chutes-v1 makes every instance send one; many programs that did not ask for it cannot take it.
fn is_usage_alone(data: &str) -> bool {
    // Most events have choices: they are told without being parsed.
    if !data.contains("\"usage\"")
        || !data.contains("\"choices\":[]") && !data.contains("\"choices\": []")
    {
        return false;
    }
    let event = serde_json::from_str::<serde_json::Value>(data).unwrap_or_default();
    let empty = event.get("choices").and_then(serde_json::Value::as_array);
    empty.is_some_and(Vec::is_empty) && event.get("usage").is_some_and(serde_json::Value::is_object)
}
