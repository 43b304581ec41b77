//! Backpressure of the disk: holds up new requests while results cannot be written.

use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use crate::limiter::{CancelToken, Watcher};

/// Released, unless the disk is full or the like. A run that is stopped lets every thread through: each
/// then finds the stop.
///
/// # Locking
///
/// A waiting thread checks the token and the flag under the lock that each takes before it notifies.
#[derive(Debug)]
pub(super) struct WriteBackpressure {
    applied: Mutex<bool>,
    changed: Condvar,
    stop: CancelToken,
}

impl WriteBackpressure {
    pub(super) fn new(stop: &CancelToken) -> Arc<Self> {
        let backpressure = Arc::new(Self {
            applied: Mutex::new(false),
            changed: Condvar::new(),
            stop: stop.clone(),
        });
        stop.watch(&(Arc::downgrade(&backpressure) as Weak<dyn Watcher>));
        backpressure
    }

    /// Waits until the backpressure is released or the run is stopped.
    pub(super) fn pass(&self) {
        let mut applied = self.applied.lock();
        while *applied && !self.stop.is_cancelled() {
            self.changed.wait(&mut applied);
        }
    }

    pub(super) fn apply(&self) {
        *self.applied.lock() = true;
    }

    pub(super) fn release(&self) {
        // The flag changes under the lock, so a thread sees it in its check or gets the notice in its wait.
        *self.applied.lock() = false;
        self.changed.notify_all();
    }

    pub(super) fn is_applied(&self) -> bool {
        *self.applied.lock()
    }
}

impl Watcher for WriteBackpressure {
    fn cancelled(&self) {
        // Notifies under the lock: a thread between its check and its wait would miss it.
        let _looking = self.applied.lock();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn it_holds_up_until_it_is_released_or_the_run_is_stopped() {
        for stops in [false, true] {
            let stop = CancelToken::new();
            let backpressure = WriteBackpressure::new(&stop);
            backpressure.pass();
            backpressure.apply();
            let (passed, passes) = mpsc::channel();
            thread::scope(|scope| {
                for _ in 0..3 {
                    let (backpressure, passed) = (&backpressure, passed.clone());
                    scope.spawn(move || {
                        backpressure.pass();
                        passed.send(()).unwrap();
                    });
                }
                assert!(passes.try_recv().is_err());
                match stops {
                    true => stop.cancel(),
                    false => backpressure.release(),
                }
            });
            assert_eq!(passes.try_iter().count(), 3);
        }
    }

    #[test]
    fn a_run_that_is_stopped_already_is_not_held_up() {
        let stop = CancelToken::new();
        stop.cancel();
        let backpressure = WriteBackpressure::new(&stop);
        backpressure.apply();
        backpressure.pass();
    }
}
