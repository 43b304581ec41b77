//! A state that threads wait for, until it lets them pass or the run is stopped.

use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::limiter::{CancelToken, Watcher};

/// What a thread finds that looks at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Look {
    /// It may go.
    Pass,
    /// It waits until it is notified.
    Wait,
    /// It waits until it is notified, and no longer than until then.
    Until(Instant),
}

/// A state under a lock, and threads that wait for it in one of `N` queues.
///
/// # Locking
///
/// A thread looks at the state and at the token under the lock, and the lock is released as it falls
/// asleep. Every notice is given under the same lock, so none comes between the two and is lost: a thread that
/// changes the state notifies with the guard that changed it, and a cancel takes the lock first.
#[derive(Debug)]
pub(in crate::batch) struct Gate<T, const N: usize = 1> {
    state: Mutex<T>,
    queues: [Condvar; N],
    stop: CancelToken,
}

impl<T: Send + 'static, const N: usize> Gate<T, N> {
    /// A gate that lets every thread go when `stop` is cancelled.
    pub(in crate::batch) fn new(state: T, stop: &CancelToken) -> Arc<Self> {
        let gate = Arc::new(Self {
            state: Mutex::new(state),
            queues: std::array::from_fn(|_| Condvar::new()),
            stop: stop.clone(),
        });
        stop.watch(&(Arc::downgrade(&gate) as Weak<dyn Watcher>));
        gate
    }
}

impl<T, const N: usize> Gate<T, N> {
    /// The state. A change that lets others go [notifies](Self::notify_all) them with this guard.
    pub(in crate::batch) fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock()
    }

    /// Waits in a queue until `look` lets this thread pass. False when the run is stopped first; then the
    /// state is whatever it is. The lock is held again at the end.
    pub(in crate::batch) fn wait(
        &self,
        queue: usize,
        state: &mut MutexGuard<'_, T>,
        mut look: impl FnMut(&mut T) -> Look,
    ) -> bool {
        while !self.is_stopped() {
            match look(state) {
                Look::Pass => return true,
                Look::Wait => self.queues[queue].wait(state),
                Look::Until(end) => _ = self.queues[queue].wait_until(state, end),
            }
        }
        false
    }

    /// Wakes all threads of a queue.
    pub(in crate::batch) fn notify_all(&self, _state: &MutexGuard<'_, T>, queue: usize) {
        self.queues[queue].notify_all();
    }

    /// Wakes one thread of a queue.
    pub(in crate::batch) fn notify_one(&self, _state: &MutexGuard<'_, T>, queue: usize) {
        self.queues[queue].notify_one();
    }

    /// Whether the run is stopped.
    pub(in crate::batch) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl<T: Send, const N: usize> Watcher for Gate<T, N> {
    fn cancelled(&self) {
        let state = self.state.lock();
        for queue in 0..N {
            self.notify_all(&state, queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::limiter::Clock;

    fn open(is_open: &mut bool) -> Look {
        match *is_open {
            true => Look::Pass,
            false => Look::Wait,
        }
    }

    #[test]
    fn threads_wait_until_the_state_lets_them_pass_or_the_run_is_stopped() {
        for stops in [false, true] {
            let stop = CancelToken::new();
            let gate = Gate::<bool, 2>::new(false, &stop);
            let (passed, passes) = mpsc::channel();
            thread::scope(|scope| {
                for queue in [0, 0, 1] {
                    let (gate, passed) = (&gate, passed.clone());
                    scope.spawn(move || {
                        let passes = gate.wait(queue, &mut gate.lock(), open);
                        passed.send(passes).unwrap();
                    });
                }
                assert!(passes.try_recv().is_err());
                if stops {
                    stop.cancel();
                } else {
                    let mut state = gate.lock();
                    *state = true;
                    gate.notify_all(&state, 0);
                    gate.notify_one(&state, 1);
                }
            });
            assert_eq!(passes.try_iter().collect::<Vec<_>>(), [!stops; 3]);
        }
    }

    #[test]
    fn a_run_that_is_stopped_already_holds_no_thread() {
        let stop = CancelToken::new();
        stop.cancel();
        let gate = Gate::<bool>::new(false, &stop);
        assert!(!gate.wait(0, &mut gate.lock(), open));
        assert!(gate.is_stopped());
    }

    #[test]
    fn a_wait_with_an_end_looks_again_at_it() {
        let gate = Gate::<u32>::new(0, &CancelToken::new());
        let end = Clock::real().now() + Duration::from_millis(1);
        let passes = gate.wait(0, &mut gate.lock(), |looks| {
            *looks += 1;
            match Clock::real().now() >= end {
                true => Look::Pass,
                false => Look::Until(end),
            }
        });
        assert!(passes && *gate.lock() >= 1);
    }
}
