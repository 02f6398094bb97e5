//! Interleaved rounds: every contestant once per round, in another order each time, so that noise falls on all of them alike.

use std::time::{Duration, Instant};

/// What one batch took, by direction. What has only one direction uses `write`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) write: Duration,
    pub(crate) read: Duration,
}

/// A channel that carries a batch of messages: what is written is read, in the same memory each time.
pub(crate) trait Channel {
    /// Seals the batch.
    fn write(&mut self);
    /// Opens what was written last.
    fn read(&mut self);
}

/// Something to be timed.
pub(crate) struct Contestant {
    name: String,
    /// Operations of one batch.
    operations: usize,
    /// Plaintext of one operation; 1 for what is not counted in bytes.
    bytes: usize,
    batch: Box<dyn FnMut() -> Sample>,
}

impl Contestant {
    /// Both directions of a channel that carries `operations` messages of `bytes` each.
    pub(crate) fn channel(
        name: impl Into<String>,
        bytes: usize,
        operations: usize,
        mut channel: impl Channel + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            operations,
            bytes,
            batch: Box::new(move || {
                let start = Instant::now();
                channel.write();
                let written = Instant::now();
                channel.read();
                Sample {
                    write: written - start,
                    read: written.elapsed(),
                }
            }),
        }
    }

    /// One operation of one direction.
    pub(crate) fn call(
        name: impl Into<String>,
        bytes: usize,
        mut call: impl FnMut() + 'static,
    ) -> Self {
        Self::timed(name, bytes, move || {
            let start = Instant::now();
            call();
            start.elapsed()
        })
    }

    /// One operation that times itself, because it needs preparation that does not count.
    pub(crate) fn timed(
        name: impl Into<String>,
        bytes: usize,
        mut call: impl FnMut() -> Duration + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            operations: 1,
            bytes,
            batch: Box::new(move || Sample {
                write: call(),
                read: Duration::ZERO,
            }),
        }
    }
}

/// How many messages a batch has, so that it stays in the second-level cache and still outlasts the clock.
pub(crate) const fn per_batch(bytes: usize) -> usize {
    match 65_536 / bytes {
        0 => 1,
        many if many > 128 => 128,
        some => some,
    }
}

/// A direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Write,
    Read,
    Both,
}

/// What a contestant took, one entry per round, in nanoseconds per byte (or per call where `bytes` is 1).
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    write: Vec<f64>,
    read: Vec<f64>,
}

impl Series {
    pub(crate) fn one_way(&self) -> bool {
        self.read.iter().all(|time| *time == 0.0)
    }

    pub(crate) fn per_byte(&self, way: Way) -> Vec<f64> {
        match way {
            Way::Write => self.write.clone(),
            Way::Read => self.read.clone(),
            Way::Both => self
                .write
                .iter()
                .zip(&self.read)
                .map(|(write, read)| write + read)
                .collect(),
        }
    }

    /// GB/s of a channel.
    pub(crate) fn speed(&self, way: Way) -> f64 {
        1.0 / Spread::of(self.per_byte(way)).median
    }

    /// Nanoseconds of one operation.
    pub(crate) fn time(&self, way: Way) -> Spread {
        let bytes = self.bytes as f64;
        Spread::of(
            self.per_byte(way)
                .into_iter()
                .map(|time| time * bytes)
                .collect(),
        )
    }
}

/// Median, and what lies between the tenth and the ninetieth percentile.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let index = (values.len().saturating_sub(1)) as f64 * part;
            values
                .get(index.round() as usize)
                .copied()
                .unwrap_or(f64::NAN)
        };
        Self {
            median: at(0.5),
            low: at(0.1),
            high: at(0.9),
        }
    }

    pub(crate) const fn exactly(value: f64) -> Self {
        Self {
            median: value,
            low: value,
            high: value,
        }
    }
}

/// The quotients of two series, round by round: `above` over `below`.
pub(crate) fn quotient(above: &[f64], below: &[f64]) -> Spread {
    Spread::of(above.iter().zip(below).map(|(a, b)| a / b).collect())
}

