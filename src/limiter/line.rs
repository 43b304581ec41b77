//! The lock around a line, and how its threads wait.
//!
//! # Locking
//!
//! One mutex guards the queue with its levels. Everything that changes it happens under it, and
//! ends by answering whoever can be answered ([`Queue::serve`]), so between two holders of
//! the lock no waiter stands whose cost has come in, except for the time it takes an alarm to
//! ring.
//!
//! - Each waiter has a Condvar of its own, used with that one mutex. It is notified once, when
//!   its answer has been set under the lock. A thread looks at its answer under the lock before
//!   it waits, so the notify cannot fall between the look and the wait.
//! - Nobody waits with a timeout. What time has to bring (the head's turn, a deadline) is an
//!   alarm, set under the lock by whoever finds that it is needed earlier than the one set
//!   before. An alarm may come too early or for nothing; it is then set again if needed.
//! - Time is read with the lock held, so it never runs backward from one holder to the next.
//! - Lock order: line, then the alarms' or a token's. Neither calls back with its own lock held.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::alarm::{Alarms, Due, Ring};
use super::cancel::{CancelToken, Watcher};
use super::clock::Clock;
use super::level::Tick;
use super::queue::{Answer, Grant, Queue};
use super::snapshot::Snapshot;
use crate::cost::Cost;
use crate::feedback::Feedback;
use crate::quota::Limits;
use crate::sync::Mutex;
use crate::{Error, Result};

/// What a limiter's clones and permits share.
pub(crate) struct Line {
    clock: Clock,
    alarms: Arc<dyn Alarms>,
    queue: Mutex<Queue>,
    /// For handing out to alarms and tokens, which must not keep the line alive.
    me: Weak<Line>,
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(super) cost: Cost,
    /// Where it stood before, if it comes again.
    pub(super) place: Option<u64>,
    pub(super) deadline: Option<Instant>,
    pub(super) cancel: Option<&'a CancelToken>,
}

/// What becomes of whoever comes.
enum Entry {
    Granted(Grant),
    MustWait { now: Tick },
}

impl Line {
    /// With a `jitter` of the way to a server it listens to what that says of its limits.
    pub(crate) fn new(limits: &Limits, jitter: Option<Duration>, clock: Clock) -> Arc<Self> {
        let queue = Queue::new(limits, jitter, clock.tick());
        Arc::new_cyclic(|me| Self {
            alarms: clock.alarms(),
            clock,
            queue: Mutex::new(queue),
            me: Weak::clone(me),
        })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes `cost` if that needs no waiting.
    pub(super) fn try_take(&self, cost: Cost) -> Result<Grant> {
        let mut queue = self.queue.lock();
        let now = self.clock.tick();
        match queue.take_at_once(cost, None, now)? {
            Some(grant) => Ok(grant),
            None => Err(Error::WouldWait {
                wait: queue
                    .predict(cost, None, now)
                    .max(queue.due(cost))
                    .since(now),
            }),
        }
    }

    /// Takes a cost, waiting in line for it, and returns how long that took.
    pub(super) fn take(&self, request: Request<'_>) -> Result<(Grant, Duration)> {
        if let Entry::Granted(grant) = self.enter(&mut self.queue.lock(), request)? {
            return Ok((grant, Duration::ZERO));
        }
        // Both may lock or start a thread, which nobody should have to stand in line for.
        self.alarms.ready()?;
        if let Some(token) = request.cancel {
            token.watch(&(Weak::clone(&self.me) as Weak<dyn Watcher>));
        }
        self.wait(request)
    }

    fn wait(&self, request: Request<'_>) -> Result<(Grant, Duration)> {
        let mut queue = self.queue.lock();
        // Again, now that the token is watched: from here on the lock is held until the wait.
        let joined = match self.enter(&mut queue, request)? {
            Entry::Granted(grant) => return Ok((grant, Duration::ZERO)),
            Entry::MustWait { now } => now,
        };
        let Request { cost, place, .. } = request;
        let deadline = request.deadline.map(|instant| self.clock.tick_at(instant));
        let mut predicted = Duration::ZERO;
        if let Some(deadline) = deadline {
            let turn = queue.predict(cost, place, joined);
            predicted = turn.since(joined);
            if turn > deadline {
                return Err(Error::DeadlineExceeded { wait: predicted });
            }
        }

        let waiter = queue.join(cost, place, deadline, request.cancel.cloned());
        self.set_alarm(&mut queue);
        let answer = loop {
            match waiter.answer.get() {
                Some(answer) => break answer,
                // The answer is set under the lock that this gives up and takes back.
                None => waiter.answered.wait(&mut queue),
            }
        };
        match answer {
            Answer::Granted(grant) => Ok((grant.clone(), grant.at.since(joined))),
            Answer::TimedOut => Err(Error::DeadlineExceeded { wait: predicted }),
            Answer::Cancelled => Err(Error::Cancelled),
            Answer::Closed => Err(Error::Closed),
            Answer::TooLarge(quota) => Err(quota.too_large(cost.amount(quota.unit()))),
        }
    }

    /// Takes a cost at once, if that can be.
    fn enter(&self, queue: &mut Queue, request: Request<'_>) -> Result<Entry> {
        if request.cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(Error::Cancelled);
        }
        let now = self.clock.tick();
        Ok(
            match queue.take_at_once(request.cost, request.place, now)? {
                Some(grant) => Entry::Granted(grant),
                None => Entry::MustWait { now },
            },
        )
    }

