//! Sealing bulk on several threads: frames of one epoch, each with the sequence number that is its own (spec/protocol.md sections 6.1 and 6.4).

use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroUsize;

use super::{Sealer, encrypt, frame_len};
use crate::error::{CryptoError, Error};
use crate::frame::{self, InnerType};
use crate::parallel::{SIZES, Sizes, share};
use crate::record::ratchet::{HalfKeys, Step};

/// Frames that one thread seals: their contents, their space, and how many are before them.
struct Run<'a> {
    content: &'a [u8],
    space: &'a mut [u8],
    first: u64,
    /// The frame that failed, counted from the start of all, and why.
    failed: Option<(u64, Error)>,
}

impl Run<'_> {
    fn seal(&mut self, keys: &HalfKeys, max: usize) -> bool {
        let frames = self.space.chunks_mut(frame_len(max));
        for ((index, piece), frame) in (self.first..).zip(self.content.chunks(max)).zip(frames) {
            let (key, nonce) = keys.ahead(index);
            let trailer = frame::trailer(InnerType::Data, piece.len());
            if let Err(error) = encrypt(key, &nonce, frame, Some((piece, trailer))) {
                self.failed = Some((index, error));
                return false;
            }
        }
        true
    }
}

impl Sealer {
    /// [`Sealer::seal_vec`] on at most `threads` threads, the calling one among them: the same bytes, the same errors. Frames and keys depend on sequence
    /// numbers alone (section 6.4), so that which thread seals a frame does not show.
    ///
    /// The others live as long as the call, which waits for them; to start one takes some 30 us. Less than 1 MiB of content is left to the calling
    /// thread. Worth it on processors that are free: `docs/performance.md`.
    ///
    /// # Errors
    /// As [`Sealer::seal_vec`].
    pub fn seal_vec_parallel(
        &mut self,
        content: &[u8],
        threads: NonZeroUsize,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.seal_shared(content, threads, SIZES, out)
    }

    /// [`Sealer::finish`] on at most `threads` threads, as [`Sealer::seal_vec_parallel`].
    ///
    /// # Errors
    /// As [`Sealer::finish`].
    pub fn finish_parallel(
        self,
        content: &[u8],
        threads: NonZeroUsize,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.finish_shared(content, threads, SIZES, out)
    }

    fn finish_shared(
        mut self,
        content: &[u8],
        threads: NonZeroUsize,
        sizes: Sizes,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.check_content()?;
        let (head, last) = self.split_last(content);
        self.seal_shared(head, threads, sizes, out)?;
        self.append(InnerType::Final, last, Step::Count, out)
    }

    fn seal_shared(
        &mut self,
        mut content: &[u8],
        threads: NonZeroUsize,
        sizes: Sizes,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.check_content()?;
        let max = self.max_content();
        while threads.get() > 1 && content.len() >= sizes.least {
            // Whole frames under the live key; only the last content of all can be shorter.
            let left = usize::try_from(self.keys.left()).unwrap_or(usize::MAX);
            let last = content.len().checked_rem(max).unwrap_or_default();
            let whole = content.len().saturating_sub(last);
            let batch = whole.min(left.saturating_mul(max));
            let Some((part, rest)) = content.split_at_checked(batch).filter(|_| batch > 0) else {
                break;
            };
            if batch < sizes.least {
                self.seal_vec(part, out)?;
            } else {
                self.seal_batch(part, threads, sizes, out)?;
            }
            content = rest;
        }
        self.seal_vec(content, out)
    }

    /// Seals whole frames of the live epoch.
    fn seal_batch(
        &mut self,
        content: &[u8],
        threads: NonZeroUsize,
        sizes: Sizes,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let max = self.max_content();
        // The longest content is never padded.
        let len = frame_len(max);
        let count = content.chunks(max).len();
        let of_run = sizes.run.div_ceil(len).max(1);
        let start = out.len();
        grow(out, count.saturating_mul(len));
        let spaces = out
            .get_mut(start..)
            .unwrap_or_default()
            .chunks_mut(of_run.saturating_mul(len));
        let mut runs: Vec<Run<'_>> = content
            .chunks(of_run.saturating_mul(max))
            .zip(spaces)
            .zip((0_u64..).step_by(of_run))
            .map(|((content, space), first)| Run {
                content,
                space,
                first,
                failed: None,
            })
            .collect();
        // If a provider panics, sequence numbers have been used: the sealer stays dead.
        self.failed = Some(Error::Crypto(CryptoError::Backend));
        share(&mut runs, threads, |run| run.seal(&self.keys, max));
        self.failed = None;
        let failed = runs.iter().find_map(|run| run.failed);
        drop(runs);
        let (kept, result) = match failed {
            Some((index, error)) => (index, Err(self.fail_with(error))),
            None => {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                let advanced = self.keys.advance_by(count);
                let kept = count.saturating_sub(u64::from(advanced.is_err()));
                (kept, advanced.map_err(|error| self.fail_with(error)))
            }
        };
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        out.truncate(start.saturating_add(kept.saturating_mul(len)));
        if kept > 0 {
            self.note_content(max, max);
        }
        result
    }
}

/// Appends zeros. A vector that has no room is made anew of fresh memory, whose pages the threads that fill it touch first; with room for one frame more.
fn grow(out: &mut Vec<u8>, more: usize) {
    let len = out.len();
    let needed = len.saturating_add(more);
    if out.capacity() >= needed || len > more {
        out.resize(needed, 0);
        return;
    }
    let mut grown = vec![0; needed.saturating_add(frame_len(crate::limits::MAX_CONTENT))];
    grown.truncate(needed);
    if let Some(before) = grown.get_mut(..len) {
        before.copy_from_slice(out);
    }
    *out = grown;
}
