//! Tools and their choice. Those that the application runs become functions; those that run at Anthropic's servers are left out.

use serde_json::{Map, Value, json};

use super::client_tools;
use super::request::{invalid, list, text};
use crate::ApiError;

/// Longest name of a tool that is passed on in a note, in characters.
const MAX_NOTE: usize = 64;

/// The tools of a request.
pub(super) struct Tools {
    /// Those that the application runs.
    pub(super) kept: Vec<Tool>,
    /// Names or types of those that are left out.
    pub(super) left_out: Vec<String>,
    /// Names of those that are left out.
    names_left_out: Vec<String>,
}

/// A tool that the application runs.
pub(super) struct Tool {
    /// Its name.
    pub(super) name: String,
    /// What it does.
    pub(super) description: Option<String>,
    /// The schema of its input.
    pub(super) schema: Value,
    strict: Option<bool>,
    /// Where it stands in the request, if it was written out there.
    pub(super) written: Option<usize>,
}

impl Tools {
    /// Sorts the tools of a request.
    pub(super) fn read(members: &Map<String, Value>) -> Self {
        let mut tools = Self {
            kept: Vec::new(),
            left_out: Vec::new(),
            names_left_out: Vec::new(),
        };
        for (index, tool) in list(members, "tools").iter().enumerate() {
            let Some(members) = tool.as_object() else {
                continue;
            };
            if let Some(tool) = Tool::read(members, index) {
                tools.kept.push(tool);
                continue;
            }
            let name = text(members, "name").unwrap_or_default();
            let kind = text(members, "type").filter(|kind| !kind.is_empty());
            tools.names_left_out.push(name.to_owned());
            tools.left_out.push(match (kind, name) {
                (Some(kind), _) => kind.chars().take(MAX_NOTE).collect(),
                (None, "") => "a tool without a name".to_owned(),
                (None, name) => name.chars().take(MAX_NOTE).collect(),
            });
        }
        tools
    }

    /// Refuses a request that nobody here can serve: Claude Code asks for a search of the web with no other tool, and would take silence for no results.
    pub(super) fn check(&self, members: &Map<String, Value>) -> Result<(), ApiError> {
        let choice = choice(members);
        let elsewhere = |what: &str| {
            format!(
                "{what} runs at Anthropic's servers and does not exist here: give the model tools that the application runs itself"
            )
        };
        match choice {
            Some(("none", _)) => Ok(()),
            _ if self.kept.is_empty() && !self.left_out.is_empty() => {
                Err(invalid("tools", elsewhere(&self.left_out.join(", "))))
            }
            Some(("tool", name)) if !self.kept.iter().any(|tool| tool.name == name) => {
                Err(if self.names_left_out.iter().any(|left| left == name) {
                    invalid("tool_choice", elsewhere("the tool of tool_choice"))
                } else {
                    invalid("tool_choice", "tool_choice names no tool of this request")
                })
            }
            Some(("any", _)) if self.kept.is_empty() => {
                Err(invalid("tool_choice", "tool_choice any needs tools"))
            }
            _ => Ok(()),
        }
    }

    /// Writes tools and choice of a Chat request.
    pub(super) fn write(&self, members: &Map<String, Value>, body: &mut Map<String, Value>) {
        if self.kept.is_empty() {
            return;
        }
        let functions = self.kept.iter().map(Tool::function).collect();
        body.insert("tools".into(), Value::Array(functions));
        let choice = match choice(members) {
            Some(("auto", _)) => Some(json!("auto")),
            Some(("any", _)) => Some(json!("required")),
            Some(("none", _)) => Some(json!("none")),
            Some(("tool", name)) => Some(json!({"type": "function", "function": {"name": name}})),
            _ => None,
        };
        if let Some(choice) = choice {
            body.insert("tool_choice".into(), choice);
        }
        let one = members
            .get("tool_choice")
            .and_then(|choice| choice.get("disable_parallel_tool_use"));
        if one == Some(&Value::Bool(true)) {
            body.insert("parallel_tool_calls".into(), false.into());
        }
    }
}

impl Tool {
    /// `None`: it runs elsewhere, or nobody could call it.
    fn read(members: &Map<String, Value>, index: usize) -> Option<Self> {
        let name = text(members, "name").filter(|name| !name.is_empty())?;
        let kind = text(members, "type").unwrap_or_default();
        let written = members.get("input_schema").is_some_and(Value::is_object);
        let (description, schema, written) = match client_tools::documented(kind, members) {
            Some((description, schema)) if !written => (Some(description), schema, None),
            None if !written && !matches!(kind, "" | "custom") => return None,
            _ => (
                text(members, "description").map(str::to_owned),
                parameters(members.get("input_schema")),
                Some(index),
            ),
        };
        Some(Self {
            name: name.to_owned(),
            description,
            schema,
            strict: members.get("strict").and_then(Value::as_bool),
            written,
        })
    }

    fn function(&self) -> Value {
        let mut function = Map::new();
        function.insert("name".into(), self.name.as_str().into());
        if let Some(description) = &self.description {
            function.insert("description".into(), description.as_str().into());
        }
        function.insert("parameters".into(), self.schema.clone());
        if let Some(strict) = self.strict {
            function.insert("strict".into(), strict.into());
        }
        json!({"type": "function", "function": function})
    }
}

/// A schema as model servers want it: of an object, and without the name of the standard.
fn parameters(schema: Option<&Value>) -> Value {
    let Some(Value::Object(schema)) = schema else {
        return json!({"type": "object", "properties": {}});
    };
    let mut schema = schema.clone();
    schema.shift_remove("$schema");
    if schema.get("type").is_none_or(Value::is_null) {
        schema.insert("type".into(), "object".into());
    }
    Value::Object(schema)
}

/// The type of a choice, and the tool that it names.
fn choice(members: &Map<String, Value>) -> Option<(&str, &str)> {
    match members.get("tool_choice")? {
        Value::String(kind) => Some((kind, "")),
        Value::Object(choice) => Some((
            text(choice, "type")?,
            text(choice, "name").unwrap_or_default(),
        )),
        _ => None,
    }
}
