//! The sealed answer, opened: a blob at once, a stream line by line. Nothing that came in clear reaches the application.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sealwire::compat::chutes::{
    AwaitResponse, ChutesError, Event, Head, StreamLimits, StreamOpener,
};
use sealwire_http::json_body::read_lossily;
use sealwire_http::net::{Incoming, ReadError, next_data, read_all};
use sealwire_http::openai::ApiError;
use serde_json::Value;

use super::ChutesLimits;
use super::attempt::{self, Form, is_large, off_thread};
use super::error::Fault;
use crate::backend::{self, Next, Source};

/// Fixed parts of a blob, and what gzip adds at worst.
const OVERHEAD: usize = 64 * 1_024;

/// How the application wants its answer.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub(super) streamed: bool,
    pub(super) every_token: bool,
}

/// An answer on its way to the application.
pub(crate) enum Answer {
    /// It came at once.
    Whole(Option<Bytes>),
    /// It comes line by line.
    Stream {
        reader: Box<Reader>,
        /// The profile's end mark is part of the answer.
        events: bool,
    },
}

type Answered = backend::Answered<Answer>;

/// Reads an answer up to its head.
pub(super) async fn begin(
    answered: attempt::Answered,
    limits: &ChutesLimits,
    wish: Wish,
) -> Result<Answered, Fault> {
    match answered.form {
        Form::Blob => whole(answered.waiting, answered.body, limits, wish.streamed).await,
        Form::Stream => streamed(answered.waiting, answered.body, limits, wish).await,
    }
}

async fn whole(
    waiting: AwaitResponse,
    mut body: Incoming,
    limits: &ChutesLimits,
    streamed: bool,
) -> Result<Answered, Fault> {
    let limit = limits.answer_bytes;
    let blob = read_all(
        &mut body,
        limit.saturating_add(OVERHEAD),
        limits.answer_idle,
    )
    .await
    .map_err(|error| match error {
        ReadError::TooLarge(_) => Fault::TooLarge(limit),
        error => Fault::Broken(error.to_string()),
    })?;
    let large = is_large(blob.len());
    let reply = off_thread(large, move || waiting.open(&blob, limit))
        .await?
        .map_err(opened)?;
    let body = Bytes::from(reply.body);
    match reply.head {
        Some(head) => answer(&head, Answer::Whole(Some(body))),
        None => judged(body, streamed),
    }
}

/// An answer whose status did not come with it (section 4): one that looks like an answer is one; nothing is guessed about others. To a streamed
/// request only an error comes so.
fn judged(body: Bytes, streamed: bool) -> Result<Answered, Fault> {
    let value: Value = read_lossily(&body).ok_or(Fault::NoAnswer)?;
    let object = value.as_object().ok_or(Fault::NoAnswer)?;
    // Model servers also write errors as `{"object":"error", ..}`.
    let is_error = object.get("error").is_some_and(|error| !error.is_null())
        || object.get("object").and_then(Value::as_str) == Some("error");
    if streamed && !is_error {
        return Err(Fault::NotStreamed);
    }
    let status = if is_error { 502 } else { 200 };
    let head = Head {
        status,
        content_type: "application/json".to_owned(),
    };
    answer(&head, Answer::Whole(Some(body)))
}

fn answer(head: &Head, source: Answer) -> Result<Answered, Fault> {
    let unsound = || Fault::Broken("a head that is none".to_owned());
    // An informational status would end nothing.
    let status = StatusCode::from_u16(head.status)
        .ok()
        .filter(|status| !status.is_informational())
        .ok_or_else(unsound)?;
    let content_type = HeaderValue::from_str(&head.content_type).map_err(|_| unsound())?;
    Ok(Answered {
        status,
        fields: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
        source,
    })
}

async fn streamed(
    waiting: AwaitResponse,
    body: Incoming,
    limits: &ChutesLimits,
    wish: Wish,
) -> Result<Answered, Fault> {
    let mut reader = Box::new(Reader {
        opener: waiting.into_stream(StreamLimits {
            every_token: wish.every_token,
            ..StreamLimits::default()
        }),
        body,
        idle: limits.answer_idle,
        first: None,
        open_line: false,
        in_event: false,
    });
    // A fault before the first sealed line is still an error with a status.
    let head = reader.begin().await?;
    // What came as a stream and is none, such as an error of the model server, has no end mark of its own.
    let events = is_stream(&head);
    answer(&head, Answer::Stream { reader, events })
}

fn is_stream(head: &Head) -> bool {
    head.status == 200
        && head
            .content_type
            .to_ascii_lowercase()
            .starts_with("text/event-stream")
}

/// Reads one sealed stream.
pub(crate) struct Reader {
    opener: StreamOpener,
    body: Incoming,
    idle: Duration,
    /// Read while the stream was looked at.
    first: Option<Piece>,
    /// The last line of the end is not blank, so its event is not finished.
    open_line: bool,
    /// The last line was data, and no blank line came since.
    in_event: bool,
}

enum Piece {
    Content(Bytes),
    /// Of the end: the sealed `[DONE]` and what is behind it.
    Done(Bytes),
    /// The stream is whole.
    End,
}

