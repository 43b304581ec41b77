//! A gate that holds up new requests while results cannot be written.

use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use crate::limiter::{CancelToken, Watcher};

/// Open, unless the disk is full or the like. A run that is stopped lets everyone through, to find
/// that out.
///
/// # Locking
///
/// Whoever waits looks at the token and at the gate under the lock under which either is told.
#[derive(Debug)]
pub(super) struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
    stop: CancelToken,
}

impl Gate {
    pub(super) fn new(stop: &CancelToken) -> Arc<Self> {
        let gate = Arc::new(Self {
            closed: Mutex::new(false),
            changed: Condvar::new(),
            stop: stop.clone(),
        });
        stop.watch(&(Arc::downgrade(&gate) as Weak<dyn Watcher>));
        gate
    }

    /// Waits until the gate is open or the run is stopped.
    pub(super) fn pass(&self) {
        let mut closed = self.closed.lock();
        while *closed && !self.stop.is_cancelled() {
            self.changed.wait(&mut closed);
        }
    }

    pub(super) fn close(&self) {
        *self.closed.lock() = true;
    }

    pub(super) fn open(&self) {
        *self.closed.lock() = false;
        self.changed.notify_all();
    }

    #[cfg(test)]
    pub(super) fn is_closed(&self) -> bool {
        *self.closed.lock()
    }
}

impl Watcher for Gate {
    fn cancelled(&self) {
        // With the lock, so that nobody is between its look and its sleep.
        let _closed = self.closed.lock();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn it_holds_up_until_it_is_opened_or_the_run_is_stopped() {
        for stops in [false, true] {
            let stop = CancelToken::new();
            let gate = Gate::new(&stop);
            gate.pass();
            gate.close();
            let (passed, passes) = mpsc::channel();
            thread::scope(|scope| {
                for _ in 0..3 {
                    let (gate, passed) = (&gate, passed.clone());
                    scope.spawn(move || {
                        gate.pass();
                        passed.send(()).unwrap();
                    });
                }
                assert!(passes.try_recv().is_err());
                match stops {
                    true => stop.cancel(),
                    false => gate.open(),
                }
            });
            assert_eq!(passes.try_iter().count(), 3);
        }
    }

    #[test]
    fn a_run_that_is_stopped_already_is_not_held_up() {
        let stop = CancelToken::new();
        stop.cancel();
        let gate = Gate::new(&stop);
        gate.close();
        gate.pass();
    }
}
