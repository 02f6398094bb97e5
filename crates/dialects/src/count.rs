//! Paths that count the tokens of a prompt.

use serde_json::{Value, json};

use crate::{ApiError, Settings, messages, responses};

/// An API that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

impl Count {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Responses, Self::Messages];

    /// Its path, for POST.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Responses => "/v1/responses/input_tokens",
            Self::Messages => "/v1/messages/count_tokens",
        }
    }

    /// The API of a path below the proxy's address.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|count| count.path() == path)
    }

    /// An estimate of a request's tokens.
    ///
    /// # Errors
    /// [`ApiError`], if it is no such request.
    pub fn estimate(self, body: &[u8], settings: &Settings) -> Result<u64, ApiError> {
        match self {
            Self::Responses => responses::count_tokens(body, settings),
            Self::Messages => messages::count_tokens(body, settings),
        }
    }

    /// The body of `POST /tokenize` at a model server that counts exactly. Its answer has the number as `count`.
    ///
    /// # Errors
    /// [`ApiError`], if it is no such request.
    pub fn tokenize(self, body: &[u8], settings: &Settings) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Responses => responses::tokenize(body, settings),
            Self::Messages => messages::tokenize(body, settings),
        }
    }

    /// The answer.
    #[must_use]
    pub fn answer(self, tokens: u64) -> Value {
        match self {
            Self::Responses => json!({"object": "response.input_tokens", "input_tokens": tokens}),
            Self::Messages => json!({"input_tokens": tokens}),
        }
    }
}
