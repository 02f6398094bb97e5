//! What a client is refused with: the status codes and details of the deployed relay where they are known.

use http::header::{HeaderName, RETRY_AFTER};
use http::{Response, StatusCode};
use sealwire_http::net::{Body, detail};
use serde_json::{Value, json};

use super::retry_after::RetryAfter;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("Method Not Allowed")]
    Method,
    /// Fields that are missing, doubled or malformed, each with what is expected.
    #[error("Malformed header fields")]
    Headers(Vec<(HeaderName, &'static str)>),
    #[error("The query needs one nonce of 64 hexadecimal digits")]
    EvidenceNonce,
    #[error("Invalid, expired, or already-used nonce")]
    Nonce,
    #[error("Chute not found")]
    NoChute,
    #[error("No active instances found for this chute")]
    NoActiveInstance,
    #[error("No E2E-capable instances available")]
    NoKey,
    #[error("Too many nonces are out, try again later")]
    NoncesFull,
    #[error("The system's random generator failed")]
    Random,
    #[error("Instance not found")]
    NoInstance,
    #[error("Instance does not serve this chute")]
    OtherChute,
    #[error("Instance is not active any more")]
    InstanceGone,
    #[error("Empty request body")]
    EmptyBody,
    #[error("The request body broke off")]
    BrokenBody,
    #[error("The request body did not come in time")]
    SlowBody,
    #[error("The request body has more than {0} bytes")]
    TooLarge(u64),
    /// The relay's own streams, or an instance that may have said when to try again.
    #[error("Instance is at maximum capacity, try again later")]
    Capacity(Option<RetryAfter>),
    #[error("Too many questions for evidence at a time, try again later")]
    EvidenceBusy,
    /// In the instance's words.
    #[error("{0}")]
    BadRequest(String),
    #[error("The instance does not take requests of this size")]
    InstanceTooLarge,
    #[error("This request was sent before")]
    Replayed,
    #[error("The instance's key has changed, discover it again")]
    KeyGone,
    #[error("Instance is not reachable, try another one")]
    Unreachable,
    #[error("Instance did not answer within {0} s")]
    Slow(u64),
    #[error("Instance answered with something that is not of this protocol")]
    NotOfProtocol,
    #[error("Instance failed")]
    Failed,
}

impl Refusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::EmptyBody | Self::BrokenBody | Self::OtherChute => {
                StatusCode::BAD_REQUEST
            }
            Self::Nonce => StatusCode::FORBIDDEN,
            Self::NoChute | Self::NoActiveInstance | Self::NoKey | Self::NoInstance => {
                StatusCode::NOT_FOUND
            }
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Replayed => StatusCode::CONFLICT,
            Self::InstanceGone => StatusCode::GONE,
            Self::TooLarge(_) | Self::InstanceTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Headers(_) | Self::EvidenceNonce => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Capacity(_) | Self::EvidenceBusy => StatusCode::TOO_MANY_REQUESTS,
            Self::Random => StatusCode::INTERNAL_SERVER_ERROR,
            Self::KeyGone | Self::Unreachable | Self::NotOfProtocol | Self::Failed => {
                StatusCode::BAD_GATEWAY
            }
            Self::NoncesFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let status = self.status();
        let retry_after = match &self {
            Self::Capacity(retry_after) => retry_after.and_then(RetryAfter::to_value),
            _ => None,
        };
        let what: Value = match &self {
            // The shape in which the deployed relay's framework reports such faults.
            Self::Headers(faults) => faults
                .iter()
                .map(|(name, expected)| fault("header", name.as_str(), expected))
                .collect(),
            Self::EvidenceNonce => json!([fault("query", "nonce", &self.to_string())]),
            other => other.to_string().into(),
        };
        let mut response = detail(status, what);
        if let Some(retry_after) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, retry_after);
        }
        response
    }
}

fn fault(place: &str, name: &str, expected: &str) -> Value {
    json!({"type": "value_error", "loc": [place, name], "msg": expected})
}
