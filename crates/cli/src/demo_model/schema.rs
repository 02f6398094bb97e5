//! The smallest value that a JSON schema accepts, for the schemas that clients make of their own types.

use serde_json::{Map, Value, json};

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 16;

/// A value for a schema: every required member, first choices, nothing else.
pub(super) fn smallest(schema: &Value) -> Value {
    value(schema, schema, 0)
}

fn value(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    let first = |name: &str| schema.get(name)?.as_array()?.first();
    if let Some(first) = first("enum") {
        return first.clone();
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|path| root.pointer(path));
        return target.map_or(Value::Null, |target| value(target, root, depth + 1));
    }
    for name in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = first(name) {
            return value(first, root, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("string") => "text".into(),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => true.into(),
        Some("null") => Value::Null,
        Some("array") => array(schema, root, depth),
        _ => object(schema, root, depth),
    }
}

fn array(schema: &Value, root: &Value, depth: usize) -> Value {
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1);
    let item = schema.get("items").map(|item| value(item, root, depth + 1));
    let items = usize::try_from(least.min(8)).unwrap_or(1);
    item.into_iter()
        .cycle()
        .take(items)
        .collect::<Vec<_>>()
        .into()
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let mut object = Map::new();
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        let member = schema.pointer("/properties").and_then(|all| all.get(name));
        let member = member.map_or(Value::Null, |member| value(member, root, depth + 1));
        object.insert(name.to_owned(), member);
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_is_there() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "kind": {"enum": ["a", "b"]},
                "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}},
                "left_out": {"type": "string"},
            },
            "required": ["name", "kind", "maybe", "steps"],
            "$defs": {"Step": {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]}},
        });
        assert_eq!(
            smallest(&schema),
            json!({"name": "text", "kind": "a", "maybe": 1, "steps": [{"done": true}]})
        );
        assert_eq!(smallest(&json!({"foo": "bar"})), json!({}));
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let schema =
            json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
        assert!(smallest(&schema).is_object());
    }
}