    /// Corrects what was taken for `reserved` to `actual`, up or down.
    pub(crate) fn settle(&self, reserved: Cost, actual: Cost) {
        self.change(|queue, now| queue.settle(reserved, actual, now));
    }

    /// Hears what the answer to a granted request says, and returns what stays charged for it.
    pub(super) fn hear(&self, grant: &Grant, cost: Cost, feedback: &Feedback) -> Cost {
        self.change(|queue, now| queue.hear(grant, cost, feedback, now))
    }

    /// Holds other limits from now on.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.change(|queue, now| queue.set_limits(limits, now));
    }

    /// Grants nothing before `until`. An earlier instant than one already set changes nothing.
    pub(crate) fn pause_until(&self, until: Instant) {
        let until = self.clock.tick_at(until);
        self.change(|queue, _| queue.pause_until(until));
    }

    /// Ends a pause before its time.
    pub(super) fn resume(&self) {
        self.change(|queue, _| queue.resume());
    }

    /// Answers everyone who waits, and everyone who comes, with [`Error::Closed`].
    pub(crate) fn close(&self) {
        self.change(|queue, _| queue.close());
    }

    pub(crate) fn predict(&self, cost: Cost) -> Result<Duration> {
        let queue = self.queue.lock();
        let now = self.clock.tick();
        queue.check(cost)?;
        Ok(queue.predict(cost, None, now).since(now))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut queue = self.queue.lock();
        let now = self.clock.tick();
        queue.snapshot(now)
    }

    /// Makes a change that can bring someone's turn nearer, and answers whoever's it is.
    fn change<T>(&self, change: impl FnOnce(&mut Queue, Tick) -> T) -> T {
        let mut queue = self.queue.lock();
        let now = self.clock.tick();
        queue.bring_up_to(now);
        let result = change(&mut queue, now);
        queue.serve(now);
        self.set_alarm(&mut queue);
        result
    }

    /// Sets an alarm if one is needed before the earliest that is set.
    fn set_alarm(&self, queue: &mut Queue) {
        while let Some(due) = self.alarm_needed(queue) {
            if self
                .alarms
                .set(due, Weak::clone(&self.me) as Weak<dyn Ring>)
            {
                break;
            }
            queue.alarm_rang(due.tick);
            queue.serve(self.clock.tick());
        }
    }

    fn alarm_needed(&self, queue: &mut Queue) -> Option<Due> {
        self.clock.due_at(queue.alarm_needed()?)
    }
}

impl Ring for Line {
    fn ring(&self, set_for: Tick) -> Option<Due> {
        let mut queue = self.queue.lock();
        let now = self.clock.tick();
        queue.alarm_rang(set_for);
        queue.serve(now);
        self.alarm_needed(&mut queue)
    }
}

impl Watcher for Line {
    fn cancelled(&self) {
        self.change(|queue, _| queue.release_cancelled());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A waiting thread holds the line that it waits in.
        debug_assert!(self.queue.lock().is_empty(), "dropped with waiters");
    }
}
