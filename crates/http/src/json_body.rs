//! The JSON body of an API request: read at its top level only, every value kept to the byte, doubled names refused.
//!
//! What proxy and instance check must be what the model server reads. Parsers differ on which of two equal names counts, so a body with two is refused.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Reads what a model server says: U+FFFD stands for what is not UTF-8, since its text may hold halves of characters. What is passed on stays as it came.
#[must_use]
pub fn read_lossily<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_str(&String::from_utf8_lossy(json)).ok()
}

/// The top-level members of a JSON object, in order.
#[derive(Debug)]
pub struct JsonBody<'a> {
    json: &'a [u8],
    members: Vec<(String, &'a RawValue)>,
}

/// The request's body is not a JSON object, or names a member twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request's body must be one JSON object whose names are unique")]
pub struct NotAnObject;

impl<'a> JsonBody<'a> {
    /// Parses a whole body.
    ///
    /// # Errors
    ///
    /// [`NotAnObject`].
    pub fn parse(json: &'a [u8]) -> Result<Self, NotAnObject> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let members = deserializer
            .deserialize_map(Members)
            .map_err(|_| NotAnObject)?;
        deserializer.end().map_err(|_| NotAnObject)?;
        let mut seen = HashSet::new();
        if members.iter().all(|(name, _)| seen.insert(name.as_str())) {
            Ok(Self { json, members })
        } else {
            Err(NotAnObject)
        }
    }

