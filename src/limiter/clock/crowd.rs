//! The waiters of a clock, for tests that have to know that a thread waits before they move it.

use std::sync::Weak;

use parking_lot::{Condvar, Mutex};

/// Something with a wait queue.
pub(in crate::limiter) trait Waiting: Send + Sync {
    /// How many wait now.
    fn waiting(&self) -> usize;
}

/// The limiters of a clock.
///
/// # Locking
///
/// The list is locked while each queue on it is locked in turn, so no queue's lock is held where a waiter
/// [is announced](Crowd::joined). A waiting test checks the queues under the lock that the notify takes,
/// so it misses no waiter.
#[derive(Default)]
pub(super) struct Crowd {
    queues: Mutex<Vec<Weak<dyn Waiting>>>,
    grown: Condvar,
}

impl Crowd {
    pub(super) fn add(&self, queue: Weak<dyn Waiting>) {
        let mut queues = self.queues.lock();
        queues.retain(|known| known.strong_count() > 0);
        queues.push(queue);
    }

    /// A waiter has joined one of the queues.
    pub(super) fn joined(&self) {
        let _queues = self.queues.lock(); // no test is between its check and its wait
        self.grown.notify_all();
    }

    /// Blocks until `count` threads wait.
    pub(super) fn wait_for(&self, count: usize) {
        let mut queues = self.queues.lock();
        loop {
            let alive = queues.iter().filter_map(Weak::upgrade);
            let waiting: usize = alive.map(|queue| queue.waiting()).sum();
            if waiting >= count {
                return;
            }
            self.grown.wait(&mut queues);
        }
    }
}
