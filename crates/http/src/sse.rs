//! Splits a byte stream into whole server-sent events, unchanged, so that events can be counted, read and left out.

use bytes::{Bytes, BytesMut};

/// An event grew past the splitter's bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event has more than {0} bytes")]
pub struct EventTooLarge(pub usize);

/// Collects bytes and hands out whole events, each with its blank line.
#[derive(Debug)]
pub struct Splitter {
    buffer: BytesMut,
    /// Bytes of the buffer already looked at.
    scanned: usize,
    max_event: usize,
}

impl Splitter {
    /// A splitter that holds at most `max_event` bytes of an unfinished event.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            max_event,
        }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole event, if there is one.
    ///
    /// # Errors
    ///
    /// [`EventTooLarge`] if the unfinished event is past the bound.
    pub fn next_event(&mut self) -> Result<Option<Bytes>, EventTooLarge> {
        while let Some(&byte) = self.buffer.get(self.scanned) {
            self.scanned += 1;
            // A lone CR also ends a line; a CR LF pair is seen at its LF.
            let line_end = byte == b'\n'
                || (byte == b'\r'
                    && self
                        .buffer
                        .get(self.scanned)
                        .is_some_and(|next| *next != b'\n'));
            if line_end && self.ends_with_blank_line() {
                let event = self.buffer.split_to(self.scanned).freeze();
                self.scanned = 0;
                return Ok(Some(event));
            }
        }
        // A CR at the very end waits for the byte that tells whether an LF follows.
        if self.buffer.last() == Some(&b'\r') {
            self.scanned = self.buffer.len() - 1;
        }
        if self.buffer.len() > self.max_event {
            return Err(EventTooLarge(self.max_event));
        }
        Ok(None)
    }

    /// What is left of an unfinished event when the stream ends.
    #[must_use]
    pub fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }

    fn ends_with_blank_line(&self) -> bool {
        let seen = self.buffer.get(..self.scanned).unwrap_or_default();
        let before = strip_line_end(seen);
        before.len() < seen.len() && strip_line_end(before).len() < before.len()
    }
}

fn strip_line_end(bytes: &[u8]) -> &[u8] {
    bytes
        .strip_suffix(b"\r\n")
        .or_else(|| bytes.strip_suffix(b"\n"))
        .or_else(|| bytes.strip_suffix(b"\r"))
        .unwrap_or(bytes)
}

/// The data of an event: its `data` lines joined by newlines; `None` if it has none. U+FFFD stands for what is not UTF-8, as in every reader of event
/// streams: model servers may send halves of characters.
#[must_use]
pub fn data(event: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(event);
    let lines: Vec<&str> = text
        .split(['\n', '\r'])
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|value| value.strip_prefix(' ').unwrap_or(value))
        .collect();
    if lines.is_empty() {
        return None;
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(stream: &[u8], size: usize) -> (Vec<Bytes>, Bytes) {
        let mut splitter = Splitter::new(1_024);
        let mut events = Vec::new();
        for part in stream.chunks(size) {
            splitter.push(part);
            while let Some(event) = splitter.next_event().expect("small") {
                events.push(event);
            }
        }
        (events, splitter.into_rest())
    }

    #[test]
    fn events_come_whole_whatever_the_fragmentation() {
        let stream = b"data: a\n\ndata: b\r\n\r\n: note\nevent: x\ndata: c\ndata: d\n\ndata: rest";
        for size in 1..stream.len() {
            let (events, rest) = split(stream, size);
            assert_eq!(events.len(), 3, "{size}");
            assert_eq!(data(&events[0]).as_deref(), Some("a"));
            assert_eq!(data(&events[1]).as_deref(), Some("b"));
            assert_eq!(data(&events[2]).as_deref(), Some("c\nd"));
            assert_eq!(&rest[..], b"data: rest");
        }
    }

    #[test]
    fn lone_cr_ends_a_line_too() {
        let (events, rest) = split(b"data: a\r\rdata: b\r\r", 3);
        assert_eq!(&events[0][..], b"data: a\r\r");
        // The last CR may yet be half of a pair.
        assert_eq!(&rest[..], b"data: b\r\r");
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut splitter = Splitter::new(8);
        splitter.push(b"data: 12345");
        assert_eq!(splitter.next_event(), Err(EventTooLarge(8)));
    }

    #[test]
    fn an_event_without_data_has_none() {
        assert_eq!(data(b": ping\n\n"), None);
        assert_eq!(data(b"data:\n\n").as_deref(), Some(""));
    }

    #[test]
    fn data_that_is_not_utf_8_is_read_as_far_as_it_is() {
        assert_eq!(
            data(b"data: a\xe2\x82\"b\n\n").as_deref(),
            Some("a\u{fffd}\"b")
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost(stream in proptest::collection::vec(prop::sample::select(&b"ad:\r\n"[..]), 0..200), size in 1_usize..9) {
            let (events, rest) = split(&stream, size);
            let mut joined = events.concat();
            joined.extend_from_slice(&rest);
            prop_assert_eq!(joined, stream);
        }
    }
}
