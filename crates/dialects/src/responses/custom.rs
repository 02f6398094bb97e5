//! The text in a custom tool's arguments, `{"input": "<text>"}`, taken out while they come.

use serde_json::Value;

/// Takes the text out. What [`Input::feed`] gave is always the beginning of what [`Input::into_text`] gives in the end.
#[derive(Debug, Default)]
pub(super) struct Input {
    state: State,
    /// What came, until it is known whether it has the expected form; all of it, if it has not.
    raw: String,
    text: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the text.
    #[default]
    Head,
    /// In the text; the first half of a surrogate pair may be open.
    Text(Option<u16>),
    /// Behind a backslash.
    Escape(Option<u16>),
    /// In `\uXXXX`: digits so far and their value.
    Unicode(Option<u16>, u8, u16),
    /// Behind the text.
    Closed,
    /// Something else.
    Other,
}

/// What stands before the text, white space between.
const HEAD: [&str; 4] = ["{", "\"input\"", ":", "\""];

impl Input {
    /// The next piece of the arguments; what is new of the text.
    pub(super) fn feed(&mut self, piece: &str) -> &str {
        let before = self.text.len();
        match self.state {
            State::Head => {
                self.raw.push_str(piece);
                match head(&self.raw) {
                    Some(Ok(end)) => {
                        let rest = self.raw.split_off(end);
                        self.state = State::Text(None);
                        self.letters(&rest);
                    }
                    Some(Err(())) => self.state = State::Other,
                    None => {}
                }
            }
            State::Other => self.raw.push_str(piece),
            State::Closed => {}
            _ => self.letters(piece),
        }
        &self.text[before..]
    }

    /// The arguments are over; what is still to be given of the text.
    pub(super) fn finish(&mut self) -> &str {
        let before = self.text.len();
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Head | State::Other => self.text = free(&self.raw),
            State::Text(Some(_)) | State::Escape(Some(_)) | State::Unicode(Some(_), ..) => {
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
            _ => {}
        }
        &self.text[before..]
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn letters(&mut self, piece: &str) {
        for letter in piece.chars() {
            self.state = match self.state {
                State::Text(half) => match letter {
                    '\\' => State::Escape(half),
                    '"' => {
                        self.lone(half);
                        State::Closed
                    }
                    _ => {
                        self.lone(half);
                        self.text.push(letter);
                        State::Text(None)
                    }
                },
                State::Escape(half) => match letter {
                    'u' => State::Unicode(half, 0, 0),
                    _ => {
                        self.lone(half);
                        match letter {
                            'n' => self.text.push('\n'),
                            't' => self.text.push('\t'),
                            'r' => self.text.push('\r'),
                            'b' => self.text.push('\u{8}'),
                            'f' => self.text.push('\u{c}'),
                            '"' | '/' | '\\' => self.text.push(letter),
                            // Of an escape that JSON does not have, models mean the letter with its backslash.
                            _ => self.text.extend(['\\', letter]),
                        }
                        State::Text(None)
                    }
                },
                State::Unicode(half, digits, value) => match letter.to_digit(16) {
                    Some(digit) => {
                        let value = (value << 4) | u16::try_from(digit).unwrap_or_default();
                        match digits {
                            3 => self.unit(half, value),
                            _ => State::Unicode(half, digits + 1, value),
                        }
                    }
                    None => {
                        self.lone(half);
                        self.text.push(char::REPLACEMENT_CHARACTER);
                        match letter {
                            '"' => State::Closed,
                            '\\' => State::Escape(None),
                            _ => {
                                self.text.push(letter);
                                State::Text(None)
                            }
                        }
                    }
                },
                state => return self.state = state,
            };
        }
    }

    /// A code unit of UTF-16 behind an open half of a pair, or none.
    fn unit(&mut self, half: Option<u16>, unit: u16) -> State {
        match (half, unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                self.text
                    .extend(char::decode_utf16([high, unit]).map_while(Result::ok));
                State::Text(None)
            }
            (half, 0xd800..=0xdbff) => {
                self.lone(half);
                State::Text(Some(unit))
            }
            (half, _) => {
                self.lone(half);
                self.text
                    .push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
                State::Text(None)
            }
        }
    }

