//! The frames themselves, for Python programs with a transport of their own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealwire::client::{self, AwaitResponse, ClientConfig, EarlyData, ResponseProgress};
use sealwire::{Context, Event, Limits};
use sealwire_http::inner::PaddingWish;
use sealwire_http::pacing::frame_padding;

use crate::bundle::VerifiedBundle;
use crate::errors::{Class, Fault};
use crate::{PROVIDER, native};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spent(what: &str) -> Fault {
    Fault::new(
        Class::Misuse,
        "half-ended",
        format!("this {what} has been used up"),
    )
}

/// Begins a handshake with a verified bundle. Gives the context's encoding and H1, to be sent both, the sealer of the request, and what waits for H2.
/// Without early data nothing is sealed before `Sealer.switch`.
#[pyfunction]
#[pyo3(signature = (bundle, request_id, *, attempt=1, billing=None, early_data=true, padding="none"))]
pub(crate) fn start<'py>(
    py: Python<'py>,
    bundle: &VerifiedBundle,
    request_id: [u8; 16],
    attempt: u8,
    billing: Option<&[u8]>,
    early_data: bool,
    padding: &str,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, Sealer, Awaiting)> {
    let padding: PaddingWish = padding
        .parse()
        .map_err(|error| Fault::new(Class::Config, "padding", format!("{error}")))?;
    let start = || -> Result<_, sealwire::Error> {
        let mut context = Context::new(bundle.0.bundle().label(), request_id, attempt)?;
        if let Some(billing) = billing {
            context = context.with_billing(billing)?;
        }
        let config = ClientConfig {
            early_data: if early_data {
                EarlyData::Allow
            } else {
                EarlyData::Never
            },
            limits: Limits::DEFAULT,
        };
        let mut h1 = Vec::new();
        let (mut sealer, waiting) =
            client::start(&PROVIDER, &config, &bundle.0, &context, &mut h1)?;
        sealer.set_padding(frame_padding(padding));
        Ok((context.encode(), h1, sealer, waiting))
    };
    let (context, h1, sealer, waiting) = start().map_err(Fault::from)?;
    Ok((
        PyBytes::new(py, &context),
        PyBytes::new(py, &h1),
        Sealer(Mutex::new(Some(sealer))),
        Awaiting(Mutex::new(Some(waiting))),
    ))
}

/// Seals one half into frames.
#[pyclass(frozen)]
pub(crate) struct Sealer(Mutex<Option<sealwire::Sealer>>);

impl Sealer {
    fn with<'py>(
        &self,
        py: Python<'py>,
        large: bool,
        work: impl FnOnce(&mut sealwire::Sealer, &mut Vec<u8>) -> Result<(), sealwire::Error> + Send,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        let run = || {
            let mut sealer = lock(&self.0);
            let sealer = sealer.as_mut().ok_or_else(|| spent("sealer"))?;
            work(sealer, &mut out).map_err(Fault::from)
        };
        if large { py.detach(run) } else { run() }?;
        Ok(PyBytes::new(py, &out))
    }
}

#[pymethods]
impl Sealer {
    /// Seals content into DATA frames; nothing for empty content.
    fn seal<'py>(&self, py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.with(py, content.len() >= native::LARGE, |sealer, out| {
            sealer.seal_vec(content, out)
        })
    }

    /// A PAD frame that shows `length` bytes of content.
    fn pad<'py>(&self, py: Python<'py>, length: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.with(py, false, |sealer, out| sealer.pad(length, out))
    }

    /// SWITCH: the first frame after H2 was verified, unless the half has ended.
    fn switch<'py>(&self, py: Python<'py>, key: &SwitchKey) -> PyResult<Bound<'py, PyBytes>> {
        let key = lock(&key.0).take().ok_or_else(|| spent("switch key"))?;
        self.with(py, false, |sealer, out| sealer.switch(key, out))
    }

    /// Ends the half: content and FINAL. The only source of FINAL.
    #[pyo3(signature = (content=None))]
    fn finish<'py>(
        &self,
        py: Python<'py>,
        content: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let content = content.unwrap_or_default();
        let sealer = lock(&self.0).take().ok_or_else(|| spent("sealer"))?;
        let mut out = Vec::new();
        py.detach(|| sealer.finish(content, &mut out))
            .map_err(Fault::from)?;
        Ok(PyBytes::new(py, &out))
    }
}

/// For `Sealer.switch`, once.
#[pyclass(frozen)]
pub(crate) struct SwitchKey(Mutex<Option<sealwire::SwitchKey>>);

/// Waits for H2. Drop it at the deadline, at most 30 s: that erases the ephemeral key.
#[pyclass(frozen)]
pub(crate) struct Awaiting(Mutex<Option<AwaitResponse>>);

#[pymethods]
impl Awaiting {
    /// Reads H2 from the start of `data`. `None` if more is needed: call again with all of it, from the same start. Otherwise how many bytes H2 had, what opens
    /// the frames behind it, and the key to switch with. Any fault ends the handshake.
    fn read(&self, data: &[u8]) -> Result<Option<(usize, Opener, SwitchKey)>, Fault> {
        let mut slot = lock(&self.0);
        let waiting = slot.take().ok_or_else(|| spent("handshake"))?;
        match waiting.read(data)? {
            ResponseProgress::NeedInput { next, .. } => {
                *slot = Some(next);
                Ok(None)
            }
            ResponseProgress::Done {
                consumed,
                connected,
            } => Ok(Some((
                consumed,
                Opener(Mutex::new(Half {
                    opener: connected.opener,
                    buffer: Vec::new(),
                })),
                SwitchKey(Mutex::new(Some(connected.switch_key))),
            ))),
            _ => Err(sealwire::Error::Truncated.into()),
        }
    }
}

struct Half {
    opener: sealwire::Opener,
    buffer: Vec<u8>,
}

/// Opens the frames of one half.
#[pyclass(frozen)]
pub(crate) struct Opener(Mutex<Half>);

#[pymethods]
impl Opener {
    /// Takes bytes from the transport and gives the events that are whole: pairs of `"data"`, `"public"`, `"final"` or `"error"` and bytes. What came before a
    /// fault is given first; the fault is raised by the next call. Only a half that gave `"final"` or `"error"` was whole.
    fn push<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
    ) -> PyResult<Vec<(&'static str, Bound<'py, PyBytes>)>> {
        let mut half = lock(&self.0);
        let Half { opener, buffer } = &mut *half;
        buffer.extend_from_slice(data);
        let mut start = 0;
        let mut events = Vec::new();
        loop {
            let rest = buffer.get_mut(start..).unwrap_or_default();
            match opener.open(rest) {
                Ok(opened) => {
                    let event = match opened.event {
                        Event::NeedInput { .. } => break,
                        Event::Data(content) => ("data", PyBytes::new(py, content)),
                        Event::Public(body) => ("public", PyBytes::new(py, body)),
                        Event::Final(content) => ("final", PyBytes::new(py, content)),
                        Event::Error { message, .. } => {
                            ("error", PyBytes::new(py, message.as_bytes()))
                        }
                        _ => ("unknown", PyBytes::new(py, &[])),
                    };
                    start += opened.consumed;
                    events.push(event);
                }
                Err(error) if events.is_empty() => return Err(Fault::from(error).into()),
                // The opener gives it again.
                Err(_) => break,
            }
        }
        buffer.drain(..start.min(buffer.len()));
        Ok(events)
    }

    /// The transport has ended. Raises `truncated` unless the half has.
    fn end(&self) -> Result<(), Fault> {
        Ok(lock(&self.0).opener.end_of_input()?)
    }
}
