//! The line without its lock: who waits, in which order, and whose turn it is.
//!
//! Everything here is decided by the time that is passed in, so tests play any course of events
//! without a thread or a clock. Only [`Queue::serve`] and its like reach out, to notify whom they
//! have answered.

#[cfg(all(test, not(paceline_loom)))]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};

use super::cancel::CancelToken;
use super::forecast::Forecast;
use super::level::{Level, Tick};
use super::snapshot::{QuotaSnapshot, Snapshot};
use crate::cost::Cost;
use crate::quota::{Limits, Quota};
use crate::sync::Condvar;
use crate::{Error, Result};

/// The levels, and those who wait for them to rise.
pub(super) struct Queue {
    levels: Vec<Level>,
    waiters: VecDeque<Arc<Waiter>>,
    /// Deadlines of the waiters that have one, with their places.
    deadlines: BTreeSet<(Tick, u64)>,
    next_place: u64,
    /// The earliest alarm that is set and has not rung.
    alarm: Option<Tick>,
    /// Nothing is granted before this time.
    paused_until: Tick,
    closed: bool,
    grants: u64,
    granted: Cost,
}

/// A thread in the line.
pub(super) struct Waiter {
    /// Grows from head to tail.
    place: u64,
    cost: Cost,
    deadline: Option<Tick>,
    cancel: Option<CancelToken>,
    /// Set once, under the lock, by whoever takes the waiter out of the line.
    pub(super) answer: OnceLock<Answer>,
    pub(super) answered: Condvar,
}

/// What becomes of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Granted(Tick),
    TimedOut,
    Cancelled,
    Closed,
}

impl Queue {
    pub(super) fn new(limits: &Limits, now: Tick) -> Self {
        let levels = limits.quotas().iter();
        Self {
            levels: levels.map(|quota| Level::full(*quota, now)).collect(),
            waiters: VecDeque::new(),
            deadlines: BTreeSet::new(),
            next_place: 0,
            alarm: None,
            paused_until: Tick(0),
            closed: false,
            grants: 0,
            granted: Cost::default(),
        }
    }

    /// Takes `cost` now if nobody is before it; false if it has to wait.
    pub(super) fn take_at_once(&mut self, cost: Cost, now: Tick) -> Result<bool> {
        if self.closed {
            return Err(Error::Closed);
        }
        // An alarm that is late need not keep anyone: whoever comes by serves the line.
        if self.alarm.is_some_and(|alarm| alarm <= now) {
            self.serve(now);
        }
        if !self.waiters.is_empty() || now < self.paused_until {
            self.check(cost)?;
            return Ok(false);
        }
        // One pass for all that has to be known, since most calls end here.
        let mut covered = true;
        for level in &mut self.levels {
            let wanted = cost.amount(level.unit());
            level.check(wanted)?;
            level.refill(now);
            covered &= level.covers(wanted);
        }
        if covered {
            self.grant(cost);
        }
        Ok(covered)
    }

    /// Refuses a cost that no waiting would help.
    pub(super) fn check(&self, cost: Cost) -> Result<()> {
        for level in &self.levels {
            level.check(cost.amount(level.unit()))?;
        }
        Ok(())
    }

    pub(super) fn bring_up_to(&mut self, now: Tick) {
        for level in &mut self.levels {
            level.refill(now);
        }
    }

    fn covers(&self, cost: Cost) -> bool {
        let mut levels = self.levels.iter();
        levels.all(|level| level.covers(cost.amount(level.unit())))
    }

    /// Takes from every quota at once.
    fn grant(&mut self, cost: Cost) {
        for level in &mut self.levels {
            level.take(cost.amount(level.unit()));
        }
        self.grants += 1;
        self.granted = self.granted.saturating_add(cost);
    }

    /// Takes what `actual` has more than `reserved`, and gives back what it has less.
    pub(super) fn settle(&mut self, reserved: Cost, actual: Cost) {
        for level in &mut self.levels {
            let (had, has) = (reserved.amount(level.unit()), actual.amount(level.unit()));
            level.take(has.saturating_sub(had));
            level.give(had.saturating_sub(has));
        }
    }

