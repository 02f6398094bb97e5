//! Images, documents and search results: what a model server takes of them.

use serde_json::{Map, Value, json};

use super::blocks::Parts;
use super::request::{list, text};

/// A source that no model server takes: what it is, in a few words.
pub(super) struct Unreadable(pub(super) &'static str);

/// An image's part of a Chat message.
pub(super) fn image(block: &Map<String, Value>) -> Result<Value, Unreadable> {
    let source = block.get("source").and_then(Value::as_object);
    let member = |name| source.and_then(|source| text(source, name));
    let url = match (member("type"), member("data"), member("url")) {
        (Some("base64"), Some(data), _) => {
            let kind = member("media_type").unwrap_or("image/png");
            format!("data:{kind};base64,{data}")
        }
        (Some("url"), _, Some(url)) => url.to_owned(),
        (Some("file"), ..) => return Err(Unreadable("an image of the Files API")),
        _ => return Err(Unreadable("an image without data")),
    };
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}

/// A document's text and images.
pub(super) fn document(block: &Map<String, Value>, parts: &mut Parts) -> Result<(), Unreadable> {
    let source = block.get("source").and_then(Value::as_object);
    let member = |name| source.and_then(|source| text(source, name));
    let mut inner = Parts::default();
    match (member("type"), source) {
        (Some("text"), _) => inner.text(member("data").unwrap_or_default()),
        (Some("content"), Some(source)) => match source.get("content") {
            Some(Value::String(text)) => inner.text(text),
            _ => {
                for element in list(source, "content") {
                    let Some(element) = element.as_object() else {
                        continue;
                    };
                    match text(element, "type") {
                        Some("image") => inner.push(image(element)?),
                        _ => inner.text(text(element, "text").unwrap_or_default()),
                    }
                }
            }
        },
        (Some("file"), _) => return Err(Unreadable("a document of the Files API")),
        (Some("base64" | "url"), _) => return Err(Unreadable("a PDF document")),
        _ => return Err(Unreadable("a document without a source")),
    }
    let mut head = "<document>".to_owned();
    for (name, value) in [
        ("title", text(block, "title")),
        ("context", text(block, "context")),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            head.push_str(&format!("\n<{name}>{value}</{name}>"));
        }
    }
    parts.text(&head);
    parts.append(inner);
    parts.text("</document>");
    Ok(())
}

/// A search result's text.
pub(super) fn search_result(block: &Map<String, Value>, parts: &mut Parts) {
    let mut all = "<search_result>".to_owned();
    for name in ["title", "source"] {
        if let Some(value) = text(block, name) {
            all.push_str(&format!("\n<{name}>{value}</{name}>"));
        }
    }
    for element in list(block, "content") {
        if let Some(text) = element.get("text").and_then(Value::as_str) {
            all.push('\n');
            all.push_str(text);
        }
    }
    all.push_str("\n</search_result>");
    parts.text(&all);
}
