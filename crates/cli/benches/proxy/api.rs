//! The API that small requests are asked through.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::MODEL;
use crate::answer::WHOLE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// Chat Completions, which the upstream speaks: nothing is translated.
    Chat,
    /// Anthropic Messages, translated to Chat Completions.
    Messages,
}

impl Api {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "chat" => Some(Self::Chat),
            "messages" => Some(Self::Messages),
            _ => None,
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// A small request. Both APIs take this one.
    pub(crate) fn body(self) -> Bytes {
        let body = json!({
            "model": MODEL,
            "max_tokens": 16,
            "messages": [{"role": "user", "content": "What is asked?"}],
        });
        body.to_string().into()
    }

    /// Whether this is what the upstream says, in this API.
    pub(crate) fn is_answer(self, answer: &[u8]) -> bool {
        let text = match self {
            Self::Chat => "/choices/0/message/content",
            Self::Messages => "/content/0/text",
        };
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        answer.pointer(text).and_then(Value::as_str) == Some(WHOLE)
    }
}
