//! Shapes of the OpenAI API that proxy, relay and instance share: errors and model lists.

use std::borrow::Cow;

use serde_json::{Value, json};

/// An error as an OpenAI client expects it: `{"error":{"message","type","param","code"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status it goes out with.
    pub status: u16,
    /// One sentence that says what went wrong and what to do.
    pub message: String,
    /// The API's class of error, such as `invalid_request_error`.
    pub kind: Cow<'static, str>,
    /// A stable code for programs; empty for none.
    pub code: String,
    /// The member of the request that is at fault.
    pub param: Option<Box<str>>,
    /// Whether the same request should be sent again by itself, where that is known: goes out as `x-should-retry`.
    pub retry: Option<bool>,
    /// The value of a `retry-after` field.
    pub retry_after: Option<Box<str>>,
    /// The prompt is too long for the model.
    pub context: Option<Box<Context>>,
}

/// How far a prompt is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Tokens that it has.
    pub asked: u64,
    /// Tokens that the model takes.
    pub most: u64,
}

impl ApiError {
    /// An error of a class.
    #[must_use]
    pub fn new(status: u16, kind: &'static str, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: Cow::Borrowed(kind),
            code: code.to_owned(),
            param: None,
            retry: None,
            retry_after: None,
            context: None,
        }
    }

    /// The same, for a member of the request.
    #[must_use]
    pub fn with_param(mut self, param: &str) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same, with what is known about sending the request again.
    #[must_use]
    pub fn with_retry(mut self, retry: bool) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The request itself is at fault.
    #[must_use]
    pub fn invalid_request(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::new(status, "invalid_request_error", code, message)
    }

    /// Something behind the speaker is at fault.
    #[must_use]
    pub fn server_error(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::new(status, "api_error", code, message)
    }

    /// The error as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": Some(&self.code).filter(|code| !code.is_empty()),
        }})
    }

    /// The error as a JSON body.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }

    /// The error as a server-sent event, for a stream that has begun.
    #[must_use]
    pub fn to_sse(&self) -> Vec<u8> {
        format!("data: {}\n\n", self.to_value()).into_bytes()
    }
}

/// The model list of `GET /v1/models`.
#[must_use]
pub fn model_list<'a>(labels: impl IntoIterator<Item = &'a str>) -> Value {
    let data: Vec<Value> = labels
        .into_iter()
        .map(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "sealwire"}))
        .collect();
    json!({"object": "list", "data": data})
}
