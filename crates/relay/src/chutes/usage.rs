//! Meters an answer of chutes-v1 by what the instance says in clear, and leaves out events that say nothing else.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sealwire_http::usage::TokenUsage;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::answer::Passage;
use crate::ledger::{Account, Bill, Ledger, StreamTotals};

/// What an answer has come to; entered into the ledger when dropped, so once, and also if the answer broke off.
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    account: Account,
    totals: StreamTotals,
    usage: Option<TokenUsage>,
}

impl Entry {
    pub(super) fn new(ledger: Arc<Ledger>, account: Account) -> Self {
        Self {
            ledger,
            account,
            totals: StreamTotals::default(),
            usage: None,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.totals.bill = Bill::Unsigned(self.usage);
        self.ledger.enter(&self.account, &self.totals);
    }
}

impl Entry {
    fn passed(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.totals.bytes_down = self.totals.bytes_down.saturating_add(length);
    }

    fn count_up(&mut self, bytes: u64) {
        self.totals.bytes_up = self.totals.bytes_up.saturating_add(bytes);
    }
}

/// An answer that does not stream; its usage came with the head.
pub(super) struct Blob(Entry);

impl Blob {
    pub(super) fn new(mut entry: Entry, usage: Option<TokenUsage>) -> Self {
        entry.usage = usage;
        Self(entry)
    }
}

impl Passage for Blob {
    fn take(&mut self, piece: Bytes) -> Option<Bytes> {
        Some(piece)
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.0.passed(bytes);
    }

    fn count_up(&mut self, bytes: u64) {
        self.0.count_up(bytes);
    }
}

/// A streamed answer. It goes on line by line; of a line that is not whole yet at most `most` bytes are held.
pub(super) struct Events {
    entry: Entry,
    held: BytesMut,
    most: usize,
    /// The client asked for plaintext usage.
    passthrough: bool,
    /// The blank line that ends an event which was left out is to come.
    skip_blank: bool,
    /// The last line ended in CR, and whether it went on: an LF behind it belongs to it. It does not wait for that.
    after_cr: Option<bool>,
}

impl Events {
    pub(super) fn new(entry: Entry, most: usize, passthrough: bool) -> Self {
        Self {
            entry,
            held: BytesMut::new(),
            most,
            passthrough,
            skip_blank: false,
            after_cr: None,
        }
    }

    /// Whole lines without those that are left out; `None` if one is too long.
    fn sift(&mut self, lines: Bytes) -> Option<Bytes> {
        let mut at = 0;
        // Only once something is left out is anything copied.
        let mut kept: Option<BytesMut> = None;
        while let Some(line) = first_line(lines.get(at..).unwrap_or_default()) {
            if line.len() > self.most {
                return None;
            }
            let keep = match self.after_cr.take().filter(|_| line == b"\n") {
                Some(kept) => kept,
                None => self.keep(line),
            };
            self.after_cr = line.ends_with(b"\r").then_some(keep);
            match &mut kept {
                Some(kept) if keep => kept.extend_from_slice(line),
                None if !keep => kept = lines.get(..at).map(BytesMut::from),
                _ => {}
            }
            at += line.len();
        }
        Some(kept.map_or(lines, BytesMut::freeze))
    }

    /// Whether a line goes on. Reads its usage, if it has any.
    fn keep(&mut self, line: &[u8]) -> bool {
        let skip_blank = std::mem::take(&mut self.skip_blank);
        if line.trim_ascii().is_empty() {
            return !skip_blank;
        }
        let Some((data, members)) = members(line).filter(|(_, members)| members.usage) else {
            return true;
        };
        self.entry.usage = counts(data).or(self.entry.usage);
        if members.others || self.passthrough {
            return true;
        }
        self.skip_blank = true;
        false
    }
}

/// The first line with its end, which is LF, CR LF or CR; the rest if it has none.
fn first_line(rest: &[u8]) -> Option<&[u8]> {
    let length = match rest.iter().position(|byte| is_end(*byte)) {
        Some(at) if rest.get(at..)?.starts_with(b"\r\n") => at + 2,
        Some(at) => at + 1,
        None => rest.len(),
    };
    rest.get(..length).filter(|line| !line.is_empty())
}

const fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Which members the object of a `data` line has, by what their names spell.
#[derive(Default)]
struct Members {
    usage: bool,
    others: bool,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Usage,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    // Values are passed over: neither ciphertext nor usage is held, and no depth of nesting is too much.
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            match name {
                Name::Usage => self.usage = true,
                Name::Other => self.others = true,
            }
        }
        Ok(self)
    }
}