/// A batch is repeated up to about this long for one entry of a series: short enough that other programs spare most entries.
const SLICE: Duration = Duration::from_micros(400);
/// Before an entry a batch runs untimed if it is at most this long: what ran before leaves caches, and a core that has to wake its wide units.
const WARM_UP: Duration = Duration::from_millis(1);
const LEAST_ROUNDS: usize = 3;

/// Moves the entries about. The same in every run; how random it is does not matter.
fn shuffle<T>(entries: &mut [T], state: &mut u64) {
    for last in (1..entries.len()).rev() {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let other = (*state >> 33) as usize % (last + 1);
        entries.swap(last, other);
    }
}

/// Runs rounds until the time is over.
pub(crate) fn run(contestants: Vec<Contestant>, budget: Duration) -> Vec<Series> {
    let mut entries: Vec<(Contestant, usize, bool, Series)> = contestants
        .into_iter()
        .map(|mut contestant| {
            // The first batches fault memory in and grow buffers.
            for _ in 0..2 {
                (contestant.batch)();
            }
            let start = Instant::now();
            (contestant.batch)();
            let took = start.elapsed().max(Duration::from_nanos(1));
            let repeats = (SLICE.as_nanos() / took.as_nanos()).clamp(1, 100_000) as usize;
            let series = Series {
                name: contestant.name.clone(),
                bytes: contestant.bytes,
                write: Vec::new(),
                read: Vec::new(),
            };
            (contestant, repeats, took <= WARM_UP, series)
        })
        .collect();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    let mut state = 0;
    let start = Instant::now();
    let mut round = 0;
    while !order.is_empty() && (round < LEAST_ROUNDS || start.elapsed() < budget) {
        shuffle(&mut order, &mut state);
        for &turn in &order {
            let (contestant, repeats, warm_up, series) = &mut entries[turn];
            if *warm_up {
                (contestant.batch)();
            }
            let mut sum = Sample::default();
            for _ in 0..*repeats {
                let sample = (contestant.batch)();
                sum.write += sample.write;
                sum.read += sample.read;
            }
            let bytes = (*repeats * contestant.operations * contestant.bytes) as f64;
            series.write.push(sum.write.as_nanos() as f64 / bytes);
            series.read.push(sum.read.as_nanos() as f64 / bytes);
        }
        round += 1;
    }
    entries.into_iter().map(|(.., series)| series).collect()
}

/// The series of a contestant.
pub(crate) fn find<'a>(series: &'a [Series], name: &str) -> Option<&'a Series> {
    series.iter().find(|series| series.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contestant_has_an_entry_in_every_round() {
        let wait =
            |name: &str, time: u64| Contestant::timed(name, 10, move || Duration::from_nanos(time));
        let all = run(vec![wait("a", 100), wait("b", 300)], Duration::ZERO);
        let (a, b) = (&all[0], &all[1]);
        assert_eq!(a.per_byte(Way::Write), vec![10.0; LEAST_ROUNDS]);
        assert_eq!(b.per_byte(Way::Both), vec![30.0; LEAST_ROUNDS]);
        assert!(a.one_way() && find(&all, "b").is_some() && find(&all, "c").is_none());
        let ratio = quotient(&b.per_byte(Way::Write), &a.per_byte(Way::Write));
        assert_eq!((ratio.low, ratio.median, ratio.high), (3.0, 3.0, 3.0));
    }

    #[test]
    fn spreads_are_of_what_lies_between() {
        let spread = Spread::of((0..=100).rev().map(f64::from).collect());
        assert_eq!((spread.low, spread.median, spread.high), (10.0, 50.0, 90.0));
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut entries: Vec<usize> = (0..20).collect();
        shuffle(&mut entries, &mut 0);
        assert!(!entries.is_sorted());
        entries.sort_unstable();
        assert!(entries.into_iter().eq(0..20));
    }
}
