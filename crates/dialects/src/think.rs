//! Reasoning that a model server leaves in the content: a leading `<think>..</think>`, in pieces cut anywhere.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// What a piece of content turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Between the marks.
    Reasoning(String),
    /// Behind them, or all of a content that does not start with them.
    Content(String),
}

/// Splits one content. What it gives does not depend on how the content was cut; pieces are never empty. Marks are left out, and so is the white space
/// around them.
#[derive(Debug, Default)]
pub(crate) struct ThinkSplitter {
    state: State,
    /// What may still become a mark, or white space before one.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space and a part of the first mark was seen.
    #[default]
    Start,
    /// Behind the first mark, before any reasoning.
    Opened,
    /// In the reasoning.
    Inside,
    /// Behind the second mark, before any content.
    Closed,
    /// In the content.
    Content,
}

impl ThinkSplitter {
    /// The next piece of the content; what is certain of it comes out.
    pub(crate) fn feed(&mut self, delta: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.held.push_str(delta);
        while self.step(&mut pieces) {}
        pieces
    }

    /// The content is over: what was held back comes out.
    pub(crate) fn finish(&mut self) -> Vec<Piece> {
        let rest = std::mem::take(&mut self.held);
        let state = std::mem::replace(&mut self.state, State::Content);
        let piece = match state {
            State::Start | State::Content => Piece::Content(rest),
            State::Opened => Piece::Reasoning(rest.trim().to_owned()),
            State::Inside => Piece::Reasoning(rest.trim_end().to_owned()),
            State::Closed => return Vec::new(),
        };
        match &piece {
            Piece::Reasoning(text) | Piece::Content(text) if text.is_empty() => Vec::new(),
            _ => vec![piece],
        }
    }

    /// One step over what is held; whether another may follow.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Start => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.state = State::Opened;
                    return true;
                }
                let undecided = OPEN.starts_with(text);
                if !undecided {
                    self.state = State::Content;
                }
                !undecided
            }
            State::Opened | State::Closed => {
                self.held = self.held.trim_start().to_owned();
                let undecided =
                    self.held.is_empty() || (self.state == State::Opened && self.held_is_mark());
                if !undecided {
                    self.state = match self.state {
                        State::Opened => State::Inside,
                        _ => State::Content,
                    };
                }
                !undecided
            }
            State::Inside => {
                let (end, closed) = match self.held.find(CLOSE) {
                    Some(end) => (end, true),
                    None => (self.held.len() - partial_mark(&self.held), false),
                };
                let kept = self.held[..end].trim_end().len();
                let behind = if closed { end + CLOSE.len() } else { kept };
                let rest = self.held.split_off(behind);
                self.held.truncate(kept);
                let text = std::mem::replace(&mut self.held, rest);
                if !text.is_empty() {
                    pieces.push(Piece::Reasoning(text));
                }
                if closed {
                    self.state = State::Closed;
                }
                closed
            }
            State::Content => {
                if !self.held.is_empty() {
                    pieces.push(Piece::Content(std::mem::take(&mut self.held)));
                }
                false
            }
        }
    }

    /// Whether all that is held is the beginning of the second mark.
    fn held_is_mark(&self) -> bool {
        self.held.len() < CLOSE.len() && CLOSE.starts_with(&self.held)
    }
}

/// Bytes at the end of a text that may be the beginning of the second mark.
fn partial_mark(text: &str) -> usize {
    (1..CLOSE.len())
        .rev()
        .find(|&length| text.ends_with(&CLOSE[..length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reasoning and content of some pieces.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, String) {
        let mut splitter = ThinkSplitter::default();
        let mut all: Vec<Piece> = Vec::new();
        for piece in pieces {
            all.extend(splitter.feed(piece));
        }
        all.extend(splitter.finish());
        let (mut reasoning, mut content) = (String::new(), String::new());
        for piece in all {
            match piece {
                Piece::Reasoning(text) => reasoning.push_str(&text),
                Piece::Content(text) => content.push_str(&text),
            }
        }
        (reasoning, content)
    }

    #[test]
    fn only_a_leading_mark_is_split() {
        for (text, reasoning, content) in [
            ("<think>why</think>so", "why", "so"),
            ("\n<think>\nwhy\n</think>\n\nso\n", "why", "so\n"),
            ("<think>\n\n</think>\n\nso", "", "so"),
            ("<think></think>so", "", "so"),
            ("<think>cut", "cut", ""),
            ("<think>cut</thi", "cut</thi", ""),
            ("<think> </thi", "</thi", ""),
            ("so <think>no</think>", "", "so <think>no</think>"),
            ("<thing>", "", "<thing>"),
            ("<thi", "", "<thi"),
            ("  \n", "", "  \n"),
            ("", "", ""),
            (
                "<think>a < b </ c</think>d</think>",
                "a < b </ c",
                "d</think>",
            ),
        ] {
            assert_eq!(
                split([text]),
                (reasoning.to_owned(), content.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn reasoning_comes_out_before_its_end_is_known() {
        let mut splitter = ThinkSplitter::default();
        assert_eq!(
            splitter.feed("<think>first "),
            [Piece::Reasoning("first".into())]
        );
        assert_eq!(
            splitter.feed("second </th"),
            [Piece::Reasoning(" second".into())]
        );
        assert_eq!(splitter.feed("ink>so"), [Piece::Content("so".into())]);
    }

    proptest! {
        #[test]
        fn how_a_content_is_cut_does_not_matter(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("<think>".to_owned()), Just("</think>".to_owned()), Just("</th".to_owned()),
                    Just("\n".to_owned()), Just(" ".to_owned()), "[a-zé<>/ ]{0,6}",
                ],
                0..8,
            ),
            think in any::<bool>(),
        ) {
            let text = format!("{}{}", if think { "<think>" } else { "" }, parts.concat());
            let whole = split([text.as_str()]);
            let letters: Vec<String> = text.chars().map(String::from).collect();
            prop_assert_eq!(&split(letters.iter().map(String::as_str)), &whole);
            let mut pieces = vec![if think { "<think>" } else { "" }];
            pieces.extend(parts.iter().map(String::as_str));
            prop_assert_eq!(&split(pieces), &whole);
        }
    }
}
