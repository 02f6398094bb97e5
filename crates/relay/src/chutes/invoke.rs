//! `POST /e2e/invoke`: checks what is in clear, spends the nonce, and carries the rest without reading it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use http::{Method, Request, Response, StatusCode};
use sealwire_http::carriage::{ACCEL_BUFFERING_HEADER, CACHE_CONTROL_VALUE, check_media_type};
use sealwire_http::chutes::{
    BLOB_MEDIA_TYPE, CHUTE_HEADER, INSTANCE_HEADER, INSTANCE_INVOKE_PATH, NONCE_HEADER,
    PASSTHROUGH_HEADER, PATH_HEADER, STREAM_HEADER, STREAM_MEDIA_TYPE, USAGE_HEADER, Uuid,
    parse_id,
};
use sealwire_http::net::{
    Body, ClientError, Incoming, ReadError, channel, discard, next_data, read_all,
};
use sealwire_http::usage::TokenUsage;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::time::timeout;

use super::nonces::Binding;
use super::retry_after::RetryAfter;
use super::usage::{Blob, Entry, Events};
use super::{Chutes, Refusal, serves_chute};
use crate::answer::{Answer, Passage};
use crate::forward::{self, Faults};
use crate::handler::BACKLOG;
use crate::ledger::Account;
use crate::registry::Described;

/// Largest error document of an instance.
const MAX_ERROR: usize = 16 * 1_024;
/// Longest error text that is passed on.
const MAX_DETAIL: usize = 400;
/// Longest path of a request.
const MAX_PATH: usize = 255;

/// What stands in clear beside a sealed request.
struct Call<'a> {
    chute: Uuid,
    instance: Uuid,
    nonce: &'a [u8],
    /// Passed on as they came.
    stream: &'a HeaderValue,
    path: &'a HeaderValue,
    passthrough: bool,
}

/// A request that may go on.
struct Admitted {
    instance: Described,
    /// The first bytes of its body.
    first: Bytes,
    permit: OwnedSemaphorePermit,
}

impl Chutes {
    pub(super) async fn invoke(&self, request: Request<Incoming>, user: &str) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let admitted = match read_call(&parts.headers) {
            Ok(call) => match self.admit(&call, &parts.headers, &mut body, user).await {
                Ok(admitted) => Ok((call, admitted)),
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        };
        match admitted {
            Ok((call, admitted)) => self
                .forward(&call, admitted, body, user)
                .await
                .unwrap_or_else(Refusal::into_response),
            Err(refusal) => {
                discard(body);
                refusal.into_response()
            }
        }
    }

