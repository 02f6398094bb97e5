//! Cells of a table: long words keep their ends, and where they differ from what was expected.

/// Longest word of a cell that is shown whole.
const WORD: usize = 40;

/// Text from evidence may hold anything; what could steer a terminal is shown as `?`. A long word keeps its ends.
pub(super) fn cell(text: &str) -> String {
    cell_by(text, short)
}

/// Each word by itself, without the marks behind it.
fn cell_by(text: &str, word: impl Fn(&str) -> String) -> String {
    let words: Vec<String> = text
        .split(' ')
        .map(|marked| {
            let bare = bare(marked);
            word(bare) + marked.strip_prefix(bare).unwrap_or_default()
        })
        .collect();
    words
        .join(" ")
        .chars()
        .map(|character| {
            if character.is_control() {
                '?'
            } else {
                character
            }
        })
        .collect()
}

fn bare(word: &str) -> &str {
    word.trim_end_matches([';', ',', ':', '.'])
}

fn short(word: &str) -> String {
    let length = word.chars().count();
    if length <= WORD {
        return word.to_owned();
    }
    let head: String = word.chars().take(16).collect();
    let tail: String = word.chars().skip(length - 8).collect();
    format!("{head}..{tail}")
}

/// What was expected and what was got, where they differ: words that would be shortened to the same show where they part.
pub(super) fn differing_cells(expected: &str, got: &str) -> (String, String) {
    let against = |other: &str| {
        let others: Vec<String> = other.split(' ').map(|word| bare(word).to_owned()).collect();
        move |word: &str| {
            let shown = short(word);
            others
                .iter()
                .filter(|other| *other != word && short(other) == shown)
                .map(|other| common_length(word, other))
                .min()
                .map_or(shown, |part| short_at(word, part))
        }
    };
    (
        cell_by(expected, against(got)),
        cell_by(got, against(expected)),
    )
}

/// How many characters two words begin with alike.
fn common_length(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs.take_while(|(one, other)| one == other).count()
}

/// A long word with its ends and what stands around a place within.
fn short_at(word: &str, place: usize) -> String {
    let length = word.chars().count();
    let from = place.saturating_sub(4);
    let part = |from: usize, to: usize| -> String {
        word.chars()
            .skip(from)
            .take(to.saturating_sub(from))
            .collect()
    };
    let (until, tail) = ((place + 8).min(length), length.saturating_sub(8));
    format!(
        "{}..{}..{}",
        part(0, 8),
        part(from, until),
        part(tail, length)
    )
}

#[cfg(test)]
mod tests {
    use sealwire_attest::{Check, Outcome, Reason};

    use super::super::output::rows;
    use super::*;

    /// What a failed check shows.
    fn row(expected: &str, got: &str) -> (String, String) {
        let check = Check {
            name: "report data".into(),
            outcome: Outcome::Failed(Reason::ReportData),
            expected: expected.to_owned(),
            got: got.to_owned(),
        };
        let rows = rows(&[check]);
        let [[_, _, expected, got]] = rows.as_slice() else {
            panic!("one row");
        };
        (expected.clone(), got.clone())
    }

    #[test]
    fn what_differs_is_shown_wherever_it_is() {
        let expected = "0123456789abcdef".repeat(8);
        for place in 0..128 {
            let mut got = expected.clone();
            got.replace_range(place..=place, "X");
            let (shown, other) = row(&expected, &format!("{got}; nonce or key differs"));
            assert!(other.contains('X'), "{place}: {other}");
            assert!(!shown.contains('X') && shown.len() < 64, "{place}: {shown}");
        }
    }

    #[test]
    fn words_of_different_lengths_do_not_look_alike() {
        let (expected, got) = row(&"a".repeat(96), &"a".repeat(97));
        assert_ne!(expected, got);
    }

    #[test]
    fn one_of_several_that_were_expected_may_be_the_like() {
        let likely = format!("{}b{}", "a".repeat(50), "a".repeat(50));
        let (expected, got) = row(&format!("other or {likely}"), &"a".repeat(101));
        assert!(expected.ends_with(&short_at(&likely, 50)), "{expected}");
        assert_ne!(short_at(&likely, 50), got);
    }

    #[test]
    fn a_terminal_is_not_steered_by_evidence() {
        let (expected, got) = row("none", "\u{1b}[2J");
        assert_eq!((expected.as_str(), got.as_str()), ("none", "?[2J"));
    }
}
