//! The way of an answer from the instance to the client, through what meters it. The client's connection draws the bytes: nothing waits in between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use sealwire_http::net::{Body, BodyError, Incoming, Pieces, lock, pieces, poll_data};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::forward::said;

/// What an answer goes through on its way to the client. It never waits, and what it holds is bounded.
pub(crate) trait Passage: Send + 'static {
    /// What goes on of a piece that came; `None` gives the answer up.
    fn take(&mut self, piece: Bytes) -> Option<Bytes>;

    /// What else goes on at the answer's proper end.
    fn rest(&mut self) -> Bytes {
        Bytes::new()
    }

    /// Tells of bytes that went on.
    fn passed(&mut self, bytes: &[u8]);

    /// Tells how many bytes the request had.
    fn count_up(&mut self, bytes: u64);
}

/// One answer, as long as both sides are there.
pub(crate) struct Answer<P: Passage> {
    /// The instance's; dropping it tells the instance that the client is gone.
    pub(crate) from: Incoming,
    pub(crate) passage: P,
    /// Bytes of the request so far.
    pub(crate) sent: Arc<AtomicU64>,
    /// The stream's place in the relay, free again when this is dropped.
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl<P: Passage> Drop for Answer<P> {
    fn drop(&mut self) {
        self.passage.count_up(self.sent.load(Ordering::Relaxed));
    }
}

impl<P: Passage> Answer<P> {
    /// The client's body. The answer is given up if nothing passes for `idle`, whichever side is silent, and when the request is said to be too large:
    /// the instance is told at once, the client as soon as its connection takes something.
    pub(crate) fn into_body(self, idle: Duration, too_large: watch::Receiver<bool>) -> Body {
        let passing = Arc::new(Mutex::new(Some(Passing {
            answer: self,
            moved: Instant::now(),
            waker: Waker::noop().clone(),
        })));
        let guard = tokio::spawn(guard(Arc::clone(&passing), idle, too_large));
        pieces(Drawn {
            passing,
            guard: guard.abort_handle(),
            ended: false,
        })
    }
}

/// What comes next.
enum Step {
    Piece(Bytes),
    /// The proper end, and what still goes on there.
    End(Bytes),
    /// Given up or broken off: the client's connection is aborted too.
    Broken,
}

struct Passing<P: Passage> {
    answer: Answer<P>,
    /// When something last came that the client had asked for.
    moved: Instant,
    /// Whom to wake when the answer is given up.
    waker: Waker,
}

impl<P: Passage> Passing<P> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let Poll::Ready(data) = poll_data(&mut self.answer.from, cx) else {
                self.waker.clone_from(cx.waker());
                return Poll::Pending;
            };
            self.moved = Instant::now();
            let passage = &mut self.answer.passage;
            let step = match data {
                Ok(Some(data)) => passage.take(data).map_or(Step::Broken, Step::Piece),
                Ok(None) => Step::End(passage.rest()),
                Err(_) => Step::Broken,
            };
            if let Step::Piece(bytes) | Step::End(bytes) = &step {
                passage.passed(bytes);
            }
            // Of a piece that is held back nothing goes on.
            if !matches!(&step, Step::Piece(bytes) if bytes.is_empty()) {
                return Poll::Ready(step);
            }
        }
    }
}

/// Gives the answer up when nothing moves any more. A client that reads nothing does not draw, so this cannot be the body's own work.
async fn guard<P: Passage>(
    passing: Arc<Mutex<Option<Passing<P>>>>,
    idle: Duration,
    mut too_large: watch::Receiver<bool>,
) {
    let mut told = false;
    let given_up = loop {
        let until = {
            let mut passing = lock(&passing);
            match passing.as_ref().map(|passing| passing.moved + idle) {
                Some(until) if !told && until > Instant::now() => until,
                // Under the lock: what moves now comes before or not at all.
                _ => break passing.take(),
            }
        };
        tokio::select! {
            () = sleep_until(until) => {}
            () = said(&mut too_large) => told = true,
        }
    };
    if let Some(given_up) = given_up {
        given_up.waker.wake_by_ref();
    }
}

/// The body as the connection sees it.
struct Drawn<P: Passage> {
    /// `None` when the answer was given up, and after its end.
    passing: Arc<Mutex<Option<Passing<P>>>>,
    guard: AbortHandle,
    ended: bool,
}

impl<P: Passage> Pieces for Drawn<P> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let step = match lock(&self.passing).as_mut() {
            Some(passing) => ready!(passing.poll(cx)),
            None => Step::Broken,
        };
        let last = match step {
            Step::Piece(piece) => return Poll::Ready(Some(Ok(piece))),
            Step::End(rest) => (!rest.is_empty()).then_some(Ok(rest)),
            Step::Broken => Some(Err(BodyError)),
        };
        self.end();
        Poll::Ready(last)
    }
}

impl<P: Passage> Drawn<P> {
    fn end(&mut self) {
        self.ended = true;
        self.guard.abort();
        // Not dropped under the lock.
        let ended = lock(&self.passing).take();
        drop(ended);
    }
}

impl<P: Passage> Drop for Drawn<P> {
    fn drop(&mut self) {
        self.end();
    }
}
