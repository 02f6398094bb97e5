//! What a response that fails after its beginning says. Codex acts on some codes, and tries again after all others.

use super::object::Failure;
use crate::ApiError;

impl Failure {
    /// The code and message for an error.
    pub(super) fn of(error: &ApiError) -> Self {
        let code = code(error);
        let mut message = error.message.clone();
        if code == "rate_limit_exceeded"
            && let Some(seconds) = error
                .retry_after
                .as_deref()
                .and_then(|after| after.trim().parse::<u64>().ok())
            && !message.to_ascii_lowercase().contains("try again in")
        {
            // Codex reads the time from these words.
            message.push_str(&format!(" Please try again in {seconds}s."));
        }
        Self {
            code: code.to_owned(),
            message,
        }
    }
}

fn code(error: &ApiError) -> &'static str {
    const OTHER: &str = "server_error";
    const KNOWN: [&str; 5] = [
        "context_length_exceeded",
        "insufficient_quota",
        "rate_limit_exceeded",
        "server_is_overloaded",
        "invalid_prompt",
    ];
    if error.context.is_some() {
        return "context_length_exceeded";
    }
    if let Some(known) = KNOWN.into_iter().find(|known| *known == error.code) {
        return known;
    }
    match (error.status, error.retry) {
        (402, _) => "insufficient_quota",
        (429, _) => "rate_limit_exceeded",
        (503 | 529, retry) if retry != Some(false) => "server_is_overloaded",
        // The only code whose message is shown and that is not tried again.
        (_, Some(false)) => "invalid_prompt",
        (408 | 409 | 425, _) => OTHER,
        (400..=499, None) => "invalid_prompt",
        // Strict clients take the API's codes only, so ours stay out; the message says what happened.
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use sealwire_http::openai::Context;

    use super::*;

    #[test]
    fn errors_have_the_codes_that_codex_acts_on() {
        for (status, code, retry, expected) in [
            (400, "", None, "invalid_prompt"),
            (400, "attestation_failed", Some(false), "invalid_prompt"),
            (502, "not_attested", Some(false), "invalid_prompt"),
            (402, "", None, "insufficient_quota"),
            (429, "insufficient_quota", None, "insufficient_quota"),
            (429, "too_many", None, "rate_limit_exceeded"),
            (503, "no_instance", None, "server_is_overloaded"),
            (529, "", None, "server_is_overloaded"),
            (409, "used", None, "server_error"),
            (422, "again", Some(true), "server_error"),
            (502, "truncated", None, "server_error"),
            (500, "", None, "server_error"),
            (
                400,
                "context_length_exceeded",
                Some(false),
                "context_length_exceeded",
            ),
        ] {
            let mut error = ApiError::server_error(status, code, "words");
            error.retry = retry;
            let failure = Failure::of(&error);
            assert_eq!(failure.code, expected, "{status} {code} {retry:?}");
            assert_eq!(failure.message, "words");
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_known_by_its_lengths() {
        let mut error = ApiError::server_error(400, "", "too long");
        error.context = Some(Box::new(Context { asked: 2, most: 1 }));
        assert_eq!(Failure::of(&error).code, "context_length_exceeded");
    }

    #[test]
    fn a_rate_limit_says_when_to_try_again() {
        let mut error = ApiError::server_error(429, "", "slow down.");
        error.retry_after = Some("7".into());
        assert_eq!(
            Failure::of(&error).message,
            "slow down. Please try again in 7s."
        );
        error.message = "Try again in 3s".into();
        assert_eq!(Failure::of(&error).message, "Try again in 3s");
        error.message = "slow down.".into();
        error.retry_after = Some("Wed, 21 Oct".into());
        assert_eq!(Failure::of(&error).message, "slow down.");
    }
}
