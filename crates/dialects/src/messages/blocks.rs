//! Content blocks, and the parts of Chat messages that they become.

use serde_json::{Map, Value, json};

use super::documents::{self, Unreadable};
use super::ids;
use super::request::{invalid, text};
use crate::ApiError;

/// A content block, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// What it holds.
    pub(super) content: Content<'a>,
    /// Index of its message.
    pub(super) message: usize,
    /// Index in its message.
    pub(super) index: usize,
    /// The user sent it just now: what cannot be served is refused, for the history would keep it for ever.
    pub(super) fresh: bool,
}

/// What a block holds.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    /// Text alone.
    Text(&'a str),
    /// A block of a type.
    Typed(&'a str, &'a Map<String, Value>),
}

impl<'a> Content<'a> {
    fn of(block: &'a Value) -> Option<Self> {
        match block {
            Value::String(text) => Some(Self::Text(text)),
            Value::Object(members) => match (text(members, "type"), text(members, "text")) {
                (Some("text") | None, Some(text)) => Some(Self::Text(text)),
                (Some(kind), _) => Some(Self::Typed(kind, members)),
                (None, None) => None,
            },
            _ => None,
        }
    }
}

/// Parts of one Chat message.
#[derive(Default)]
pub(super) struct Parts(Vec<Value>);

impl Parts {
    /// Adds text, unless it is empty.
    pub(super) fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.0.push(json!({"type": "text", "text": text}));
        }
    }

    /// Adds a part.
    pub(super) fn push(&mut self, part: Value) {
        self.0.push(part);
    }

    /// Adds others behind these.
    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Text in one piece, and what else there is.
    pub(super) fn split(self) -> (String, Self) {
        let (texts, others): (Vec<_>, Vec<_>) =
            self.0.into_iter().partition(|part| text_of(part).is_some());
        (joined(&texts), Self(others))
    }

    /// The content of a message: a string where that is enough, for many templates know nothing else. `None` if there are no parts.
    pub(super) fn into_content(self) -> Option<Value> {
        if self.0.is_empty() {
            None
        } else if self.0.iter().all(|part| text_of(part).is_some()) {
            Some(joined(&self.0).into())
        } else {
            Some(Value::Array(self.0))
        }
    }

    /// The parts.
    pub(super) fn into_values(self) -> Vec<Value> {
        self.0
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The blocks of a message's content; empty text is none.
pub(super) fn blocks(content: Option<&Value>, message: usize, last: bool) -> Vec<Block<'_>> {
    let contents: Vec<Option<Content<'_>>> = match content {
        None => Vec::new(),
        Some(Value::Array(blocks)) => blocks.iter().map(Content::of).collect(),
        Some(other) => vec![Content::of(other)],
    };
    // In a turn of tool results it was the agent's loop that attached it, and the model can go another way.
    let fresh = last
        && !contents
            .iter()
            .any(|content| matches!(content, Some(Content::Typed("tool_result", _))));
    contents
        .into_iter()
        .enumerate()
        .filter_map(|(index, content)| {
            Some(Block {
                content: content.filter(|content| !matches!(content, Content::Text("")))?,
                message,
                index,
                fresh,
            })
        })
        .collect()
}

/// What a block adds to a user's message.
pub(super) fn user_part(block: Block<'_>, parts: &mut Parts) -> Result<(), ApiError> {
    match block.content {
        Content::Text(text) => parts.text(text),
        Content::Typed(kind, members) => {
            if let Err(Unreadable(what)) = typed_part(kind, members, parts) {
                if block.fresh {
                    return Err(invalid(
                        &format!("messages.{}.content.{}", block.message, block.index),
                        format!(
                            "{what} cannot be given to this model: send text, or images as base64 or by URL"
                        ),
                    ));
                }
                parts.text(&left_out(what));
            }
        }
    }
    Ok(())
}

fn typed_part(
    kind: &str,
    members: &Map<String, Value>,
    parts: &mut Parts,
) -> Result<(), Unreadable> {
    match kind {
        "image" => parts.push(documents::image(members)?),
        "document" => documents::document(members, parts)?,
        "search_result" => documents::search_result(members, parts),
        "tool_reference" => parts.text(text(members, "tool_name").unwrap_or_default()),
        "compaction" => parts.text(text(members, "content").unwrap_or_default()),
        // Types of a later day.
        _ => parts.text(text(members, "text").unwrap_or_default()),
    }
    Ok(())
}

fn left_out(what: &str) -> String {
    format!("[{what} was left out here: this model cannot read it]")
}

/// The Chat message of a tool's result, and what only a user's message can hold of it.
pub(super) fn tool_message(members: &Map<String, Value>) -> (Value, Parts) {
    let mut parts = Parts::default();
    for block in blocks(members.get("content"), 0, false) {
        match block.content {
            Content::Text(text) => parts.text(text),
            Content::Typed(kind, members) => {
                if let Err(Unreadable(what)) = typed_part(kind, members, &mut parts) {
                    parts.text(&left_out(what));
                }
            }
        }
    }
    let (mut content, others) = parts.split();
    if content.is_empty() && !others.is_empty() {
        "The result is in the next message.".clone_into(&mut content);
    }
    if members.get("is_error") == Some(&Value::Bool(true)) && !content.starts_with("Error") {
        content.insert_str(0, "Error: ");
    }
    let id = ids::to_model(text(members, "tool_use_id").unwrap_or_default());
    (
        json!({"role": "tool", "tool_call_id": id, "content": content}),
        others,
    )
}

/// The call of a tool in an assistant's message. Templates read the arguments: they are always an object.
pub(super) fn tool_call(members: &Map<String, Value>) -> Option<Value> {
    let name = text(members, "name").filter(|name| !name.is_empty())?;
    let arguments = match members.get("input") {
        Some(input @ Value::Object(_)) => input.to_string(),
        _ => "{}".to_owned(),
    };
    let id = ids::to_model(text(members, "id").unwrap_or_default());
    Some(json!({
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }))
}

fn text_of(part: &Value) -> Option<&str> {
    part.get("text").and_then(Value::as_str)
}

fn joined(parts: &[Value]) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(text_of).collect();
    texts.join("\n")
}
