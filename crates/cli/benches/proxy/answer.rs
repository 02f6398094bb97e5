//! What the paced upstream says: events as model servers send them. Each token is the time at which it leaves.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::MODEL;

/// What stands before the time in a token's event.
const MARK: &str = "\"content\":\"w";
/// Digits of the time.
const DIGITS: usize = 19;

/// One answer.
pub(crate) struct Answer {
    /// The request asks for counts.
    pub(crate) usage: bool,
    tokens: u64,
}

impl Answer {
    pub(crate) const fn new(usage: bool) -> Self {
        Self { usage, tokens: 0 }
    }

    /// The event before the first token.
    pub(crate) fn begin(&self) -> Bytes {
        event(&chunk(
            &json!({"role": "assistant", "content": ""}),
            &Value::Null,
        ))
    }

    /// A token that leaves now.
    pub(crate) fn token(&mut self) -> Bytes {
        self.tokens += 1;
        // By hand: what the upstream spends, the machine lacks for what is measured.
        format!(
            "data: {{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\"model\":\"{MODEL}\",\
             \"choices\":[{{\"index\":0,\"delta\":{{{MARK}{:0DIGITS$}\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n",
            now()
        )
        .into()
    }

    /// The events behind the last token.
    pub(crate) fn end(&self) -> Bytes {
        let mut end = event(&chunk(&json!({}), &"stop".into())).to_vec();
        if self.usage {
            let mut last = chunk(&Value::Null, &Value::Null);
            last["choices"] = json!([]);
            last["usage"] = counts(self.tokens);
            end.extend_from_slice(&event(&last));
        }
        end.extend_from_slice(b"data: [DONE]\n\n");
        end.into()
    }

    /// A whole answer that is not streamed.
    pub(crate) fn whole() -> Bytes {
        json!({
            "id": "chatcmpl-0123456789abcdef",
            "object": "chat.completion",
            "created": 1_800_000_000,
            "model": MODEL,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": WHOLE},
                "finish_reason": "stop",
            }],
            "usage": counts(5),
        })
        .to_string()
        .into()
    }
}

/// The text of a whole answer.
pub(crate) const WHOLE: &str = "What is asked is answered.";

/// Nanoseconds since 1970. The processes are on one machine and read one clock; whether it was set meanwhile is for `clock` to see.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Reads the departures out of an answer as it comes, in whatever pieces.
#[derive(Default)]
pub(crate) struct Departures(Vec<u8>);

impl Departures {
    /// Takes a piece and calls `each` for every token that is whole by now.
    pub(crate) fn push(&mut self, piece: &[u8], mut each: impl FnMut(u64)) {
        self.0.extend_from_slice(piece);
        let whole = self
            .0
            .windows(2)
            .rposition(|two| two == b"\n\n")
            .map_or(0, |at| at + 2);
        let text = self.0.get(..whole).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        for (at, mark) in text.match_indices(MARK) {
            let digits = text.get(at + mark.len()..at + mark.len() + DIGITS);
            if let Some(time) = digits.and_then(|digits| digits.parse().ok()) {
                each(time);
            }
        }
        self.0.drain(..whole);
    }
}

fn chunk(delta: &Value, finish: &Value) -> Value {
    json!({
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1_800_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
    })
}

fn counts(tokens: u64) -> Value {
    json!({"prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens})
}

fn event(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}
