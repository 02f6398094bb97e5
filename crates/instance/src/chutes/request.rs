//! From a relay's POST to a request that was accepted once and fits what came with it in clear.

use std::sync::Arc;

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName};
use http::{Response, StatusCode};
use sealwire::compat::chutes::{ChutesError, Request, Responder, open_request};
use sealwire_http::carriage::check_media_type;
use sealwire_http::chutes::{BLOB_MEDIA_TYPE, CHUTE_HEADER, PATH_HEADER, STREAM_HEADER, parse_id};
use sealwire_http::forward::{Call, Misfit, check_chutes};
use sealwire_http::net::{Body, Incoming, ReadError, detail, next_data_by};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::Chutes;

/// What a blob may have beyond its content: ciphertext, nonce, tag, headers, and what gzip adds to what it cannot shorten.
const BLOB_OVERHEAD: usize = 64 * 1_024;

/// A request that may go to the model server.
pub(super) struct Accepted {
    pub(super) call: Call,
    pub(super) stream: bool,
    /// The client is of this project.
    pub(super) extended: bool,
    pub(super) responder: Responder,
    pub(super) permit: OwnedSemaphorePermit,
}

/// Why a request is refused, in clear: nothing was asked of the model server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("expected Content-Type: application/octet-stream")]
    MediaType,
    #[error("expected one field {0}: {1}")]
    Field(HeaderName, &'static str),
    #[error("this chute is not served here")]
    NoChute,
    #[error("no capacity, try again later")]
    Capacity,
    #[error("the request has more than {0} bytes")]
    TooLarge(usize),
    #[error("the request did not come in time")]
    Slow,
    #[error("the request broke off")]
    Broken,
    #[error("no key that is held opens the request; seal it anew to the current key")]
    NoKey,
    #[error("this request was accepted before; seal it anew")]
    Replayed,
    #[error("the request cannot be read: {0}")]
    Unreadable(ChutesError),
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error("the instance failed")]
    Internal,
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::MediaType
            | Self::Field(..)
            | Self::NoChute
            | Self::Broken
            | Self::Unreadable(_)
            | Self::Misfit(_) => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Replayed => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoKey => StatusCode::UPGRADE_REQUIRED,
            Self::Capacity => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        detail(self.status(), self.to_string())
    }
}

impl From<ChutesError> for Refusal {
    fn from(error: ChutesError) -> Self {
        match error {
            ChutesError::Decrypt => Self::NoKey,
            ChutesError::Replayed => Self::Replayed,
            ChutesError::TooLarge { limit } => Self::TooLarge(limit),
            ChutesError::Crypto(_) => Self::Internal,
            other => Self::Unreadable(other),
        }
    }
}

impl Chutes {
    /// What is in clear, then capacity, then the blob; only what is opened and new is compared with what was in clear.
    pub(super) async fn accept(
        &self,
        headers: &HeaderMap,
        body: &mut Incoming,
    ) -> Result<Accepted, Refusal> {
        check_media_type(headers, BLOB_MEDIA_TYPE).map_err(|_| Refusal::MediaType)?;
        let chute = field(headers, CHUTE_HEADER, "an id", parse_id)?;
        let stream = field(headers, STREAM_HEADER, "true or false", |text| {
            text.parse::<bool>().ok()
        })?;
        let path = field(headers, PATH_HEADER, "a path", |text| Some(text.to_owned()))?;
        let chute = self.chutes.iter().find(|have| have.chute_id == chute);
        let chute = chute.ok_or(Refusal::NoChute)?;
        let permit = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| Refusal::Capacity)?;
        let blob = self.read_blob(headers, body).await?;
        let Request {
            body,
            extended,
            responder,
        } = self.open(blob, path.clone()).await?;
        Ok(Accepted {
            call: check_chutes(&path, stream, body, chute)?,
            stream,
            extended,
            responder,
            permit,
        })
    }

    async fn read_blob(
        &self,
        headers: &HeaderMap,
        body: &mut Incoming,
    ) -> Result<Vec<u8>, Refusal> {
        let limits = &self.config.limits;
        let most = limits.request_bytes.saturating_add(BLOB_OVERHEAD);
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > most) {
            return Err(Refusal::TooLarge(limits.request_bytes));
        }
        let whole_by = Instant::now() + limits.request_time;
        let mut blob = BytesMut::new();
        loop {
            let idle_by = Instant::now() + limits.request_idle;
            match next_data_by(body, idle_by.min(whole_by), limits.request_idle).await {
                Ok(Some(data)) if data.len() > most.saturating_sub(blob.len()) => {
                    return Err(Refusal::TooLarge(limits.request_bytes));
                }
                Ok(Some(data)) => blob.extend_from_slice(&data),
                Ok(None) => return Ok(blob.into()),
                Err(ReadError::Idle(_)) => return Err(Refusal::Slow),
                Err(_) => return Err(Refusal::Broken),
            }
        }
    }

    /// Opens and unpacks a blob beside the runtime's own threads, and accepts it.
    async fn open(&self, blob: Vec<u8>, path: String) -> Result<Request, Refusal> {
        let candidates = self.keys.candidates();
        let (codec, limit) = (self.codec, self.config.limits.request_bytes);
        let opened =
            spawn_blocking(move || open_request(&codec, &candidates, &blob, &path, limit)).await;
        let opened = opened.map_err(|_| Refusal::Internal)??;
        Ok(self.keys.admit(opened)?)
    }
}

/// A field that stands once and reads well.
fn field<T>(
    headers: &HeaderMap,
    name: HeaderName,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Refusal> {
    let mut values = headers.get_all(&name).iter();
    let found = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().and_then(parse),
        _ => None,
    };
    found.ok_or(Refusal::Field(name, expected))
}
