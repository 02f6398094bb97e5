//! Tools, and the names they have at the model server: there are no namespaces and no custom tools there.

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{invalid, names};
use crate::ApiError;
use crate::members::{Members, raw};

/// What a function of the model server is for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The namespace, if it is in one.
    pub(super) namespace: Option<String>,
    /// The name there.
    pub(super) name: String,
    /// It takes free text, not JSON.
    pub(super) custom: bool,
}

/// The tools of a request.
#[derive(Debug, Default)]
pub(super) struct Tools {
    functions: Vec<Function>,
}

#[derive(Debug)]
struct Function {
    flat: String,
    origin: Origin,
    chat: Chat,
}

/// One tool in Chat Completions.
#[derive(Debug, Clone, Serialize)]
struct Chat {
    #[serde(rename = "type")]
    kind: &'static str,
    function: ChatFunction,
}

#[derive(Debug, Clone, Serialize)]
struct ChatFunction {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    parameters: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl Tools {
    /// Reads a list of tools into these. Types that no model server executes for us are left out, and named in `dropped`.
    ///
    /// # Errors
    /// A 400 for what is no tool.
    pub(super) fn read(
        &mut self,
        tools: &RawValue,
        at: &str,
        dropped: &mut Vec<String>,
    ) -> Result<(), ApiError> {
        let tools: Vec<Members> = serde_json::from_str(tools.get())
            .map_err(|_| invalid(at, format!("`{at}` must be a list of objects")))?;
        for (index, tool) in tools.iter().enumerate() {
            self.add(tool, None, &format!("{at}[{index}]"), dropped)?;
        }
        Ok(())
    }

    /// The tools in Chat Completions, or those of some names there; `None` if there are none.
    pub(super) fn to_chat(&self, only: Option<&[String]>) -> Option<Box<RawValue>> {
        let chat: Vec<&Chat> = self
            .functions
            .iter()
            .filter(|function| only.is_none_or(|only| only.contains(&function.flat)))
            .map(|function| &function.chat)
            .collect();
        (!chat.is_empty()).then(|| raw(&chat))
    }

    /// The name at the model server of a tool of this request.
    pub(super) fn find(&self, namespace: Option<&str>, name: &str) -> Option<&str> {
        let named = |function: &&Function| function.origin.name == name;
        let exact = self
            .functions
            .iter()
            .filter(named)
            .find(|function| function.origin.namespace.as_deref() == namespace);
        exact
            .or_else(|| self.only(|function| namespace.is_none() && named(&function)))
            .map(|function| function.flat.as_str())
    }

    /// The name at the model server for a call of the past, whose tool may be gone.
    pub(super) fn flat(&self, namespace: Option<&str>, name: &str) -> String {
        match self.find(namespace, name) {
            Some(flat) => flat.to_owned(),
            None => names::flatten(namespace, name),
        }
    }

