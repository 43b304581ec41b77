//! A brake: it holds up new requests while results cannot be written.

use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use crate::limiter::{CancelToken, Watcher};

/// Released, unless the disk is full or the like. A run that is stopped lets everyone through, to find
/// that out.
///
/// # Locking
///
/// A waiting thread checks the token and the brake under the lock that each takes before it notifies.
#[derive(Debug)]
pub(super) struct Brake {
    pulled: Mutex<bool>,
    changed: Condvar,
    stop: CancelToken,
}

impl Brake {
    pub(super) fn new(stop: &CancelToken) -> Arc<Self> {
        let brake = Arc::new(Self {
            pulled: Mutex::new(false),
            changed: Condvar::new(),
            stop: stop.clone(),
        });
        stop.watch(&(Arc::downgrade(&brake) as Weak<dyn Watcher>));
        brake
    }

    /// Waits until the brake is released or the run is stopped.
    pub(super) fn pass(&self) {
        let mut pulled = self.pulled.lock();
        while *pulled && !self.stop.is_cancelled() {
            self.changed.wait(&mut pulled);
        }
    }

    pub(super) fn pull(&self) {
        *self.pulled.lock() = true;
    }

    pub(super) fn release(&self) {
        // The flag changes under the lock, so a thread sees it in its check or gets the notice in its wait.
        *self.pulled.lock() = false;
        self.changed.notify_all();
    }

    pub(super) fn is_pulled(&self) -> bool {
        *self.pulled.lock()
    }
}

impl Watcher for Brake {
    fn cancelled(&self) {
        // Notifies under the lock: a thread between its check and its wait would miss it.
        let _pulled = self.pulled.lock();
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
            let brake = Brake::new(&stop);
            brake.pass();
            brake.pull();
            let (passed, passes) = mpsc::channel();
            thread::scope(|scope| {
                for _ in 0..3 {
                    let (brake, passed) = (&brake, passed.clone());
                    scope.spawn(move || {
                        brake.pass();
                        passed.send(()).unwrap();
                    });
                }
                assert!(passes.try_recv().is_err());
                match stops {
                    true => stop.cancel(),
                    false => brake.release(),
                }
            });
            assert_eq!(passes.try_iter().count(), 3);
        }
    }

    #[test]
    fn a_run_that_is_stopped_already_is_not_held_up() {
        let stop = CancelToken::new();
        stop.cancel();
        let brake = Brake::new(&stop);
        brake.pull();
        brake.pass();
    }
}
