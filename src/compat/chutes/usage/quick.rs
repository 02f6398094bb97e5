//! The count of an event in the form that model servers write, found without reading all of the event.
//!
//! `{"id":"..","model":"..","choices":[{"index":0,..}],"usage":{"prompt_tokens":9,"completion_tokens":3}}`: before the choices no other object or list,
//! the usage last and flat. In JSON text a quotation mark that is not escaped begins or ends a string, so what is looked for can only be members of the
//! event itself. Anything else is `None`, and is parsed.

use memchr::memchr2;

use super::Count;

pub(super) fn count(data: &[u8]) -> Option<Count> {
    let inner = data.strip_prefix(b"{")?;
    let nested = memchr2(b'{', b'[', inner)?;
    let (head, list) = inner.split_at_checked(nested)?;
    let head = head.strip_suffix(b"\"choices\":")?;
    if !(head.is_empty() || head.ends_with(b",")) {
        return None;
    }
    let choice = match list.strip_prefix(b"[")? {
        [b']', ..] => None,
        first => Some(number(first.strip_prefix(b"{\"index\":")?)?.0),
    };
    let body = data.strip_suffix(b"}}")?;
    let start = memchr::memrchr(b'{', body)?;
    let (before, usage) = body.split_at_checked(start)?;
    before.strip_suffix(b",\"usage\":")?;
    let tokens = completion_tokens(usage.strip_prefix(b"{")?)?;
    Some(Count { choice, tokens })
}

/// Of `"name":number` with commas between.
fn completion_tokens(mut members: &[u8]) -> Option<u64> {
    let mut found = None;
    loop {
        let name = members.strip_prefix(b"\"")?;
        let len = name
            .iter()
            .position(|byte| !matches!(byte, b'a'..=b'z' | b'_'))?;
        let (name, rest) = name.split_at_checked(len)?;
        let (value, rest) = number(rest.strip_prefix(b"\":")?)?;
        if name == b"completion_tokens" && found.replace(value).is_some() {
            return None;
        }
        match rest.split_first() {
            None => return found,
            Some((b',', next)) => members = next,
            Some(_) => return None,
        }
    }
}

/// A number without sign, fraction and leading zeros, and what stands behind it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(len)?;
    if len == 0 || (len > 1 && digits.starts_with(b"0")) || matches!(rest, [b'.' | b'e' | b'E', ..])
    {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit.wrapping_sub(b'0')))?;
    }
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::super::count as parsed;
    use super::*;

    #[test]
    fn the_usual_form_is_read() {
        for (data, choice) in [
            (
                r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"{\"usage\":{"}}],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#,
                Some(0),
            ),
            (
                r#"{"choices":[{"index":2}],"usage":{"completion_tokens":3,"total_tokens":4}}"#,
                Some(2),
            ),
            (r#"{"choices":[],"usage":{"completion_tokens":3}}"#, None),
        ] {
            assert_eq!(
                count(data.as_bytes()),
                Some(Count { choice, tokens: 3 }),
                "{data}"
            );
        }
    }

    #[test]
    fn other_forms_are_left_to_the_parser() {
        for data in [
            r#"{"x":{},"choices":[],"usage":{"completion_tokens":3}}"#,
            r#"{"x\"choices":[],"usage":{"completion_tokens":3}}"#,
            r#"{"choices":[{"index":1.0}],"usage":{"completion_tokens":3}}"#,
            r#"{"choices":[],"usage":{"completion_tokens":-3}}"#,
            r#"{"choices":[],"usage":{"completion_tokens":3,"completion_tokens":4}}"#,
            r#"{"choices":[],"usage":{"completion_tokens":99999999999999999999}}"#,
            r#"{"choices":[],"x":{"y\"usage":{"completion_tokens":3}}"#,
            r#"{"choices":[],"usage":{"completion_tokens":3},"x":1}"#,
            r#"{"choices":[],"usage":{"completion_tokens":3, "x":1}}"#,
            r#"{"choices":[],"usage":null}"#,
            "{}",
            "",
        ] {
            assert_eq!(count(data.as_bytes()), None, "{data}");
        }
    }

    /// Values that look like what is searched for.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!(7)),
            Just(json!("\"usage\":{")),
            Just(json!(",\"choices\":[{\"index\":1")),
            Just(json!("}}")),
            Just(json!("\\")),
            Just(json!([])),
            Just(json!([{ "index": 5, "usage": { "completion_tokens": 8 } }])),
            Just(json!({ "completion_tokens": 4 })),
            Just(
                json!({ "completion_tokens": 4, "details": { "usage": { "completion_tokens": 9 } } })
            ),
        ];
        leaf.prop_recursive(2, 6, 3, |inner| {
            proptest::collection::vec((name(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
        })
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("id"),
            Just("choices"),
            Just("usage"),
            Just("x\"choices"),
            Just("index"),
            Just("completion_tokens"),
        ]
        .prop_map(|name| name.to_string())
    }

    proptest! {
        /// Members in any order, each once.
        #[test]
        fn what_is_found_is_what_a_parser_finds(members in proptest::collection::vec((name(), value()), 0..5)) {
            let mut seen = Vec::new();
            let mut text = Vec::new();
            for (name, value) in members {
                if !seen.contains(&name) {
                    text.push(format!("{}:{value}", Value::from(name.as_str())));
                    seen.push(name);
                }
            }
            let text = format!("{{{}}}", text.join(","));
            if let Some(found) = count(text.as_bytes()) {
                prop_assert_eq!(Some(found), parsed(&text), "{}", text);
            }
        }
    }
}
