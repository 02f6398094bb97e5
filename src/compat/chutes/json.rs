//! The little JSON that the profile needs: one object, read at its top level, values kept to the byte.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::ChutesError;

/// The members of an object, in order; names are unique.
pub(super) struct Object<'a>(Vec<(Name<'a>, &'a RawValue)>);

/// A member's name; borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, ChutesError> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let members = deserializer
            .deserialize_map(Members)
            .map_err(|_| ChutesError::NotAnObject)?;
        deserializer.end().map_err(|_| ChutesError::NotAnObject)?;
        let mut names: Vec<&str> = members.iter().map(|(name, _)| &*name.0).collect();
        names.sort_unstable();
        if names.is_sorted_by(|a, b| a < b) {
            Ok(Self(members))
        } else {
            Err(ChutesError::NotAnObject)
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(have, _)| have.0 == name)
            .map(|(_, value)| value.get())
    }

    /// The only member.
    pub(super) fn only(&self) -> Option<(&str, &'a str)> {
        match self.0.as_slice() {
            [(name, value)] => Some((&name.0, value.get())),
            _ => None,
        }
    }

    /// The object without a member, compact between members, values as they came.
    pub(super) fn without(&self, name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for (have, value) in self.0.iter().filter(|(have, _)| have.0 != name) {
            out.push(if out.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(&serde_json::to_vec(&have.0).unwrap_or_default());
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
        if out.is_empty() {
            out.push(b'{');
        }
        out.push(b'}');
        out
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A JSON string's value.
pub(super) fn string(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Name<'de>, &'de RawValue)>;

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
