//! When tokens leave: 50 a second for each stream, the departures of all streams spread evenly over the 20 ms between two tokens of one.
//!
//! A thread of its own keeps the time: the timers of the asynchronous runtime have steps of 1 ms, in which the tokens of many streams would leave together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::answer::Answer;

/// Time between two tokens of a stream.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);
/// Pieces that wait for a slow reader; the tokens behind them leave later, as a model server would have it.
pub(crate) const WAITING: usize = 16;

/// A stream whose first token has left.
pub(crate) struct Paced {
    pub(crate) answer: Answer,
    pub(crate) sender: mpsc::Sender<Bytes>,
    /// Tokens that are still to come.
    pub(crate) left: u64,
}

/// Starts the thread. It ends with the sender of streams.
pub(crate) fn start() -> Sender<Paced> {
    let (sender, streams) = channel();
    std::thread::spawn(move || run(&streams));
    sender
}

struct Due {
    at: Instant,
    number: u32,
    stream: Paced,
}

fn run(streams: &Receiver<Paced>) {
    let epoch = Instant::now();
    let mut number = 0;
    let mut heap: BinaryHeap<Reverse<Due>> = BinaryHeap::new();
    loop {
        let next = heap.peek().map(|due| due.0.at);
        let came = match next {
            None => streams.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => streams.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match came {
            Ok(stream) => {
                let at = slot(epoch, number, Instant::now() + INTERVAL / 2);
                heap.push(Reverse(Due { at, number, stream }));
                number = number.wrapping_add(1);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while heap.peek().is_some_and(|due| due.0.at <= Instant::now()) {
            let Some(Reverse(mut due)) = heap.pop() else {
                break;
            };
            if due.stream.step() {
                due.at = slot(epoch, due.number, due.at + INTERVAL / 2);
                heap.push(Reverse(due));
            }
        }
    }
}

/// The first departure of a stream at `from` or later. Multiples of the golden ratio spread any number of streams evenly.
fn slot(epoch: Instant, number: u32, from: Instant) -> Instant {
    let phase = INTERVAL.mul_f64((f64::from(number) * 0.618_033_988_749_895).fract());
    let since = from.saturating_duration_since(epoch + phase);
    let slots = since.as_nanos().div_ceil(INTERVAL.as_nanos());
    epoch + phase + INTERVAL * u32::try_from(slots).unwrap_or(u32::MAX)
}

impl Paced {
    /// Sends what is next; false if that was the end, or nobody reads.
    fn step(&mut self) -> bool {
        let last = self.left == 0;
        let piece = if last {
            self.answer.end()
        } else {
            self.answer.token()
        };
        match self.sender.try_send(piece) {
            Ok(()) if last => false,
            Ok(()) => {
                self.left -= 1;
                true
            }
            Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