    /// Puts a waiter at the end of the line.
    pub(super) fn join(
        &mut self,
        cost: Cost,
        deadline: Option<Tick>,
        cancel: Option<CancelToken>,
    ) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter {
            place: self.next_place,
            cost,
            deadline,
            cancel,
            answer: OnceLock::new(),
            answered: Condvar::new(),
        });
        self.next_place += 1;
        self.deadlines.extend(deadline.map(|at| (at, waiter.place)));
        self.waiters.push_back(Arc::clone(&waiter));
        waiter
    }

    /// Answers everyone whose turn or whose deadline has come. On a tie the grant wins.
    pub(super) fn serve(&mut self, now: Tick) {
        self.bring_up_to(now);
        loop {
            while now >= self.paused_until && self.head_is_covered() {
                let Some(head) = self.waiters.pop_front() else {
                    break;
                };
                self.grant(head.cost);
                self.answer(&head, Answer::Granted(now));
            }
            // Its leaving may bring the next one's turn.
            let Some(&(_, place)) = self.deadlines.first().filter(|(at, _)| *at <= now) else {
                return;
            };
            if let Ok(index) = self
                .waiters
                .binary_search_by_key(&place, |waiter| waiter.place)
                && let Some(late) = self.waiters.remove(index)
            {
                self.answer(&late, Answer::TimedOut);
            }
        }
    }

    fn head_is_covered(&self) -> bool {
        self.waiters
            .front()
            .is_some_and(|head| self.covers(head.cost))
    }

    /// Takes every waiter that `leaves` out of the line and answers it.
    fn answer_where(&mut self, answer: Answer, leaves: impl Fn(&Waiter) -> bool) {
        let waiters = std::mem::take(&mut self.waiters);
        for waiter in waiters {
            if leaves(&waiter) {
                self.answer(&waiter, answer);
            } else {
                self.waiters.push_back(waiter);
            }
        }
    }

    /// Answers a waiter that has just been taken out of the line.
    fn answer(&mut self, waiter: &Waiter, answer: Answer) {
        if let Some(deadline) = waiter.deadline {
            self.deadlines.remove(&(deadline, waiter.place));
        }
        // Nobody else answers it: it is out of the line.
        let _ = waiter.answer.set(answer);
        // With the lock held: the thread cannot be between its look at the answer and its wait.
        waiter.answered.notify_one();
    }

    /// Grants nothing before `until`, or an earlier pause's later end.
    pub(super) fn pause_until(&mut self, until: Tick) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Answers everyone who waits, and everyone who comes, with [`Error::Closed`].
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.answer_where(Answer::Closed, |_| true);
    }

    /// Answers those whose token is cancelled.
    pub(super) fn release_cancelled(&mut self) {
        self.answer_where(Answer::Cancelled, |waiter| {
            let token = waiter.cancel.as_ref();
            token.is_some_and(CancelToken::is_cancelled)
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn snapshot(&mut self, now: Tick) -> Snapshot {
        self.bring_up_to(now);
        let head = self.waiters.front();
        let quota = |level: &Level| QuotaSnapshot {
            quota: level.quota(),
            level: level.whole(),
            granted: self.granted.amount(level.unit()),
            told: false,
        };
        Snapshot {
            quotas: self.levels.iter().map(quota).collect(),
            waiters: self.waiters.len(),
            head_cost: head.map(|head| head.cost),
            head_due: head.map(|head| self.due(head.cost).since(now)),
            binding: head.and_then(|head| self.binding(head.cost)),
            grants: self.grants,
            paused_for: self.paused_until.since(now),
            closed: self.closed,
        }
    }

    /// When `cost` is covered, if nobody else takes anything before.
    fn due(&self, cost: Cost) -> Tick {
        let dues = self
            .levels
            .iter()
            .map(|level| level.due(cost.amount(level.unit())));
        dues.fold(self.paused_until, Tick::max)
    }

    /// When a waiter of `cost` would be served at the end of the line as it stands. Plays the
    /// line forward, so it costs time in proportion to its length.
    pub(super) fn predict(&self, cost: Cost, now: Tick) -> Tick {
        let mut ahead = Forecast::new(&self.levels, self.paused_until.max(now));
        for waiter in &self.waiters {
            ahead.pass(waiter.cost);
        }
        ahead.pass(cost)
    }

    /// The quota that the head waits for longest.
    fn binding(&self, cost: Cost) -> Option<Quota> {
        let slowest = self
            .levels
            .iter()
            .max_by_key(|level| level.due(cost.amount(level.unit())));
        slowest.map(Level::quota)
    }

    /// The alarm that was set for this time has rung. One that a nearer alarm has overtaken rings
    /// for nothing, and is not set again.
    pub(super) fn alarm_rang(&mut self, set_for: Tick) {
        if self.alarm == Some(set_for) {
            self.alarm = None;
        }
    }

    /// The time at which an alarm has to be set, if it is before the one that is set already.
    /// Remembers it as set.
    pub(super) fn alarm_needed(&mut self) -> Option<Tick> {
        let head = self.waiters.front()?;
        let turn = self.due(head.cost);
        let deadline = self.deadlines.first().map_or(Tick::NEVER, |(at, _)| *at);
        let needed = turn.min(deadline);
        if self.alarm.is_some_and(|alarm| alarm <= needed) {
            return None;
        }
        self.alarm = Some(needed);
        Some(needed)
    }
}
