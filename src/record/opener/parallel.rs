//! Opening bulk on several threads. They authenticate and decrypt what is under the live key; then the frames go through the steps of section 6.3 in
//! their order, so that each is judged and released as if it had been opened alone.

use alloc::vec::Vec;
use core::mem;
use core::num::NonZeroUsize;

use zeroize::Zeroize;

use super::{Body, Event, Found, Opened, Opener, State, decrypt, plaintext};
use crate::error::{CryptoError, Error};
use crate::frame::{FrameHeader, FrameType, HEADER_LEN, InnerType, TAG_LEN};
use crate::parallel::{SIZES, Sizes, share};
use crate::record::Half;
use crate::record::ratchet::HalfKeys;

/// Frames that one thread opens, and how many are before them.
struct Run<'a> {
    bytes: &'a mut [u8],
    first: u64,
    /// Frames at the front that authenticated.
    opened: usize,
    /// All of them did, and none ends the epoch or the half.
    whole: bool,
}

impl Run<'_> {
    fn open(&mut self, keys: &HalfKeys) -> bool {
        let mut rest = &mut *self.bytes;
        // A frame that does not authenticate is needed again: an earlier run may hold a KEY_UPDATE. Ciphertext, no secret.
        let mut saved = Vec::new();
        for index in self.first.. {
            let Some((header, frame, behind)) = split_frame(rest) else {
                break;
            };
            saved.clear();
            saved.extend_from_slice(frame);
            let (key, nonce) = keys.ahead(index);
            if decrypt(key, &nonce, header, frame).is_err() {
                frame.copy_from_slice(&saved);
                return false;
            }
            self.opened = self.opened.saturating_add(1);
            if header.frame_type == FrameType::Sealed && ends_epoch(frame) {
                return false;
            }
            rest = behind;
        }
        self.whole = true;
        true
    }

    /// Makes of what was decrypted the ciphertext that it was: the same key, nonce and plaintext give the same bytes.
    fn close(&mut self, keys: &HalfKeys) {
        let mut rest = &mut *self.bytes;
        for index in (self.first..).take(self.opened) {
            let Some((header, frame, behind)) = split_frame(rest) else {
                break;
            };
            if header.frame_type == FrameType::Sealed {
                let end = frame.len().saturating_sub(TAG_LEN);
                let body = frame.get_mut(HEADER_LEN..end).unwrap_or_default();
                let (key, nonce) = keys.ahead(index);
                if key.seal_in_place(&nonce, &header.encode(), body).is_err() {
                    body.zeroize();
                }
            }
            rest = behind;
        }
    }
}

/// What lies in a buffer that threads can open.
#[derive(Default)]
struct Batch {
    bytes: usize,
    /// Bytes and first frame of each run.
    runs: Vec<(usize, u64)>,
}

