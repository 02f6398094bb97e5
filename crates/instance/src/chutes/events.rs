//! The events of a streamed answer: each line of the inner stream sealed by itself, counts of tokens between them.

use sealwire::Padding;
use sealwire::compat::chutes::{StreamSealer, Usage, usage_event};
use sealwire_http::usage::TokenUsage;

const DONE: &[u8] = b"data: [DONE]\n";

/// Seals one stream.
pub(super) struct Events {
    sealer: StreamSealer,
    padding: Padding,
    counted: Option<TokenUsage>,
    /// The inner `[DONE]` has come.
    done: bool,
}

impl Events {
    pub(super) fn new(sealer: StreamSealer, padding: Padding) -> Self {
        Self {
            sealer,
            padding,
            counted: None,
            done: false,
        }
    }

    /// Seals an event of the inner stream, its blank line included. The inner `[DONE]` is held back: it comes with the proper end. What the model
    /// server sends behind it has no place in the stream.
    pub(super) fn event(&mut self, event: &[u8], out: &mut Vec<u8>) -> Option<()> {
        for line in lines(event) {
            self.done |= is_done(line);
            if self.done {
                break;
            }
            self.line(line, out)?;
        }
        Some(())
    }

    /// Seals JSON as an event of its own.
    pub(super) fn data(&mut self, json: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut line = b"data: ".to_vec();
        // Within JSON, line ends stand between tokens only.
        line.extend(json.iter().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            other => *other,
        }));
        self.line(&line, out)?;
        self.line(b"", out)
    }

    /// Tells the counts in clear, if they are others than before.
    pub(super) fn count(&mut self, usage: Option<TokenUsage>, out: &mut Vec<u8>) {
        if let Some(usage) = usage.filter(|usage| self.counted != Some(*usage)) {
            self.counted = Some(usage);
            let counts = Usage {
                prompt: usage.input,
                completion: usage.output,
                cached: usage.cached,
            };
            out.extend_from_slice(usage_event(&counts).as_bytes());
        }
    }

    /// The proper end.
    pub(super) fn finish(&mut self, usage: Option<TokenUsage>, out: &mut Vec<u8>) -> Option<()> {
        self.count(usage, out);
        self.sealer.seal_padded(DONE, self.length(DONE), out).ok()?;
        self.sealer.seal(b"\n", out).ok()
    }

    fn line(&mut self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut line = text.to_vec();
        line.push(b'\n');
        // Only behind JSON do blanks mean nothing to every reader.
        let length = if text.starts_with(b"data: {") {
            self.length(&line)
        } else {
            0
        };
        self.sealer.seal_padded(&line, length, out).ok()
    }

    fn length(&self, line: &[u8]) -> usize {
        self.padding.padded_len(line.len()).unwrap_or(0)
    }
}

/// Whether a client reads a line as the end of the stream.
fn is_done(line: &[u8]) -> bool {
    line.strip_prefix(b"data:")
        .is_some_and(|value| value.trim_ascii() == b"[DONE]")
}

/// The lines of an event without their ends, be those LF, CR LF or CR.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = event;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let Some(end) = end else {
            let last = std::mem::take(&mut rest);
            return (!last.is_empty()).then_some(last);
        };
        let (line, behind) = rest.split_at(end);
        rest = behind
            .strip_prefix(b"\r\n")
            .or_else(|| behind.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_known_as_clients_know_it() {
        for (line, end) in [
            ("data: [DONE]", true),
            ("data:[DONE]", true),
            ("data:  [DONE] \t", true),
            ("data: [DONE].", false),
            (" data: [DONE]", false),
            ("data", false),
        ] {
            assert_eq!(is_done(line.as_bytes()), end, "{line:?}");
        }
    }

    #[test]
    fn lines_end_in_three_ways() {
        for (event, expected) in [
            (&b"data: a\n\n"[..], &[&b"data: a"[..], b""][..]),
            (b"data: a\r\n\r\n", &[b"data: a", b""]),
            (b"data: a\r\rb: c", &[b"data: a", b"", b"b: c"]),
            (b"\n", &[b""]),
            (b"", &[]),
        ] {
            assert_eq!(lines(event).collect::<Vec<_>>(), expected);
        }
    }
}
