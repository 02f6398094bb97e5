//! What goes wrong in here, as the exceptions of `sealwire.errors`. No message holds a prompt, a key, a nonce or a token.

use pyo3::PyErr;
use sealwire::Error;
use sealwire::compat::chutes::ChutesError;

mod classes {
    pyo3::import_exception!(sealwire.errors, AnswerError);
    pyo3::import_exception!(sealwire.errors, ConfigError);
    pyo3::import_exception!(sealwire.errors, EvidenceError);
    pyo3::import_exception!(sealwire.errors, InstanceError);
    pyo3::import_exception!(sealwire.errors, MisuseError);
    pyo3::import_exception!(sealwire.errors, RelayError);
    pyo3::import_exception!(sealwire.errors, RequestError);
}

/// Which exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// What came is not what an instance sealed, or not the whole of it.
    Answer,
    /// A setting.
    Config,
    /// A bundle or evidence is refused.
    Evidence,
    /// The instance says, sealed, that it gave up.
    Instance,
    /// A call that cannot be made so.
    Misuse,
    /// The relay says that it failed.
    Relay,
    /// The request cannot be sealed; nothing was sent.
    Request,
}

/// An error before it is an exception; kept where one must wait for what came before it.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    class: Class,
    code: String,
    message: String,
    status: Option<u16>,
}

impl Fault {
    /// `code` is given as in the core, with hyphens.
    pub(crate) fn new(class: Class, code: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.replace('-', "_"),
            message: message.into(),
            status: None,
        }
    }

    /// The same, with the HTTP status that goes with it.
    pub(crate) const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        let arguments = (fault.message, fault.code, fault.status);
        match fault.class {
            Class::Answer => classes::AnswerError::new_err(arguments),
            Class::Config => classes::ConfigError::new_err(arguments),
            Class::Evidence => classes::EvidenceError::new_err(arguments),
            Class::Instance => classes::InstanceError::new_err(arguments),
            Class::Misuse => classes::MisuseError::new_err(arguments),
            Class::Relay => classes::RelayError::new_err(arguments),
            Class::Request => classes::RequestError::new_err(arguments),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let class = match &error {
            Error::Bundle(_) | Error::Policy(_) | Error::ClockSkew { .. } => Class::Evidence,
            Error::ApiMisuse(_) => Class::Misuse,
            _ => Class::Answer,
        };
        Self::new(class, error.code(), error.to_string())
    }
}

/// A fault of a chutes-v1 answer.
pub(crate) fn answer(error: &ChutesError) -> Fault {
    Fault::new(
        Class::Answer,
        error.code(),
        format!("the answer is not acceptable: {error}"),
    )
}

/// A request that cannot be sealed.
pub(crate) fn request(code: &str, message: impl Into<String>) -> Fault {
    Fault::new(Class::Request, code, message)
}
