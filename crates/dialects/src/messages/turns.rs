//! Turns of a conversation. The API joins messages of one role that follow each other; Chat templates want a strict order: system first, then users and
//! assistants by turns, and the results of tools right behind their calls.

use serde_json::{Map, Value, json};

use super::blocks::{Block, Content, Parts, blocks, tool_call, tool_message, user_part};
use super::request::{Purpose, invalid, list, text};
use super::system;
use crate::{ApiError, InlineSystem, Settings};

/// The messages of a Chat request.
pub(super) struct Conversation {
    /// They.
    pub(super) messages: Vec<Value>,
    /// The model continues the last message.
    pub(super) prefill: bool,
}

enum Turn<'a> {
    User(Vec<Item<'a>>),
    Assistant(Vec<Block<'a>>),
}

enum Item<'a> {
    Block(Block<'a>),
    /// A system message as text of the user's turn.
    Reminder(String),
    /// A system message that stays one.
    System(String),
}

/// Translates the conversation.
pub(super) fn messages(
    members: &Map<String, Value>,
    settings: &Settings,
    purpose: Purpose,
) -> Result<Conversation, ApiError> {
    if !members.get("messages").is_some_and(Value::is_array) {
        return Err(invalid("messages", "messages must be an array"));
    }
    let (lead, turns) = turns(members, settings.inline_system, purpose);
    let mut messages = Vec::new();
    if !lead.is_empty() {
        messages.push(json!({"role": "system", "content": lead.join("\n")}));
    }
    let before = messages.len();
    let mut prefill = false;
    for turn in turns {
        match turn {
            Turn::User(items) => {
                user(items, &mut messages)?;
                prefill = false;
            }
            Turn::Assistant(blocks) => prefill = assistant(&blocks, &mut messages),
        }
    }
    if messages.len() == before && purpose == Purpose::Answer {
        return Err(invalid(
            "messages",
            "messages must hold at least one message that is not empty",
        ));
    }
    Ok(Conversation { messages, prefill })
}

/// The leading system prompt, and the turns behind it.
fn turns(
    members: &Map<String, Value>,
    inline: InlineSystem,
    purpose: Purpose,
) -> (Vec<String>, Vec<Turn<'_>>) {
    let mut lead = Vec::new();
    let prompt = system::text(members.get("system").unwrap_or(&Value::Null));
    if !prompt.is_empty() {
        lead.push(prompt);
    }
    let mut turns: Vec<Turn<'_>> = Vec::new();
    let messages = list(members, "messages");
    for (index, message) in messages.iter().enumerate() {
        let Some(message) = message.as_object() else {
            continue;
        };
        let content = message.get("content");
        let last = purpose == Purpose::Answer && index.saturating_add(1) == messages.len();
        match text(message, "role") {
            Some("system" | "developer") => {
                let text = system::text(content.unwrap_or(&Value::Null));
                if text.is_empty() {
                    continue;
                }
                match inline {
                    _ if turns.is_empty() => lead.push(text),
                    InlineSystem::Hoist => lead.push(text),
                    InlineSystem::Keep => users(&mut turns, vec![Item::System(text)]),
                    InlineSystem::User => {
                        users(
                            &mut turns,
                            vec![Item::Reminder(InlineSystem::marked(&text))],
                        );
                    }
                }
            }
            Some("assistant") => {
                let new = blocks(content, index, last);
                match turns.last_mut() {
                    Some(Turn::Assistant(blocks)) => blocks.extend(new),
                    _ => turns.push(Turn::Assistant(new)),
                }
            }
            _ => {
                let new = blocks(content, index, last).into_iter();
                users(&mut turns, new.map(Item::Block).collect());
            }
        }
    }
    (lead, turns)
}

/// Adds to the user's turn at the end, or begins one.
fn users<'a>(turns: &mut Vec<Turn<'a>>, new: Vec<Item<'a>>) {
    match turns.last_mut() {
        Some(Turn::User(items)) => items.extend(new),
        _ if new.is_empty() => {}
        _ => turns.push(Turn::User(new)),
    }
}

/// Results of tools first, then their images, then the rest.
fn user(items: Vec<Item<'_>>, messages: &mut Vec<Value>) -> Result<(), ApiError> {
    let mut parts = Parts::default();
    for item in &items {
        if let Item::Block(Block {
            content: Content::Typed("tool_result", members),
            ..
        }) = item
        {
            let (message, others) = tool_message(members);
            messages.push(message);
            parts.append(others);
        }
    }
    let flush = |parts: &mut Parts, messages: &mut Vec<Value>| {
        if let Some(content) = std::mem::take(parts).into_content() {
            messages.push(json!({"role": "user", "content": content}));
        }
    };
    for item in items {
        match item {
            Item::Block(Block {
                content: Content::Typed("tool_result", _),
                ..
            }) => {}
            Item::Block(block) => user_part(block, &mut parts)?,
            Item::Reminder(text) => parts.text(&text),
            Item::System(text) => {
                flush(&mut parts, messages);
                messages.push(json!({"role": "system", "content": text}));
            }
        }
    }
    flush(&mut parts, messages);
    Ok(())
}

/// One message of text, reasoning and calls. Returns whether the model could continue it.
fn assistant(blocks: &[Block<'_>], messages: &mut Vec<Value>) -> bool {
    let mut content = String::new();
    let mut reasoning = String::new();
    let mut calls = Vec::new();
    let mut message = None;
    for block in blocks {
        let text = match block.content {
            Content::Text(text) => text,
            Content::Typed("thinking", members) => {
                reasoning.push_str(text(members, "thinking").unwrap_or_default());
                ""
            }
            Content::Typed("tool_use", members) => {
                calls.extend(tool_call(members));
                ""
            }
            Content::Typed("compaction", members) => text(members, "content").unwrap_or_default(),
            // What runs at Anthropic's servers, and reasoning that only they can read.
            Content::Typed(..) => "",
        };
        // Blocks of one answer are pieces of one text; answers are not.
        if !text.is_empty() {
            if message.is_some_and(|message| message != block.message) {
                content.push('\n');
            }
            message = Some(block.message);
            content.push_str(text);
        }
    }
    let prefill = !content.is_empty() && calls.is_empty();
    let mut members = Map::new();
    members.insert("role".into(), "assistant".into());
    members.insert("content".into(), content.into());
    if !reasoning.is_empty() {
        members.insert("reasoning_content".into(), reasoning.into());
    }
    if !calls.is_empty() {
        members.insert("tool_calls".into(), Value::Array(calls));
    }
    messages.push(Value::Object(members));
    prefill
}
