//! What model servers say when they fail, in one shape: vLLM, SGLang, llama.cpp, FastAPI's `detail`, pages of HTML in between.

use sealwire_http::json_body::read_lossily;
use sealwire_http::openai::{ApiError, Context};
use serde_json::Value;

use crate::clamp;

/// Longest message that is passed on, in characters.
const MAX_MESSAGE: usize = 4_096;

/// The error that a body and its status of 400 or more carry. The words are the model server's; what is no error of an API becomes a sentence of ours.
#[must_use]
pub fn error(status: u16, body: &[u8]) -> ApiError {
    let value: Option<Value> = read_lossily(body);
    let object = value.as_ref().map(find);
    let member = |name: &str| object.and_then(|object| object.get(name));
    let text = |name: &str| member(name).and_then(Value::as_str);
    let message = match object {
        Some(Value::String(message)) => Some(message.as_str()),
        _ => text("message").or_else(|| text("detail")),
    };
    let message: String = match message.filter(|message| !message.trim().is_empty()) {
        Some(message) => message.chars().take(MAX_MESSAGE).collect(),
        None => format!("the model server answered {status} without saying why"),
    };
    // Some servers put the status where the code belongs.
    let code = text("code").unwrap_or_default();
    let inner = member("code")
        .and_then(Value::as_u64)
        .and_then(|code| u16::try_from(code).ok());
    let status = match inner {
        Some(inner) if status == 502 && (400..=599).contains(&inner) => inner,
        _ => status,
    };
    let kind = text("type").unwrap_or(match status {
        400..=499 => "invalid_request_error",
        _ => "api_error",
    });
    let mut error = ApiError::server_error(status, code, message);
    error.kind = kind.to_owned().into();
    error.param = text("param").map(Into::into);
    if status == 400 || status == 413 {
        overflow(&mut error);
    }
    error
}

/// The object that holds the message.
fn find(value: &Value) -> &Value {
    let mut value = value;
    // `{"error": {"error": ..}}` occurs; more depth does not.
    for _ in 0..3 {
        let inner = value.get("error").or_else(|| value.get("detail"));
        match inner {
            Some(inner @ (Value::Object(_) | Value::String(_)))
                if value.get("message").is_none() =>
            {
                value = inner;
            }
            // FastAPI's list of what does not validate.
            Some(Value::Array(faults)) if value.get("message").is_none() => {
                return faults
                    .first()
                    .and_then(|fault| fault.get("msg"))
                    .unwrap_or(value);
            }
            _ => break,
        }
    }
    value
}

/// A prompt that is too long has one code, whatever the model server's words.
fn overflow(error: &mut ApiError) {
    if let Some(clamp::Overflow::Prompt { asked, most }) = clamp::overflow(&error.message) {
        "context_length_exceeded".clone_into(&mut error.code);
        error.kind = "invalid_request_error".into();
        error.context = Some(Box::new(Context { asked, most }));
        error.retry = Some(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> (u16, String, String) {
        let error = error(status, body.as_bytes());
        (error.status, error.code, error.message)
    }

    #[test]
    fn every_servers_shape_is_read() {
        for (status, body, expected) in [
            // vLLM: an integer for a code.
            (
                400,
                r#"{"error":{"message":"no such field","type":"BadRequestError","param":null,"code":400}}"#,
                (400, "", "no such field"),
            ),
            // SGLang.
            (
                400,
                r#"{"object":"error","message":"bad sampling","type":"BadRequestError","param":null,"code":400}"#,
                (400, "", "bad sampling"),
            ),
            // FastAPI.
            (404, r#"{"detail":"Not Found"}"#, (404, "", "Not Found")),
            (
                422,
                r#"{"detail":[{"loc":["body"],"msg":"Field required","type":"missing"}]}"#,
                (422, "", "Field required"),
            ),
            (
                429,
                r#"{"error":"RateLimitExceeded","detail":"slow down"}"#,
                (429, "", "RateLimitExceeded"),
            ),
            (
                500,
                r#"{"detail":{"error":{"message":"inner","code":"x"}}}"#,
                (500, "x", "inner"),
            ),
            (
                502,
                "<html>bad gateway</html>",
                (502, "", "the model server answered 502 without saying why"),
            ),
            (
                503,
                "",
                (503, "", "the model server answered 503 without saying why"),
            ),
        ] {
            let (status_out, code, message) = read(status, body);
            assert_eq!(
                (status_out, code.as_str(), message.as_str()),
                expected,
                "{body}"
            );
        }
    }

    #[test]
    fn an_error_inside_a_stream_brings_its_status() {
        let (status, _, message) = read(502, r#"{"message":"out of memory","code":503}"#);
        assert_eq!((status, message.as_str()), (503, "out of memory"));
        let (status, ..) = read(502, r#"{"message":"x","code":7}"#);
        assert_eq!(status, 502);
    }

    #[test]
    fn a_prompt_that_is_too_long_has_one_code() {
        let error = error(
            400,
            br#"{"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages.","type":"BadRequestError","code":400}}"#,
        );
        assert_eq!(error.code, "context_length_exceeded");
        assert_eq!(
            error.context.as_deref(),
            Some(&Context {
                asked: 5_000,
                most: 4_096
            })
        );
        assert_eq!(error.retry, Some(false));
    }
}
