//! Gathering of small pieces, and a constant rate, so that frame sizes and times say less about tokens.
//!
//! Time is an argument: a [`Duration`] since any fixed start. The caller asks [`Pacer::deadline`] when to come back and waits with whatever timer it has
//! ([`Timer`] is the shape of one), so tests run on a clock of their own.
//!
//! The pacer decides *when* bytes go and *how many at once*; the sealer pads the frame that results.

use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sealwire::Padding;

use crate::inner::PaddingWish;

/// Longest time that a gathered piece waits.
pub const COALESCE_TIME: Duration = Duration::from_millis(50);
/// Most pieces (server-sent events) that are gathered.
pub const COALESCE_PIECES: usize = 5;
/// Most bytes that are gathered before they go at once.
pub const COALESCE_BYTES: usize = 12 * 1_024;
/// Time between two frames at the constant rate.
pub const CONSTANT_TICK: Duration = Duration::from_millis(50);
/// Bytes that one frame carries at the constant rate, padding included.
pub const CONSTANT_BYTES: usize = 1_024;

/// The padding of single frames that goes with a policy.
#[must_use]
pub fn frame_padding(policy: PaddingWish) -> Padding {
    match policy {
        PaddingWish::None => Padding::None,
        PaddingWish::Buckets => Padding::Buckets,
        PaddingWish::Padme => Padding::Padme,
        // CONSTANT_BYTES is a valid size; were it not, buckets hide most.
        PaddingWish::Constant => Padding::fixed(CONSTANT_BYTES).unwrap_or(Padding::Buckets),
    }
}

/// A source of time and of sleep, handed in.
pub trait Timer {
    /// Time since a fixed start; never goes back.
    fn now(&self) -> Duration;
    /// Completes at `deadline`, or at once if it has passed.
    fn sleep_until(&self, deadline: Duration) -> impl Future<Output = ()> + Send;
}

/// Holds what is not sent yet and says when to send how much.
#[derive(Debug)]
pub struct Pacer {
    policy: PaddingWish,
    held: BytesMut,
    pieces: usize,
    /// When the oldest held piece came (gathering), or when the next tick is (constant rate).
    mark: Option<Duration>,
    /// Nothing more will be pushed.
    closed: bool,
}

/// What to seal now.
#[derive(Debug, PartialEq, Eq)]
pub enum Emit {
    /// Nothing before [`Pacer::deadline`].
    Nothing,
    /// These bytes, as one frame (or as many as they need).
    Data(Bytes),
    /// A tick at the constant rate without anything to say: a frame of padding only.
    Padding,
}

impl Pacer {
    /// A pacer for this policy.
    #[must_use]
    pub fn new(policy: PaddingWish) -> Self {
        Self {
            policy,
            held: BytesMut::new(),
            pieces: 0,
            mark: None,
            closed: false,
        }
    }

    /// Takes a piece that came at `now`.
    pub fn push(&mut self, now: Duration, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        self.held.extend_from_slice(piece);
        self.pieces += 1;
        if self.mark.is_none() {
            self.mark = Some(now);
        }
    }

