//! Steps cut into tokens, ended where a stop sequence or the limit ends them.

use std::time::Duration;

use super::script::{Step, Style};
use super::text;

/// Characters of a fragment of a tool call's arguments.
const FRAGMENT: usize = 7;

/// One token of an answer, or something that happens between tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    Text(String),
    /// Text whose event is written byte by byte.
    Bytes(String),
    /// In `reasoning_content`, or else in `reasoning`.
    Thought(Style, String),
    Call {
        index: usize,
        id: String,
        name: String,
    },
    Arguments {
        index: usize,
        fragment: String,
    },
    Wait(Duration),
    Break(u16, String),
    Cut,
    End,
}

impl Act {
    /// Whether it is a token of the answer.
    pub(super) fn counts(&self) -> bool {
        !matches!(
            self,
            Self::Wait(_) | Self::Break(..) | Self::Cut | Self::End
        )
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Bytes(text) => Some(text),
            _ => None,
        }
    }
}

/// The tokens of one answer and why they end.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    pub(super) acts: Vec<Act>,
    pub(super) finish: &'static str,
    /// The stop sequence that was met.
    pub(super) stop: Option<String>,
}

impl Tokens {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        let mut acts = Vec::new();
        let mut calls = 0;
        for step in steps {
            cut(step, &mut calls, &mut acts);
        }
        Self {
            acts,
            finish: if calls > 0 { "tool_calls" } else { "stop" },
            stop: None,
        }
    }

    /// Puts text before the answer, for `echo`.
    pub(super) fn after(mut self, prompt: &str) -> Self {
        let prompt = text::tokens(prompt).into_iter().map(Act::Text);
        self.acts = prompt.chain(self.acts).collect();
        self
    }

    /// Ends at the first stop sequence.
    pub(super) fn stopped(mut self, stops: &[&str]) -> Self {
        let said: String = self.acts.iter().filter_map(Act::text).collect();
        let first = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| Some((said.find(stop)?, *stop)))
            .min();
        let Some((mut left, stop)) = first else {
            return self;
        };
        let end = self.acts.iter().position(|act| match act.text() {
            Some(text) if text.len() > left => true,
            Some(text) => {
                left -= text.len();
                false
            }
            None => false,
        });
        if let Some(end) = end {
            self.acts.truncate(end + 1);
            if let Some(Act::Text(text) | Act::Bytes(text)) = self.acts.last_mut() {
                text.truncate(left);
            }
        }
        self.finish = "stop";
        self.stop = Some(stop.to_owned());
        self
    }

    /// Ends after so many tokens.
    pub(super) fn limited(mut self, limit: Option<usize>) -> Self {
        let Some(limit) = limit else { return self };
        let mut tokens = 0;
        let end = self.acts.iter().position(|act| {
            tokens += usize::from(act.counts());
            tokens > limit
        });
        if let Some(end) = end {
            self.acts.truncate(end);
            self.finish = "length";
            self.stop = None;
        }
        self
    }

    pub(super) fn count(&self) -> usize {
        self.acts.iter().filter(|act| act.counts()).count()
    }

    pub(super) fn thoughts(&self) -> usize {
        let thoughts = self.acts.iter();
        thoughts
            .filter(|act| matches!(act, Act::Thought(..)))
            .count()
    }

    pub(super) fn text(&self) -> String {
        self.acts.iter().filter_map(Act::text).collect()
    }
}

fn cut(step: Step, calls: &mut usize, acts: &mut Vec<Act>) {
    match step {
        Step::Say(text) => acts.extend(text::tokens(&text).into_iter().map(Act::Text)),
        Step::Spell(text) => acts.extend(text::tokens(&text).into_iter().map(Act::Bytes)),
        Step::Think(Style::Tags, text) => {
            let text = format!("<think>{text}</think>");
            acts.extend(text::tokens(&text).into_iter().map(Act::Text));
        }
        Step::Think(style, text) => {
            let tokens = text::tokens(&text).into_iter();
            acts.extend(tokens.map(|token| Act::Thought(style, token)));
        }
        Step::Call {
            id,
            name,
            arguments,
        } => {
            let index = *calls;
            *calls += 1;
            let id = id.unwrap_or_else(|| format!("call_{}", index + 1));
            acts.push(Act::Call { index, id, name });
            let characters: Vec<char> = arguments.chars().collect();
            acts.extend(characters.chunks(FRAGMENT).map(|fragment| Act::Arguments {
                index,
                fragment: fragment.iter().collect(),
            }));
        }
        Step::Wait(time) => acts.push(Act::Wait(time)),
        Step::Break { status, text } => acts.push(Act::Break(status, text)),
        Step::Cut => acts.push(Act::Cut),
        Step::End => acts.push(Act::End),
        // Before the answer begins.
        Step::Show(_) | Step::Delay(_) | Step::Fail { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Tokens {
        Tokens::new(vec![Step::Say(text.to_owned())])
    }

    #[test]
    fn a_stop_sequence_ends_the_text_before_it() {
        let tokens = said("one two three four").stopped(&["our", "ee f", "nine"]);
        assert_eq!(tokens.text(), "one two thr");
        assert_eq!(tokens.stop.as_deref(), Some("ee f"));
        assert_eq!(said("one two").stopped(&["x", ""]).stop, None);
    }

    #[test]
    fn the_limit_counts_every_token() {
        let tokens = said("one two three").limited(Some(2));
        assert_eq!(
            (tokens.text().as_str(), tokens.finish),
            ("one two ", "length")
        );
        let tokens = said("one two three").limited(Some(3));
        assert_eq!((tokens.count(), tokens.finish), (3, "stop"));
        assert_eq!(said("one").limited(Some(0)).acts, []);
    }

    #[test]
    fn arguments_come_in_fragments() {
        let call = Step::Call {
            id: None,
            name: "f".to_owned(),
            arguments: r#"{"x":"é é é"}"#.to_owned(),
        };
        let tokens = Tokens::new(vec![call]);
        let fragments: String = tokens
            .acts
            .iter()
            .filter_map(|act| match act {
                Act::Arguments { fragment, .. } => Some(fragment.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(fragments, r#"{"x":"é é é"}"#);
        assert_eq!((tokens.count(), tokens.finish), (3, "tool_calls"));
    }
}
