//! Handshake, record layer, frames and crypto are sans-IO and no_std: they name neither `std` nor a crate of the I/O world.

use std::fs;
use std::path::{Path, PathBuf};

use super::rust_source::{Token, tokens};
use crate::env::root;
use crate::report::Outcome;

const PLACES: [&str; 4] = ["src/handshake", "src/record", "src/frame.rs", "src/crypto"];

const FORBIDDEN: [&str; 10] = [
    "std",
    "tokio",
    "bytes",
    "futures",
    "futures_core",
    "futures_io",
    "futures_sink",
    "futures_util",
    "pin_project",
    "http",
];

pub(super) fn check() -> Outcome {
    let root = root();
    let mut files = Vec::new();
    for place in PLACES {
        let before = files.len();
        collect(&root.join(place), &mut files);
        if files.len() == before {
            return Outcome::Failed(format!("{place} holds no Rust file"));
        }
    }
    let mut found = Vec::new();
    for file in &files {
        let shown = file.strip_prefix(&root).unwrap_or(file).display();
        match fs::read_to_string(file) {
            Ok(text) => found.extend(
                complaints(&text)
                    .into_iter()
                    .map(|(line, name)| format!("{shown}:{line}: names the crate {name}")),
            ),
            Err(error) => found.push(format!("{shown}: {error}")),
        }
    }
    Outcome::from_complaints(&found)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_path_buf());
        return;
    }
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten().map(|entry| entry.path()) {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "rs") {
            collect(&entry, files);
        }
    }
}

/// Line and name of each use of a forbidden crate as the head of a path.
fn complaints(source: &str) -> Vec<(usize, String)> {
    let tokens = tokens(source);
    let at = |index: Option<usize>| {
        index
            .and_then(|index| tokens.get(index))
            .map(|(_, token)| token)
    };
    let mut found = Vec::new();
    for (index, (line, token)) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        if !FORBIDDEN.contains(&word.as_str()) {
            continue;
        }
        let before = at(index.checked_sub(1));
        let before_that = at(index.checked_sub(2));
        let is_word = |token: Option<&Token>, words: &[&str]| matches!(token, Some(Token::Word(word)) if words.contains(&word.as_str()));
        // `other::std` is a module of `other`; `::std` and `use std` are the crate.
        let inside_path = before == Some(&Token::PathSeparator)
            && matches!(before_that, Some(Token::Word(_) | Token::Other('>')));
        let heads_path = at(index.checked_add(1)) == Some(&Token::PathSeparator);
        let imported = is_word(before, &["use"])
            || (is_word(before, &["crate"]) && is_word(before_that, &["extern"]));
        if !inside_path && (heads_path || imported) {
            found.push((*line, word.clone()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::complaints;

    #[test]
    fn crates_are_found_wherever_they_stand() {
        let source = "use std::vec::Vec;\nfn f(x: ::tokio::io::ReadBuf) {}\nuse {core::fmt, bytes::Bytes};\nextern crate futures;\nuse std as s;\n";
        let names: Vec<(usize, String)> = complaints(source);
        let expected = [
            (1, "std"),
            (2, "tokio"),
            (3, "bytes"),
            (4, "futures"),
            (5, "std"),
        ];
        assert_eq!(names, expected.map(|(line, name)| (line, name.to_owned())));
    }

    #[test]
    fn comments_texts_variables_and_other_modules_are_not_crates() {
        let source = "// std::io\n/* tokio::x /* bytes::y */ std::z */ let bytes = \"std::io\"; let c = '\"'; bytes.len();\nfn g<'std>() { core::bytes::x(); r#\"tokio::\"#; }\n";
        assert_eq!(complaints(source), []);
    }
}
