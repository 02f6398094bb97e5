//! Reads token usage from an upstream answer as it passes, and leaves out the usage-only event that the instance itself asked for.

use bytes::{Bytes, BytesMut};
use sealwire_http::sse::{self, EventTooLarge, Splitter};
use serde_json::Value;

/// Largest answer that is kept to read its usage; larger ones pass, their usage is unknown.
const MAX_JSON: usize = 16 * 1_024 * 1_024;
/// Largest single event of a streamed answer.
const MAX_EVENT: usize = 4 * 1_024 * 1_024;

/// Tokens as the model server counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
}

impl Usage {
    fn from_json(value: &Value) -> Option<Self> {
        let usage = value.get("usage")?.as_object()?;
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        Some(Self {
            input: count("prompt_tokens")?,
            output: count("completion_tokens").unwrap_or(0),
            cached: usage
                .get("prompt_tokens_details")
                .and_then(|details| details.get("cached_tokens"))
                .and_then(Value::as_u64)
                .unwrap_or(0),
        })
    }
}

/// Follows one answer.
#[derive(Debug)]
pub(crate) struct UsageReader {
    shape: Shape,
    usage: Option<Usage>,
    events: u64,
}

#[derive(Debug)]
enum Shape {
    Json(BytesMut),
    Events { splitter: Splitter, strip: bool },
    Opaque,
}

impl UsageReader {
    /// For an answer with this `Content-Type`. `strip` leaves out an event that holds usage and no choices.
    pub(crate) fn new(content_type: Option<&[u8]>, strip: bool) -> Self {
        let essence = content_type
            .and_then(|value| value.split(|byte| *byte == b';').next())
            .unwrap_or_default()
            .trim_ascii();
        let shape = if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Shape::Events {
                splitter: Splitter::new(MAX_EVENT),
                strip,
            }
        } else if essence.eq_ignore_ascii_case(b"application/json") {
            Shape::Json(BytesMut::new())
        } else {
            Shape::Opaque
        };
        Self {
            shape,
            usage: None,
            events: 0,
        }
    }

    /// Takes a piece of the answer; appends what goes to the client, one entry per event.
    pub(crate) fn push(&mut self, piece: Bytes, out: &mut Vec<Bytes>) -> Result<(), EventTooLarge> {
        match &mut self.shape {
            Shape::Opaque => out.push(piece),
            Shape::Json(copy) => {
                if piece.len() > MAX_JSON.saturating_sub(copy.len()) {
                    self.shape = Shape::Opaque;
                } else {
                    copy.extend_from_slice(&piece);
                }
                out.push(piece);
            }
            Shape::Events { splitter, strip } => {
                splitter.push(&piece);
                while let Some(event) = splitter.next_event()? {
                    let value = sse::data(&event)
                        .and_then(|data| serde_json::from_str::<Value>(&data).ok());
                    let usage = value.as_ref().and_then(Usage::from_json);
                    self.usage = usage.or(self.usage);
                    let usage_only = usage.is_some()
                        && value
                            .as_ref()
                            .and_then(|value| value.get("choices"))
                            .and_then(Value::as_array)
                            .is_some_and(Vec::is_empty);
                    if usage_only {
                        if *strip {
                            continue;
                        }
                    } else if value.is_some() {
                        self.events = self.events.saturating_add(1);
                    }
                    out.push(event);
                }
            }
        }
        Ok(())
    }

    /// The answer's proper end: the last bytes for the client, and what is known of the usage.
    pub(crate) fn finish(self) -> (Bytes, Option<Usage>) {
        match self.shape {
            Shape::Opaque => (Bytes::new(), self.usage),
            Shape::Json(copy) => {
                let usage = serde_json::from_slice(&copy)
                    .ok()
                    .as_ref()
                    .and_then(Usage::from_json);
                (Bytes::new(), usage)
            }
            Shape::Events { splitter, .. } => (splitter.into_rest(), self.usage),
        }
    }

    /// Usage so far: what the model server said, else the number of events as an estimate of the tokens out.
    pub(crate) fn so_far(&self) -> Option<Usage> {
        let estimate = Usage {
            output: self.events,
            ..Usage::default()
        };
        self.usage.or((self.events > 0).then_some(estimate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{}}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\n\
        data: [DONE]\n\n";

    fn run(content_type: &str, strip: bool, text: &str, size: usize) -> (String, Option<Usage>) {
        let mut reader = UsageReader::new(Some(content_type.as_bytes()), strip);
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            reader
                .push(Bytes::copy_from_slice(piece), &mut out)
                .expect("small");
        }
        let (rest, usage) = reader.finish();
        out.push(rest);
        (String::from_utf8(out.concat()).expect("UTF-8"), usage)
    }

    #[test]
    fn usage_of_a_stream_is_read_and_its_event_left_out_only_if_asked() {
        let usage = Some(Usage {
            input: 7,
            output: 3,
            cached: 2,
        });
        for size in [1, 7, 1_000] {
            let (text, read) = run("text/event-stream; charset=utf-8", true, STREAM, size);
            assert_eq!(read, usage);
            assert!(!text.contains("usage") && text.ends_with("data: [DONE]\n\n"));
            let (text, read) = run("text/event-stream", false, STREAM, size);
            assert_eq!((text.as_str(), read), (STREAM, usage));
        }
    }

    #[test]
    fn usage_of_a_whole_answer_is_read() {
        let json = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let (text, usage) = run("application/json", true, json, 5);
        assert_eq!(text, json);
        assert_eq!(
            usage,
            Some(Usage {
                input: 1,
                output: 2,
                cached: 0
            })
        );
    }

    #[test]
    fn unknown_usage_is_none() {
        assert_eq!(run("application/json", true, "{}", 1).1, None);
        assert_eq!(
            run("text/plain", true, STREAM, 1),
            (STREAM.to_owned(), None)
        );
        let mut reader = UsageReader::new(Some(b"text/event-stream"), false);
        let first = &STREAM.as_bytes()[..60];
        reader
            .push(Bytes::copy_from_slice(first), &mut Vec::new())
            .expect("small");
        assert_eq!(reader.so_far().map(|usage| usage.output), Some(1));
    }
}
