//! The APIs of OpenAI Responses and Anthropic Messages: their requests become Chat Completions before they are sealed, and the answers are written back.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealwire_dialects::{
    Answer, ApiError, Count, Dialect, Moment, Settings, Stream, messages, responses, upstream,
};
use sealwire_http::sse::{self, Splitter};

use crate::errors::{Class, Fault};
use crate::{PROVIDER, unix_now};

/// Largest event of a streamed answer.
const MAX_EVENT: usize = 8 * 1_024 * 1_024;

/// Translates a request of `path`. Gives the body of a Chat Completions request and what writes its answer.
#[pyfunction]
pub(crate) fn translate<'py>(
    py: Python<'py>,
    path: &str,
    body: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, Translator)> {
    let dialect = Dialect::of_path(path);
    let mut seed = [0; 16];
    PROVIDER
        .random
        .fill(&mut seed)
        .map_err(|_| Fault::new(Class::Config, "local_crypto", "the random generator failed"))?;
    let moment = Moment {
        unix: unix_now(),
        seed,
    };
    let settings = Settings::default();
    let translated = py.detach(|| match dialect {
        Dialect::Responses => responses::translate(body, &settings, moment),
        Dialect::Messages => messages::translate(body, &settings, moment),
        Dialect::OpenAi => Err(ApiError::invalid_request(
            404,
            "unknown_url",
            "this API is not translated",
        )),
    });
    let translated = translated.map_err(request)?;
    let chat = PyBytes::new(py, &translated.body);
    Ok((
        chat,
        Translator {
            dialect,
            answer: translated.answer,
        },
    ))
}

/// An estimate of a request's tokens, as the body of its answer. Nothing is sent for it.
#[pyfunction]
pub(crate) fn count_tokens<'py>(
    py: Python<'py>,
    path: &str,
    body: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let count = Count::of_path(path).ok_or_else(|| {
        request(ApiError::invalid_request(
            404,
            "unknown_url",
            "this path counts nothing",
        ))
    })?;
    let tokens = count
        .estimate(body, &Settings::default())
        .map_err(request)?;
    Ok(PyBytes::new(
        py,
        count.answer(tokens).to_string().as_bytes(),
    ))
}

/// Status and body of an error as the API of `path` writes it.
#[pyfunction]
pub(crate) fn error_body<'py>(
    py: Python<'py>,
    path: &str,
    status: u16,
    kind: &str,
    code: &str,
    message: &str,
    retry: bool,
) -> (u16, Bound<'py, PyBytes>) {
    let mut error = ApiError::server_error(status, code, message).with_retry(retry);
    error.kind = kind.to_owned().into();
    let dialect = Dialect::of_path(path);
    (
        dialect.status(&error),
        PyBytes::new(py, &dialect.error_body(&error, None)),
    )
}

/// Writes the answer of one request in its API.
#[pyclass(frozen)]
pub(crate) struct Translator {
    dialect: Dialect,
    answer: Box<dyn Answer>,
}

#[pymethods]
impl Translator {
    /// Status and body for an answer that is not streamed.
    fn whole<'py>(&self, py: Python<'py>, status: u16, body: &[u8]) -> (u16, Bound<'py, PyBytes>) {
        let written = py.detach(|| {
            if status >= 400 {
                return Err(upstream::error(status, body));
            }
            self.answer.whole(body)
        });
        let (status, body) = match written {
            Ok(body) => (status, body),
            Err(error) => (
                self.dialect.status(&error),
                self.dialect.error_body(&error, None),
            ),
        };
        (status, PyBytes::new(py, &body))
    }

    /// What writes a streamed answer.
    fn stream(&self) -> EventWriter {
        EventWriter(Mutex::new(Writing {
            stream: self.answer.stream(),
            splitter: Splitter::new(MAX_EVENT),
            begun: false,
            failed: false,
        }))
    }
}

/// Writes one streamed answer in its API.
#[pyclass(frozen)]
pub(crate) struct EventWriter(Mutex<Writing>);

struct Writing {
    stream: Box<dyn Stream>,
    splitter: Splitter,
    begun: bool,
    /// The model server has said inside its stream that it failed.
    failed: bool,
}

#[pymethods]
impl EventWriter {
    /// Takes whole events of Chat Completions, gives those of the API.
    fn push<'py>(&self, py: Python<'py>, events: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(events.len());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(events, &mut out)?;
        Ok(PyBytes::new(py, &out))
    }

    /// The answer is known to be whole: its end.
    fn end<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut writing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        writing.begin(&mut out);
        if !writing.failed {
            writing.stream.end(&mut out);
        }
        PyBytes::new(py, &out)
    }
}

impl Writing {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.stream.begin(out);
        }
    }

    fn push(&mut self, events: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.begin(out);
        self.splitter.push(events);
        let too_large = |_| {
            Fault::new(
                Class::Answer,
                "answer-too-large",
                "an event of the answer is too large",
            )
        };
        while let Some(event) = self.splitter.next_event().map_err(too_large)? {
            let Some(data) = sse::data(&event) else {
                continue;
            };
            if self.failed || data.trim_start().starts_with("[DONE]") {
                continue;
            }
            if let Err(error) = self.stream.event(&data, out) {
                // The model server's own failure: the API has a word for it.
                self.stream.fail(&error, out);
                self.failed = true;
            }
        }
        Ok(())
    }
}

fn request(error: ApiError) -> Fault {
    Fault::new(Class::Request, &error.code, error.message).with_status(error.status)
}
