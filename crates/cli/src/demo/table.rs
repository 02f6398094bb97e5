//! Two columns of text, printed as they come.

use std::collections::VecDeque;

use sealwire_http::net::say;

/// A table of two columns that fits 80 to 120 columns.
pub(super) struct Table {
    left_width: usize,
    right_width: usize,
    line: String,
    held_right: VecDeque<String>,
}

impl Table {
    pub(super) fn new() -> Self {
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(100_usize)
            .clamp(80, 120);
        let left_width = (columns - 3) * 2 / 5;
        Self {
            left_width,
            right_width: columns - 3 - left_width,
            line: String::new(),
            held_right: VecDeque::new(),
        }
    }

    pub(super) fn title(&mut self, left: &str, right: &str) {
        self.row(left, right);
        self.rule();
    }

    pub(super) fn rule(&mut self) {
        self.drain_right();
        let (left, right) = ("-".repeat(self.left_width), "-".repeat(self.right_width));
        say(&format!("{left}-+-{right}"));
    }

    /// Text on both sides, wrapped.
    pub(super) fn both(&mut self, left: &str, right: &str) {
        self.drain_right();
        self.row(left, right);
    }

    /// Text for the right side, shown beside the next lines of the left side.
    pub(super) fn right(&mut self, text: &str) {
        self.held_right.extend(wrap(text, self.right_width));
    }

    /// Text for the left side, with what is held for the right.
    pub(super) fn left(&mut self, text: &str) {
        for line in wrap(text, self.left_width) {
            let right = self.held_right.pop_front().unwrap_or_default();
            self.print(&line, &right);
        }
    }

    /// Running text on the left; each full line is printed with a line for the right.
    pub(super) fn flow(&mut self, text: &str, right: impl Fn() -> String) {
        self.drain_right();
        for character in text.chars() {
            self.line.push(character);
            if self.line.chars().count() > self.left_width {
                let cut = self
                    .line
                    .trim_end()
                    .rfind(' ')
                    .filter(|cut| *cut > 0)
                    .unwrap_or(self.line.len() - character.len_utf8());
                let rest = self.line.split_off(cut);
                let line = std::mem::replace(&mut self.line, rest.trim_start().to_owned());
                self.row(&line, &right());
            }
        }
    }

    pub(super) fn end_flow(&mut self, right: impl Fn() -> String) {
        let line = std::mem::take(&mut self.line);
        self.row(&line, &right());
    }

    fn drain_right(&mut self) {
        while let Some(right) = self.held_right.pop_front() {
            self.print("", &right);
        }
    }

    fn row(&self, left: &str, right: &str) {
        let left = wrap(left, self.left_width);
        let right = wrap(right, self.right_width);
        for index in 0..left.len().max(right.len()) {
            self.print(
                left.get(index).map_or("", String::as_str),
                right.get(index).map_or("", String::as_str),
            );
        }
    }

    fn print(&self, left: &str, right: &str) {
        let width = self.left_width;
        say(format!("{left:width$} | {right}").trim_end());
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        let current = lines.last().map_or(0, |line| line.chars().count());
        if current > 0 && current + 1 + word.chars().count() > width {
            lines.push(String::new());
        } else if current > 0
            && let Some(line) = lines.last_mut()
        {
            line.push(' ');
        }
        while word.chars().count() > width {
            let cut = word
                .char_indices()
                .nth(width)
                .map_or(word.len(), |(at, _)| at);
            let (head, tail) = word.split_at(cut);
            if let Some(line) = lines.last_mut() {
                line.push_str(head);
            }
            lines.push(String::new());
            word = tail;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keeps_every_word_and_the_width() {
        let text = "a bb ccc dddddddddddddd ee";
        let lines = wrap(text, 6);
        assert!(
            lines.iter().all(|line| line.chars().count() <= 6),
            "{lines:?}"
        );
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
    }
}