impl Reader {
    /// The head; a peer that carries none answers with a stream of events.
    async fn begin(&mut self) -> Result<Head, Fault> {
        loop {
            match self.event().await? {
                Some(Event::Head(head)) => return Ok(head),
                Some(event) => {
                    if let Some(piece) = self.piece(event)? {
                        self.first = Some(piece);
                        return Ok(Head {
                            status: 200,
                            content_type: "text/event-stream".to_owned(),
                        });
                    }
                }
                // `event` gives it only behind a sealed end, which is a piece.
                None => return Err(Fault::Answer(ChutesError::Truncated)),
            }
        }
    }

    async fn read(&mut self) -> Result<Piece, Fault> {
        if let Some(piece) = self.first.take() {
            return Ok(piece);
        }
        loop {
            match self.event().await? {
                Some(event) => {
                    if let Some(piece) = self.piece(event)? {
                        return Ok(piece);
                    }
                }
                None if self.open_line => {
                    // The event of `[DONE]` needs its blank line.
                    self.open_line = false;
                    return Ok(Piece::Done(Bytes::from_static(b"\n")));
                }
                None => return Ok(Piece::End),
            }
        }
    }

    fn piece(&mut self, event: Event) -> Result<Option<Piece>, Fault> {
        match event {
            Event::Content(line) => Ok(Some(Piece::Content(self.apart(line)))),
            Event::Done(line) => {
                let line = self.apart(line);
                self.open_line = !line.trim_ascii().is_empty();
                Ok(Some(Piece::Done(line)))
            }
            Event::RelayError(text) => Err(Fault::RelayFailed(super::api::words(&text))),
            // Unsigned counts in clear are nothing for the application.
            Event::Usage(_) => Ok(None),
            // The opener gives a head first and once; what it may learn to give later is not content.
            _ => Ok(None),
        }
    }

    /// Each data line is an event of its own: where the blank line between two was left out, one is put in, so that no client joins them.
    fn apart(&mut self, line: Vec<u8>) -> Bytes {
        let is_data = line.starts_with(b"data:");
        let blank = line.trim_ascii().is_empty() || line.ends_with(b"\n\n");
        let joined = is_data && self.in_event;
        self.in_event = !blank && (is_data || self.in_event);
        if joined {
            [&b"\n"[..], &line].concat().into()
        } else {
            line.into()
        }
    }

    /// The next event, `None` once the stream is known to be whole.
    async fn event(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(event) = self.opener.next_event().map_err(opened)? {
                return Ok(Some(event));
            }
            match next_data(&mut self.body, self.idle).await {
                Ok(Some(data)) => self.opener.push(&data),
                Ok(None) => {
                    self.opener.end_of_input().map_err(opened)?;
                    return Ok(None);
                }
                Err(error) => return Err(Fault::Broken(error.to_string())),
            }
        }
    }
}

impl Source for Answer {
    async fn next(&mut self) -> Result<Next, ApiError> {
        let (reader, events) = match self {
            Self::Whole(body) => return Ok(body.take().map_or(Next::End, Next::Content)),
            Self::Stream { reader, events } => (reader, *events),
        };
        loop {
            return match reader.read().await {
                Ok(Piece::Done(_)) if !events => continue,
                Ok(Piece::Content(line) | Piece::Done(line)) => Ok(Next::Content(line)),
                Ok(Piece::End) => Ok(Next::End),
                Err(fault) => Err(fault.to_api()),
            };
        }
    }
}

fn opened(error: ChutesError) -> Fault {
    match error {
        ChutesError::TooLarge { limit } => Fault::TooLarge(limit),
        error => Fault::Answer(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(body: &'static str) -> Result<u16, Fault> {
        judged(Bytes::from_static(body.as_bytes()), false).map(|answered| answered.status.as_u16())
    }

    #[test]
    fn a_whole_answer_is_none_to_a_streamed_request() {
        let status_of = |body: &'static str| {
            judged(Bytes::from_static(body.as_bytes()), true)
                .map(|answered| answered.status.as_u16())
        };
        let answer = r#"{"object":"chat.completion","choices":[]}"#;
        assert_eq!(status_of(answer), Err(Fault::NotStreamed));
        assert_eq!(status_of(r#"{"error":{"message":"no"}}"#), Ok(502));
    }

    #[test]
    fn a_status_is_never_guessed() {
        for (body, status) in [
            (r#"{"object":"chat.completion","choices":[]}"#, 200),
            (r#"{"error":null,"choices":[]}"#, 200),
            (r#"{"object":"list","data":[]}"#, 200),
            (r#"{"error":{"message":"no","code":400}}"#, 502),
            (r#"{"error":"no"}"#, 502),
            (r#"{"object":"error","message":"no","code":400}"#, 502),
        ] {
            assert_eq!(status_of(body), Ok(status), "{body}");
        }
        let broken = Bytes::from_static(b"{\"choices\":[\"\xff\"]}");
        assert!(judged(broken, false).is_ok_and(|answered| answered.status == 200));
        for body in ["[]", "", "<html>", "7", "{"] {
            assert_eq!(status_of(body), Err(Fault::NoAnswer), "{body}");
        }
    }

    #[test]
    fn a_head_that_http_cannot_carry_is_refused() {
        let head = |status, content_type: &str| {
            answer(
                &Head {
                    status,
                    content_type: content_type.to_owned(),
                },
                Answer::Whole(None),
            )
        };
        assert!(head(429, "application/json").is_ok());
        assert!(head(100, "application/json").is_err());
        assert!(head(200, "a\nb").is_err());
    }
}
