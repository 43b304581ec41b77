//! A result that another thread makes, awaited with a time-out and a token.

use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::problem::Problem;
use crate::limiter::{CancelToken, Watcher};

/// A result for any number of waiters.
///
/// # Locking
///
/// The result is locked to put it in and to look at it; a waiter looks at its token under the lock,
/// and a canceller takes the lock before it notifies, so that no wake-up is lost.
#[derive(Debug)]
pub(super) struct Handover<T> {
    result: Mutex<Option<T>>,
    changed: Condvar,
}

impl<T: Send + Clone + 'static> Handover<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            result: Mutex::new(None),
            changed: Condvar::new(),
        })
    }

    /// Gives the result to all threads that wait or will wait. The first result stays.
    pub(super) fn put(&self, result: T) {
        // Put under the lock that `wait` holds until it waits: no wake-up is lost.
        self.result.lock().get_or_insert(result);
        self.changed.notify_all();
    }

    /// Waits for the result, until `end` or until the token is cancelled.
    pub(super) fn wait(
        self: &Arc<Self>,
        end: Instant,
        cancel: Option<&CancelToken>,
    ) -> Result<T, Problem> {
        if let Some(token) = cancel {
            token.watch(&(Arc::downgrade(self) as Weak<dyn Watcher>));
        }
        let is_cancelled = || cancel.is_some_and(CancelToken::is_cancelled);
        let mut result = self.result.lock();
        loop {
            if let Some(result) = &*result {
                return Ok(result.clone());
            }
            if is_cancelled() {
                return Err(Problem::Cancelled);
            }
            if self.changed.wait_until(&mut result, end).timed_out() && result.is_none() {
                return Err(Problem::Timeout);
            }
        }
    }
}

impl<T: Send> Watcher for Handover<T> {
    fn cancelled(&self) {
        // The lock is taken after the token is cancelled: a thread has seen that, or waits by now.
        drop(self.result.lock());
        self.changed.notify_all();
    }
}
