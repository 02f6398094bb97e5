//! The life of one sealed stream.
//!
//! ```text
//!  H2 sent --> READING --FINAL--> CALLING --head--> ANSWERING --end--> receipt, FINAL
//!                |                   |                  |
//!                | refusal           | refusal          | upstream breaks, is silent
//!                v                   v                  v
//!          status >= 400, FINAL   502, 504, FINAL   receipt, ERROR
//!
//!  c2s fails, breaks off, ends with ERROR: receipt, ERROR.     The peer goes away, in any state: the call to the model server is dropped.
//! ```

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sealwire::server::Accepted;
use sealwire::{Error, StreamErrorCode};
use sealwire_http::forward::{self, Call};
use sealwire_http::inner::{HeadError, PaddingWish, check_head};
use sealwire_http::message::{Fields, MessageError, MessageLimits, RequestHead, ResponseHead};
use sealwire_http::net::{BodySender, HttpClient, Incoming, ReadError, discard, next_data_by};
use sealwire_http::openai::ApiError;
use sealwire_http::sealed::{SealedError, SealedEvent, SealedMessage};
use tokio::time::Instant;

use crate::answer::{Answer, Gone};
use crate::keys::Keys;
use crate::reading::{Reading, Step};
use crate::upstream;
use crate::{InstanceConfig, unix_now};

/// A stream whose handshake is accepted.
pub(crate) struct Stream {
    pub(crate) config: Arc<InstanceConfig>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) client: HttpClient,
    pub(crate) accepted: Accepted,
    pub(crate) h2: Vec<u8>,
    /// Bytes that came behind H1.
    pub(crate) rest: BytesMut,
}

/// Why a stream does not end with a model's answer.
enum Stop {
    /// A sealed answer with an error status.
    Refuse(ApiError),
    /// An ERROR frame.
    Fail(StreamErrorCode, String),
    Gone,
}

