//! Scoped threads of the standard library: all that the record layer knows of threads (spec/adr/0017-parallel-bulk.md).

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// How bulk is cut into work. Bytes.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Less than this is left to the calling thread: starting another one takes some 30 us.
    pub(crate) least: usize,
    /// What a thread takes at a time: small, so that one that has to wait for a processor holds back little.
    pub(crate) run: usize,
    /// What is opened before any of it is judged and released.
    pub(crate) most: usize,
}

pub(crate) const SIZES: Sizes = Sizes {
    least: 1024 * 1024,
    run: 128 * 1024,
    most: 16 * 1024 * 1024,
};

/// Gives items to `work`, in their order, on at most `threads` threads with the calling one. Where `work` gives false, items behind that one may stay
/// untouched; those before it never do.
pub(crate) fn share<T: Send>(
    items: &mut [T],
    threads: NonZeroUsize,
    work: impl Fn(&mut T) -> bool + Sync,
) {
    let others = threads.get().min(items.len()).saturating_sub(1);
    let queue = Mutex::new(items.iter_mut());
    let next = || lock(&queue).next();
    let serve = || {
        while let Some(item) = next() {
            if !work(item) {
                *lock(&queue) = Default::default();
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            // Where the system has no thread to give, those that there are do the work.
            if thread::Builder::new().spawn_scoped(scope, serve).is_err() {
                break;
            }
        }
        serve();
    });
}

/// A panic of `work` reaches the caller through the scope.
fn lock<T>(queue: &Mutex<T>) -> MutexGuard<'_, T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn every_item_is_worked_on_once() {
        for (count, length) in [(1, 5), (2, 0), (2, 1), (3, 100), (100, 3)] {
            let mut items: Vec<usize> = (0..length).collect();
            share(&mut items, threads(count), |item| {
                *item += 1_000;
                true
            });
            assert!(items.into_iter().eq(1_000..1_000 + length));
        }
    }

    #[test]
    fn nothing_before_an_item_that_ends_the_work_is_left_out() {
        for stop in 0..20 {
            let mut items: Vec<(usize, bool)> = (0..20).map(|index| (index, false)).collect();
            share(&mut items, threads(3), |(index, done)| {
                *done = true;
                *index != stop
            });
            assert!(items.iter().take(stop + 1).all(|(_, done)| *done));
        }
    }

    #[test]
    fn two_threads_work_at_the_same_time() {
        let both = std::sync::Barrier::new(2);
        share(&mut [(), ()], threads(2), |()| {
            both.wait();
            true
        });
    }

    #[test]
    fn alone_nothing_behind_the_end_is_touched() {
        let mut items = [false; 4];
        share(&mut items, threads(1), |done| {
            *done = true;
            false
        });
        assert_eq!(items, [true, false, false, false]);
    }
}
