//! One attempt: a request sealed with a key pair of its own, and the answer up to its head.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use sealwire::compat::chutes::{AwaitResponse, Codec, InstanceKey, seal_request};
use sealwire_http::chutes::{
    BLOB_MEDIA_TYPE, CHUTE_HEADER, INSTANCE_HEADER, INVOKE_PATH, NONCE_HEADER, PASSTHROUGH_HEADER,
    PATH_HEADER, STREAM_HEADER, STREAM_MEDIA_TYPE,
};
use sealwire_http::net::{BaseUrl, HttpClient, Incoming, full, read_all};
use tokio::time::timeout;

use super::ChutesLimits;
use super::api::{MAX_ERROR, refused};
use super::error::Fault;
use super::nonces::Ticket;
use crate::relay::authorize;

/// Bodies from this size on are sealed and opened off the threads that serve connections.
const LARGE: usize = 64 * 1_024;

/// What is sent, the same in each attempt.
pub(super) struct Invocation<'a> {
    pub(super) chute: &'a str,
    pub(super) path: &'a str,
    pub(super) body: &'a Bytes,
    pub(super) stream: bool,
    pub(super) passthrough: bool,
    pub(super) key: Option<&'a str>,
}

/// How an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Blob,
    Stream,
}

/// An answer whose content has not been looked at.
pub(super) struct Answered {
    pub(super) form: Form,
    pub(super) waiting: AwaitResponse,
    pub(super) body: Incoming,
}

/// Seals and sends; the ticket is used up whatever comes.
pub(super) async fn run(
    codec: &Codec,
    client: &HttpClient,
    e2e_base: &BaseUrl,
    limits: &ChutesLimits,
    invocation: &Invocation<'_>,
    ticket: Ticket,
) -> Result<Answered, Fault> {
    let (blob, waiting) = seal(codec, &ticket.key, invocation).await?;
    let request = sealed_request(e2e_base, invocation, &ticket, blob)?;
    let response = timeout(limits.answer_begin, client.send(request))
        .await
        .map_err(|_| Fault::Timeout {
            what: "begin its answer",
            seconds: limits.answer_begin.as_secs(),
        })?
        .map_err(|error| Fault::Unreachable(error.to_string()))?;
    let form = accept(&response, invocation.stream);
    let form = match form {
        Err(Fault::NotApi { status, .. }) if status != 200 => {
            return Err(error_of(response, limits).await);
        }
        form => form?,
    };
    Ok(Answered {
        form,
        waiting,
        body: response.into_body(),
    })
}

async fn seal(
    codec: &Codec,
    key: &InstanceKey,
    invocation: &Invocation<'_>,
) -> Result<(Vec<u8>, AwaitResponse), Fault> {
    let (codec, key) = (*codec, key.clone());
    let (path, body) = (invocation.path.to_owned(), invocation.body.clone());
    let large = body.len() >= LARGE;
    off_thread(large, move || seal_request(&codec, &key, &path, &body))
        .await?
        .map_err(Fault::Request)
}

/// Runs work, elsewhere if it is `large`.
pub(super) async fn off_thread<T: Send + 'static>(
    large: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    if !large {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Fault::Broken("the proxy is shutting down".to_owned()))
}

/// Whether that many bytes are worth another thread.
pub(super) const fn is_large(bytes: usize) -> bool {
    bytes >= LARGE
}

fn sealed_request(
    e2e_base: &BaseUrl,
    invocation: &Invocation<'_>,
    ticket: &Ticket,
    blob: Vec<u8>,
) -> Result<Request<sealwire_http::net::Body>, Fault> {
    let uri = e2e_base
        .join(INVOKE_PATH)
        .map_err(|error| Fault::Unreachable(error.to_string()))?;
    let mut request = Request::new(full(blob));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BLOB_MEDIA_TYPE));
    let flag = |value: bool| HeaderValue::from_static(if value { "true" } else { "false" });
    headers.insert(STREAM_HEADER, flag(invocation.stream));
    if invocation.passthrough {
        headers.insert(PASSTHROUGH_HEADER, flag(true));
    }
    for (name, value) in [
        (CHUTE_HEADER, invocation.chute),
        (INSTANCE_HEADER, &ticket.instance),
        (NONCE_HEADER, &ticket.nonce),
        (PATH_HEADER, invocation.path),
    ] {
        // All were checked when they came in.
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| Fault::Unreachable("a header cannot be set".to_owned()))?;
        value.set_sensitive(name == NONCE_HEADER);
        headers.insert(name, value);
    }
    authorize(headers, invocation.key);
    Ok(request)
}

/// What a 200 holds by its media type; anything else is no answer.
fn accept(response: &Response<Incoming>, stream: bool) -> Result<Form, Fault> {
    let status = response.status();
    if status != StatusCode::OK {
        return Err(Fault::NotApi {
            status: status.as_u16(),
            why: String::new(),
        });
    }
    let mut values = response.headers().get_all(CONTENT_TYPE).iter();
    let only = values.next().filter(|_| values.next().is_none());
    let essence = only
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some(BLOB_MEDIA_TYPE) => Ok(Form::Blob),
        Some(STREAM_MEDIA_TYPE) if stream => Ok(Form::Stream),
        Some(STREAM_MEDIA_TYPE) => Err(Fault::NotSealed(
            "a stream, where a whole answer was asked for".to_owned(),
        )),
        Some("text/html") => Err(Fault::NotSealed(
            "a web page; something between here and the relay may want a login".to_owned(),
        )),
        _ => Err(Fault::NotSealed("another media type".to_owned())),
    }
}

/// The error that a status other than 200 carries.
async fn error_of(response: Response<Incoming>, limits: &ChutesLimits) -> Fault {
    let status = response.status();
    let mut body = response.into_body();
    let read = read_all(&mut body, MAX_ERROR, limits.lookup_time);
    match timeout(limits.lookup_time, read).await {
        Ok(Ok(body)) => refused(status, &body),
        Ok(Err(error)) => Fault::NotApi {
            status: status.as_u16(),
            why: error.to_string(),
        },
        Err(_) => Fault::NotApi {
            status: status.as_u16(),
            why: "its body does not end".to_owned(),
        },
    }
}
