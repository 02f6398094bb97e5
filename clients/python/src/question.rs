//! The application's request, read as far as sealing needs it.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealwire_http::json_body::JsonBody;

use crate::PROVIDER;
use crate::errors::{Class, Fault, request};

/// Longest name of a model, in bytes.
const MAX_MODEL: usize = 255;

/// What a request's body asks for.
#[pyclass(frozen, get_all)]
pub(crate) struct Question {
    model: String,
    stream: bool,
    asks_usage: bool,
}

/// Reads a body: one JSON object with unique names and a model that can be a label.
#[pyfunction]
pub(crate) fn read_question(body: &[u8]) -> Result<Question, Fault> {
    let body = JsonBody::parse(body).map_err(|error| request("bad_json", error.to_string()))?;
    let model = body
        .model()
        .ok_or_else(|| request("no_model", "the request names no model"))?;
    if model.is_empty() || model.len() > MAX_MODEL || model.bytes().any(|b| b.is_ascii_control()) {
        return Err(request(
            "bad_model",
            "the request's model must have 1 to 255 bytes and no control characters",
        ));
    }
    Ok(Question {
        model,
        stream: body.wants_stream(),
        asks_usage: body.asks_usage(),
    })
}

/// The body with the model's name set and the switches for thinking on; every other byte stays.
#[pyfunction]
pub(crate) fn prepare<'py>(
    py: Python<'py>,
    body: &[u8],
    model: &str,
    thinking: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let unreadable = || {
        request(
            "not-an-object",
            "the body must be one JSON object whose names are unique",
        )
    };
    let mut content = body.to_vec();
    let parsed = JsonBody::parse(body).map_err(|_| unreadable())?;
    if parsed.model().as_deref() != Some(model) {
        let name = serde_json::Value::from(model).to_string();
        content = parsed.with("model", &name).ok_or_else(unreadable)?;
    }
    if thinking {
        let parsed = JsonBody::parse(&content).map_err(|_| unreadable())?;
        let switches = switched(parsed.get("chat_template_kwargs"))?;
        let changed = parsed.with("chat_template_kwargs", &switches);
        content = changed.ok_or_else(unreadable)?;
    }
    Ok(PyBytes::new(py, &content))
}

fn switched(given: Option<&str>) -> Result<String, Fault> {
    let bad = || {
        request(
            "bad_chat_template_kwargs",
            "chat_template_kwargs must be an object if thinking is asked for",
        )
    };
    let mut text = match given {
        None | Some("null") => "{}".to_owned(),
        Some(given) => given.to_owned(),
    };
    for name in ["thinking", "enable_thinking"] {
        let changed = JsonBody::parse(text.as_bytes())
            .map_err(|_| bad())?
            .with(name, "true");
        text = changed
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(bad)?;
    }
    Ok(text)
}

/// Random bytes of the crypto provider.
#[pyfunction]
pub(crate) fn random(py: Python<'_>, len: usize) -> PyResult<Bound<'_, PyBytes>> {
    let mut bytes = vec![0; len.min(1_024)];
    PROVIDER
        .random
        .fill(&mut bytes)
        .map_err(|_| Fault::new(Class::Config, "local_crypto", "the random generator failed"))?;
    Ok(PyBytes::new(py, &bytes))
}
