//! A streamed answer as it goes out: whole events only, and its end only when the answer is known to be whole.

use bytes::{Bytes, BytesMut};
use sealwire_dialects::{Dialect, Stream, upstream};
use sealwire_http::openai::ApiError;
use sealwire_http::sse::{self, Splitter};

use super::usage;

/// Largest single event of a streamed answer, and most bytes behind its end.
const MAX_EVENT: usize = 8 * 1_024 * 1_024;

/// How the application's stream is left when the answer breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The API has an event that says so.
    Finish,
    /// Whoever does not read the error event must not take the answer for whole.
    Abort,
}

/// Writes one stream.
pub(crate) struct Writer {
    splitter: Splitter,
    /// The model server has said that it is done.
    done: bool,
    form: Form,
}

enum Form {
    /// Events as they came; from the last one on they are held back.
    Passed {
        dialect: Dialect,
        strip_usage: bool,
        held: BytesMut,
    },
    Translated(Box<dyn Stream>),
}

impl Writer {
    /// Passes events on. `strip_usage`: the application did not ask for counts.
    pub(crate) fn passing(dialect: Dialect, strip_usage: bool) -> Self {
        Self::new(Form::Passed {
            dialect,
            strip_usage,
            held: BytesMut::new(),
        })
    }

    /// Translates events.
    pub(crate) fn translating(stream: Box<dyn Stream>) -> Self {
        Self::new(Form::Translated(stream))
    }

    fn new(form: Form) -> Self {
        Self {
            splitter: Splitter::new(MAX_EVENT),
            done: false,
            form,
        }
    }

    /// Whether events go on as they come: then nothing is begun before the first of them.
    pub(crate) fn passes_on(&self) -> bool {
        matches!(self.form, Form::Passed { .. })
    }

    /// What the application may see first.
    pub(crate) fn begin(&mut self) -> Bytes {
        let mut out = Vec::new();
        if let Form::Translated(stream) = &mut self.form {
            stream.begin(&mut out);
        }
        out.into()
    }

    /// Shows that the connection lives, as clients of the API understand it.
    pub(crate) fn keep_alive(&mut self) -> Bytes {
        match &mut self.form {
            Form::Translated(stream) => {
                let mut out = Vec::new();
                stream.keep_alive(&mut out);
                out.into()
            }
            Form::Passed { dialect, .. } => Bytes::from_static(match dialect {
                Dialect::OpenAi => b": keep-alive\n\n",
                Dialect::Responses => b"event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n",
                Dialect::Messages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
            }),
        }
    }

    /// Takes content; gives what may go.
    ///
    /// # Errors
    /// An event that is too large, or that reports a fault of the model server.
    pub(crate) fn push(&mut self, content: &[u8]) -> Result<Bytes, ApiError> {
        let mut out = Vec::new();
        self.splitter.push(content);
        while let Some(event) = self.splitter.next_event().map_err(|_| too_large())? {
            self.event(&event, &mut out)?;
        }
        Ok(out.into())
    }

    fn event(&mut self, event: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let data = sse::data(event);
        match &mut self.form {
            Form::Translated(stream) => {
                let Some(data) = data.filter(|_| !self.done) else {
                    return Ok(());
                };
                if is_done(&data) {
                    self.done = true;
                    return Ok(());
                }
                stream.event(&data, out)
            }
            Form::Passed {
                dialect,
                strip_usage,
                held,
            } => {
                let mut stripped = None;
                if let Some(data) = &data {
                    if *strip_usage {
                        match usage::strip(data) {
                            usage::Stripped::Same => {}
                            usage::Stripped::Nothing => return Ok(()),
                            usage::Stripped::Rest(rest) => stripped = Some(rest),
                        }
                    }
                    if *dialect == Dialect::OpenAi
                        && let Some(error) = failure(data)
                    {
                        stripped = Some(error);
                    }
                    self.done |= is_last(*dialect, data);
                }
                let stripped = stripped.map(|data| format!("data: {data}\n\n"));
                let event = stripped.as_ref().map_or(event, |event| event.as_bytes());
                if self.done {
                    held.extend_from_slice(event);
                } else {
                    out.extend_from_slice(event);
                }
                if held.len() > MAX_EVENT {
                    return Err(too_large());
                }
                Ok(())
            }
        }
    }

    /// All that is left, once the answer is known to be whole.
    pub(crate) fn end(self) -> Bytes {
        let rest = self.splitter.into_rest();
        match self.form {
            Form::Translated(mut stream) => {
                let mut out = Vec::new();
                stream.end(&mut out);
                out.into()
            }
            Form::Passed { mut held, .. } => {
                held.extend_from_slice(&rest);
                held.freeze()
            }
        }
    }