    /// What the model called. Models leave namespaces out, or join them as they like; where that names one tool, it is meant.
    pub(super) fn origin(&self, called: &str) -> Origin {
        let exact = self
            .functions
            .iter()
            .find(|function| function.flat == called);
        let joined = |function: &Function| {
            function.origin.name == called
                || function.origin.namespace.as_ref().is_some_and(|namespace| {
                    called
                        .strip_prefix(namespace.as_str())
                        .and_then(|rest| rest.strip_suffix(function.origin.name.as_str()))
                        .is_some_and(|between| matches!(between, "" | "." | "/" | ":" | "_" | "__"))
                })
        };
        match exact.or_else(|| self.only(joined)) {
            Some(function) => function.origin.clone(),
            None => Origin {
                namespace: None,
                name: called.to_owned(),
                custom: false,
            },
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    fn only(&self, is: impl Fn(&Function) -> bool) -> Option<&Function> {
        let mut found = self.functions.iter().filter(|function| is(function));
        found.next().filter(|_| found.next().is_none())
    }

    fn add(
        &mut self,
        tool: &Members,
        namespace: Option<&str>,
        at: &str,
        dropped: &mut Vec<String>,
    ) -> Result<(), ApiError> {
        let kind = tool.text("type").unwrap_or_default();
        match kind.as_str() {
            "function" => {
                // Chat Completions nests it, and so do some applications.
                let nested: Option<Members> = tool
                    .get("function")
                    .and_then(|function| serde_json::from_str(function.get()).ok());
                let tool = nested.as_ref().unwrap_or(tool);
                let parameters = match tool.get("parameters") {
                    Some(parameters) => parameters.to_owned(),
                    None => raw(&json!({"type": "object", "properties": {}})),
                };
                let strict = tool.get("strict").and_then(|strict| match strict.get() {
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => None,
                });
                let origin = origin(tool, namespace, false, at)?;
                self.push(origin, tool.text("description"), parameters, strict);
            }
            "custom" => {
                let origin = origin(tool, namespace, true, at)?;
                let description = custom_description(tool);
                self.push(origin, Some(description), custom_parameters(), None);
            }
            "namespace" if namespace.is_none() => {
                let name = origin(tool, None, false, at)?.name;
                let inner = tool.get("tools").map(RawValue::get).unwrap_or("[]");
                let inner: Vec<Members> = serde_json::from_str(inner).map_err(|_| {
                    invalid(&format!("{at}.tools"), "`tools` must be a list of objects")
                })?;
                for (index, tool) in inner.iter().enumerate() {
                    self.add(tool, Some(&name), &format!("{at}.tools[{index}]"), dropped)?;
                }
            }
            other => drop_tool(other, dropped),
        }
        Ok(())
    }

    fn push(
        &mut self,
        origin: Origin,
        description: Option<String>,
        parameters: Box<RawValue>,
        strict: Option<bool>,
    ) {
        let same = |function: &Function| {
            function.origin.namespace == origin.namespace && function.origin.name == origin.name
        };
        if self.functions.iter().any(same) {
            return;
        }
        let mut flat = names::flatten(origin.namespace.as_deref(), &origin.name);
        if self.functions.iter().any(|function| function.flat == flat) {
            flat = names::distinct(origin.namespace.as_deref(), &origin.name);
        }
        self.functions.push(Function {
            chat: Chat {
                kind: "function",
                function: ChatFunction {
                    name: flat.clone(),
                    description,
                    parameters,
                    strict,
                },
            },
            flat,
            origin,
        });
    }
}

/// Names a type of tool that is left out.
pub(super) fn drop_tool(kind: &str, dropped: &mut Vec<String>) {
    let plain = |kind: &str| {
        (1..=names::MAX).contains(&kind.len())
            && kind
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    let kind = if plain(kind) {
        kind
    } else {
        "a tool of unknown type"
    };
    if !dropped.iter().any(|known| known == kind) {
        dropped.push(kind.to_owned());
    }
}

/// The description of a custom tool, with the grammar that its text must follow.
pub(super) fn custom_description(tool: &Members) -> String {
    let mut description = tool.text("description").unwrap_or_default();
    let format: Option<Members> = tool
        .get("format")
        .and_then(|format| serde_json::from_str(format.get()).ok());
    if let Some(definition) = format.as_ref().and_then(|format| format.text("definition")) {
        let syntax = format.as_ref().and_then(|format| format.text("syntax"));
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        description.push_str(&format!(
            "The input is plain text that follows this grammar{}:\n{definition}",
            syntax
                .map(|syntax| format!(" ({syntax})"))
                .unwrap_or_default(),
        ));
    }
    description
}

/// Free text as the one argument of a function.
fn custom_parameters() -> Box<RawValue> {
    raw(&json!({
        "type": "object",
        "properties": {
            "input": {"type": "string", "description": "The whole input of the tool, as plain text."},
        },
        "required": ["input"],
        "additionalProperties": false,
    }))
}

fn origin(
    tool: &Members,
    namespace: Option<&str>,
    custom: bool,
    at: &str,
) -> Result<Origin, ApiError> {
    let name = tool.text("name").filter(|name| !name.is_empty());
    Ok(Origin {
        namespace: namespace.map(str::to_owned),
        name: name.ok_or_else(|| invalid(&format!("{at}.name"), "a tool must have a name"))?,
        custom,
    })
}
