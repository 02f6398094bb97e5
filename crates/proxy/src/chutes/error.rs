//! What can go wrong in this profile, how the application is told, and whether another attempt may be made.

use sealwire::compat::chutes::ChutesError;
use sealwire_http::openai::ApiError;

use super::gate::GateError;
use crate::{RELAY_ERROR, SEALED_ERROR};

/// Why there is no answer, or not a whole one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the relay is not reachable: {0}")]
    Unreachable(String),
    #[error("the relay did not {what} within {seconds} s")]
    Timeout { what: &'static str, seconds: u64 },
    #[error("the relay says {status}: {detail}")]
    Relay { status: u16, detail: String },
    #[error(
        "the relay answered {status} with something that is not of this API ({why}); are --api-base and --e2e-base right?"
    )]
    NotApi { status: u16, why: String },
    #[error("the relay answered with something that is not sealed, it was thrown away: {0}")]
    NotSealed(String),
    #[error("the relay says in the middle of the answer that it failed: {0}")]
    RelayFailed(String),
    #[error("the relay lists no model {0:?}")]
    UnknownModel(String),
    #[error("{alias:?} stands for {targets} deployments; name one model")]
    AmbiguousAlias { alias: String, targets: usize },
    #[error(
        "the relay does not list {0:?} as confidential, so its operator can read what you send; to use it all the same, name it with --allow-non-confidential"
    )]
    NotConfidential(String),
    #[error(
        "no instance of {0:?} can be used now: the relay offers none; try again later, or use another model"
    )]
    NoInstance(String),
    #[error(
        "the relay's nonces have expired by this machine's clock, which differs from the relay's by {0} s or more: set the clock"
    )]
    Clock(u64),
    #[error("no instance of {model:?} is attested: {why}")]
    NotAttested { model: String, why: String },
    #[error("evidence cannot be had: {0}")]
    Evidence(GateError),
    #[error("chat_template_kwargs must be an object if thinking is asked for")]
    Thinking,
    #[error("the request cannot be sealed: {0}")]
    Request(ChutesError),
    #[error("the answer is not acceptable: {0}")]
    Answer(ChutesError),
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    #[error("the model server's answer is no JSON object")]
    NoAnswer,
    #[error(
        "a whole answer came where a stream was asked for, and nothing sealed says why: the relay may have changed the stream flag"
    )]
    NotStreamed,
}

/// What may be done after a fault that came before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Tell the application.
    Give,
    /// The nonces that came with this one are worthless: fetch others.
    FreshNonces,
    /// Try another instance.
    OtherInstance,
    /// Try another instance that has room; pause if there is none.
    Capacity,
}

impl Fault {
    pub(crate) fn plan(&self) -> Plan {
        match self {
            Self::Unreachable(_) => Plan::OtherInstance,
            // Something before the relay, such as its load balancer.
            Self::NotApi { status, .. } if *status >= 500 => Plan::OtherInstance,
            Self::Relay { status, detail } => {
                let says = |text: &str| detail.to_ascii_lowercase().contains(text);
                match status {
                    403 if says("nonce") => Plan::FreshNonces,
                    429 if says("capacity") => Plan::Capacity,
                    // A chute that is gone is gone with all its instances.
                    404 if says("chute") && !says("instance") => Plan::Give,
                    400 | 404 | 410 | 426 | 500..=599 => Plan::OtherInstance,
                    _ => Plan::Give,
                }
            }
            _ => Plan::Give,
        }
    }

    fn status_and_code(&self) -> (u16, String) {
        let fixed = |status: u16, code: &str| (status, code.to_owned());
        match self {
            Self::Unreachable(_) => fixed(502, "relay_unreachable"),
            Self::Timeout { .. } => fixed(504, "relay_timeout"),
            Self::Relay { status, detail } => {
                let shown = match *status {
                    // Nobody serves the model now.
                    404 if detail.to_ascii_lowercase().contains("instances") => 503,
                    status @ (401 | 402 | 403 | 413 | 429) => status,
                    503 => 503,
                    _ => 502,
                };
                (shown, format!("relay_{status}"))
            }
            Self::NotApi { .. } => fixed(502, "relay_not_chutes"),
            Self::NotSealed(_) => fixed(502, "relay_not_sealed"),
            Self::RelayFailed(_) => fixed(502, "relay_failed"),
            Self::UnknownModel(_) => fixed(404, "model_not_found"),
            Self::AmbiguousAlias { .. } => fixed(400, "ambiguous_alias"),
            Self::NotConfidential(_) => fixed(403, "not_confidential"),
            Self::NoInstance(_) => fixed(503, "no_instance"),
            Self::Clock(_) => fixed(502, "clock"),
            Self::NotAttested { .. } => fixed(403, "not_attested"),
            Self::Evidence(_) => fixed(502, "no_evidence"),
            Self::Thinking => fixed(400, "bad_chat_template_kwargs"),
            Self::Request(error) => {
                let status = match error {
                    ChutesError::Crypto(_) => 500,
                    _ => 400,
                };
                (status, error.code().replace('-', "_"))
            }
            Self::Answer(error) => (502, error.code().replace('-', "_")),
            Self::Broken(_) => fixed(502, "truncated"),
            Self::TooLarge(_) => fixed(502, "answer_too_large"),
            Self::NoAnswer => fixed(502, "bad_answer"),
            Self::NotStreamed => fixed(502, "not_streamed"),
        }
    }

    /// The error as the application sees it.
    pub(crate) fn to_api(&self) -> ApiError {
        let (status, code) = self.status_and_code();
        let kind = match self {
            Self::UnknownModel(_)
            | Self::AmbiguousAlias { .. }
            | Self::NotConfidential(_)
            | Self::Thinking => "invalid_request_error",
            Self::Request(_) if status == 400 => "invalid_request_error",
            Self::Unreachable(_)
            | Self::Timeout { .. }
            | Self::Relay { .. }
            | Self::NotApi { .. }
            | Self::NotSealed(_)
            | Self::RelayFailed(_)
            | Self::NoInstance(_) => RELAY_ERROR,
            Self::NoAnswer => "api_error",
            _ => SEALED_ERROR,
        };
        let mut error = ApiError::new(status, kind, &code, format!("sealwire: {self}"));
        // What is not trusted now is not trusted in a second either.
        if matches!(self, Self::NotAttested { .. } | Self::NotConfidential(_)) {
            error.retry = Some(false);
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_each_status_of_the_relay() {
        for (status, detail, plan) in [
            (401, "", Plan::Give),
            (402, "out of credit", Plan::Give),
            (
                403,
                "Invalid, expired, or already-used nonce",
                Plan::FreshNonces,
            ),
            (403, "forbidden", Plan::Give),
            (404, "Chute not found", Plan::Give),
            (404, "Instance not found", Plan::OtherInstance),
            (400, "Instance is not E2E-capable", Plan::OtherInstance),
            (410, "Instance is gone", Plan::OtherInstance),
            (413, "", Plan::Give),
            (422, "", Plan::Give),
            (429, "rate limit", Plan::Give),
            (
                429,
                "Instance is at maximum capacity, try again later",
                Plan::Capacity,
            ),
            (500, "", Plan::OtherInstance),
            (502, "", Plan::OtherInstance),
            (503, "", Plan::OtherInstance),
        ] {
            let fault = Fault::Relay {
                status,
                detail: detail.to_owned(),
            };
            assert_eq!(fault.plan(), plan, "{status} {detail}");
        }
    }
}
