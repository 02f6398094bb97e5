//! The native profile: a request sealed in one piece, its answer opened as it comes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealwire::client::{self, AwaitResponse, ClientConfig, Connected, EarlyData, ResponseProgress};
use sealwire::receipt::{ReceiptChecker, ReceiptKind};
use sealwire::{Context, Limits, StreamErrorCode};
use sealwire_http::carriage::request_headers;
use sealwire_http::inner::{PADDING_FIELD, PaddingWish, RESPONSE_FIELDS, TIME_FIELD};
use sealwire_http::message::{
    Fields, MessageLimits, RequestHead, ResponseHead, encode_content, encode_end,
};
use sealwire_http::pacing::frame_padding;
use sealwire_http::sealed::{SealedError, SealedEvent, SealedMessage};

use crate::bundle::VerifiedBundle;
use crate::errors::{Class, Fault, request};
use crate::tail::Tail;
use crate::{PROVIDER, unix_now};

/// What is as long as this is worked on without holding up other Python threads.
pub(crate) const LARGE: usize = 16 * 1_024;

type Headers = Vec<(String, Vec<u8>)>;

/// Seals a POST to `path`. Gives the outer header fields, the outer body, and what reads the answer.
#[pyfunction]
#[pyo3(signature = (bundle, request_id, attempt, path, fields, content, *, padding="none", billing=None))]
#[expect(clippy::too_many_arguments, reason = "Python gives most by name")]
pub(crate) fn seal<'py>(
    py: Python<'py>,
    bundle: &VerifiedBundle,
    request_id: [u8; 16],
    attempt: u8,
    path: &str,
    fields: Headers,
    content: &[u8],
    padding: &str,
    billing: Option<&[u8]>,
) -> PyResult<(Headers, Bound<'py, PyBytes>, Answer)> {
    let padding: PaddingWish = padding
        .parse()
        .map_err(|error| Fault::new(Class::Config, "padding", format!("{error}")))?;
    let bundle = &bundle.0;
    let sealed = py.detach(|| -> Result<_, Fault> {
        let mut context = Context::new(bundle.bundle().label(), request_id, attempt)?;
        if let Some(billing) = billing {
            context = context.with_billing(billing)?;
        }
        let message = message(path, &fields, content, padding)?;
        let config = ClientConfig {
            early_data: EarlyData::Allow,
            limits: Limits::DEFAULT,
        };
        let mut body = Vec::with_capacity(message.len().saturating_add(8 * 1_024));
        let (mut sealer, waiting) = client::start(&PROVIDER, &config, bundle, &context, &mut body)?;
        sealer.set_padding(frame_padding(padding));
        sealer.finish(&message, &mut body)?;
        Ok((request_headers(&context.encode()), body, waiting))
    });
    let (headers, body, waiting) = sealed?;
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Ok((headers, PyBytes::new(py, &body), Answer::new(waiting)))
}

/// The whole inner message: head, content, end.
fn message(
    path: &str,
    given: &Headers,
    content: &[u8],
    padding: PaddingWish,
) -> Result<Vec<u8>, Fault> {
    let mut fields = Fields::new();
    for (name, value) in given {
        // A field that the inner message cannot carry is left out.
        let _ = fields.push(name, value);
    }
    // Names and values of the client's own are well formed.
    let _ = fields.push(TIME_FIELD, unix_now().to_string().as_bytes());
    let _ = fields.push(PADDING_FIELD, padding.as_str().as_bytes());
    let head = RequestHead {
        method: "POST".to_owned(),
        path: path.to_owned(),
        fields,
    };
    let mut message = Vec::with_capacity(content.len().saturating_add(1_024));
    head.encode(&mut message)
        .map_err(|error| request("bad-path", error.to_string()))?;
    encode_content(content, &mut message);
    encode_end(&mut message);
    Ok(message)
}

/// Reads one sealed answer: `push` what arrives, hand on what comes out, stop at `finished`. Nothing comes out that was not verified.
#[pyclass(frozen)]
pub(crate) struct Answer(Mutex<Inner>);

struct Inner {
    stage: Stage,
    head: Option<(u16, Headers)>,
    tail: Option<Tail>,
    /// The final receipt says whether the instance had the whole request.
    complete: bool,
    failed: Option<Fault>,
    finished: bool,
}

enum Stage {
    Handshake(Option<Box<AwaitResponse>>, Vec<u8>),
    Open(Box<(SealedMessage<ResponseHead>, ReceiptChecker)>),
}

