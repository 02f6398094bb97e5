//! What does not fit, in vLLM's words: clients and proxies read them.

use http::{Response, StatusCode};
use sealwire_http::net::{Body, json};
use serde_json::json;

/// An error in vLLM's shape: the status stands where OpenAI has a code.
pub(super) fn refusal(status: u16, message: &str) -> Response<Body> {
    let kind = match status {
        400 => "BadRequestError",
        404 => "NotFoundError",
        429 => "RateLimitError",
        _ if (400..500).contains(&status) => "invalid_request_error",
        _ => "InternalServerError",
    };
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": status}});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, body.to_string().into_bytes())
}

/// Why a prompt of so many tokens, with so many for the answer, does not fit.
pub(super) fn too_long(most: usize, prompt: usize, answer: Option<usize>) -> Option<String> {
    if prompt >= most {
        return Some(format!(
            "This model's maximum context length is {most} tokens. However, your request has {prompt} input tokens. Please reduce the length of the input \
             messages."
        ));
    }
    let answer = answer.filter(|answer| *answer > most - prompt)?;
    Some(format!(
        "'max_tokens' or 'max_completion_tokens' is too large: {answer}. This model's maximum context length is {most} tokens and your request has {prompt} \
         input tokens ({answer} > {most} - {prompt})."
    ))
}

#[cfg(test)]
mod tests {
    use super::too_long;

    #[test]
    fn prompt_and_answer_share_the_length() {
        assert_eq!(too_long(10, 4, Some(6)), None);
        assert_eq!(too_long(10, 4, None), None);
        assert!(too_long(10, 4, Some(7)).is_some_and(|text| text.ends_with("(7 > 10 - 4).")));
        assert!(too_long(10, 10, None).is_some_and(|text| text.contains("has 10 input tokens")));
    }
}
