//! Streamed answers, sealed: one event for each line of the inner stream (section 5).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::ChutesError;
use super::schedule::{Keys, Label, NONCE, derive, kem};
use super::usage::Usage;
use super::{Codec, Head};
use crate::crypto::{AeadKey, SecureRandom};
use crate::error::CryptoError;

/// Begins the comment line that carries the head (section 6.2).
pub(super) const HEAD_LINE: &str = ": sealwire ";

/// Seals the lines of one stream.
pub struct StreamSealer {
    aead: Box<dyn AeadKey>,
    nonces: Nonces,
    line: Vec<u8>,
}

enum Nonces {
    /// A prefix that only the two ends know, then the chunk's number.
    Numbered {
        prefix: [u8; 8],
        next: u32,
    },
    Random(&'static dyn SecureRandom),
}

impl Nonces {
    fn next(&mut self) -> Result<[u8; NONCE], ChutesError> {
        let mut nonce = [0; NONCE];
        match self {
            Self::Numbered { prefix, next } => {
                let (head, tail) = nonce.split_at_mut(prefix.len());
                head.copy_from_slice(prefix);
                tail.copy_from_slice(&next.to_be_bytes());
                // The last number is never used, so that none comes twice.
                *next = next
                    .checked_add(1)
                    .ok_or(ChutesError::Crypto(CryptoError::Backend))?;
            }
            Self::Random(random) => random.fill(&mut nonce)?,
        }
        Ok(nonce)
    }
}

impl StreamSealer {
    pub(super) fn new(
        codec: &Codec,
        client_key: &[u8],
        head: &Head,
        out: &mut Vec<u8>,
    ) -> Result<Self, ChutesError> {
        let (ciphertext, secret) = kem(&codec.provider)?.encapsulate(client_key)?;
        let Keys { aead, prefix } = derive(&codec.provider, &secret, &ciphertext, Label::Stream)?;
        event(out, "e2e_init", &ciphertext);
        let nonces = if codec.extensions {
            Nonces::Numbered { prefix, next: 0 }
        } else {
            Nonces::Random(codec.provider.random)
        };
        let mut sealer = Self {
            aead,
            nonces,
            line: Vec::new(),
        };
        if codec.extensions {
            let line = format!("{HEAD_LINE}{} {}\n", head.status, head.content_type);
            sealer.seal(line.as_bytes(), out)?;
        }
        Ok(sealer)
    }

    /// Appends the event of one line, which brings its own `\n`. The inner `data: [DONE]\n` is a line like any other.
    ///
    /// # Errors
    /// [`ChutesError::Crypto`]; nothing was appended.
    pub fn seal(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), ChutesError> {
        self.seal_padded(line, 0, out)
    }

    /// As [`StreamSealer::seal`], with blanks before the `\n` up to a line of `len` bytes: every client of this protocol trims them.
    ///
    /// # Errors
    /// As there.
    pub fn seal_padded(
        &mut self,
        line: &[u8],
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ChutesError> {
        let nonce = self.nonces.next()?;
        let (text, end) = match line.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (line, &b""[..]),
        };
        self.line.clear();
        self.line.extend_from_slice(&nonce);
        self.line.extend_from_slice(text);
        // A blank line ends an event; blanks in it would make it a line with content.
        let blanks = if text.is_empty() {
            0
        } else {
            len.saturating_sub(line.len())
        };
        self.line
            .resize(self.line.len().saturating_add(blanks), b' ');
        self.line.extend_from_slice(end);
        let body = self.line.get_mut(NONCE..).unwrap_or_default();
        let tag = self.aead.seal_in_place(&nonce, &[], body)?;
        self.line.extend_from_slice(&tag);
        event(out, "e2e", &self.line);
        Ok(())
    }
}

fn event(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in ["data: {\"", name, "\":\""] {
        out.extend_from_slice(part.as_bytes());
    }
    let start = out.len();
    let len = base64::encoded_len(value.len(), true).unwrap_or(0);
    out.resize(start.saturating_add(len), 0);
    // The slice has just the length.
    let _ = STANDARD.encode_slice(value, out.get_mut(start..).unwrap_or_default());
    out.extend_from_slice(b"\"}\n\n");
}

/// The plaintext event that the relay bills from.
#[must_use]
pub fn usage_event(usage: &Usage) -> String {
    let Usage {
        prompt,
        completion,
        cached,
    } = *usage;
    format!(
        "data: {{\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{},\"prompt_tokens_details\":{{\"cached_tokens\":{cached}}}}}}}\n\n",
        prompt.saturating_add(completion)
    )
}