impl Answer {
    fn new(waiting: AwaitResponse) -> Self {
        Self(Mutex::new(Inner {
            stage: Stage::Handshake(Some(Box::new(waiting)), Vec::new()),
            head: None,
            tail: None,
            complete: true,
            failed: None,
            finished: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Answer {
    /// Takes bytes of the outer body; gives content for the application. What came before a fault is given before the fault is raised.
    fn push<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(data.len());
        if data.len() >= LARGE {
            py.detach(|| self.lock().push(data, &mut out));
        } else {
            self.lock().push(data, &mut out);
        }
        if out.is_empty()
            && let Some(fault) = &self.lock().failed
        {
            return Err(fault.clone().into());
        }
        Ok(PyBytes::new(py, &out))
    }

    /// The outer body has ended: the rest of the answer, of which there is none. Raises unless it is whole.
    fn end<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let inner = self.lock();
        if let Some(fault) = &inner.failed {
            return Err(fault.clone().into());
        }
        if inner.finished {
            return Ok(PyBytes::new(py, &[]));
        }
        Err(Fault::new(
            Class::Answer,
            "truncated",
            "the answer broke off before its sealed end",
        )
        .into())
    }

    /// Whether the handshake is verified.
    #[getter]
    fn connected(&self) -> bool {
        matches!(self.lock().stage, Stage::Open(_))
    }

    /// Whether the answer is whole.
    #[getter]
    fn finished(&self) -> bool {
        self.lock().finished
    }

    /// Whether nothing more comes out: the answer is whole, or the next `push` raises.
    #[getter]
    fn ended(&self) -> bool {
        let inner = self.lock();
        inner.finished || inner.failed.is_some()
    }

    /// Whether it is a stream of events.
    #[getter]
    fn streamed(&self) -> bool {
        let inner = self.lock();
        inner
            .head
            .as_ref()
            .is_some_and(|(_, fields)| is_stream(fields))
    }

    /// Status and header fields, once they are there.
    #[getter]
    fn head(&self) -> Option<(u16, Headers)> {
        self.lock().head.clone()
    }
}

impl Inner {
    fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if self.failed.is_none()
            && !self.finished
            && let Err(fault) = self.take(data, out)
        {
            self.failed = Some(fault);
        }
    }

    fn take(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if let Stage::Handshake(waiting, buffer) = &mut self.stage {
            buffer.extend_from_slice(data);
            let Some(before) = waiting.take() else {
                return Err(sealwire::Error::Truncated.into());
            };
            match before.read(buffer)? {
                ResponseProgress::NeedInput { next, .. } => {
                    *waiting = Some(Box::new(next));
                    return Ok(());
                }
                ResponseProgress::Done {
                    consumed,
                    connected,
                } => {
                    let Connected {
                        opener, session, ..
                    } = connected;
                    let limits = MessageLimits {
                        content: u64::MAX,
                        ..MessageLimits::default()
                    };
                    let mut message = SealedMessage::new(opener, limits);
                    message.push(buffer.get(consumed..).unwrap_or_default());
                    let receipts = ReceiptChecker::for_session(&session);
                    self.stage = Stage::Open(Box::new((message, receipts)));
                }
                _ => return Err(sealwire::Error::Truncated.into()),
            }
        } else if let Stage::Open(open) = &mut self.stage {
            open.0.push(data);
        }
        self.drain(out)
    }

    fn drain(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Stage::Open(open) = &mut self.stage else {
            return Ok(());
        };
        let (message, receipts) = &mut **open;
        while let Some(event) = message.next_event().map_err(|error| sealed(&error))? {
            match event {
                SealedEvent::Head(head) => {
                    let fields = shown(&head);
                    self.tail = is_stream(&fields).then(|| Tail::new(false));
                    self.head = Some((head.status, fields));
                }
                SealedEvent::Content(content) => match &mut self.tail {
                    Some(tail) => tail.push(&content, out)?,
                    None => out.extend_from_slice(&content),
                },
                SealedEvent::Public(body) => {
                    let receipt = receipts.check(&PROVIDER.verification, &body)?;
                    if receipt.kind == ReceiptKind::Final {
                        self.complete = receipt.request_complete;
                    }
                }
                SealedEvent::Finished => {
                    let status = self.head.as_ref().map_or(0, |(status, _)| *status);
                    if status < 400 && !self.complete {
                        return Err(Fault::new(
                            Class::Answer,
                            "early-response",
                            "the instance answered before it had the whole request",
                        ));
                    }
                    if let Some(tail) = self.tail.take() {
                        out.extend_from_slice(&tail.release());
                    }
                    self.finished = true;
                    return Ok(());
                }
                SealedEvent::Failed { code, message } => {
                    return Err(Fault::new(
                        Class::Instance,
                        stream_error(code),
                        format!("the instance gave up: {message}"),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn sealed(error: &SealedError) -> Fault {
    let code = match error {
        SealedError::Frames(error) => error.code(),
        _ => "bad-message",
    };
    Fault::new(
        Class::Answer,
        code,
        format!("the answer is not acceptable: {error}"),
    )
}

const fn stream_error(code: StreamErrorCode) -> &'static str {
    match code {
        StreamErrorCode::Upstream => "upstream",
        StreamErrorCode::UpstreamTimeout => "upstream-timeout",
        StreamErrorCode::TooLarge => "too-large",
        StreamErrorCode::ShuttingDown => "shutting-down",
        StreamErrorCode::Cancelled => "cancelled",
        _ => "instance-error",
    }
}

/// The fields that an application sees.
fn shown(head: &ResponseHead) -> Headers {
    let mut fields: Headers = head
        .fields
        .iter()
        .filter(|(name, _)| RESPONSE_FIELDS.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect();
    if !fields.iter().any(|(name, _)| name == "content-type") {
        fields.push((
            "content-type".to_owned(),
            b"application/octet-stream".to_vec(),
        ));
    }
    fields
}

fn is_stream(fields: &Headers) -> bool {
    fields
        .iter()
        .find(|(name, _)| name == "content-type")
        .is_some_and(|(_, value)| value.to_ascii_lowercase().starts_with(b"text/event-stream"))
}