    /// Half of a pair whose other half did not come.
    fn lone(&mut self, half: Option<u16>) {
        if half.is_some() {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Where the text begins; `Err`: this is something else. `None`: not known yet.
fn head(raw: &str) -> Option<Result<usize, ()>> {
    let mut rest = raw;
    for token in HEAD {
        rest = rest.trim_start_matches([' ', '\n', '\r', '\t']);
        match rest.strip_prefix(token) {
            Some(behind) => rest = behind,
            None if token.starts_with(rest) => return None,
            None => return Some(Err(())),
        }
    }
    Some(Ok(raw.len() - rest.len()))
}

/// The text in arguments of another form: another order of members, another name for the only one, JSON text, or the bare text itself.
fn free(raw: &str) -> String {
    match serde_json::from_str(raw) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(mut object)) => match object.remove("input") {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => match (object.len(), object.values().next()) {
                (0, _) => String::new(),
                (1, Some(Value::String(text))) => text.clone(),
                _ => raw.to_owned(),
            },
        },
        Ok(_) => raw.to_owned(),
        // Cut before the text began.
        Err(_) if head(raw).is_none() => String::new(),
        Err(_) => raw.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The text, and that the pieces given are what it consists of.
    fn text<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
        let (mut input, mut given) = (Input::default(), String::new());
        for piece in pieces {
            given.push_str(input.feed(piece));
            assert_eq!(given, input.text);
        }
        given.push_str(input.finish());
        assert_eq!(given, input.into_text());
        given
    }

    #[test]
    fn the_text_is_taken_out_of_every_form() {
        for (arguments, expected) in [
            (
                r#"{"input":"a\nb\"\\\/\t\u00e9\ud83d\ude00é"}"#,
                "a\nb\"\\/\té😀é",
            ),
            (" { \"input\" : \"x\" , \"more\":1}", "x"),
            (r#"{"input":"cut \"#, "cut "),
            (r#"{"input":"cut \u00"#, "cut "),
            (r#"{"input":"half \ud83d"#, "half \u{fffd}"),
            (r#"{"input":"half \ud83d"}"#, "half \u{fffd}"),
            (r#"{"input":"half \ud83d\n"}"#, "half \u{fffd}\n"),
            (r#"{"input":"half \ud83d\ud83d\ude00"}"#, "half \u{fffd}😀"),
            (
                r#"{"input":"\ude00 \d+ \u00zz"}"#,
                "\u{fffd} \\d+ \u{fffd}zz",
            ),
            ("{\"input\":\"raw\nline\"}", "raw\nline"),
            (r#"{"input":7}"#, "7"),
            (r#"{"more":1,"input":"x"}"#, "x"),
            (r#"{"patch":"x"}"#, "x"),
            (r#"{"a":"x","b":"y"}"#, r#"{"a":"x","b":"y"}"#),
            (r#""x""#, "x"),
            ("*** Begin Patch", "*** Begin Patch"),
            ("{}", ""),
            ("", ""),
            (r#"{"inp"#, ""),
        ] {
            assert_eq!(text([arguments]), expected, "{arguments}");
            let letters: Vec<String> = arguments.chars().map(String::from).collect();
            assert_eq!(
                text(letters.iter().map(String::as_str)),
                expected,
                "{arguments}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(content in any::<String>(), cuts in proptest::collection::vec(1_usize..9, 1..9)) {
            let arguments = json!({"input": content}).to_string();
            let letters: Vec<char> = arguments.chars().collect();
            let (mut pieces, mut rest) = (Vec::new(), letters.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece.iter().collect::<String>());
                rest = behind;
            }
            prop_assert_eq!(text(pieces.iter().map(String::as_str)), content);
        }

        #[test]
        fn any_arguments_give_the_same_text_however_they_are_cut(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("{\"input\":\"".to_owned()), Just("\"}".to_owned()), Just("\\u".to_owned()),
                    Just("d83d".to_owned()), Just("de00".to_owned()), Just("\\".to_owned()), any::<String>(),
                ],
                0..8,
            ),
        ) {
            let arguments = parts.concat();
            let letters: Vec<String> = arguments.chars().map(String::from).collect();
            let whole = text([arguments.as_str()]);
            prop_assert_eq!(text(letters.iter().map(String::as_str)), whole.clone());
            prop_assert_eq!(text(parts.iter().map(String::as_str)), whole);
        }
    }
}
