//! Locks that outlive a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, poisoned or not. For values that are sound after each step of a change, since who held it before may have panicked between two.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_one_is_not_the_next_ones() {
        let mutex = Mutex::new(1);
        std::thread::scope(|scope| {
            let held = scope.spawn(|| {
                let _held = lock(&mutex);
                panic!("while it is held");
            });
            assert!(held.join().is_err());
        });
        assert_eq!(*lock(&mutex), 1);
    }
}
