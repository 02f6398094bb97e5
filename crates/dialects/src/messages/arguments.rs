//! The arguments of a tool call, on their way to being an object. Clients fail on text that is no JSON, and may run what they get: no value goes out before it
//! has come whole and is sound.
//!
//! ```text
//! {"path":"a","text":"b"}      as it came, member by member
//! {"path":"a","text":"b        {"path":"a","unparsed_arguments":"\"text\":\"b"}
//! not JSON                     {"unparsed_arguments":"not JSON"}
//! nothing, or null             nothing: an empty object
//! ```
//!
//! The member `unparsed_arguments` keeps what a model wrote and nobody can read, or what a limit of tokens cut off. Input may have any members in this API, but
//! tools refuse one they do not know, or miss the one that was cut; so the model sees its mistake and half a command is never run.

use serde_json::{Map, Value, json};

/// Holds what could not be read.
pub(super) const UNPARSED: &str = "unparsed_arguments";

/// Arguments that arrive in pieces.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// What came and has not gone out.
    rest: String,
    /// Where the member begins that is being read.
    from: usize,
    /// How far `rest` has been looked at.
    seen: usize,
    state: State,
    /// Of brackets inside a member.
    depth: usize,
    string: bool,
    escaped: bool,
    /// A member has gone out.
    any: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The object has not begun.
    #[default]
    Before,
    Inside,
    /// The object is closed. What follows it is not read.
    Whole,
    Broken,
}

impl Arguments {
    /// Takes the next piece; what may go out is appended to `out`.
    pub(super) fn push(&mut self, piece: &str, out: &mut String) {
        if self.state == State::Whole {
            return;
        }
        self.rest.push_str(piece);
        if self.state == State::Before {
            let trimmed = self.rest.trim_start();
            match trimmed.strip_prefix('{') {
                Some(inside) => {
                    self.rest = inside.to_owned();
                    self.state = State::Inside;
                }
                None if trimmed.is_empty() => {}
                None => self.state = State::Broken,
            }
        }
        while self.state == State::Inside && self.member(out) {}
        self.rest.drain(..self.from);
        self.seen = self.seen.saturating_sub(self.from);
        self.from = 0;
    }

    /// Whether the object is closed.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Nothing more comes: closes the object.
    pub(super) fn finish(&mut self, out: &mut String) {
        let nothing = self.state != State::Inside && matches!(self.rest.trim(), "" | "null");
        if self.state == State::Whole || (nothing && !self.any) {
            return;
        }
        out.push(if self.any { ',' } else { '{' });
        out.push_str(&json!(UNPARSED).to_string());
        out.push(':');
        out.push_str(&json!(self.rest).to_string());
        out.push('}');
        self.state = State::Whole;
    }

    /// Finds the end of one member, and lets it out if it is sound. False: its end has not come, or there is none.
    fn member(&mut self, out: &mut String) -> bool {
        let Some(end) = self.find_end() else {
            return false;
        };
        let last = self.rest.as_bytes().get(end) == Some(&b'}');
        let member = &self.rest[self.from..end];
        // A comma too many before the end is forgiven: nothing is lost by it.
        let empty = last && member.trim().is_empty();
        if !empty && !is_member(member) {
            self.state = State::Broken;
            return false;
        }
        if !empty {
            out.push(if self.any { ',' } else { '{' });
            out.push_str(member);
            self.any = true;
        }
        self.from = end.saturating_add(1);
        self.seen = self.from;
        if last {
            out.push_str(if self.any { "}" } else { "{}" });
            self.state = State::Whole;
            self.from = self.rest.len();
        }
        !last
    }

    /// Where the comma or bracket behind the member is. All that matters is ASCII.
    fn find_end(&mut self) -> Option<usize> {
        let bytes = self.rest.as_bytes();
        for (at, byte) in bytes.iter().enumerate().skip(self.seen) {
            if self.string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b',' | b'}' if self.depth == 0 => return Some(at),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        self.seen = bytes.len();
        None
    }
}

fn is_member(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(&format!("{{{text}}}"))
        .is_ok_and(|object| object.len() == 1)
}

/// The object of arguments that are all there.
pub(super) fn object(arguments: &str) -> Value {
    let mut text = String::new();
    let mut reader = Arguments::default();
    reader.push(arguments, &mut text);
    reader.finish(&mut text);
    serde_json::from_str(&text)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}))
}
