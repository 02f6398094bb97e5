//! Fragments of tool calls become whole calls. Model servers differ: the identifier comes in the first fragment or anew in each, the index may be missing or
//! the same for every call, arguments may come before the name.

use serde::de::IgnoredAny;

use crate::chat;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

/// A call so far.
#[derive(Debug, Default)]
pub(super) struct Call {
    index: Option<u64>,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    /// The length of the arguments when they were last looked at.
    checked: usize,
    whole: bool,
    pub(super) stage: Stage,
}

/// Where a call is on its way to the application.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has no name yet.
    #[default]
    Nameless,
    /// It waits for another call to end.
    Waiting,
    /// It is written.
    Open,
    /// It was written.
    Done,
}

impl Calls {
    /// Adds a fragment; which call it belongs to.
    pub(super) fn add(&mut self, fragment: &chat::ToolCall) -> usize {
        let id = fragment.id.as_deref().unwrap_or_default();
        let name = fragment.function.name.as_deref().unwrap_or_default();
        let slot = match self.known(fragment.index, id, name) {
            Some(slot) => slot,
            None => {
                self.0.push(Call {
                    index: fragment.index,
                    ..Call::default()
                });
                self.0.len() - 1
            }
        };
        let call = &mut self.0[slot];
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        call.arguments
            .push_str(fragment.function.arguments.as_deref().unwrap_or_default());
        slot
    }

    pub(super) fn get(&self, slot: usize) -> &Call {
        &self.0[slot]
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> &mut Call {
        &mut self.0[slot]
    }

    /// Whether an earlier call has the same identifier.
    pub(super) fn is_repeated(&self, slot: usize) -> bool {
        self.0[..slot].iter().any(|call| call.id == self.0[slot].id)
    }

    /// The call that a fragment continues.
    fn known(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let slot = match index {
            Some(_) => self.0.iter().rposition(|call| call.index == index),
            None if !id.is_empty() && self.0.iter().any(|call| call.id == id) => {
                self.0.iter().rposition(|call| call.id == id)
            }
            None => self.0.len().checked_sub(1),
        }?;
        let call = &self.0[slot];
        // A name and another identifier: the index says nothing.
        let another = !name.is_empty()
            && !call.name.is_empty()
            && match (id.is_empty(), call.id.is_empty()) {
                (false, false) => id != call.id,
                _ => index.is_none(),
            };
        (!another).then_some(slot)
    }
}

impl Call {
    /// Whether the arguments are a whole JSON object, so that nothing can follow.
    pub(super) fn is_whole(&mut self) -> bool {
        if self.checked != self.arguments.len() {
            self.checked = self.arguments.len();
            let text = self.arguments.trim();
            self.whole = text.starts_with('{')
                && text.ends_with('}')
                && serde_json::from_str::<IgnoredAny>(text).is_ok();
        }
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn calls(fragments: Value) -> Vec<(String, String, String)> {
        let fragments: Vec<chat::ToolCall> = serde_json::from_value(fragments).expect("fragments");
        let mut calls = Calls::default();
        for fragment in &fragments {
            calls.add(fragment);
        }
        calls
            .0
            .into_iter()
            .map(|call| (call.id, call.name, call.arguments))
            .collect()
    }

    fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.into(), name.into(), arguments.into())
    }

    #[test]
    fn the_identifier_in_the_first_fragment_only() {
        let fragments = json!([
            {"index":0,"id":"a","function":{"name":"f","arguments":""}},
            {"index":0,"function":{"arguments":"{\"x\""}},
            {"index":1,"id":"b","function":{"name":"g","arguments":"{}"}},
            {"index":0,"id":null,"function":{"arguments":":1}"}},
        ]);
        assert_eq!(
            calls(fragments),
            [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]
        );
    }

    #[test]
    fn another_identifier_in_each_fragment() {
        let fragments = json!([
            {"index":0,"id":"a","function":{"name":"f"}},
            {"index":0,"id":"b","function":{"arguments":"{"}},
            {"index":0,"id":"c","function":{"arguments":"}"}},
        ]);
        assert_eq!(calls(fragments), [call("a", "f", "{}")]);
    }

    #[test]
    fn fragments_without_index() {
        let fragments = json!([
            {"id":"a","function":{"name":"f","arguments":"{"}},
            {"function":{"arguments":"}"}},
            {"id":"b","function":{"name":"f","arguments":"{}"}},
            {"function":{"name":"g","arguments":"{}"}},
        ]);
        assert_eq!(
            calls(fragments),
            [
                call("a", "f", "{}"),
                call("b", "f", "{}"),
                call("", "g", "{}")
            ]
        );
    }

    #[test]
    fn one_index_for_every_call() {
        let fragments = json!([
            {"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},
            {"index":0,"id":"b","function":{"name":"f","arguments":"{\"x\":"}},
            {"index":0,"function":{"arguments":"1}"}},
        ]);
        assert_eq!(
            calls(fragments),
            [call("a", "f", "{}"), call("b", "f", "{\"x\":1}")]
        );
    }

    #[test]
    fn arguments_before_the_name_and_the_name_twice() {
        let fragments = json!([
            {"index":0,"function":{"arguments":"{\"x\""}},
            {"index":0,"id":"a","function":{"name":"f","arguments":":1}"}},
            {"index":0,"id":"a","function":{"name":"f","arguments":""}},
        ]);
        assert_eq!(calls(fragments), [call("a", "f", "{\"x\":1}")]);
    }

    #[test]
    fn a_whole_object_is_known() {
        let mut call = Call::default();
        for (piece, whole) in [
            ("", false),
            ("{\"a\":", false),
            ("{}", false),
            ("}", true),
            (" ", true),
        ] {
            call.arguments.push_str(piece);
            assert_eq!(call.is_whole(), whole, "{}", call.arguments);
        }
        call.arguments = "7".into();
        assert!(!call.is_whole());
    }
}
