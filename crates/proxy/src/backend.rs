//! What the applications' side asks of a profile: an answer to one question, the models, what was verified.

use std::future::Future;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sealwire_http::inner::PaddingWish;
use sealwire_http::net::BaseUrl;
use sealwire_http::openai::ApiError;
use sealwire_http::profile::Profile;
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

/// What a profile speaks with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) profile: Profile,
    /// The servers of the relay.
    pub(crate) relay: Vec<BaseUrl>,
}

/// An instance that requests may be sealed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Usable {
    /// It is trusted; the name of its key or of itself.
    Trusted(String),
    /// The user has waived evidence for the model.
    Waived,
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

    /// Finds an instance of a model and verifies it, and asks it nothing.
    fn verify(
        &self,
        model: &str,
        key: Option<&str>,
    ) -> impl Future<Output = Result<Usable, ApiError>> + Send;

    /// What was verified, for `GET /attestation`.
    fn document(&self) -> Value;

    /// What it speaks with.
    fn about(&self) -> About;
}
