//! What an application makes of an answer, and what that says of the attack.

use serde_json::Value;

/// An answer as an OpenAI client library collects it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(super) struct Collected {
    /// Text up to `[DONE]`.
    pub(super) text: String,
    /// Names of the tools that were called.
    pub(super) tool_calls: Vec<String>,
    /// The stream said that it is whole.
    pub(super) done: bool,
    /// The error that the application got instead, or behind a part of the answer.
    pub(super) error: Option<String>,
    /// Whether that error stands as the model's own.
    pub(super) model_error: bool,
    /// Tokens of the answer, as the application was told.
    pub(super) completion_tokens: Option<u64>,
}

impl Collected {
    /// Takes the data of one event.
    pub(super) fn event(&mut self, data: &str) {
        if self.done || self.error.is_some() {
            return;
        }
        if data.trim() == "[DONE]" {
            self.done = true;
            return;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            return;
        };
        if let Some(error) = event.get("error") {
            self.fail(error);
            return;
        }
        let usage = event.pointer("/usage/completion_tokens");
        self.completion_tokens = usage.and_then(Value::as_u64).or(self.completion_tokens);
        let Some(delta) = event.pointer("/choices/0/delta") else {
            return;
        };
        if let Some(text) = delta.get("content").and_then(Value::as_str) {
            self.text.push_str(text);
        }
        for call in delta
            .get("tool_calls")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = call.pointer("/function/name").and_then(Value::as_str);
            self.tool_calls.push(name.unwrap_or_default().to_owned());
        }
    }

    /// Takes an error of the API.
    pub(super) fn fail(&mut self, error: &Value) {
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        self.error = Some(
            text("code")
                .or(text("message"))
                .unwrap_or("error")
                .to_owned(),
        );
        self.model_error = text("message").is_some_and(|message| message == super::FORGED);
    }
}

/// How an attack went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The application believes what the relay made: what it got.
    Accepted(String),
    /// It got an error instead, by its code.
    Refused(String),
    /// The answer is the model's own, whole: the attack had nothing to change.
    NoEffect,
    /// Nobody was there to be attacked.
    NotRun,
}

/// The model's own answer, to compare with.
pub(super) struct Truth {
    pub(super) text: String,
    pub(super) completion_tokens: u64,
}

impl Truth {
    pub(super) fn judge(&self, got: &Collected) -> Verdict {
        if let Some(tool) = got.tool_calls.first() {
            return Verdict::Accepted(format!("calls {tool}"));
        }
        if let Some(error) = &got.error {
            return if got.model_error {
                Verdict::Accepted("as the model's word".to_owned())
            } else {
                Verdict::Refused(error.clone())
            };
        }
        if !got.done {
            return Verdict::Refused("connection aborted".to_owned());
        }
        if got.text != self.text {
            return Verdict::Accepted("another text".to_owned());
        }
        match got.completion_tokens {
            Some(tokens) if tokens != self.completion_tokens => {
                Verdict::Accepted("another count".to_owned())
            }
            _ => Verdict::NoEffect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(events: &[&str]) -> Collected {
        let mut got = Collected::default();
        for event in events {
            got.event(event);
        }
        got
    }

    #[test]
    fn only_the_models_own_answer_is_no_effect() {
        let truth = Truth {
            text: "ab".to_owned(),
            completion_tokens: 2,
        };
        let a = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
        let b = r#"{"choices":[{"delta":{"content":"b"}}],"usage":{"completion_tokens":2}}"#;
        let tool =
            r#"{"usage":{},"choices":[{"delta":{"tool_calls":[{"function":{"name":"rm"}}]}}]}"#;
        let count = r#"{"usage":{"completion_tokens":9}}"#;
        let error = r#"{"error":{"code":"truncated","message":"x"}}"#;
        let judge = |events: &[&str]| truth.judge(&collect(events));
        assert_eq!(judge(&[a, b, "[DONE]"]), Verdict::NoEffect);
        assert_eq!(
            judge(&[a, b]),
            Verdict::Refused("connection aborted".to_owned())
        );
        assert_eq!(judge(&[a, error]), Verdict::Refused("truncated".to_owned()));
        for accepted in [
            &[b, a, "[DONE]"][..],
            &[a, "[DONE]", b],
            &[a, tool, b, "[DONE]"],
            &[a, tool, error],
            &[a, b, count, "[DONE]"],
        ] {
            assert!(
                matches!(judge(accepted), Verdict::Accepted(_)),
                "{accepted:?}"
            );
        }
        let forged = format!(r#"{{"error":{{"message":"{}"}}}}"#, super::super::FORGED);
        assert!(matches!(judge(&[a, &forged]), Verdict::Accepted(_)));
    }
}