    /// Says that nothing more will be pushed: what is held need not wait for company.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether everything pushed has been handed out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes held. A sender that takes no more from its source while this is large keeps memory bounded at the constant rate.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// When [`Pacer::poll`] will have something to say, if nothing is pushed before.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        match self.policy {
            PaddingWish::None => self.mark,
            PaddingWish::Buckets | PaddingWish::Padme => {
                if self.is_due() {
                    self.mark
                } else {
                    self.mark.map(|since| since.saturating_add(COALESCE_TIME))
                }
            }
            PaddingWish::Constant => self.mark,
        }
    }

    /// What to seal at `now`; call again until [`Emit::Nothing`].
    pub fn poll(&mut self, now: Duration) -> Emit {
        match self.policy {
            PaddingWish::None => self.take_all(),
            PaddingWish::Buckets | PaddingWish::Padme => {
                let waited = self
                    .mark
                    .is_some_and(|since| now >= since.saturating_add(COALESCE_TIME));
                if waited || self.is_due() {
                    self.take_all()
                } else {
                    Emit::Nothing
                }
            }
            PaddingWish::Constant => self.tick(now),
        }
    }

    fn is_due(&self) -> bool {
        self.pieces >= COALESCE_PIECES
            || self.held.len() >= COALESCE_BYTES
            || (self.closed && !self.held.is_empty())
    }

    fn take_all(&mut self) -> Emit {
        self.mark = None;
        self.pieces = 0;
        if self.held.is_empty() {
            return Emit::Nothing;
        }
        Emit::Data(self.held.split().freeze())
    }

    fn tick(&mut self, now: Duration) -> Emit {
        // The clock starts with the first piece and then never depends on what is held.
        let Some(due) = self.mark.filter(|due| now >= *due) else {
            return Emit::Nothing;
        };
        let mut next = due.saturating_add(CONSTANT_TICK);
        if next <= now {
            // Late ticks are skipped, not made up for: a burst would show the delay.
            next = now.saturating_add(CONSTANT_TICK);
        }
        self.mark = Some(next);
        self.pieces = 0;
        if self.held.is_empty() {
            return Emit::Padding;
        }
        let length = self.held.len().min(CONSTANT_BYTES);
        Emit::Data(self.held.split_to(length).freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn without_padding_every_piece_goes_at_once() {
        let mut pacer = Pacer::new(PaddingWish::None);
        assert_eq!(pacer.deadline(), None);
        pacer.push(ms(3), b"a");
        assert_eq!(pacer.deadline(), Some(ms(3)));
        assert_eq!(pacer.poll(ms(3)), Emit::Data(Bytes::from_static(b"a")));
        assert_eq!(pacer.poll(ms(3)), Emit::Nothing);
    }

    #[test]
    fn pieces_wait_fifty_milliseconds_from_the_first() {
        for policy in [PaddingWish::Buckets, PaddingWish::Padme] {
            let mut pacer = Pacer::new(policy);
            pacer.push(ms(100), b"a");
            pacer.push(ms(140), b"b");
            assert_eq!(pacer.deadline(), Some(ms(150)));
            assert_eq!(pacer.poll(ms(149)), Emit::Nothing);
            assert_eq!(pacer.poll(ms(150)), Emit::Data(Bytes::from_static(b"ab")));
            assert_eq!(pacer.deadline(), None);
        }
    }

    #[test]
    fn five_pieces_or_many_bytes_or_the_end_do_not_wait() {
        let mut pacer = Pacer::new(PaddingWish::Buckets);
        for _ in 0..5 {
            assert_eq!(pacer.poll(ms(0)), Emit::Nothing);
            pacer.push(ms(0), b"x");
        }
        assert_eq!(pacer.deadline(), Some(ms(0)));
        assert_eq!(pacer.poll(ms(0)), Emit::Data(Bytes::from_static(b"xxxxx")));
        pacer.push(ms(1), &[0; COALESCE_BYTES]);
        assert!(matches!(pacer.poll(ms(1)), Emit::Data(_)));
        pacer.push(ms(2), b"last");
        pacer.close();
        assert_eq!(pacer.poll(ms(2)), Emit::Data(Bytes::from_static(b"last")));
        assert!(pacer.is_empty());
    }

    #[test]
    fn constant_rate_does_not_depend_on_content() {
        let run = |pieces: &[(u64, usize)]| {
            let mut pacer = Pacer::new(PaddingWish::Constant);
            let mut ticks = Vec::new();
            for time in 0..400 {
                for (_, size) in pieces.iter().filter(|(at, _)| *at == time) {
                    pacer.push(ms(time), &vec![1; *size]);
                }
                match pacer.poll(ms(time)) {
                    Emit::Nothing => {}
                    Emit::Data(bytes) => {
                        assert!(bytes.len() <= CONSTANT_BYTES);
                        ticks.push(time);
                    }
                    Emit::Padding => ticks.push(time),
                }
            }
            ticks
        };
        let quiet = run(&[(10, 1)]);
        let busy = run(&[(10, 5_000), (11, 7), (170, 900)]);
        assert_eq!(quiet, busy);
        assert_eq!(quiet.first(), Some(&10));
        assert_eq!(quiet.len(), 8);
    }

    #[test]
    fn late_ticks_are_not_made_up_for() {
        let mut pacer = Pacer::new(PaddingWish::Constant);
        pacer.push(ms(0), b"a");
        assert!(matches!(pacer.poll(ms(0)), Emit::Data(_)));
        assert_eq!(pacer.poll(ms(500)), Emit::Padding);
        assert_eq!(pacer.poll(ms(500)), Emit::Nothing);
        assert_eq!(pacer.deadline(), Some(ms(550)));
    }
}
