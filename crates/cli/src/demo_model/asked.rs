//! What a request asks for.

use http::HeaderMap;
use serde_json::{Value, json};

use super::text;

/// Most answers to one question.
const MAX_CHOICES: usize = 8;

/// Which of the two text APIs a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Chat,
    Completion,
}

/// A request of a text API.
pub(super) struct Asked {
    pub(super) dialect: Dialect,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Asked {
    pub(super) fn flag(&self, name: &str) -> bool {
        self.body.get(name).and_then(Value::as_bool) == Some(true)
    }

    pub(super) fn stream_option(&self, name: &str) -> bool {
        let options = self.body.get("stream_options");
        options
            .and_then(|options| options.get(name))
            .and_then(Value::as_bool)
            == Some(true)
    }

    fn number(&self, name: &str) -> Option<usize> {
        let number = self.body.get(name).and_then(Value::as_u64)?;
        usize::try_from(number).ok()
    }

    /// Tokens of the answer at most.
    pub(super) fn limit(&self) -> Option<usize> {
        self.number("max_completion_tokens")
            .or_else(|| self.number("max_tokens"))
    }

    pub(super) fn choices(&self) -> usize {
        self.number("n").unwrap_or(1).clamp(1, MAX_CHOICES)
    }

    /// How many alternatives each token shall be shown with, if the tokens shall be shown.
    pub(super) fn alternatives(&self) -> Option<usize> {
        match self.dialect {
            Dialect::Chat if self.flag("logprobs") => {
                Some(self.number("top_logprobs").unwrap_or(0).min(20))
            }
            Dialect::Chat => None,
            Dialect::Completion => self.number("logprobs").map(|number| number.min(5)),
        }
    }

    pub(super) fn stops(&self) -> Vec<&str> {
        match self.body.get("stop") {
            Some(Value::String(stop)) => vec![stop.as_str()],
            Some(Value::Array(stops)) => stops.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn messages(&self) -> &[Value] {
        let messages = self.body.get("messages").and_then(Value::as_array);
        messages.map_or(&[], Vec::as_slice)
    }

    /// What shall be answered: the last thing that the user said, else the last that anybody did. One for each prompt of a list of them.
    pub(super) fn questions(&self) -> Vec<Question> {
        match self.dialect {
            Dialect::Chat => {
                let of_user = |message: &&Value| role(message) == "user";
                let messages = self.messages();
                let last = messages.iter().rev().find(of_user).or(messages.last());
                last.map(Question::of_message).into_iter().collect()
            }
            Dialect::Completion => match self.body.get("prompt") {
                Some(Value::Array(prompts)) if !prompts.iter().all(Value::is_number) => prompts
                    .iter()
                    .map(|prompt| Question::of_text(text::of(Some(prompt))))
                    .collect(),
                prompt => vec![Question::of_text(text::of(prompt))],
            },
        }
    }

    /// Tokens of the whole prompt, and those of them that an earlier request of the same conversation had too.
    pub(super) fn prompt_tokens(&self) -> (usize, usize) {
        let count = |text: &str| text::tokens(text).len();
        match self.dialect {
            Dialect::Chat => {
                let messages = self.messages();
                let texts: Vec<String> = messages
                    .iter()
                    .map(|message| text::of(message.get("content")))
                    .collect();
                let before = texts.split_last().map_or(&[][..], |(_, before)| before);
                (count(&texts.join(" ")), count(&before.join(" ")))
            }
            Dialect::Completion => (count(&text::of(self.body.get("prompt"))), 0),
        }
    }

    /// Whether the model shall think before it answers, as vLLM and SGLang take it.
    pub(super) fn thinks(&self) -> bool {
        let template = self.body.get("chat_template_kwargs");
        let switch = ["enable_thinking", "thinking"].iter().find_map(|name| {
            template
                .and_then(|template| template.get(name))
                .and_then(Value::as_bool)
        });
        let effort = self.body.get("reasoning_effort").and_then(Value::as_str);
        switch.unwrap_or(effort.is_some_and(|effort| effort != "none"))
    }

    /// A member by its JSON pointer, or the header fields.
    pub(super) fn shown(&self, pointer: &str) -> Value {
        if pointer != "headers" {
            return self.body.pointer(pointer).cloned().unwrap_or(Value::Null);
        }
        let fields = self.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), Value::from(value))
        });
        Value::Object(fields.collect())
    }
}

/// One question.
pub(super) struct Question {
    pub(super) text: String,
    /// What of it may be a script.
    pub(super) script: String,
    /// Content parts that are no text, each in a few words.
    pub(super) parts: Vec<String>,
}

impl Question {
    fn of_text(text: String) -> Self {
        Self {
            script: text.clone(),
            text,
            parts: Vec::new(),
        }
    }

    fn of_message(message: &Value) -> Self {
        let content = message.get("content");
        let parts = content.and_then(Value::as_array);
        Self {
            text: text::of(content),
            script: text::last_part(content),
            parts: parts.into_iter().flatten().filter_map(part).collect(),
        }
    }
}

pub(super) fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or("")
}

fn part(part: &Value) -> Option<String> {
    let kind = part.get("type")?.as_str()?;
    if kind == "text" {
        return None;
    }
    let url = part.pointer("/image_url/url").and_then(Value::as_str);
    Some(match url {
        Some(url) => format!("{kind} ({})", described(url)),
        None => kind.to_owned(),
    })
}

/// Media type and size of a data URL; of other URLs nothing, since nothing is fetched.
fn described(url: &str) -> String {
    use base64::Engine as _;
    let data = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((media_type, packed)) => {
            match base64::engine::general_purpose::STANDARD.decode(packed) {
                Ok(bytes) => format!("{media_type}, {} bytes", bytes.len()),
                Err(_) => format!("{media_type}, not base64"),
            }
        }
        None => "a link".to_owned(),
    }
}

/// The function tools on offer: name and schema.
pub(super) fn tools(body: &Value) -> Vec<(&str, Value)> {
    let tools = body.get("tools").and_then(Value::as_array);
    let functions = tools.into_iter().flatten().filter_map(|tool| {
        let function = tool.get("function")?;
        let schema = function.get("parameters").cloned().unwrap_or(json!({}));
        Some((function.get("name")?.as_str()?, schema))
    });
    functions.collect()
}
