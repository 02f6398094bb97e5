//! Counts of requests, so that a test sees how often the model was asked, and that it stops when nobody waits any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// The counts so far.
#[derive(Default)]
pub(super) struct Tally {
    begun: AtomicU64,
    ended: AtomicU64,
    given_up: AtomicU64,
}

impl Tally {
    /// Counts a request; one that is dropped before [`Run::end`] counts as given up.
    pub(super) fn begin(self: &Arc<Self>) -> Run {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Run {
            tally: Arc::clone(self),
            ended: false,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        json!({
            "begun": count(&self.begun),
            "ended": count(&self.ended),
            "given_up": count(&self.given_up),
        })
    }
}

/// A request on its way.
pub(super) struct Run {
    tally: Arc<Tally>,
    ended: bool,
}

impl Run {
    /// It was answered to the end.
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let count = match self.ended {
            true => &self.tally.ended,
            false => &self.tally.given_up,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