    /// The checks in the order of the deployed relay. The nonce is spent whatever comes of the later ones.
    async fn admit(
        &self,
        call: &Call<'_>,
        headers: &HeaderMap,
        body: &mut Incoming,
        user: &str,
    ) -> Result<Admitted, Refusal> {
        let binding = Binding {
            user,
            chute: call.chute,
            instance: call.instance,
        };
        if !self.nonces.redeem(&binding, call.nonce).await {
            return Err(Refusal::Nonce);
        }
        let instance = self
            .registry
            .distinct()
            .into_iter()
            .find(|instance| instance.description.instance_id == call.instance)
            .ok_or(Refusal::NoInstance)?;
        if !serves_chute(&instance, call.chute) {
            return Err(Refusal::OtherChute);
        }
        if !instance.up {
            return Err(Refusal::InstanceGone);
        }
        let first = match next_data(body, self.limits.handshake_time).await {
            Ok(Some(first)) => first,
            Ok(None) => return Err(Refusal::EmptyBody),
            Err(fault) => return Err(cut_off(&fault)),
        };
        let most = self.limits.request_bytes;
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > most) {
            return Err(Refusal::TooLarge(most));
        }
        let permit = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| Refusal::Capacity(None))?;
        Ok(Admitted {
            instance,
            first,
            permit,
        })
    }

    async fn forward(
        &self,
        call: &Call<'_>,
        admitted: Admitted,
        body: Incoming,
        user: &str,
    ) -> Result<Response<Body>, Refusal> {
        let limits = self.limits;
        let index = admitted.instance.index;
        let Some(uri) = self
            .registry
            .url(index)
            .and_then(|url| url.join(INSTANCE_INVOKE_PATH).ok())
        else {
            discard(body);
            return Err(Refusal::Unreachable);
        };
        let (to_instance, request_body) = channel(BACKLOG);
        let sent = Arc::new(AtomicU64::new(0));
        let (too_large_said, mut too_large) = watch::channel(false);
        let (cut_said, cut) = oneshot::channel();
        tokio::spawn(forward::up(
            body,
            to_instance,
            admitted.first,
            limits.request_bytes,
            limits.idle,
            Arc::clone(&sent),
            Faults {
                too_large: too_large_said,
                cut: Some(cut_said),
            },
        ));
        let mut request = Request::new(request_body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = instance_headers(call);
        let answered = tokio::select! {
            // What the client did comes first: a request that broke off fails at the instance too.
            biased;
            fault = forward::broken(cut) => return Err(cut_off(&fault)),
            answered = timeout(limits.chutes.answer_time, self.client.send(request)) => answered,
            () = forward::said(&mut too_large) => return Err(Refusal::TooLarge(limits.request_bytes)),
        };
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(ClientError::Broken(_))) => {
                self.registry.look_again(index);
                return Err(Refusal::Unreachable);
            }
            Ok(Err(_)) => {
                self.registry.mark_down(index);
                return Err(Refusal::Unreachable);
            }
            Err(_) => {
                self.registry.look_again(index);
                return Err(Refusal::Slow(limits.chutes.answer_time.as_secs()));
            }
        };
        if response.status() != StatusCode::OK {
            return Err(self.refusal(index, response).await);
        }
        let (parts, from) = response.into_parts();
        let model = admitted.instance.description.chutes.iter();
        let model = model.filter(|chute| chute.chute_id == call.chute);
        let account = Account {
            key: user.to_owned(),
            billing: String::new(),
            label: model
                .map(|chute| chute.model.clone())
                .next()
                .unwrap_or_default(),
        };
        let entry = Entry::new(Arc::clone(&self.ledger), account);
        if check_media_type(&parts.headers, STREAM_MEDIA_TYPE).is_ok() {
            let events = Events::new(entry, limits.chutes.line_bytes, call.passthrough);
            let answer = Answer {
                from,
                passage: events,
                sent,
                _permit: admitted.permit,
            };
            return Ok(self.pass(answer, STREAM_MEDIA_TYPE, too_large));
        }
        if check_media_type(&parts.headers, BLOB_MEDIA_TYPE).is_ok() {
            let blob = Blob::new(entry, header_usage(&parts.headers));
            let answer = Answer {
                from,
                passage: blob,
                sent,
                _permit: admitted.permit,
            };
            return Ok(self.pass(answer, BLOB_MEDIA_TYPE, too_large));
        }
        Err(Refusal::NotOfProtocol)
    }

    /// Lets an answer through, to its end.
    fn pass<P: Passage>(
        &self,
        answer: Answer<P>,
        media_type: &'static str,
        too_large: watch::Receiver<bool>,
    ) -> Response<Body> {
        let mut response = Response::new(answer.into_body(self.limits.idle, too_large));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL_VALUE));
        headers.insert(ACCEL_BUFFERING_HEADER, HeaderValue::from_static("no"));
        response
    }

    /// What a client is told of an instance's refusal.
    async fn refusal(&self, index: usize, response: Response<Incoming>) -> Refusal {
        let status = response.status();
        match status {
            StatusCode::BAD_REQUEST => {
                let mut body = response.into_body();
                let said = read_all(&mut body, MAX_ERROR, self.limits.instance_time)
                    .await
                    .ok()
                    .and_then(|body| detail_of(&body));
                Refusal::BadRequest(
                    said.unwrap_or_else(|| "The instance refused the request".to_owned()),
                )
            }
            StatusCode::CONFLICT => Refusal::Replayed,
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::InstanceTooLarge,
            StatusCode::UPGRADE_REQUIRED => {
                self.registry.look_again(index);
                Refusal::KeyGone
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                Refusal::Capacity(RetryAfter::read(response.headers(), SystemTime::now()))
            }
            _ => Refusal::Failed,
        }
    }
}

