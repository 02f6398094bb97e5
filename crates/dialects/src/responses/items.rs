//! Items of the input become messages: reasoning, text and calls of one turn are one message of the assistant; outputs follow as messages of tools.

use serde_json::{Value, json};

use super::content::Content;
use super::tools::Tools;
use super::{reasoning, unsupported};
use crate::{ApiError, InlineSystem};

/// The text of a tool's output that is a picture only.
const PICTURE: &str = "[the picture follows in the next message]";

/// Messages in the making.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    tools: &'a Tools,
    inline: InlineSystem,
    /// The first system message.
    system: Vec<String>,
    /// No turn has begun.
    leading: bool,
    messages: Vec<Value>,
    assistant: Assistant,
    /// Pictures among the outputs of tools: they follow in a user's message once all outputs are there.
    pictures: Vec<Value>,
}

/// A message of the assistant in the making.
#[derive(Debug, Default)]
struct Assistant {
    reasoning: Vec<String>,
    text: Vec<String>,
    calls: Vec<Value>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(tools: &'a Tools, inline: InlineSystem) -> Self {
        Self {
            tools,
            inline,
            system: Vec::new(),
            leading: true,
            messages: Vec::new(),
            assistant: Assistant::default(),
            pictures: Vec::new(),
        }
    }

    /// What the application says before everything.
    pub(super) fn instructions(&mut self, text: String) {
        if !text.is_empty() {
            self.system.push(text);
        }
    }

    /// What the user says.
    pub(super) fn user(&mut self, content: Content) {
        if content.is_empty() {
            return;
        }
        self.turn();
        self.messages
            .push(json!({"role": "user", "content": content.into_value()}));
    }

    /// One item of the input. What is not understood is left out.
    ///
    /// # Errors
    /// A 400 for a reference to an item that is stored elsewhere, or to a file in a message. `at` is the item's path.
    pub(super) fn item(&mut self, item: &Value, at: &str) -> Result<(), ApiError> {
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        match text("type").unwrap_or("message") {
            "message" => self.message(item, at)?,
            "function_call" => {
                self.call(item, text("name"), arguments(item.get("arguments")));
            }
            "custom_tool_call" => {
                let input = json!({"input": text("input").unwrap_or_default()});
                self.call(item, text("name"), input.to_string());
            }
            "local_shell_call" | "shell_call" => {
                let name = match text("type") {
                    Some("shell_call") => "shell",
                    _ => "local_shell",
                };
                self.call(item, Some(name), arguments(item.get("action")));
            }
            "apply_patch_call" => {
                self.call(item, Some("apply_patch"), arguments(item.get("operation")));
            }
            "function_call_output"
            | "custom_tool_call_output"
            | "local_shell_call_output"
            | "shell_call_output"
            | "apply_patch_call_output" => self.output(item),
            "reasoning" => {
                if let Some(text) = reasoning::of_item(item) {
                    self.speak().reasoning.push(text);
                }
            }
            "item_reference" => {
                return Err(unsupported(
                    at,
                    "items are not stored here; send the item itself instead of an `item_reference`",
                ));
            }
            _ => {}
        }
        Ok(())
    }

    /// The messages.
    pub(super) fn finish(mut self) -> Vec<Value> {
        self.turn();
        if !self.system.is_empty() {
            let system = json!({"role": "system", "content": self.system.join("\n\n")});
            self.messages.insert(0, system);
        }
        self.messages
    }

    fn message(&mut self, item: &Value, at: &str) -> Result<(), ApiError> {
        let content = Content::read(item.get("content"), &format!("{at}.content"))?;
        match item.get("role").and_then(Value::as_str) {
            Some("assistant") => {
                let text = content.text();
                if !text.is_empty() {
                    self.speak().text.push(text);
                }
            }
            Some("system" | "developer") => {
                let text = content.text();
                match self.inline {
                    _ if text.is_empty() => {}
                    _ if self.leading => self.system.push(text),
                    InlineSystem::Hoist => self.system.push(text),
                    InlineSystem::Keep => {
                        self.turn();
                        self.messages
                            .push(json!({"role": "system", "content": text}));
                    }
                    InlineSystem::User => {
                        self.turn();
                        self.messages
                            .push(json!({"role": "user", "content": InlineSystem::marked(&text)}));
                    }
                }
            }
            _ => self.user(content),
        }
        Ok(())
    }

    fn call(&mut self, item: &Value, name: Option<&str>, arguments: String) {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return;
        };
        let namespace = item
            .get("namespace")
            .and_then(Value::as_str)
            .filter(|namespace| !namespace.is_empty());
        let name = self.tools.flat(namespace, name);
        let id = call_id(item);
        self.speak().calls.push(json!({
            "id": id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }));
    }

    fn output(&mut self, item: &Value) {
        self.flush_assistant();
        self.leading = false;
        let content = Content::of_output(item.get("output"));
        let mut text = content.text();
        let pictures = content.into_media();
        if text.is_empty() && !pictures.is_empty() {
            PICTURE.clone_into(&mut text);
        }
        self.pictures.extend(pictures);
        self.messages
            .push(json!({"role": "tool", "tool_call_id": call_id(item), "content": text}));
    }

    /// The assistant's message, which is the current one.
    fn speak(&mut self) -> &mut Assistant {
        self.flush_pictures();
        self.leading = false;
        &mut self.assistant
    }

    /// Another message begins.
    fn turn(&mut self) {
        self.leading = false;
        self.flush_assistant();
        self.flush_pictures();
    }

    /// Reasoning that led to nothing is left out: templates know it only beside text or calls.
    fn flush_assistant(&mut self) {
        let Assistant {
            reasoning,
            text,
            calls,
        } = std::mem::take(&mut self.assistant);
        if text.is_empty() && calls.is_empty() {
            return;
        }
        // Never null: many templates print it.
        let mut message = json!({"role": "assistant", "content": text.join("\n")});
        if !reasoning.is_empty() {
            message["reasoning_content"] = json!(reasoning.join("\n"));
        }
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        self.messages.push(message);
    }

    fn flush_pictures(&mut self) {
        if !self.pictures.is_empty() {
            let pictures = std::mem::take(&mut self.pictures);
            self.messages
                .push(json!({"role": "user", "content": pictures}));
        }
    }
}

/// Whether an item of the input is understood; others are left out, and a model server of this API gets them neither.
pub(super) fn known(kind: &str) -> bool {
    matches!(
        kind,
        "message"
            | "reasoning"
            | "function_call"
            | "function_call_output"
            | "custom_tool_call"
            | "custom_tool_call_output"
            | "local_shell_call"
            | "local_shell_call_output"
            | "shell_call"
            | "shell_call_output"
            | "apply_patch_call"
            | "apply_patch_call_output"
            | "item_reference"
    )
}

/// Arguments of a call of the past, as a JSON object in text: templates parse them, and one broken call would end every later turn.
fn arguments(arguments: Option<&Value>) -> String {
    match arguments {
        Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => text.clone(),
            _ => "{}".to_owned(),
        },
        Some(object @ Value::Object(_)) => object.to_string(),
        _ => "{}".to_owned(),
    }
}

fn call_id(item: &Value) -> &str {
    ["call_id", "id"]
        .into_iter()
        .find_map(|name| item.get(name)?.as_str())
        .unwrap_or_default()
}
