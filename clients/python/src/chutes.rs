//! The profile chutes-v1: requests sealed, answers opened, hardened.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealwire::compat::chutes::{
    self, AwaitResponse, ChutesError, Codec, Event, Head, InstanceKey, StreamLimits, StreamOpener,
};
use sealwire_libdeflate::Libdeflate;

use crate::PROVIDER;
use crate::errors::{Class, Fault, answer, request};
use crate::native::LARGE;
use crate::tail::Tail;

const CODEC: Codec = Codec {
    provider: PROVIDER,
    compress: &Libdeflate::DEFAULT,
    extensions: true,
};

/// Longest text of a relay that an error carries, in characters.
const MAX_WORDS: usize = 256;

type Headed = (u16, String);

/// Whether a text is an instance's key: base64 of a valid ML-KEM-768 key.
#[pyfunction]
pub(crate) fn instance_key(py: Python<'_>, text: &str) -> bool {
    py.detach(|| InstanceKey::from_base64(&PROVIDER, text).is_ok())
}

/// Seals one JSON object to an instance's key, which is base64 as in discovery. Whose key it is, evidence says.
#[pyfunction]
pub(crate) fn seal_request<'py>(
    py: Python<'py>,
    key: &str,
    path: &str,
    body: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, ChutesAwait)> {
    let sealed = py.detach(|| {
        let key = InstanceKey::from_base64(&PROVIDER, key)?;
        chutes::seal_request(&CODEC, &key, path, body)
    });
    let (blob, waiting) = sealed.map_err(|error| request(error.code(), error.to_string()))?;
    Ok((
        PyBytes::new(py, &blob),
        ChutesAwait(Mutex::new(Some(waiting))),
    ))
}

/// The key for one answer: `open` or `stream`, once.
#[pyclass(frozen)]
pub(crate) struct ChutesAwait(Mutex<Option<AwaitResponse>>);

impl ChutesAwait {
    fn take(&self) -> Result<AwaitResponse, Fault> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| Fault::new(Class::Misuse, "answer-taken", "an answer is opened once"))
    }
}

#[pymethods]
impl ChutesAwait {
    /// Opens an answer that is not streamed, and unpacks it to at most `limit` bytes. Gives status and media type, if the instance carries them, and the body.
    #[pyo3(signature = (blob, limit=67_108_864))]
    fn open<'py>(
        &self,
        py: Python<'py>,
        blob: &[u8],
        limit: usize,
    ) -> PyResult<(Option<Headed>, Bound<'py, PyBytes>)> {
        let waiting = self.take()?;
        let reply = py.detach(|| waiting.open(blob, limit));
        let reply = reply.map_err(|error| answer(&error))?;
        Ok((reply.head.map(headed), PyBytes::new(py, &reply.body)))
    }

    /// What opens a streamed answer. `usage` leaves the event with counts and no choice in; `every_token` says that the model server is known to count each
    /// token in a chunk of its own.
    #[pyo3(signature = (*, usage=true, every_token=false))]
    fn stream(&self, usage: bool, every_token: bool) -> Result<ChutesStream, Fault> {
        let opener = self.take()?.into_stream(StreamLimits {
            every_token,
            ..StreamLimits::default()
        });
        Ok(ChutesStream(Mutex::new(Inner {
            opener,
            usage,
            head: None,
            tail: None,
            open_line: false,
            in_event: false,
            failed: None,
        })))
    }
}

/// Opens one streamed answer: `push` what arrives, hand on what comes out, and at the end of the transport call `end`, which gives the rest.
#[pyclass(frozen)]
pub(crate) struct ChutesStream(Mutex<Inner>);

struct Inner {
    opener: StreamOpener,
    usage: bool,
    head: Option<Headed>,
    tail: Option<Tail>,
    /// The last line of the end is not blank, so its event is not finished.
    open_line: bool,
    /// The last line was data, and no blank line came since.
    in_event: bool,
    failed: Option<Fault>,
}

impl ChutesStream {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl ChutesStream {
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

    /// The transport has ended: the rest of the answer. Raises unless the answer is whole.
    fn end<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        self.lock().end(&mut out)?;
        Ok(PyBytes::new(py, &out))
    }

    /// Never: only the end of the transport shows that the answer is whole.
    #[getter]
    fn finished(&self) -> bool {
        false
    }

    /// Whether nothing more comes out: the next `push` raises.
    #[getter]
    fn ended(&self) -> bool {
        self.lock().failed.is_some()
    }

    /// Whether it is a stream of events.
    #[getter]
    fn streamed(&self) -> bool {
        self.lock().head.as_ref().is_some_and(is_stream)
    }

    /// Status and media type, once they are there.
    #[getter]
    fn head(&self) -> Option<(u16, String)> {
        self.lock().head.clone()
    }
}

impl Inner {
    fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if self.failed.is_none()
            && let Err(fault) = self.take(data, out)
        {
            self.failed = Some(fault);
        }
    }

    fn take(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.opener.push(data);
        while let Some(event) = self.opener.next_event().map_err(|error| answer(&error))? {
            match event {
                Event::Head(head) => self.begin(headed(head)),
                Event::Content(line) => {
                    self.line(&line, out)?;
                }
                Event::Done(line) => {
                    self.open_line = !line.trim_ascii().is_empty();
                    // The profile's end mark, no part of an answer that is no stream.
                    if self.head.as_ref().is_none_or(is_stream) {
                        self.line(&line, out)?;
                    }
                }
                Event::RelayError(text) => {
                    return Err(Fault::new(
                        Class::Relay,
                        "relay-failed",
                        format!(
                            "the relay says in the middle of the answer that it failed: {}",
                            words(&text)
                        ),
                    ));
                }
                // Unsigned counts in clear are nothing for the application; what the opener may learn to give later is not content.
                _ => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, head: Headed) {
        self.tail = is_stream(&head).then(|| Tail::new(!self.usage));
        self.head = Some(head);
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.head.is_none() {
            // A peer that carries no head answers with a stream of events.
            self.begin((200, "text/event-stream".to_owned()));
        }
        let Some(tail) = &mut self.tail else {
            out.extend_from_slice(line);
            return Ok(());
        };
        // Each data line is an event of its own: where the blank line between two was left out, one is put in, so that no client joins them.
        let is_data = line.starts_with(b"data:");
        let blank = line.trim_ascii().is_empty() || line.ends_with(b"\n\n");
        let joined = is_data && self.in_event;
        self.in_event = !blank && (is_data || self.in_event);
        if joined {
            tail.push(b"\n", out)?;
        }
        tail.push(line, out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        if let Err(error) = self.opener.end_of_input() {
            let fault = match error {
                ChutesError::Truncated => Fault::new(
                    Class::Answer,
                    "truncated",
                    "the answer broke off before its sealed end",
                ),
                error => answer(&error),
            };
            self.failed = Some(fault.clone());
            return Err(fault);
        }
        if let Some(mut tail) = self.tail.take() {
            if self.open_line {
                // The event of `[DONE]` needs its blank line.
                tail.push(b"\n", out)?;
            }
            out.extend_from_slice(&tail.release());
        }
        Ok(())
    }
}

fn headed(head: Head) -> Headed {
    (head.status, head.content_type)
}

fn is_stream((status, content_type): &Headed) -> bool {
    *status == 200
        && content_type
            .to_ascii_lowercase()
            .starts_with("text/event-stream")
}

/// A relay's own words, bounded, on one line. A long run without a blank is no sentence: it may be something sealed.
fn words(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .map(|word| if word.len() > 80 { "[..]" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_WORDS)
        .collect()
}