    /// A member's value, as the text has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.members
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.get())
    }

    /// The `model` member, if it is a string.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        serde_json::from_str(self.get("model")?).ok()
    }

    /// Whether `stream` is true.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        self.get("stream")
            .is_some_and(|value| serde_json::from_str(value).unwrap_or(false))
    }

    /// Whether the client asked for usage in a streamed answer.
    #[must_use]
    pub fn asks_usage(&self) -> bool {
        self.get("stream_options")
            .and_then(|options| JsonBody::parse(options.as_bytes()).ok())
            .is_some_and(|options| options.get("include_usage") == Some("true"))
    }

    /// The body with a member set to a JSON value, where it stands or behind the last, and every other byte as it came.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Option<Vec<u8>> {
        if let Some(range) = self.range(name) {
            return self.splice(range, value);
        }
        let name = serde_json::to_string(name).ok()?;
        self.insert(&format!("{name}:{value}"))
    }

    /// The object without a member, compact between members, every value to the byte; `None` if it is no UTF-8.
    #[must_use]
    pub fn without(&self, name: &str) -> Option<String> {
        let mut out = String::with_capacity(self.json.len());
        for (have, value) in self.members.iter().filter(|(have, _)| have != name) {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push_str(&serde_json::to_string(have).ok()?);
            out.push(':');
            out.push_str(value.get());
        }
        if out.is_empty() {
            out.push('{');
        }
        out.push('}');
        Some(out)
    }

    /// The body with `stream_options.include_usage` set and every other byte as it came, or `None` if the client asked for it itself, or if
    /// `stream_options` is nothing that could hold it: that is left to the model server to refuse.
    #[must_use]
    pub fn with_usage_asked(&self) -> Option<Vec<u8>> {
        const ASKED: &str = "{\"include_usage\":true}";
        match self.get("stream_options") {
            None => self.insert(&format!("\"stream_options\":{ASKED}")),
            Some("null") => self.splice(self.range("stream_options")?, ASKED),
            Some(options) => {
                let inner = JsonBody::parse(options.as_bytes()).ok()?;
                let changed = match inner.get("include_usage") {
                    Some("true") => return None,
                    Some(_) => inner.splice(inner.range("include_usage")?, "true"),
                    None => inner.insert("\"include_usage\":true"),
                };
                let changed = String::from_utf8(changed?).ok()?;
                self.splice(self.range("stream_options")?, &changed)
            }
        }
    }

    /// Where the value of a member stands.
    fn range(&self, name: &str) -> Option<Range<usize>> {
        let value = self.get(name)?;
        // Values are borrowed from the text.
        let start = value
            .as_ptr()
            .addr()
            .checked_sub(self.json.as_ptr().addr())?;
        Some(start..start.checked_add(value.len())?)
    }

    /// The text with a part replaced.
    fn splice(&self, range: Range<usize>, text: &str) -> Option<Vec<u8>> {
        let mut out = self.json.get(..range.start)?.to_vec();
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(self.json.get(range.end..)?);
        Some(out)
    }

    /// The text with a member added behind the last.
    fn insert(&self, member: &str) -> Option<Vec<u8>> {
        match self.members.last() {
            Some((name, _)) => {
                let end = self.range(name)?.end;
                self.splice(end..end, &format!(",{member}"))
            }
            None => {
                let at = self.json.iter().position(|byte| *byte == b'{')? + 1;
                self.splice(at..at, member)
            }
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(entry) = map.next_entry()? {
            members.push(entry);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_to_the_byte() {
        let json = r#" { "z": 1.10, "model":"m",  "a": {"y":1,"x":123456789012345678901234567890}, "stream" : true } "#;
        let body = JsonBody::parse(json.as_bytes()).expect("an object");
        assert_eq!(body.model().as_deref(), Some("m"));
        assert!(body.wants_stream());
        let out = String::from_utf8(body.with_usage_asked().expect("changed")).expect("UTF-8");
        assert_eq!(
            out,
            r#" { "z": 1.10, "model":"m",  "a": {"y":1,"x":123456789012345678901234567890}, "stream" : true,"stream_options":{"include_usage":true} } "#
        );
    }

    #[test]
    fn options_of_the_client_stay() {
        let ask = |json: &str| {
            JsonBody::parse(json.as_bytes())
                .expect("an object")
                .with_usage_asked()
                .map(|out| String::from_utf8(out).expect("UTF-8"))
        };
        assert_eq!(ask(r#"{"stream_options":{"include_usage":true}}"#), None);
        assert_eq!(
            ask(r#"{"stream_options": {"z":1e5, "include_usage" : false ,"x":1.0} }"#).as_deref(),
            Some(r#"{"stream_options": {"z":1e5, "include_usage" : true ,"x":1.0} }"#)
        );
        assert_eq!(
            ask(r#"{"stream_options":{ "x":1.0 }}"#).as_deref(),
            Some(r#"{"stream_options":{ "x":1.0,"include_usage":true }}"#)
        );
        assert_eq!(
            ask(r#"{"stream_options":{ },"n":2}"#).as_deref(),
            Some(r#"{"stream_options":{"include_usage":true },"n":2}"#)
        );
        assert_eq!(ask(r#"{"stream_options":{"x":1,"x":2}}"#), None);
        assert_eq!(
            ask(r#"{"stream_options":null}"#).as_deref(),
            Some(r#"{"stream_options":{"include_usage":true}}"#)
        );
        assert_eq!(ask(r#"{"stream_options":7}"#), None);
    }

    #[test]
    fn a_member_is_set_and_the_rest_stays() {
        let set = |json: &str, name: &str, value: &str| {
            let body = JsonBody::parse(json.as_bytes()).expect("an object");
            String::from_utf8(body.with(name, value).expect("changed")).expect("UTF-8")
        };
        assert_eq!(
            set(r#"{ "model" : "a", "z":1.0 }"#, "model", r#""b""#),
            r#"{ "model" : "b", "z":1.0 }"#
        );
        assert_eq!(
            set(r#"{"z":1.0 }"#, "x\"y", "{}"),
            r#"{"z":1.0,"x\"y":{} }"#
        );
        assert_eq!(set("{ }", "x", "true"), r#"{"x":true }"#);
    }

    #[test]
    fn a_member_is_left_out_and_the_values_of_the_others_stay() {
        let without = |json: &str, name: &str| {
            let body = JsonBody::parse(json.as_bytes()).expect("an object");
            body.without(name).expect("UTF-8")
        };
        assert_eq!(
            without(r#"{ "a" : 1.0, "b":[1, 2],"c":{ } }"#, "b"),
            r#"{"a":1.0,"c":{ }}"#
        );
        assert_eq!(without(r#"{"a":1}"#, "a"), "{}");
        assert_eq!(without(r#"{"a":1}"#, "b"), r#"{"a":1}"#);
    }

    #[test]
    fn whether_usage_was_asked_for() {
        for (json, asked) in [
            (r#"{"stream_options":{"include_usage":true}}"#, true),
            (r#"{"stream_options":{"include_usage":false}}"#, false),
            (r#"{"stream_options":null}"#, false),
            ("{}", false),
        ] {
            let body = JsonBody::parse(json.as_bytes()).expect("an object");
            assert_eq!(body.asks_usage(), asked, "{json}");
        }
    }

    #[test]
    fn doubled_names_and_other_shapes_are_refused() {
        for bad in [
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","mod\u0065l":"b"}"#,
            "[]",
            "",
            "{} {}",
            "{",
        ] {
            assert!(JsonBody::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
