//! Just enough of Rust's lexer to tell names in code from names in comments and texts.

/// A piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// An identifier, a keyword or a number.
    Word(String),
    /// `::`
    PathSeparator,
    /// Any other character.
    Other(char),
}

/// The tokens of a source text, each with its line. Comments, texts, characters and lifetimes are left out.
pub(super) fn tokens(source: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = source.chars().collect();
    let mut lexer = Lexer {
        chars: &chars,
        at: 0,
        line: 1,
    };
    let mut found = Vec::new();
    while let Some(current) = lexer.peek(0) {
        let line = lexer.line;
        match current {
            '/' if lexer.peek(1) == Some('/') => lexer.skip_while(|c| c != '\n'),
            '/' if lexer.peek(1) == Some('*') => lexer.block_comment(),
            '"' => lexer.text(),
            '\'' => lexer.character_or_lifetime(),
            ':' if lexer.peek(1) == Some(':') => {
                lexer.next();
                lexer.next();
                found.push((line, Token::PathSeparator));
            }
            c if is_word(c) => {
                let word = lexer.word();
                let opens_text = matches!(word.as_str(), "r" | "br" | "cr");
                if opens_text && lexer.raw_text() {
                    continue;
                }
                // A raw identifier: `r#type`.
                if word == "r" && lexer.peek(0) == Some('#') {
                    lexer.next();
                    continue;
                }
                found.push((line, Token::Word(word)));
            }
            c => {
                lexer.next();
                if !c.is_whitespace() {
                    found.push((line, Token::Other(c)));
                }
            }
        }
    }
    found
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
    line: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let current = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(current == '\n');
        Some(current)
    }

    fn skip_while(&mut self, skip: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&skip) {
            self.next();
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        self.skip_while(is_word);
        self.chars
            .get(start..self.at)
            .unwrap_or_default()
            .iter()
            .collect()
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(current) = self.next() {
            match (current, self.peek(0)) {
                ('/', Some('*')) => {
                    self.next();
                    depth += 1;
                }
                ('*', Some('/')) => {
                    self.next();
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn text(&mut self) {
        self.next();
        while let Some(current) = self.next() {
            match current {
                '\\' => {
                    self.next();
                }
                '"' => return,
                _ => {}
            }
        }
    }

    /// After `r`, `br` or `cr`: skips `#*"..."#*`; false if none stands here.
    fn raw_text(&mut self) -> bool {
        let mut hashes = 0;
        while self.peek(hashes) == Some('#') {
            hashes += 1;
        }
        if self.peek(hashes) != Some('"') {
            return false;
        }
        for _ in 0..=hashes {
            self.next();
        }
        while let Some(current) = self.next() {
            if current == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                for _ in 0..hashes {
                    self.next();
                }
                break;
            }
        }
        true
    }

    fn character_or_lifetime(&mut self) {
        self.next();
        if self.peek(0) == Some('\\') {
            self.next();
            self.next();
            self.skip_while(|c| c != '\'');
            self.next();
        } else if self.peek(1) == Some('\'') {
            self.next();
            self.next();
        } else {
            self.skip_while(is_word);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::{Token, tokens};

    #[test]
    fn lines_and_tokens() {
        let source = "a::b /* x\n y */ r#\"q\"# '\\'' 'x'\n'static c\"\n\" d";
        let word = |text: &str| Token::Word(text.to_owned());
        assert_eq!(
            tokens(source),
            [
                (1, word("a")),
                (1, Token::PathSeparator),
                (1, word("b")),
                (3, word("c")),
                (4, word("d")),
            ]
        );
    }
}