/// The value of a `data` line and the members of the object that it is.
fn members(line: &[u8]) -> Option<(&[u8], Members)> {
    let data = line.strip_prefix(b"data:")?;
    Some((data, serde_json::from_slice(data).ok()?))
}

/// The counts of an event with usage.
fn counts(data: &[u8]) -> Option<TokenUsage> {
    let event: Map<String, Value> = serde_json::from_slice(data).ok()?;
    TokenUsage::from_json(event.get("usage")?)
}

impl Passage for Events {
    fn take(&mut self, mut piece: Bytes) -> Option<Bytes> {
        let Some(last) = piece.iter().rposition(|byte| is_end(*byte)) else {
            self.held.extend_from_slice(&piece);
            return (self.held.len() <= self.most).then(Bytes::new);
        };
        let mut lines = piece.split_to(last + 1);
        if !self.held.is_empty() {
            self.held.extend_from_slice(&lines);
            lines = self.held.split().freeze();
        }
        self.held.extend_from_slice(&piece);
        if self.held.len() > self.most {
            return None;
        }
        self.sift(lines)
    }

    fn rest(&mut self) -> Bytes {
        let rest = self.held.split().freeze();
        if self.keep(&rest) { rest } else { Bytes::new() }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.entry.passed(bytes);
    }

