//! The text of system prompts.

use serde_json::Value;

/// Claude Code's first line says which version and session asks. It may change with every request: the model has no use for it, and the prefix cache would be lost.
const BILLING: &str = "x-anthropic-billing-header";

/// The text of `system`, or of a message of that role: its blocks, a line each.
pub(super) fn text(content: &Value) -> String {
    let texts: Vec<&str> = match content {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks.iter().filter_map(block_text).collect(),
        other => block_text(other).into_iter().collect(),
    };
    let texts: Vec<&str> = texts
        .into_iter()
        .map(without_billing)
        .filter(|text| !text.is_empty())
        .collect();
    texts.join("\n")
}

/// The text behind the line of billing, if there is one.
pub(super) fn without_billing(text: &str) -> &str {
    if text.starts_with(BILLING) {
        text.split_once('\n').map_or("", |(_, behind)| behind)
    } else {
        text
    }
}

fn block_text(block: &Value) -> Option<&str> {
    block
        .as_str()
        .or_else(|| block.get("text").and_then(Value::as_str))
}
