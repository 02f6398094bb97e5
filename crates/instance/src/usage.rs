//! Reads token usage from an upstream answer as it passes, and leaves out the usage-only event that the instance itself asked for.

use bytes::{Bytes, BytesMut};
use sealwire_http::json_body::read_lossily;
use sealwire_http::sse::{self, EventTooLarge, Splitter};
use sealwire_http::usage::TokenUsage;
use serde_json::Value;

/// Largest answer that is kept to read its usage; larger ones pass, their usage is unknown.
const MAX_JSON: usize = 16 * 1_024 * 1_024;
/// Largest single event of a streamed answer.
const MAX_EVENT: usize = 4 * 1_024 * 1_024;

/// Follows one answer.
#[derive(Debug)]
pub(crate) struct UsageReader {
    shape: Shape,
    usage: Option<TokenUsage>,
}

/// The answer came to an end that is not proper: it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Improper;

#[derive(Debug)]
enum Shape {
    Json(BytesMut),
    Events {
        splitter: Splitter,
        strip: bool,
        /// The last event was `[DONE]`.
        done: bool,
    },
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
                done: false,
            }
        } else if essence.eq_ignore_ascii_case(b"application/json") {
            Shape::Json(BytesMut::new())
        } else {
            Shape::Opaque
        };
        Self { shape, usage: None }
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
            Shape::Events {
                splitter,
                strip,
                done,
            } => {
                splitter.push(&piece);
                while let Some(event) = splitter.next_event()? {
                    let data = sse::data(&event);
                    if let Some(data) = &data {
                        *done = data == "[DONE]";
                    }
                    // Most events hold no counts: those are not parsed.
                    let value = data
                        .filter(|data| data.contains("\"usage\""))
                        .and_then(|data| serde_json::from_str::<Value>(&data).ok());
                    let usage = value
                        .as_ref()
                        .and_then(|value| usage_of(value).or_else(|| output_of(value, self.usage)));
                    self.usage = usage.or(self.usage);
                    let usage_only = usage.is_some()
                        && value
                            .as_ref()
                            .and_then(|value| value.get("choices"))
                            .and_then(Value::as_array)
                            .is_some_and(Vec::is_empty);
                    if !(usage_only && *strip) {
                        out.push(event);
                    }
                }
            }
        }
        Ok(())
    }

    /// The answer's end: the last bytes for the client, and what is known of the usage. `delimited` says that HTTP itself showed the end to be
    /// the whole body's; without that, the content must show it.
    pub(crate) fn finish(
        &mut self,
        delimited: bool,
    ) -> Result<(Bytes, Option<TokenUsage>), Improper> {
        match std::mem::replace(&mut self.shape, Shape::Opaque) {
            Shape::Opaque if delimited => Ok((Bytes::new(), self.usage)),
            Shape::Opaque => Err(Improper),
            Shape::Json(copy) => {
                let value = read_lossily::<Value>(&copy);
                if value.is_none() && !delimited {
                    return Err(Improper);
                }
                Ok((Bytes::new(), value.as_ref().and_then(usage_of)))
            }
            Shape::Events { splitter, done, .. } => {
                let rest = splitter.into_rest();
                let done = sse::data(&rest).map_or(done, |data| data.trim_end() == "[DONE]");
                if within_event(&rest) || !(delimited || done) {
                    return Err(Improper);
                }
                Ok((rest, self.usage))
            }
        }
    }

    /// Usage so far, if the model server has said any.
    pub(crate) const fn so_far(&self) -> Option<TokenUsage> {
        self.usage
    }
}

/// The counts of an answer or of an event: Responses has them in its `response`, Messages at first in its `message`.
fn usage_of(answer: &Value) -> Option<TokenUsage> {
    ["/usage", "/response/usage", "/message/usage"]
        .iter()
        .find_map(|place| TokenUsage::from_json(answer.pointer(place)?))
}

/// Messages may count the prompt at the stream's beginning and the answer at its end.
fn output_of(event: &Value, before: Option<TokenUsage>) -> Option<TokenUsage> {
    let output = event.pointer("/usage/output_tokens")?.as_u64()?;
    before.map(|before| TokenUsage { output, ..before })
}

