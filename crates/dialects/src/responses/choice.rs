//! `tool_choice`: which tools the model may or must call.

use serde_json::{Value, json};

use super::invalid;
use super::tools::Tools;
use crate::ApiError;

/// What of the tools goes to the model server.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// Chat's `tool_choice`; `None` for the default.
    pub(super) chat: Option<Value>,
    /// The names there of the tools that may be called, if not all.
    pub(super) only: Option<Vec<String>>,
}

impl Choice {
    /// Reads a `tool_choice`.
    ///
    /// # Errors
    /// A 400 if a call is asked for and there is nothing to call.
    pub(super) fn read(choice: Option<&Value>, tools: &Tools) -> Result<Self, ApiError> {
        let Some(choice) = choice else {
            return Ok(Self::default());
        };
        let member = |name: &str| choice.get(name).and_then(Value::as_str);
        let simple = |mode: &str| match mode {
            "required" if tools.is_empty() => Err(nothing_to_call()),
            "auto" | "none" | "required" => Ok(Self {
                chat: (!tools.is_empty()).then(|| json!(mode)),
                only: None,
            }),
            _ => Err(invalid(
                "tool_choice",
                "`tool_choice` must be \"auto\", \"none\", \"required\" or an object",
            )),
        };
        match (choice, member("type")) {
            (Value::String(mode), _) => simple(mode),
            (_, Some("function" | "custom")) => {
                let flat = named(choice, tools).ok_or_else(|| {
                    invalid(
                        "tool_choice",
                        "`tool_choice` names a tool that is not in `tools`",
                    )
                })?;
                Ok(Self {
                    chat: Some(json!({"type": "function", "function": {"name": flat}})),
                    only: None,
                })
            }
            (_, Some("allowed_tools")) => {
                let allowed = choice.get("tools").and_then(Value::as_array);
                let only: Vec<String> = allowed
                    .into_iter()
                    .flatten()
                    .filter_map(|tool| named(tool, tools))
                    .map(str::to_owned)
                    .collect();
                match (member("mode"), only.is_empty()) {
                    (Some("required"), true) => Err(nothing_to_call()),
                    (_, true) => Ok(Self {
                        chat: None,
                        only: Some(only),
                    }),
                    (mode, false) => Ok(Self {
                        chat: Some(json!(match mode {
                            Some("required") => "required",
                            _ => "auto",
                        })),
                        only: Some(only),
                    }),
                }
            }
            // A tool that the service would execute: there is none, the model answers with what it has.
            (Value::Object(_), Some(_)) => simple("auto"),
            _ => simple(""),
        }
    }
}

/// The name at the model server of a tool that a choice names.
fn named<'a>(choice: &Value, tools: &'a Tools) -> Option<&'a str> {
    let member = |name: &str| choice.get(name).and_then(Value::as_str);
    let nested = || choice.get("function")?.get("name")?.as_str();
    tools.find(member("namespace"), member("name").or_else(nested)?)
}

fn nothing_to_call() -> ApiError {
    invalid(
        "tool_choice",
        "`tool_choice` asks for a call, but none of `tools` can be called here; only functions and custom tools are served",
    )
}
