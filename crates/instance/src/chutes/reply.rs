//! Asks the model server and seals what it answers.
//!
//! An answer that streams is sealed as events, any other as a blob. What the model server says to a streamed request without streaming, an error above
//! all, goes to a client of this project as a blob with its status. Deployed clients read nothing but events there, and get it as one.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use sealwire::compat::chutes::{Head, Responder};
use sealwire_http::carriage::{ACCEL_BUFFERING_HEADER, CACHE_CONTROL_VALUE};
use sealwire_http::chutes::{BLOB_MEDIA_TYPE, STREAM_MEDIA_TYPE, USAGE_HEADER};
use sealwire_http::json_body::JsonBody;
use sealwire_http::net::{Body, BodySender, channel, full};
use sealwire_http::openai::ApiError;
use sealwire_http::pacing::frame_padding;
use sealwire_http::usage::TokenUsage;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Chutes;
use super::events::Events;
use super::request::{Accepted, Refusal};
use crate::handler::ANSWER_BACKLOG;
use crate::reading::{Fault, Reading, Step};
use crate::upstream::{self, Answered};

const JSON: &str = "application/json";

/// An answer that is known whole.
struct Whole {
    head: Head,
    body: Vec<u8>,
    usage: Option<TokenUsage>,
}

impl From<ApiError> for Whole {
    fn from(error: ApiError) -> Self {
        Self {
            head: head(error.status, JSON.as_bytes()),
            body: error.to_json(),
            usage: None,
        }
    }
}

/// A head; one that cannot be carried keeps its status.
fn head(status: u16, content_type: &[u8]) -> Head {
    let text = std::str::from_utf8(content_type).unwrap_or_default();
    let or_type = |content_type| Head {
        status,
        content_type,
    };
    Head::new(status, text).unwrap_or_else(|| or_type(BLOB_MEDIA_TYPE.to_owned()))
}

impl Chutes {
    /// Dropping this, when the relay goes away, ends the call to the model server.
    pub(super) async fn reply(&self, accepted: Accepted) -> Response<Body> {
        let limits = &self.config.limits;
        let Accepted {
            call,
            stream,
            extended,
            responder,
            permit,
        } = accepted;
        let upstream = &self.config.upstream;
        let answered =
            match upstream::call(&self.client, upstream, call, limits.upstream_head_time).await {
                Ok(answered) => answered,
                Err(error) => return self.seal(error.into(), stream, extended, responder).await,
            };
        if !(stream && is_event_stream(&answered)) {
            let whole = self.collect(answered).await;
            return self.seal(whole, stream, extended, responder).await;
        }
        let head = head(
            answered.head.status,
            answered.content_type().unwrap_or_default(),
        );
        let mut first = Vec::new();
        let Ok(sealer) = responder.into_stream(&head, &mut first) else {
            return Refusal::Internal.into_response();
        };
        let events = Events::new(sealer, frame_padding(self.config.least_padding));
        let reading = Reading::new(answered, false, limits.upstream_idle);
        let (sender, body) = channel(ANSWER_BACKLOG);
        let idle = limits.send_idle;
        tokio::spawn(async move {
            // `None` is a relay that went away, or a sealer that failed: without a sealed end the answer is seen to be cut.
            let _ = pass(reading, events, first, sender, idle).await;
            drop(permit);
        });
        reply(STREAM_MEDIA_TYPE, body)
    }

    /// The whole answer, or the error that it ended with.
    async fn collect(&self, answered: Answered) -> Whole {
        let limits = &self.config.limits;
        let head = head(
            answered.head.status,
            answered.content_type().unwrap_or_default(),
        );
        let mut reading = Reading::new(answered, false, limits.upstream_idle);
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut body = BytesMut::new();
        loop {
            let step = match reading.next(&mut pieces).await {
                Ok(step) => step,
                Err(fault) => return fault.to_api_error().into(),
            };
            let usage = match step {
                Step::More => None,
                Step::End { rest, usage } => {
                    pieces.push(rest);
                    Some(usage)
                }
            };
            for piece in pieces.drain(..) {
                if piece.len() > limits.answer_bytes.saturating_sub(body.len()) {
                    return Fault::TooLarge(limits.answer_bytes).to_api_error().into();
                }
                body.extend_from_slice(&piece);
            }
            if let Some(usage) = usage {
                return Whole {
                    head,
                    body: body.into(),
                    usage,
                };
            }
        }
    }