/// A body that came in part.
fn cut_off(fault: &ReadError) -> Refusal {
    match fault {
        ReadError::Idle(_) => Refusal::SlowBody,
        _ => Refusal::BrokenBody,
    }
}

fn read_call(headers: &HeaderMap) -> Result<Call<'_>, Refusal> {
    let mut faults = Vec::new();
    let chute = read(headers, CHUTE_HEADER, AN_ID, id, &mut faults);
    let instance = read(headers, INSTANCE_HEADER, AN_ID, id, &mut faults);
    let nonce = read(
        headers,
        NONCE_HEADER,
        "expected a nonce of /e2e/instances",
        |value| Some(value.as_bytes()),
        &mut faults,
    );
    let stream = read(
        headers,
        STREAM_HEADER,
        "expected true or false",
        |value| matches!(value.as_bytes(), b"true" | b"false").then_some(value),
        &mut faults,
    );
    let path = read(
        headers,
        PATH_HEADER,
        "expected a path without a query, such as /v1/chat/completions",
        |value| is_path(value.as_bytes()).then_some(value),
        &mut faults,
    );
    let passthrough = headers
        .get(PASSTHROUGH_HEADER)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    match (chute, instance, nonce, stream, path) {
        (Some(chute), Some(instance), Some(nonce), Some(stream), Some(path)) => Ok(Call {
            chute,
            instance,
            nonce,
            stream,
            path,
            passthrough,
        }),
        _ => Err(Refusal::Headers(faults)),
    }
}

const AN_ID: &str = "expected an id in the form 8-4-4-4-12";

fn id(value: &HeaderValue) -> Option<Uuid> {
    parse_id(value.to_str().ok()?)
}

fn is_path(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
        && path.len() <= MAX_PATH
        && path
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(byte))
}

/// The value of a field that stands exactly once; what is wrong with it is added to `faults`.
fn read<'a, T>(
    headers: &'a HeaderMap,
    name: HeaderName,
    expected: &'static str,
    parse: impl Fn(&'a HeaderValue) -> Option<T>,
    faults: &mut Vec<(HeaderName, &'static str)>,
) -> Option<T> {
    let mut values = headers.get_all(&name).iter();
    let (found, fault) = match (values.next(), values.next()) {
        (None, _) => (None, "Field required"),
        (Some(value), None) => (parse(value), expected),
        (Some(_), Some(_)) => (None, "expected this field once"),
    };
    if found.is_none() {
        faults.push((name, fault));
    }
    found
}

fn instance_headers(call: &Call<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BLOB_MEDIA_TYPE));
    if let Ok(chute) = HeaderValue::from_str(&call.chute.to_string()) {
        headers.insert(CHUTE_HEADER, chute);
    }
    headers.insert(STREAM_HEADER, call.stream.clone());
    headers.insert(PATH_HEADER, call.path.clone());
    headers
}

/// Usage that came beside an answer that does not stream.
fn header_usage(headers: &HeaderMap) -> Option<TokenUsage> {
    let usage: Value = serde_json::from_slice(headers.get(USAGE_HEADER)?.as_bytes()).ok()?;
    TokenUsage::from_json(&usage)
}

/// The text of an instance's error document.
fn detail_of(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let text = document.get("detail")?.as_str()?;
    let sound = text.len() <= MAX_DETAIL && !text.chars().any(char::is_control);
    sound.then(|| text.to_owned())
}
