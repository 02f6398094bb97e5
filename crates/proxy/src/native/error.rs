//! What can go wrong between an application's request and its answer, and how the application is told.

use sealwire::{Error, RelayCode, StreamErrorCode};
use sealwire_http::carriage::CarriageError;
use sealwire_http::openai::ApiError;
use sealwire_http::problem::{Problem, allows_fresh_attempt};
use sealwire_http::sealed::SealedError;

use crate::collateral::CollateralFault;
use crate::{RELAY_ERROR, SEALED_ERROR};

/// Why there is no answer, or not a whole one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ProxyError {
    #[error("the relay is not reachable: {0}")]
    RelayUnreachable(String),
    #[error("no handshake within {0} s: the relay or the instance does not answer")]
    HandshakeTimeout(u64),
    #[error("the relay says {0}")]
    Relay(Problem),
    #[error(
        "the relay answered {status} with something that is not of this protocol ({why}); is --relay the address of a sealwire relay?"
    )]
    NotRelay { status: u16, why: String },
    #[error("the relay answered with something that is not sealed, it was thrown away: {0}")]
    NotSealed(CarriageError),
    #[error("no instance serves the model {0:?} now")]
    NoInstance(String),
    #[error("the relay knows no model {0:?}")]
    UnknownModel(String),
    #[error("no bundle that the relay offers is acceptable: {0}")]
    Bundle(Error),
    #[error(
        "no instance of {model:?} has proven itself under the policy: {why}; GET /attestation on this proxy shows every check"
    )]
    EvidenceRejected { model: String, why: String },
    #[error("evidence cannot be judged: {0}")]
    Collateral(CollateralFault),
    #[error("no evidence within {0} s: the relay or the instance does not answer")]
    EvidenceTime(u64),
    #[error("the instance's evidence is still being checked; ask again in a moment")]
    EvidenceSlow,
    #[error("the handshake failed: {0}")]
    Handshake(Error),
    #[error("the answer is not acceptable: {0}")]
    Sealed(SealedError),
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("the instance gave up: {message}")]
    Instance {
        code: StreamErrorCode,
        message: String,
    },
    #[error("a receipt is not acceptable: {0}")]
    Receipt(Error),
    #[error("the instance answered before it had the whole request")]
    EarlyAnswer,
    #[error("the local crypto provider failed: {0}")]
    Local(Error),
}

impl ProxyError {
    /// Whether a fresh attempt may be made by itself: only before H2, and only for these.
    pub(crate) fn allows_fresh_attempt(&self) -> bool {
        match self {
            Self::Relay(problem) => allows_fresh_attempt(problem.code),
            Self::RelayUnreachable(_) => true,
            _ => false,
        }
    }

    fn status_and_code(&self) -> (u16, String) {
        let fixed = |status: u16, code: &str| (status, code.to_owned());
        match self {
            Self::RelayUnreachable(_) => fixed(502, "relay_unreachable"),
            Self::HandshakeTimeout(_) => fixed(503, "handshake_timeout"),
            Self::Relay(problem) => {
                let status = match problem.code {
                    RelayCode::Busy => 503,
                    RelayCode::Auth => 401,
                    RelayCode::Quota => 429,
                    RelayCode::TooLarge => 413,
                    _ => 502,
                };
                (
                    status,
                    format!("relay_{}", problem.code.as_str().replace('-', "_")),
                )
            }
            Self::NotRelay { .. } => fixed(502, "relay_not_sealwire"),
            Self::NotSealed(_) => fixed(502, "relay_not_sealed"),
            Self::NoInstance(_) => fixed(503, "no_instance"),
            Self::UnknownModel(_) => fixed(404, "model_not_found"),
            Self::Bundle(error) | Self::Handshake(error) | Self::Receipt(error) => {
                fixed(502, &error.code().replace('-', "_"))
            }
            Self::EvidenceRejected { .. } => fixed(403, "evidence_rejected"),
            Self::Collateral(_) => fixed(502, "no_collateral"),
            Self::EvidenceTime(_) | Self::EvidenceSlow => fixed(503, "evidence_timeout"),
            Self::Sealed(SealedError::Frames(error)) => fixed(502, &error.code().replace('-', "_")),
            Self::Sealed(_) => fixed(502, "bad_message"),
            Self::Broken(_) => fixed(502, "truncated"),
            Self::Instance { code, .. } => match code {
                StreamErrorCode::Upstream => fixed(502, "upstream"),
                StreamErrorCode::UpstreamTimeout => fixed(504, "upstream_timeout"),
                StreamErrorCode::TooLarge => fixed(413, "too_large"),
                StreamErrorCode::ShuttingDown => fixed(503, "shutting_down"),
                StreamErrorCode::Cancelled => fixed(502, "cancelled"),
                _ => fixed(502, "instance_error"),
            },
            Self::EarlyAnswer => fixed(502, "early_response"),
            Self::Local(_) => fixed(500, "local_crypto"),
        }
    }

    /// The error as the application sees it.
    pub(crate) fn to_api(&self) -> ApiError {
        let (status, code) = self.status_and_code();
        let kind = match self {
            Self::UnknownModel(_) => "invalid_request_error",
            Self::RelayUnreachable(_)
            | Self::HandshakeTimeout(_)
            | Self::Relay(_)
            | Self::NotRelay { .. }
            | Self::NotSealed(_)
            | Self::NoInstance(_) => RELAY_ERROR,
            Self::Instance { .. } => "api_error",
            _ => SEALED_ERROR,
        };
        let mut error = ApiError::new(status, kind, &code, format!("sealwire: {self}"));
        // What is not trusted now is not trusted in a second either.
        if matches!(self, Self::EvidenceRejected { .. } | Self::Bundle(_)) {
            error.retry = Some(false);
        }
        error
    }
}