    /// Seals a whole answer: as a blob, or for a deployed client that asked for a stream as events.
    async fn seal(
        &self,
        whole: Whole,
        stream: bool,
        extended: bool,
        responder: Responder,
    ) -> Response<Body> {
        let Whole { head, body, usage } = whole;
        if stream && !extended {
            let mut out = Vec::new();
            let padding = frame_padding(self.config.least_padding);
            let sealed = responder
                .into_stream(&head, &mut out)
                .ok()
                .and_then(|sealer| {
                    let mut events = Events::new(sealer, padding);
                    events.data(&as_event(&head, body), &mut out)?;
                    events.finish(usage, &mut out)
                });
            return match sealed {
                Some(()) => reply(STREAM_MEDIA_TYPE, full(out)),
                None => Refusal::Internal.into_response(),
            };
        }
        // Compression takes its time.
        let sealed = spawn_blocking(move || responder.seal(&head, &body)).await;
        let Ok(Ok(blob)) = sealed else {
            return Refusal::Internal.into_response();
        };
        let mut response = reply(BLOB_MEDIA_TYPE, full(blob));
        let counts = usage.map(|usage| usage.to_json().to_string());
        if let Some(Ok(counts)) = counts.map(HeaderValue::try_from) {
            response.headers_mut().insert(USAGE_HEADER, counts);
        }
        response
    }
}

/// Passes a streamed answer on, to its end; `None` if it cannot go on.
async fn pass(
    mut reading: Reading,
    mut events: Events,
    first: Vec<u8>,
    sender: BodySender,
    idle: Duration,
) -> Option<()> {
    let mut out = first;
    let mut pieces: Vec<Bytes> = Vec::new();
    loop {
        if !out.is_empty() {
            let sent = timeout(idle, sender.send(std::mem::take(&mut out))).await;
            sent.ok()?.ok()?;
        }
        let step = tokio::select! {
            step = reading.next(&mut pieces) => step,
            () = sender.closed() => return None,
        };
        for piece in pieces.drain(..) {
            events.event(&piece, &mut out)?;
        }
        match step {
            Ok(Step::More) => events.count(reading.usage(), &mut out),
            Ok(Step::End { rest, usage }) => {
                events.event(&rest, &mut out)?;
                events.finish(usage, &mut out)?;
                break;
            }
            Err(fault) => {
                // An error that every client shows, and no sealed end.
                let error = fault.to_api_error().to_json();
                events.data(&error, &mut out)?;
                events.count(reading.usage(), &mut out);
                break;
            }
        }
    }
    let sent = timeout(idle, sender.send(out)).await;
    sent.ok()?.ok()?;
    sender.finish().await.ok()
}

fn is_event_stream(answered: &Answered) -> bool {
    let essence = answered
        .content_type()
        .and_then(|value| value.split(|byte| *byte == b';').next())
        .unwrap_or_default();
    essence
        .trim_ascii()
        .eq_ignore_ascii_case(STREAM_MEDIA_TYPE.as_bytes())
}

/// What a client that reads only events is shown: the JSON as it is if it reads as an answer or an error, else an error with the status.
fn as_event(head: &Head, body: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&body);
    let object = JsonBody::parse(text.as_bytes()).ok();
    let readable = match &object {
        Some(object) if head.status >= 400 => object.get("error").is_some(),
        Some(_) => true,
        None => false,
    };
    if readable {
        return body;
    }
    let message = format!(
        "the model server answered with the status {} and did not stream",
        head.status
    );
    let status = if head.status >= 400 { head.status } else { 502 };
    ApiError::server_error(status, "upstream_not_streamed", message).to_json()
}

fn reply(media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let fields: [(HeaderName, &'static str); 3] = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, CACHE_CONTROL_VALUE),
        (ACCEL_BUFFERING_HEADER, "no"),
    ];
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
