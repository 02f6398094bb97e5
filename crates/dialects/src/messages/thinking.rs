//! How much the model shall think, and the form of what it says.

use serde_json::{Map, Value, json};

use super::request::text;

/// Budgets of thinking below which the effort is low, or medium. Servers refuse a budget itself unless they were started for it.
const LOW: u64 = 4_096;
const MEDIUM: u64 = 16_384;

/// Writes them into a Chat request.
pub(super) fn write(members: &Map<String, Value>, body: &mut Map<String, Value>) {
    let object = |name: &str| members.get(name).and_then(Value::as_object);
    let output = object("output_config");
    let asked = output
        .and_then(|output| text(output, "effort"))
        .and_then(effort);
    let thinking = object("thinking");
    let (think, effort) = match thinking.and_then(|thinking| text(thinking, "type")) {
        Some("disabled") => (Some(false), Some("none")),
        Some("enabled") => {
            let budget = thinking
                .and_then(|thinking| thinking.get("budget_tokens"))
                .and_then(Value::as_u64);
            (Some(true), asked.or(budget.map(effort_of_budget)))
        }
        // `adaptive`, `between_tools` and what will come: the model decides.
        Some(_) => (Some(true), asked),
        None => (None, asked),
    };
    if let Some(effort) = effort {
        body.insert("reasoning_effort".into(), effort.into());
    }
    if let Some(think) = think {
        // Templates know it by one name or the other.
        body.insert(
            "chat_template_kwargs".into(),
            json!({"enable_thinking": think, "thinking": think}),
        );
    }
    let format = output
        .and_then(|output| output.get("format"))
        .or_else(|| members.get("output_format"));
    let schema = format
        .filter(|format| format.get("type").and_then(Value::as_str) == Some("json_schema"))
        .and_then(|format| format.get("schema"));
    if let Some(schema @ Value::Object(_)) = schema {
        body.insert(
            "response_format".into(),
            json!({"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}),
        );
    }
}

/// Efforts that every model server knows.
fn effort(name: &str) -> Option<&'static str> {
    match name {
        "low" => Some("low"),
        "medium" => Some("medium"),
        "high" | "xhigh" | "max" => Some("high"),
        _ => None,
    }
}

fn effort_of_budget(budget: u64) -> &'static str {
    match budget {
        0..LOW => "low",
        LOW..MEDIUM => "medium",
        _ => "high",
    }
}
