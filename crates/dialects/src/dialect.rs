//! The APIs, and how each of them says that something failed.

use serde_json::json;

use crate::ApiError;

/// The code of the one refusal that Anthropic's packages read in a member of its own.
pub(crate) const NO_THREADS: &str = "thread_unsupported_request";

/// An API that applications speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI: Chat Completions, Completions, Embeddings, Models.
    OpenAi,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

impl Dialect {
    /// The dialect of a path below the proxy's address.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let is = |base: &str| {
            path.strip_prefix(base)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if is("/v1/responses") {
            Self::Responses
        } else if is("/v1/messages") {
            Self::Messages
        } else {
            Self::OpenAi
        }
    }

    /// The status that an error goes out with. Codex retries every status but 400 and 404, and hides what some of them say: what must not be tried again
    /// is a 400 there. Anthropic's overload has a status of its own.
    #[must_use]
    pub fn status(self, error: &ApiError) -> u16 {
        match (self, error.status) {
            (Self::Responses, status) if status != 404 && error.retry == Some(false) => 400,
            (Self::Messages, 503) => 529,
            (_, status) => status,
        }
    }

    /// The body of an error. Anthropic's has the request's identifier in it too, if it has one.
    #[must_use]
    pub fn error_body(self, error: &ApiError, request_id: Option<&str>) -> Vec<u8> {
        match self {
            Self::OpenAi | Self::Responses => error.to_json(),
            Self::Messages => {
                let mut inner = json!({
                    "type": messages_type(self.status(error)),
                    "message": messages_text(error),
                });
                if error.code == NO_THREADS {
                    inner["details"] = json!({"error_code": NO_THREADS, "unsupported": ["thread"]});
                }
                let mut body = json!({"type": "error", "error": inner});
                if let Some(id) = request_id {
                    body["request_id"] = id.into();
                }
                body.to_string().into_bytes()
            }
        }
    }

    /// The data of an `error` event, for a stream of the model server's own that broke.
    #[must_use]
    pub fn error_event(self, error: &ApiError) -> String {
        match self {
            Self::OpenAi => error.to_value().to_string(),
            Self::Responses => json!({
                "type": "error",
                "code": error.code,
                "message": error.message,
                "param": error.param,
                "sequence_number": 0,
            })
            .to_string(),
            Self::Messages => String::from_utf8_lossy(&self.error_body(error, None)).into_owned(),
        }
    }
}

/// Anthropic's type of error for a status.
#[must_use]
pub fn messages_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The message of an error as Anthropic's clients expect it: they know a prompt that is too long by these words, and offer to compact.
#[must_use]
pub fn messages_text(error: &ApiError) -> String {
    match &error.context {
        Some(context) => format!(
            "prompt is too long: {} tokens > {} maximum",
            context.asked, context.most
        ),
        None => error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_the_dialect() {
        for (path, dialect) in [
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/v1/models", Dialect::OpenAi),
            ("/v1/responses", Dialect::Responses),
            ("/v1/responses/resp_1", Dialect::Responses),
            ("/v1/responsesx", Dialect::OpenAi),
            ("/v1/messages", Dialect::Messages),
            ("/v1/messages/count_tokens", Dialect::Messages),
        ] {
            assert_eq!(Dialect::of_path(path), dialect, "{path}");
        }
    }

    #[test]
    fn what_must_not_be_tried_again_is_a_400_for_responses() {
        let mut error = ApiError::invalid_request(403, "not_attested", "no");
        assert_eq!(Dialect::Responses.status(&error), 403);
        error.retry = Some(false);
        assert_eq!(Dialect::Responses.status(&error), 400);
        let untrusted = ApiError::server_error(502, "identity_untrusted", "no").with_retry(false);
        assert_eq!(Dialect::Responses.status(&untrusted), 400);
        let unknown = ApiError::invalid_request(404, "model_not_found", "no").with_retry(false);
        assert_eq!(Dialect::Responses.status(&unknown), 404);
        assert_eq!(Dialect::Messages.status(&error), 403);
        assert_eq!(Dialect::OpenAi.status(&error), 403);
    }

    #[test]
    fn an_overload_is_529_for_messages() {
        let error = ApiError::server_error(503, "no_instance", "none");
        assert_eq!(Dialect::Messages.status(&error), 529);
        let body = |id| -> serde_json::Value {
            let body = Dialect::Messages.error_body(&error, id);
            serde_json::from_slice(&body).expect("JSON")
        };
        let inner = json!({"type":"overloaded_error","message":"none"});
        assert_eq!(body(None), json!({"type":"error","error":inner}));
        assert_eq!(
            body(Some("req_1")),
            json!({"type":"error","error":inner,"request_id":"req_1"})
        );
    }
}