impl Opener {
    /// Opens all whole frames in `buffer` on at most `threads` threads, the calling one among them, and gives their events to `each`, in order, from this
    /// thread (section 6.3): the same events and the same error as a loop of [`Opener::open`] that ends when more input is needed. Returns what that loop's last call
    /// would, with `consumed` counted from the start of `buffer`.
    ///
    /// The others live as long as the call, which waits for them; to start one takes some 30 us. Less than 1 MiB is left to the calling thread, and so is
    /// 1 MiB behind a frame that changed keys. Up to 16 MiB are opened before their events are given. Worth it on processors that are free:
    /// `docs/performance.md`.
    ///
    /// # Errors
    /// As [`Opener::open`], after the events of all frames before the one at fault. What `buffer` then holds from that frame on is unspecified, and no
    /// plaintext of a frame behind it. If `each` panics, frames that are decrypted and not given yet stay in `buffer`; the opener takes them no more.
    pub fn open_parallel<'a>(
        &mut self,
        buffer: &'a mut [u8],
        threads: NonZeroUsize,
        each: impl FnMut(Event<'a>),
    ) -> Result<Opened<'a>, Error> {
        self.open_shared(buffer, threads, SIZES, each)
    }

    fn open_shared<'a>(
        &mut self,
        buffer: &'a mut [u8],
        threads: NonZeroUsize,
        sizes: Sizes,
        mut each: impl FnMut(Event<'a>),
    ) -> Result<Opened<'a>, Error> {
        let mut rest = buffer;
        let mut consumed: usize = 0;
        // Bytes for this thread before it looks for a batch again, so that looking stays cheap whatever the peer sends.
        let mut alone: usize = 0;
        // Frames at the front that are decrypted, and the end of those as bytes.
        let mut opened: usize = 0;
        let mut batch_left: usize = 0;
        loop {
            if opened == 0 && alone == 0 && threads.get() > 1 && rest.len() >= sizes.least {
                let batch = self.batch(rest, sizes);
                if batch.bytes < sizes.least {
                    alone = batch.bytes.max(1);
                } else {
                    let whole;
                    batch_left = batch.bytes;
                    (opened, whole) = self.open_ahead(rest, &batch, threads);
                    if !whole {
                        alone = sizes.least;
                    }
                }
            }
            let body = if opened > 0 {
                Body::Opened
            } else {
                Body::Sealed
            };
            let stepped = self.try_step(rest, body).map_err(|error| {
                if opened > 0 {
                    rest.get_mut(..batch_left).unwrap_or_default().zeroize();
                }
                self.fail(error)
            })?;
            let Some((frame_len, found, content_len)) = stepped else {
                let needed = self.needed(rest);
                return Ok(Opened {
                    consumed,
                    event: Event::NeedInput { needed },
                });
            };
            if opened > 0 {
                opened = opened.saturating_sub(1);
                batch_left = batch_left.saturating_sub(frame_len);
            } else {
                alone = alone.saturating_sub(frame_len);
            }
            consumed = consumed.saturating_add(frame_len);
            let (frame, behind) = mem::take(&mut rest)
                .split_at_mut_checked(frame_len)
                .unwrap_or_default();
            rest = behind;
            if found != Found::Quiet {
                let content = frame
                    .get_mut(HEADER_LEN..)
                    .and_then(|body| body.get_mut(..content_len));
                each(found.event(content.unwrap_or_default()));
            }
        }
    }

    /// The frames at the front that are whole, under the live key as far as can be told, and that break no rule before their body is looked at.
    fn batch(&self, buffer: &[u8], sizes: Sizes) -> Batch {
        let mut batch = Batch::default();
        let State::Open(keys) = &self.state else {
            return batch;
        };
        let (mut run, mut first) = (0_usize, 0);
        for index in 0..keys.left() {
            let Some(header) = buffer
                .get(batch.bytes..)
                .and_then(|rest| rest.first_chunk::<HEADER_LEN>())
                .and_then(|header| FrameHeader::decode(*header).ok())
            else {
                break;
            };
            let end = batch.bytes.saturating_add(header.frame_len());
            let total = self
                .bytes
                .saturating_add(u64::try_from(end).unwrap_or(u64::MAX));
            if end > buffer.len().min(sizes.most)
                || total > self.limits.max_bytes
                || (header.frame_type == FrameType::Public && self.half == Half::C2s)
            {
                break;
            }
            if run >= sizes.run {
                batch.runs.push((run, first));
                (run, first) = (0, index);
            }
            run = run.saturating_add(header.frame_len());
            batch.bytes = end;
        }
        batch.runs.push((run, first));
        batch
    }

    /// Decrypts a batch: how many frames at the front of `buffer` are open, and whether those are all.
    fn open_ahead(
        &mut self,
        buffer: &mut [u8],
        batch: &Batch,
        threads: NonZeroUsize,
    ) -> (usize, bool) {
        // If a provider panics, the buffer holds plaintext that was not judged: the opener stays dead.
        let dead = State::Failed(Error::Crypto(CryptoError::Backend));
        let state = mem::replace(&mut self.state, dead);
        let mut rest = buffer;
        let mut runs: Vec<Run<'_>> = Vec::with_capacity(batch.runs.len());
        for &(bytes, first) in &batch.runs {
            let (bytes, behind) = mem::take(&mut rest)
                .split_at_mut_checked(bytes)
                .unwrap_or_default();
            rest = behind;
            runs.push(Run {
                bytes,
                first,
                opened: 0,
                whole: false,
            });
        }
        let (mut opened, mut whole) = (0_usize, true);
        if let State::Open(keys) = &state {
            share(&mut runs, threads, |run| run.open(keys));
            for run in &mut runs {
                if whole {
                    opened = opened.saturating_add(run.opened);
                    whole = run.whole;
                } else {
                    run.close(keys);
                }
            }
        }
        self.state = state;
        (opened, whole)
    }
}

/// The frame at the front, and what is behind it.
fn split_frame(bytes: &mut [u8]) -> Option<(FrameHeader, &mut [u8], &mut [u8])> {
    let header = FrameHeader::decode(*bytes.first_chunk::<HEADER_LEN>()?).ok()?;
    let (frame, behind) = bytes.split_at_mut_checked(header.frame_len())?;
    Some((header, frame, behind))
}

/// Whether the frames behind one that was decrypted are not under the same key, or not there at all. Malformed ones count: nothing comes after them.
fn ends_epoch(frame: &[u8]) -> bool {
    let [.., inner, _, _, _] = plaintext(frame) else {
        return true;
    };
    !matches!(
        InnerType::from_u8(*inner),
        Some(InnerType::Data | InnerType::Pad)
    )
}
