//! JSON objects of applications, whose members keep their order and their text: the order of a schema's properties is part of what a model sees, and
//! what is not understood goes on as it came.

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::ApiError;

/// An object. Of members with the same name the last one counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// A member; `null` is as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_ref())
            .filter(|value| value.get() != "null")
    }

    /// A member of a type, `None` if it is absent.
    ///
    /// # Errors
    /// A 400 that names the member, if it is of another type. `expected` completes "must be ..".
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, ApiError> {
        self.get(name)
            .map(|value| {
                parse(value).map_err(|_| {
                    ApiError::invalid_request(
                        400,
                        "invalid_type",
                        format!("`{name}` must be {expected}"),
                    )
                    .with_param(name)
                })
            })
            .transpose()
    }

    /// A member that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|value| parse(value).ok())
    }

    /// Leaves a member out; whether it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| known != name);
        self.0.len() < before
    }

    /// Sets a member, where it was or at the end.
    pub(crate) fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Sets a member that is absent, `null` included.
    pub(crate) fn set_default(&mut self, name: &str, value: &Value) {
        if self.get(name).is_none() {
            self.set(name, raw(value));
        }
    }
}

/// The text of a value.
pub(crate) fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    // Fails for maps with keys that are no strings; there are none.
    to_raw_value(value).unwrap_or_default()
}

/// A value of an application. Halves of surrogate pairs, which clients leave when they cut text, become U+FFFD; `None`: nested too deep.
pub(crate) fn value(raw: &RawValue) -> Option<Value> {
    parse(raw).ok()
}

fn parse<T: DeserializeOwned>(raw: &RawValue) -> serde_json::Result<T> {
    serde_json::from_str(raw.get())
        .or_else(|_| serde_json::from_str(&without_lone_surrogates(raw.get())))
}

fn without_lone_surrogates(text: &str) -> String {
    let unit = |at: usize| -> Option<u16> {
        let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(hex, 16).ok()
    };
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(found) = text[at..].find('\\') {
        let escape = at + found;
        out.push_str(&text[at..escape]);
        let length = match unit(escape) {
            Some(0xd800..=0xdbff) => match unit(escape + 6) {
                Some(0xdc00..=0xdfff) => 12,
                _ => 0,
            },
            Some(0xdc00..=0xdfff) => 0,
            Some(_) => 6,
            // A backslash and the character behind it, which is ASCII in valid JSON.
            None => 2,
        };
        match text.get(escape..escape + length) {
            Some("") => {
                out.push_str("\\ufffd");
                at = escape + 6;
            }
            Some(same) => {
                out.push_str(same);
                at = escape + length;
            }
            None => {
                out.push('\\');
                at = escape + 1;
            }
        }
    }
    out.push_str(&text[at..]);
    out
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_and_text_of_members_are_kept() {
        let text = r#"{"z":1.0,"a":{"y":1,"b":2},"n":null}"#;
        let mut members: Members = serde_json::from_str(text).expect("an object");
        assert_eq!(serde_json::to_string(&members).expect("JSON"), text);
        assert!(members.get("n").is_none() && members.get("none").is_none());
        members.set("z", raw(&7));
        members.set_default("n", &json!("set"));
        members.set_default("a", &json!("kept"));
        assert!(members.remove("z") && !members.remove("z"));
        assert_eq!(
            serde_json::to_string(&members).expect("JSON"),
            r#"{"a":{"y":1,"b":2},"n":"set"}"#
        );
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let members: Members = serde_json::from_str(r#"{"a":1,"a":2}"#).expect("an object");
        assert_eq!(members.read("a", "a number").expect("read"), Some(2));
        let error = members.read::<String>("a", "a string").expect_err("2");
        assert_eq!((error.status, error.param.as_deref()), (400, Some("a")));
        assert_eq!(error.message, "`a` must be a string");
    }

    #[test]
    fn half_of_a_surrogate_pair_does_not_fail_a_value() {
        for (text, expected) in [
            (r#""cut \ud83d""#, "cut \u{fffd}"),
            (
                r#""\ude00 \ud83d\ude00 \u00e9\\ud83d""#,
                "\u{fffd} 😀 é\\ud83d",
            ),
            (r#""\ud83dé""#, "\u{fffd}é"),
            (r#""\ud83d\n\"""#, "\u{fffd}\n\""),
        ] {
            let members: Members =
                serde_json::from_str(&format!(r#"{{"a":{text}}}"#)).expect("an object");
            let value = members.get("a").and_then(value);
            assert_eq!(value, Some(json!(expected)), "{text}");
        }
    }
}