    fn count_up(&mut self, bytes: u64) {
        self.entry.count_up(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: {\"e2e_init\":\"AAAA\"}\n\n\
        data: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\n\
        data: {\"e2e\":\"BBBB\"}\n\n\
        data: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\r\n\r\n\
        : a note\n\n\
        data: {\"e2e\":\"CCCC\"}\n\n";

    fn run(stream: &str, size: usize, most: usize, passthrough: bool) -> (Option<String>, Value) {
        let ledger = Arc::new(Ledger::default());
        let account = Account {
            key: String::new(),
            billing: String::new(),
            label: "m".to_owned(),
        };
        let mut events = Events::new(Entry::new(Arc::clone(&ledger), account), most, passthrough);
        let mut out = Some(Vec::new());
        for piece in stream.as_bytes().chunks(size) {
            match (events.take(Bytes::copy_from_slice(piece)), &mut out) {
                (Some(piece), Some(out)) => {
                    events.passed(&piece);
                    out.extend_from_slice(&piece);
                }
                _ => out = None,
            }
        }
        let rest = events.rest();
        if let Some(out) = &mut out {
            out.extend_from_slice(&rest);
        }
        drop(events);
        let out = out.map(|out| String::from_utf8(out).expect("UTF-8"));
        (out, ledger.to_json("")["usage"][0].clone())
    }

    #[test]
    fn usage_is_read_and_its_events_are_left_out_unless_asked_for() {
        let sifted = "data: {\"e2e_init\":\"AAAA\"}\n\ndata: {\"e2e\":\"BBBB\"}\n\n: a note\n\ndata: {\"e2e\":\"CCCC\"}\n\n";
        for size in 1..STREAM.len() {
            for (passthrough, expected) in [(false, sifted), (true, STREAM)] {
                let (out, row) = run(STREAM, size, 1_000, passthrough);
                assert_eq!(out.as_deref(), Some(expected), "{size}");
                assert_eq!(
                    (&row["tokens_in"], &row["tokens_out"], &row["tokens_cached"]),
                    (&7.into(), &2.into(), &4.into())
                );
                assert_eq!((&row["unsigned"], &row["requests"]), (&1.into(), &1.into()));
            }
        }
    }

    #[test]
    fn lines_end_in_lf_cr_lf_or_cr_however_the_pieces_are_cut() {
        let sifted = "data: {\"e2e_init\":\"AAAA\"}\n\ndata: {\"e2e\":\"BBBB\"}\n\n: a note\n\ndata: {\"e2e\":\"CCCC\"}\n\n";
        let stream = STREAM.replace('\r', "");
        for end in ["\r\n", "\r"] {
            let [stream, sifted] = [&*stream, sifted].map(|text| text.replace('\n', end));
            for size in 1..stream.len() {
                let (out, row) = run(&stream, size, 1_000, false);
                assert_eq!(out.as_deref(), Some(&*sifted), "{end:?} {size}");
                assert_eq!(
                    (&row["tokens_in"], &row["tokens_out"]),
                    (&7.into(), &2.into())
                );
            }
        }
    }

    #[test]
    fn a_line_that_ends_in_cr_goes_on_at_once() {
        let ledger = Arc::new(Ledger::default());
        let account = Account {
            key: String::new(),
            billing: String::new(),
            label: String::new(),
        };
        let mut events = Events::new(Entry::new(ledger, account), 1_000, false);
        let line = Bytes::from_static(b"data: {\"e2e\":\"AAAA\"}\r");
        assert_eq!(events.take(line.clone()), Some(line));
        assert_eq!(
            events.take(Bytes::from_static(b"\n")),
            Some(Bytes::from_static(b"\n"))
        );
    }

    #[test]
    fn usage_beside_other_members_is_read_and_stays() {
        for stream in [
            "data: {\"id\":1,\"usage\":{\"prompt_tokens\":3}}\n\n",
            "data:{\"id\":1,\"usage\":{\"prompt_tokens\":3}}",
        ] {
            let (out, row) = run(stream, 9, 1_000, false);
            assert_eq!(
                (out.as_deref(), &row["tokens_in"]),
                (Some(stream), &3.into())
            );
        }
        // At the very end, without a line end.
        let (out, row) = run("data: {\"usage\":{\"prompt_tokens\":3}}", 9, 1_000, false);
        assert_eq!((out.as_deref(), &row["tokens_in"]), (Some(""), &3.into()));
    }

    #[test]
    fn usage_is_known_however_its_name_is_spelled() {
        for name in [
            r"usage",
            r"\u0075sage",
            r"us\u0061ge",
            r"\u0075\u0073\u0061\u0067\u0065",
        ] {
            let stream = format!("data: {{ \"{name}\" :{{\"prompt_tokens\":3}}}}\n\n");
            let (out, row) = run(&stream, 1_000, 1_000, false);
            assert_eq!(
                (out.as_deref(), &row["tokens_in"]),
                (Some(""), &3.into()),
                "{stream}"
            );
        }
    }

    #[test]
    fn usage_of_any_depth_is_left_out() {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        let (out, _) = run(
            &format!("data: {{\"usage\":{deep}}}\n\n"),
            9_000,
            9_000,
            false,
        );
        assert_eq!(out.as_deref(), Some(""));
    }

    #[test]
    fn what_counts_nothing_does_not_undo_what_was_counted() {
        let stream = "data: {\"usage\":{\"prompt_tokens\":3}}\n\ndata: {\"usage\":null}\n\ndata: {\"usage\":{}}\n\ndata: {\"usage\"\n\n";
        let (out, row) = run(stream, 1_000, 1_000, false);
        assert_eq!(out.as_deref(), Some("data: {\"usage\"\n\n"));
        assert_eq!(
            (&row["tokens_in"], &row["usage_unknown"]),
            (&3.into(), &0.into())
        );
        let (_, row) = run("data: {\"e2e\":\"A\"}\n\n", 5, 1_000, false);
        assert_eq!(
            (&row["tokens_in"], &row["usage_unknown"]),
            (&0.into(), &1.into())
        );
    }

    #[test]
    fn a_line_has_a_bound() {
        let line = "data: {\"e2e\":\"AAAA\"}\n";
        for size in [1, 7, 1_000] {
            assert!(run(line, size, line.len(), false).0.is_some(), "{size}");
            assert!(run(line, size, line.len() - 1, false).0.is_none(), "{size}");
            let unended = line.trim_end();
            assert!(run(unended, size, unended.len() - 1, false).0.is_none());
        }
    }
}