    /// What the application is told when the answer breaks.
    pub(crate) fn fail(self, error: &ApiError) -> (Bytes, Ending) {
        match self.form {
            Form::Translated(mut stream) => {
                let mut out = Vec::new();
                stream.fail(error, &mut out);
                (out.into(), Ending::Finish)
            }
            Form::Passed { dialect, .. } => {
                let out = match dialect {
                    Dialect::OpenAi => error.to_sse(),
                    Dialect::Responses | Dialect::Messages => {
                        let body = dialect.error_event(error);
                        format!("event: error\ndata: {body}\n\n").into_bytes()
                    }
                };
                (out.into(), Ending::Abort)
            }
        }
    }
}

fn too_large() -> ApiError {
    ApiError::server_error(
        502,
        "answer_too_large",
        format!("sealwire: an event of the answer has more than {MAX_EVENT} bytes"),
    )
}

/// A model server's error inside the stream, in the API's shape if it is not: vLLM puts a number where clients read a word.
fn failure(data: &str) -> Option<String> {
    if !data.contains("\"error\"") {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(data).ok()?;
    let error = value.get("error")?.as_object()?;
    let fits = matches!(
        error.get("code"),
        None | Some(serde_json::Value::Null | serde_json::Value::String(_))
    );
    if fits || value.get("choices").is_some() {
        return None;
    }
    let error = upstream::error(502, data.as_bytes());
    Some(error.to_value().to_string())
}

/// Clients stop reading at whatever begins so.
fn is_done(data: &str) -> bool {
    data.trim_start().starts_with("[DONE]")
}

/// Whether clients of this API take the answer for whole at this event.
fn is_last(dialect: Dialect, data: &str) -> bool {
    let of_type = |names: &[&str]| {
        serde_json::from_str::<Typed>(data).is_ok_and(|event| names.contains(&&*event.kind))
    };
    match dialect {
        Dialect::OpenAi => is_done(data),
        Dialect::Responses => {
            is_done(data)
                || of_type(&[
                    "response.completed",
                    "response.incomplete",
                    "response.failed",
                ])
        }
        Dialect::Messages => of_type(&["message_stop"]),
    }
}

#[derive(serde::Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(dialect: Dialect, strip: bool, parts: &[&str]) -> (Vec<String>, String) {
        let mut writer = Writer::passing(dialect, strip);
        let before = parts
            .iter()
            .map(|part| {
                let out = writer.push(part.as_bytes()).expect("small");
                String::from_utf8(out.to_vec()).expect("UTF-8")
            })
            .collect();
        let end = String::from_utf8(writer.end().to_vec()).expect("UTF-8");
        (before, end)
    }

    #[test]
    fn events_go_out_whole() {
        let (out, end) = passed(
            Dialect::OpenAi,
            false,
            &["data: {\"a\"", ":1}\n", "\n", "data: x"],
        );
        assert_eq!(out, ["", "", "data: {\"a\":1}\n\n", ""]);
        assert_eq!(end, "data: x");
    }

    #[test]
    fn the_end_waits() {
        let (out, end) = passed(
            Dialect::OpenAi,
            false,
            &["data: 1\n\ndata: [DONE]\n\n", "data: 2\n\n"],
        );
        assert_eq!(out, ["data: 1\n\n", ""]);
        assert_eq!(end, "data: [DONE]\n\ndata: 2\n\n");
        let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let (out, end) = passed(Dialect::Messages, false, &[stop]);
        assert_eq!((out, end.as_str()), (vec![String::new()], stop));
        let completed = "data: {\"type\":\"response.completed\"}\n\n";
        let (_, end) = passed(Dialect::Responses, false, &[completed]);
        assert_eq!(end, completed);
    }

    #[test]
    fn an_error_of_the_model_server_has_a_word_for_a_code() {
        let errors = [
            "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":500}}\n\n",
            "data: {\"error\":{\"message\":\"m\",\"code\":\"own\"}}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"error\\\"\"}}]}\n\n",
        ];
        let (out, _) = passed(Dialect::OpenAi, false, &errors);
        let first: serde_json::Value =
            serde_json::from_str(out[0].trim_start_matches("data: ")).expect("JSON");
        assert_eq!(
            first,
            serde_json::json!({"error": {"message": "m", "type": "t", "param": null, "code": null}})
        );
        assert_eq!(out[1..], errors[1..]);
    }

    #[test]
    fn counts_that_were_not_asked_for_are_left_out() {
        let (out, _) = passed(
            Dialect::OpenAi,
            true,
            &[
                "data: {\"choices\":[{\"index\":0}],\"usage\":{\"completion_tokens\":1}}\n\n",
                "data: {\"choices\":[],\"usage\":{\"completion_tokens\":1}}\n\n",
            ],
        );
        assert_eq!(out, ["data: {\"choices\":[{\"index\":0}]}\n\n", ""]);
    }
}