/// Whether a stream that ends with these bytes behind its last whole event ends inside another. A CR at the very end was a line end after all.
fn within_event(rest: &[u8]) -> bool {
    let empty = rest.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
    !(empty || rest.ends_with(b"\r\r") || rest.ends_with(b"\n\r"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_every_api_are_read_from_its_stream() {
        for (events, expected) in [
            (
                "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":2}}}}\n\n",
                (7, 3, 2),
            ),
            (
                "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":2,\"output_tokens\":0}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":3}}\n\n",
                (7, 3, 2),
            ),
        ] {
            let mut reader = UsageReader::new(Some(b"text/event-stream"), true);
            let mut out = Vec::new();
            reader
                .push(Bytes::from_static(events.as_bytes()), &mut out)
                .expect("small");
            assert_eq!(out.concat(), events.as_bytes());
            let usage = reader.so_far().expect("counts");
            assert_eq!((usage.input, usage.output, usage.cached), expected);
        }
    }

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{}}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\n\
        data: [DONE]\n\n";

    fn run(
        content_type: &str,
        strip: bool,
        text: &str,
        size: usize,
    ) -> (String, Option<TokenUsage>) {
        let mut reader = UsageReader::new(Some(content_type.as_bytes()), strip);
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            reader
                .push(Bytes::copy_from_slice(piece), &mut out)
                .expect("small");
        }
        let (rest, usage) = reader.finish(true).expect("a proper end");
        out.push(rest);
        (String::from_utf8(out.concat()).expect("UTF-8"), usage)
    }

    #[test]
    fn usage_of_a_stream_is_read_and_its_event_left_out_only_if_asked() {
        let usage = Some(TokenUsage {
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
            Some(TokenUsage {
                input: 1,
                output: 2,
                cached: 0
            })
        );
    }

    #[test]
    fn an_end_that_nothing_shows_to_be_the_whole_is_improper() {
        let proper = |content_type: &str, text: &str, delimited: bool| {
            let mut reader = UsageReader::new(Some(content_type.as_bytes()), true);
            reader
                .push(Bytes::copy_from_slice(text.as_bytes()), &mut Vec::new())
                .expect("small");
            reader.finish(delimited).is_ok()
        };
        let cut = STREAM.strip_suffix('\n').expect("a line end");
        let undone = STREAM.strip_suffix("data: [DONE]\n\n").expect("done");
        for (content_type, text, delimited, expected) in [
            ("text/event-stream", STREAM, false, true),
            ("text/event-stream", STREAM, true, true),
            ("text/event-stream", cut, true, false),
            ("text/event-stream", cut, false, false),
            ("text/event-stream", undone, true, true),
            ("text/event-stream", undone, false, false),
            ("text/event-stream", "data: [DONE]\r\r", false, true),
            ("text/event-stream", "data: a\r\r", true, true),
            ("application/json", "{\"a\":1}", false, true),
            ("application/json", "{\"a\":1", false, false),
            ("application/json", "", false, false),
            ("application/json", "{\"a\":1", true, true),
            ("text/plain", "x", false, false),
            ("text/plain", "x", true, true),
        ] {
            assert_eq!(
                proper(content_type, text, delimited),
                expected,
                "{content_type} {text:?} {delimited}"
            );
        }
    }

    #[test]
    fn unknown_usage_is_none() {
        assert_eq!(run("application/json", true, "{}", 1).1, None);
        assert_eq!(
            run("text/plain", true, STREAM, 1),
            (STREAM.to_owned(), None)
        );
        // Events are not counted: usage is what the model server says.
        let mut reader = UsageReader::new(Some(b"text/event-stream"), false);
        let mut out = Vec::new();
        let first = STREAM.find("data: {\"choices\":[],").expect("usage");
        reader
            .push(
                Bytes::copy_from_slice(&STREAM.as_bytes()[..first]),
                &mut out,
            )
            .expect("small");
        assert_eq!((out.len(), reader.so_far()), (2, None));
    }
}