impl From<Gone> for Stop {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// Runs a stream to its end.
pub(crate) async fn run(stream: Stream, mut body: Incoming, sender: BodySender) {
    let Stream {
        config,
        keys,
        client,
        accepted,
        h2,
        rest,
    } = stream;
    let limits = &config.limits;
    let mut answer = Answer::new(
        accepted.sealer,
        accepted.session,
        sender,
        keys,
        limits.receipt_interval,
        limits.send_idle,
    );
    if answer.send_raw(h2).await.is_err() {
        return;
    }
    let message = SealedMessage::new(
        accepted.opener,
        MessageLimits {
            section_bytes: limits.head_bytes,
            fields: limits.head_fields,
            content: u64::try_from(limits.request_bytes).unwrap_or(u64::MAX),
        },
    );
    let call = read_request(&config, &mut answer, message, rest, &mut body).await;
    // Nothing that comes after the request's end, or its refusal, changes the answer.
    discard(body);
    let outcome = match call {
        Ok(call) => ask(&config, &client, answer, call).await,
        Err(stop) => end(answer, stop).await,
    };
    // Gone is a peer that hung up: there is nobody left to tell.
    let _ = outcome;
}

async fn end(answer: Answer, stop: Stop) -> Result<(), Gone> {
    match stop {
        Stop::Gone => Err(Gone),
        Stop::Fail(code, message) => answer.fail(code, &message, None).await,
        Stop::Refuse(error) => refuse(answer, &error).await,
    }
}

async fn refuse(mut answer: Answer, error: &ApiError) -> Result<(), Gone> {
    let mut fields = Fields::new();
    // A constant that is well formed.
    let _ = fields.push("content-type", b"application/json");
    answer
        .head(&ResponseHead {
            status: error.status,
            fields,
        })
        .await?;
    answer.content(&error.to_json()).await?;
    answer.finish(None).await
}

async fn read_request(
    config: &InstanceConfig,
    answer: &mut Answer,
    mut message: SealedMessage<RequestHead>,
    rest: BytesMut,
    body: &mut Incoming,
) -> Result<Call, Stop> {
    let limits = &config.limits;
    let whole_by = Instant::now() + limits.request_time;
    let mut idle_by = Instant::now() + limits.request_idle;
    let mut head = None;
    let mut content = BytesMut::new();
    message.push(&rest);
    loop {
        match message.next_event().map_err(stop_for)? {
            Some(SealedEvent::Head(found)) => {
                answer.set_policy(policy(config, &found)?);
                head = Some(found);
            }
            Some(SealedEvent::Content(piece)) => content.extend_from_slice(&piece),
            Some(SealedEvent::Finished) => break,
            Some(SealedEvent::Failed { .. }) => {
                return Err(Stop::Fail(
                    StreamErrorCode::Cancelled,
                    "the client gave up".to_owned(),
                ));
            }
            // The core refuses PUBLIC in this half.
            Some(SealedEvent::Public(_)) => {}
            None => {
                let data = tokio::select! {
                    data = next_data_by(body, idle_by.min(whole_by), limits.request_idle) => data,
                    woken = answer.wake() => {
                        woken?;
                        answer.on_wake(None).await?;
                        continue;
                    }
                };
                idle_by = Instant::now() + limits.request_idle;
                match data {
                    Ok(Some(data)) => message.push(&data),
                    Ok(None) | Err(ReadError::Broken(_)) => {
                        message.end_of_input().map_err(stop_for)?;
                    }
                    Err(error) => {
                        return Err(Stop::Fail(
                            StreamErrorCode::Incomplete,
                            format!("the request did not come to its end: {error}"),
                        ));
                    }
                }
            }
        }
    }
    answer.request_complete = true;
    let head = head.ok_or_else(|| stop_for(SealedError::Message(MessageError::Truncated)))?;
    forward::check(head, content.freeze(), answer.label()).map_err(Stop::Refuse)
}

fn policy(config: &InstanceConfig, head: &RequestHead) -> Result<PaddingWish, Stop> {
    let wish = check_head(&head.fields, unix_now()).map_err(|error| {
        let code = match error {
            HeadError::ClockSkew { .. } => "clock_skew",
            _ => "bad_head",
        };
        Stop::Refuse(ApiError::invalid_request(400, code, error.to_string()))
    })?;
    Ok(wish.max(config.least_padding))
}

fn stop_for(error: SealedError) -> Stop {
    match error {
        SealedError::Frames(error) => {
            let what = match error {
                Error::Truncated => "the request broke off before its end".to_owned(),
                other => format!("the request failed: {other}"),
            };
            Stop::Fail(error.stream_code(), what)
        }
        SealedError::Message(error) => Stop::Refuse(ApiError::invalid_request(
            error.status(),
            "bad_message",
            error.to_string(),
        )),
        _ => Stop::Fail(
            StreamErrorCode::Internal,
            "the request could not be read".to_owned(),
        ),
    }
}

/// Calls the model server and passes its answer on.
async fn ask(
    config: &InstanceConfig,
    client: &HttpClient,
    mut answer: Answer,
    call: Call,
) -> Result<(), Gone> {
    let limits = &config.limits;
    let strip_usage = call.strip_usage;
    let answered = {
        let calling = upstream::call(client, &config.upstream, call, limits.upstream_head_time);
        tokio::pin!(calling);
        loop {
            tokio::select! {
                answered = &mut calling => break answered,
                woken = answer.wake() => {
                    woken?;
                    answer.on_wake(None).await?;
                }
            }
        }
    };
    let answered = match answered {
        Ok(answered) => answered,
        Err(error) => return refuse(answer, &error).await,
    };
    answer.head(&answered.head).await?;
    let mut reading = Reading::new(answered, strip_usage, limits.upstream_idle);
    let mut pieces: Vec<Bytes> = Vec::new();
    loop {
        let so_far = reading.usage();
        let step = tokio::select! {
            step = reading.next(&mut pieces), if !answer.is_full() => step,
            woken = answer.wake() => {
                woken?;
                answer.on_wake(so_far).await?;
                if answer.is_full() {
                    reading.forgive_silence();
                }
                continue;
            }
        };
        for piece in pieces.drain(..) {
            answer.content(&piece).await?;
        }
        match step {
            Ok(Step::More) => {}
            Ok(Step::End { rest, usage }) => {
                answer.content(&rest).await?;
                return answer.finish(usage).await;
            }
            Err(fault) => {
                let (code, message) = (fault.stream_code(), fault.to_string());
                return answer.fail(code, &message, reading.usage()).await;
            }
        }
    }
}
