//! A case in words, with the section of the specification that decides it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::case::{Case, SCHEMA};

const PROTOCOL: &str = include_str!("../../../spec/protocol.md");
const HTTP: &str = include_str!("../../../spec/http.md");
const CHUTES: &str = include_str!("../../../spec/compat-chutes.md");

/// Hex longer than this is cut in explanations; `list --json` and the files have it whole.
const HEX_SHOWN: usize = 96;

/// What an implementation does in a kind.
#[must_use]
pub fn kind_in_words(kind: &str) -> &'static str {
    match kind {
        "bundle" => "Parse and check a bundle, and judge it by the policy if there is one.",
        "context" => "Parse a context.",
        "schedule" => "Derive the whole key schedule from two shared secrets.",
        "ratchet" => "Derive the epochs of a traffic secret, and nonces.",
        "padding" => "Say how long a content is with its padding.",
        "exporter" => "Export key material.",
        "receipt" => "Make a receipt, or check one as a client does.",
        "handshake" => {
            "Run the handshake from the coins; with a role, that role receives what the case says."
        }
        "open" => "Receive the bytes of one half, then the transport's end.",
        "seal" => "Do a sender's operations on one half.",
        "stream" => "Run handshake and both halves.",
        "carriage" => "Be one peer against bytes or messages from a transport.",
        "http-request" => "Judge the outer header fields of a sealed request, as a server.",
        "http-response" => "Judge an outer response, as a client.",
        "discovery-query" => "Read the query of a discovery request.",
        "discovery-answer" => "Read the JSON of a discovery answer.",
        "inner-request" => "Judge a sealed request's message, as an instance.",
        "inner-response" => "Judge a sealed answer's message, as a client.",
        "chutes-key" => "Read an instance's key from discovery.",
        "chutes-gunzip" => "Unpack gzip within a bound.",
        "chutes-request-open" => "Open and accept a request, as an instance.",
        "chutes-request-seal" => "Seal a request as a client, and open it again.",
        "chutes-response-open" => "Open a response that is not streamed, as a client.",
        "chutes-stream-open" => "Read a streamed response and its end, as a client.",
        "chutes-stream-seal" => "Seal a streamed response, as an instance.",
        _ => "A kind that this program does not know.",
    }
}

/// The description of a flag in the schema.
fn flag_in_words(flag: &str) -> String {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let flags = schema["$defs"]["flag"]["oneOf"].as_array();
    flags
        .into_iter()
        .flatten()
        .find(|entry| entry["const"] == flag)
        .and_then(|entry| entry["description"].as_str())
        .unwrap_or("no description")
        .to_owned()
}

/// A case in words.
#[must_use]
pub fn explain(case: &Case) -> String {
    let mut text = format!("{}: {}\n\n", case.id, case.comment);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "What is asked: {}", kind_in_words(&case.kind));
    for flag in &case.flags {
        let _ = writeln!(text, "Class: {flag}: {}", flag_in_words(flag));
    }
    if !case.needs.is_empty() {
        let _ = writeln!(text, "Needs: {}", case.needs.join(", "));
    }
    for (title, member) in [
        ("Constants of the case", "params"),
        ("Random bytes", "coins"),
        ("Input", "in"),
        ("Intermediate values", "mid"),
    ] {
        let value = &case.json[member];
        if value.as_object().is_some_and(|object| !object.is_empty()) {
            let _ = writeln!(text, "\n{title}:");
            show(&mut text, value, 1);
        }
    }
    match case.error() {
        Some(code) => {
            let released = case.json["expect"]["released"].as_u64().unwrap_or(0);
            let _ = writeln!(
                text,
                "\nExpected: it fails with {code}, after {released} bytes of plaintext."
            );
        }
        None => {
            let _ = writeln!(text, "\nExpected: it succeeds.");
        }
    }
    show(&mut text, &case.json["expect"], 1);
    match section(&case.spec) {
        Some((file, section)) => {
            let _ = write!(text, "\n{file}, section {}:\n\n{section}", case.spec);
        }
        None => {
            let _ = writeln!(text, "\nSection {} of the specification.", case.spec);
        }
    }
    text
}

/// `name: value` a line, nested by indentation, long hex cut.
fn show(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let line = |text: &mut String, name: &str, value: &Value| match value {
        Value::Object(members) if members.is_empty() => {}
        Value::Object(_) => {
            let _ = writeln!(text, "{indent}{name}:");
            show(text, value, depth + 1);
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            let _ = writeln!(text, "{indent}{name}: {} items", items.len());
            for item in items {
                let _ = writeln!(text, "{indent}  - {}", compact(item));
            }
        }
        _ => {
            let _ = writeln!(text, "{indent}{name}: {}", compact(value));
        }
    };
    for (name, member) in value.as_object().into_iter().flatten() {
        line(text, name, member);
    }
}

fn compact(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() > HEX_SHOWN && text.is_ascii() => {
            let start = text.get(..HEX_SHOWN).unwrap_or(text);
            if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                format!("{start}.. ({} bytes)", text.len() / 2)
            } else {
                format!("{start}.. ({} characters)", text.len())
            }
        }
        Value::String(text) => text.clone(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| format!("{name} {}", compact(member)))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Array(items) => items.iter().map(compact).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// File and text of a section such as `6.3`, `H7.1` or `C5.1`, its subsections not included.
fn section(reference: &str) -> Option<(&'static str, String)> {
    let (file, source, number) = if let Some(number) = reference.strip_prefix('H') {
        ("spec/http.md", HTTP, number)
    } else if let Some(number) = reference.strip_prefix('C') {
        ("spec/compat-chutes.md", CHUTES, number)
    } else {
        ("spec/protocol.md", PROTOCOL, reference)
    };
    let is_start = |line: &str| {
        let title = line.trim_start_matches('#');
        let mut words = title.split_whitespace();
        line.starts_with('#') && words.next().map(|word| word.trim_end_matches('.')) == Some(number)
    };
    let mut lines = source.lines().skip_while(|line| !is_start(line));
    let title = lines.next()?;
    let mut fenced = false;
    let mut body = format!("{title}\n");
    for line in lines {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if !fenced && line.starts_with('#') {
            break;
        }
        body.push_str(line);
        body.push('\n');
    }
    Some((file, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_by_number() {
        let (file, text) = section("6.3").expect("there is one");
        assert_eq!(file, "spec/protocol.md");
        assert!(text.starts_with("### 6.3 Receiving"));
        assert!(text.contains("[F-8]") && !text.contains("### 6.4"));
        let (file, text) = section("H7.1").expect("there is one");
        assert_eq!(file, "spec/http.md");
        assert!(text.contains("sealwire-time"));
        let (file, text) = section("C6.3").expect("there is one");
        assert_eq!(file, "spec/compat-chutes.md");
        assert!(text.contains("[X-15]"));
        assert!(section("99").is_none());
    }
}
