//! Shapes of the OpenAI API that proxy, relay and instance share: errors and model lists.

use serde_json::{Value, json};

/// An error as an OpenAI client expects it: `{"error":{"message","type","param","code"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status it goes out with.
    pub status: u16,
    /// One sentence that says what went wrong and what to do.
    pub message: String,
    /// The API's class of error, such as `invalid_request_error`.
    pub kind: &'static str,
    /// A stable code for programs.
    pub code: String,
}

impl ApiError {
    /// The request itself is at fault.
    #[must_use]
    pub fn invalid_request(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: "invalid_request_error",
            code: code.to_owned(),
        }
    }

    /// Something behind the speaker is at fault.
    #[must_use]
    pub fn server_error(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: "api_error",
            code: code.to_owned(),
        }
    }

    /// The error as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": Value::Null,
            "code": self.code,
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
