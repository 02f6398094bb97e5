//! What the load tool sees, and the figures of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::answer::now;

/// How far the clock may have gone astray from the steady one within a window, beyond which it was set.
const ASTRAY: Duration = Duration::from_millis(1);

/// Seen within one window, or several. Times are nanoseconds.
#[derive(Default)]
pub(crate) struct Samples {
    /// From the request to its first token.
    pub(crate) first: Vec<u64>,
    /// From a token's departure to its arrival, the first tokens left out.
    pub(crate) token: Vec<u64>,
    /// Tokens that left and arrived within it. What had piled up before does not count as speed.
    pub(crate) fresh: u64,
    /// Whole answers.
    pub(crate) answers: u64,
    /// Requests that failed, or streams that broke.
    pub(crate) failed: u64,
    /// How long it was.
    pub(crate) seconds: f64,
}

impl Samples {
    /// Adds another window.
    pub(crate) fn add(&mut self, other: Self) {
        self.first.extend(other.first);
        self.token.extend(other.token);
        self.fresh += other.fresh;
        self.answers += other.answers;
        self.failed += other.failed;
        self.seconds += other.seconds;
    }

    /// Tokens of a second.
    pub(crate) fn tokens_a_second(&self) -> f64 {
        self.fresh as f64 / self.seconds
    }
}

/// The value below which this part of them lies, by nearest rank, in milliseconds.
pub(crate) fn quantile(times: &mut [u64], part: f64) -> f64 {
    times.sort_unstable();
    let rank = (times.len() as f64 * part).ceil() as usize;
    let time = times.get(rank.saturating_sub(1)).copied();
    time.map_or(f64::NAN, |time| time as f64 / 1e6)
}

/// Samples while a window is open.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Recording>);

#[derive(Default)]
struct Recording {
    /// When it was opened, by the steady clock and by the other, and that one again as tokens show it.
    window: Option<(Instant, SystemTime, u64)>,
    samples: Samples,
}

impl Recorder {
    pub(crate) fn open(&self) {
        *self.lock() = Recording {
            window: Some((Instant::now(), SystemTime::now(), now())),
            samples: Samples::default(),
        };
    }

    /// What was seen since [`Recorder::open`]; `None` if the clock was set meanwhile.
    pub(crate) fn close(&self) -> Option<Samples> {
        let mut recording = self.lock();
        let (start, clock, _) = recording.window.take()?;
        let mut samples = std::mem::take(&mut recording.samples);
        let steady = start.elapsed();
        let by_clock = clock.elapsed().ok()?;
        samples.seconds = steady.as_secs_f64();
        (steady.abs_diff(by_clock) < ASTRAY).then_some(samples)
    }

    /// Whether a window is open.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().window.is_some()
    }

    /// Notes something if a window is open.
    pub(crate) fn note(&self, note: impl FnOnce(&mut Samples)) {
        let mut recording = self.lock();
        if recording.window.is_some() {
            note(&mut recording.samples);
        }
    }

    /// Notes that a token arrived, if a window is open.
    pub(crate) fn token(&self, departure: u64, arrival: u64) {
        let mut recording = self.lock();
        if let Some((_, _, opened)) = recording.window {
            let samples = &mut recording.samples;
            samples.token.push(arrival.saturating_sub(departure));
            samples.fresh += u64::from(departure >= opened);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
