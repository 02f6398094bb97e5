//! What the applications' side asks of a profile: an answer to one question, the models, what was verified.

use std::future::Future;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sealwire_http::inner::PaddingWish;
use sealwire_http::openai::ApiError;
use serde_json::Value;

/// A request for a model server, whole, in an API that the model server speaks.
#[derive(Clone)]
pub(crate) struct Question {
    /// Path at the model server, without query.
    pub(crate) path: String,
    /// As the application sent them; a profile takes the few that may pass.
    pub(crate) headers: HeaderMap,
    /// One JSON object.
    pub(crate) content: Bytes,
    /// Its model.
    pub(crate) model: String,
    /// The key for the relay.
    pub(crate) key: Option<String>,
    /// Hides lengths and rhythm; `None`: as the proxy is set.
    pub(crate) padding: Option<PaddingWish>,
}

/// An answer up to its content.
pub(crate) struct Answered<S> {
    pub(crate) status: StatusCode,
    /// Those that may reach the application.
    pub(crate) fields: HeaderMap,
    pub(crate) source: S,
}

/// What is left of an answer.
pub(crate) enum Next {
    Content(Bytes),
    /// The answer is whole.
    End,
}

/// An answer that is read piece by piece.
pub(crate) trait Source: Send + 'static {
    /// The next piece. Cancelling it loses nothing but the answer.
    fn next(&mut self) -> impl Future<Output = Result<Next, ApiError>> + Send;
}

/// A profile.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Where its answers come from.
    type Source: Source;

    /// Asks a model. Dropping the future, or the source, gives the request up everywhere.
    fn ask(
        &self,
        question: &Question,
    ) -> impl Future<Output = Result<Answered<Self::Source>, ApiError>> + Send;

    /// The models that can be used: `{"object":"list","data":[{"id":..},..]}`.
    fn models(&self, key: Option<&str>) -> impl Future<Output = Result<Value, ApiError>> + Send;

    /// What was verified, for `GET /attestation`.
    fn document(&self) -> Value;
}
