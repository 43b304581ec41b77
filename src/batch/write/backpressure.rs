//! Backpressure of the disk: holds up new requests while results cannot be written.

use std::sync::Arc;

use crate::batch::wait::{Gate, Look};
use crate::limiter::CancelToken;

/// Released, unless the disk is full or the like. A run that is stopped lets every thread through: each
/// then finds the stop.
#[derive(Debug, Clone)]
pub(in crate::batch) struct WriteBackpressure(Arc<Gate<bool>>);

impl WriteBackpressure {
    pub(in crate::batch) fn new(stop: &CancelToken) -> Self {
        Self(Gate::new(false, stop))
    }

    /// Waits until the backpressure is released or the run is stopped.
    pub(in crate::batch) fn pass(&self) {
        self.0.wait(0, &mut self.0.lock(), |applied| match applied {
            true => Look::Wait,
            false => Look::Pass,
        });
    }

    pub(in crate::batch) fn apply(&self) {
        *self.0.lock() = true;
    }

    pub(in crate::batch) fn release(&self) {
        let mut applied = self.0.lock();
        *applied = false;
        self.0.notify_all(&applied, 0);
    }

    pub(in crate::batch) fn is_applied(&self) -> bool {
        *self.0.lock()
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
