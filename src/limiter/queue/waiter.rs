//! A waiter and its answer.

use std::sync::Arc;
use std::thread::Thread;
#[cfg(not(paceline_loom))]
use std::time::Duration;

use super::super::Priority;
use super::super::bucket::Tick;
use super::super::cancel::CancelToken;
use super::super::failure::Failure;
use super::super::supply::adaptive::Spent;
use super::super::window::Landing;
use crate::cost::Cost;
use crate::quota::Quota;
use crate::sync::{Condvar, Mutex};

/// A thread in the line.
///
/// # Locking
///
/// What it asks for never changes. Its answer has a lock of its own, so that threads which have
/// been answered continue side by side and not through the queue's lock again. It is set once, by the
/// thread that took the waiter out of the queue, which it does under the queue's lock; it hands the
/// answer over after that.
pub(in crate::limiter) struct Parked {
    pub(super) asked: Asked,
    /// Grows from head to tail.
    pub(in crate::limiter) place: u64,
    pub(super) joined: Tick,
    pub(super) deadline: Option<Tick>,
    pub(super) cancel: Option<CancelToken>,
    /// For a list of the waiters.
    pub(super) thread: Thread,
    answer: Mutex<Option<Answer>>,
    answered: Condvar,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::limiter) struct Asked {
    pub(in crate::limiter) cost: Cost,
    pub(in crate::limiter) priority: Priority,
    /// Where it stood before, if it comes again.
    pub(in crate::limiter) place: Option<u64>,
}

/// What becomes of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) enum Answer {
    Granted(Grant),
    TimedOut,
    Cancelled,
    /// No waiter is granted anything.
    Failed(Failure),
    /// The limits have changed, and it can never pass this one.
    TooLarge(Quota),
}

/// What is remembered of a grant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::limiter) struct Grant {
    pub(in crate::limiter) at: Tick,
    /// Where it stood in the queue: a later request has a larger one.
    pub(in crate::limiter) place: u64,
    /// Its places among those in flight, to be given back: one, or none where they are not counted.
    /// As wide as its neighbours: a narrower one costs a copy of them a wait for the memory.
    pub(in crate::limiter) in_flight: u64,
    /// What became of it, as far as is known: for its end.
    pub(in crate::limiter) landing: Landing,
    /// What had been spent in all, this grant included, if an estimator observes.
    pub(in crate::limiter) spent: Option<Spent>,
}

/// Waiters taken out of the queue, to be notified when the queue's lock is free.
#[derive(Default)]
#[must_use = "their threads wait"]
pub(in crate::limiter) struct Answered(Vec<(Arc<Parked>, Answer)>);

impl Answered {
    pub(super) fn push(&mut self, waiter: Arc<Parked>, answer: Answer) {
        self.0.push((waiter, answer));
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands the answers over and wakes the waiters.
    pub(in crate::limiter) fn tell(self) {
        for (waiter, answer) in self.0 {
            waiter.tell(answer);
        }
    }

    #[cfg(all(test, not(paceline_loom)))]
    pub(in crate::limiter) fn iter(&self) -> impl Iterator<Item = (&Parked, &Answer)> {
        self.0.iter().map(|(waiter, answer)| (&**waiter, answer))
    }
}

impl Parked {
    pub(super) fn new(
        asked: Asked,
        place: u64,
        deadline: Option<Tick>,
        cancel: Option<CancelToken>,
        joined: Tick,
    ) -> Self {
        Self {
            asked,
            place,
            joined,
            deadline,
            cancel,
            thread: std::thread::current(),
            answer: Mutex::new(None),
            answered: Condvar::new(),
        }
    }

    /// When it joined the line.
    pub(in crate::limiter) fn joined(&self) -> Tick {
        self.joined
    }

    /// Blocks until it is answered.
    pub(in crate::limiter) fn wait(&self) -> Answer {
        let mut answer = self.answer.lock();
        loop {
            match answer.take() {
                Some(answer) => return answer,
                // Looked at and slept on under one hold of the lock under which it is set.
                None => self.answered.wait(&mut answer),
            }
        }
    }

    /// Blocks until it is answered, for at most this time.
    #[cfg(not(paceline_loom))]
    pub(in crate::limiter) fn wait_for(&self, most: Duration) -> Option<Answer> {
        let mut answer = self.answer.lock();
        let is_open = |answer: &mut Option<Answer>| answer.is_none();
        self.answered.wait_while_for(&mut answer, is_open, most);
        answer.take()
    }

    fn tell(&self, answer: Answer) {
        *self.answer.lock() = Some(answer);
        // The thread has not looked yet, or sleeps. The lock is free again for it to wake into.
        self.answered.notify_one();
    }
}
