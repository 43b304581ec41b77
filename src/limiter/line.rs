//! The lock and the line: who waits, in which order, and who is answered.
//!
//! # Locking
//!
//! One mutex guards the levels and the line. Everything that changes either happens under it,
//! and ends by answering whoever can be answered ([`State::serve`]), so between two holders of
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

#[cfg(all(test, not(paceline_loom)))]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::alarm::{Alarms, Due, Ring};
use super::cancel::{CancelToken, Watcher};
use super::clock::Clock;
use super::level::{Level, Tick};
use super::snapshot::{QuotaSnapshot, Snapshot};
use crate::cost::Cost;
use crate::quota::{Limits, Quota};
use crate::sync::{Condvar, Mutex};
use crate::{Error, Result};

/// What a limiter's clones and permits share.
pub(crate) struct Line {
    clock: Clock,
    alarms: Arc<dyn Alarms>,
    state: Mutex<State>,
    /// For handing out to alarms and tokens, which must not keep the line alive.
    me: Weak<Line>,
}

struct State {
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
struct Waiter {
    /// Grows from head to tail.
    place: u64,
    cost: Cost,
    deadline: Option<Tick>,
    cancel: Option<CancelToken>,
    /// Set once, under the lock, by whoever takes the waiter out of the line.
    answer: OnceLock<Answer>,
    answered: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Granted(Tick),
    TimedOut,
    Cancelled,
    Closed,
}

impl Line {
    pub(crate) fn new(limits: &Limits, clock: Clock) -> Arc<Self> {
        let state = State::new(limits, clock.tick());
        Arc::new_cyclic(|me| Self {
            alarms: clock.alarms(),
            clock,
            state: Mutex::new(state),
            me: Weak::clone(me),
        })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes `cost` if that needs no waiting.
    pub(crate) fn try_take(&self, cost: Cost) -> Result<()> {
        let mut state = self.state.lock();
        let now = self.clock.tick();
        if state.take_at_once(cost, now)? {
            return Ok(());
        }
        let wait = state.predict(cost, now).since(now);
        Err(Error::WouldWait { wait })
    }

    /// Takes `cost`, waiting in line for it, and returns how long that took.
    pub(crate) fn take(
        &self,
        cost: Cost,
        deadline: Option<Instant>,
        cancel: Option<&CancelToken>,
    ) -> Result<Duration> {
        let mut state = self.state.lock();
        let now = self.clock.tick();
        if cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(Error::Cancelled);
        }
        if state.take_at_once(cost, now)? {
            return Ok(Duration::ZERO);
        }
        drop(state);
        // Both may lock or start a thread, which nobody should have to stand in line for.
        self.alarms.ready()?;
        if let Some(token) = cancel {
            token.watch(&(Weak::clone(&self.me) as Weak<dyn Watcher>));
        }
        self.wait(cost, deadline, cancel)
    }

    fn wait(
        &self,
        cost: Cost,
        deadline: Option<Instant>,
        cancel: Option<&CancelToken>,
    ) -> Result<Duration> {
        let mut state = self.state.lock();
        let joined = self.clock.tick();
        if cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(Error::Cancelled);
        }
        if state.take_at_once(cost, joined)? {
            return Ok(Duration::ZERO);
        }
        let deadline = deadline.map(|instant| self.clock.tick_at(instant));
        let mut predicted = Duration::ZERO;
        if let Some(deadline) = deadline {
            let turn = state.predict(cost, joined);
            predicted = turn.since(joined);
            if turn > deadline {
                return Err(Error::DeadlineExceeded { wait: predicted });
            }
        }

        let waiter = state.join(cost, deadline, cancel.cloned());
        self.set_alarm(&mut state);
        let answer = loop {
            match waiter.answer.get() {
                Some(answer) => break *answer,
                // The answer is set under the lock that this gives up and takes back.
                None => waiter.answered.wait(&mut state),
            }
        };
        match answer {
            Answer::Granted(at) => Ok(at.since(joined)),
            Answer::TimedOut => Err(Error::DeadlineExceeded { wait: predicted }),
            Answer::Cancelled => Err(Error::Cancelled),
            Answer::Closed => Err(Error::Closed),
        }
    }

    /// Corrects what was taken for `reserved` to `actual`, up or down.
    pub(crate) fn settle(&self, reserved: Cost, actual: Cost) {
        self.change(|state| state.settle(reserved, actual));
    }

    /// Grants nothing before `until`. An earlier instant than one already set changes nothing.
    pub(crate) fn pause_until(&self, until: Instant) {
        let until = self.clock.tick_at(until);
        self.change(|state| state.paused_until = state.paused_until.max(until));
    }

    /// Answers everyone who waits, and everyone who comes, with [`Error::Closed`].
    pub(crate) fn close(&self) {
        self.change(|state| {
            state.closed = true;
            state.answer_where(Answer::Closed, |_| true);
        });
    }

    pub(crate) fn predict(&self, cost: Cost) -> Result<Duration> {
        let state = self.state.lock();
        let now = self.clock.tick();
        state.check(cost)?;
        Ok(state.predict(cost, now).since(now))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut state = self.state.lock();
        let now = self.clock.tick();
        state.bring_up_to(now);
        let head = state.waiters.front();
        let head_due = head.map(|head| state.due(head.cost).since(now));
        let binding = head.and_then(|head| state.binding(head.cost));
        let quota = |level: &Level| QuotaSnapshot {
            quota: level.quota(),
            level: level.whole(),
            granted: state.granted.amount(level.unit()),
        };
        Snapshot {
            quotas: state.levels.iter().map(quota).collect(),
            waiters: state.waiters.len(),
            head_cost: head.map(|head| head.cost),
            head_due,
            binding,
            grants: state.grants,
            paused_for: state.paused_until.since(now),
            closed: state.closed,
        }
    }

    /// Makes a change that can bring someone's turn nearer, and answers whoever's it is.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let now = self.clock.tick();
        state.bring_up_to(now);
        change(&mut state);
        state.serve(now);
        self.set_alarm(&mut state);
    }

    /// Sets an alarm if one is needed before the earliest that is set.
    fn set_alarm(&self, state: &mut State) {
        while let Some(due) = self.alarm_needed(state) {
            if self
                .alarms
                .set(due, Weak::clone(&self.me) as Weak<dyn Ring>)
            {
                break;
            }
            state.alarm = None;
            state.serve(self.clock.tick());
        }
    }

    fn alarm_needed(&self, state: &mut State) -> Option<Due> {
        self.clock.due_at(state.alarm_needed()?)
    }
}

impl Ring for Line {
    fn ring(&self, set_for: Tick) -> Option<Due> {
        let mut state = self.state.lock();
        let now = self.clock.tick();
        // One that a nearer alarm has overtaken rings for nothing, and is not set again.
        if state.alarm == Some(set_for) {
            state.alarm = None;
        }
        state.serve(now);
        self.alarm_needed(&mut state)
    }
}

impl Watcher for Line {
    fn cancelled(&self) {
        self.change(|state| {
            state.answer_where(Answer::Cancelled, |waiter| {
                waiter
                    .cancel
                    .as_ref()
                    .is_some_and(CancelToken::is_cancelled)
            });
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A waiting thread holds the line that it waits in.
        debug_assert!(self.state.lock().waiters.is_empty(), "dropped with waiters");
    }
}

impl State {
    fn new(limits: &Limits, now: Tick) -> Self {
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
    fn take_at_once(&mut self, cost: Cost, now: Tick) -> Result<bool> {
        if self.closed {
            return Err(Error::Closed);
        }
        self.check(cost)?;
        // An alarm that is late need not keep anyone: whoever comes by serves the line.
        if self.alarm.is_some_and(|alarm| alarm <= now) {
            self.serve(now);
        }
        if !self.waiters.is_empty() || now < self.paused_until {
            return Ok(false);
        }
        self.bring_up_to(now);
        Ok(self.covers(cost) && {
            self.grant(cost);
            true
        })
    }

    /// Refuses a cost that no waiting would help.
    fn check(&self, cost: Cost) -> Result<()> {
        for level in &self.levels {
            level.quota().check(cost.amount(level.unit()))?;
        }
        Ok(())
    }

    fn bring_up_to(&mut self, now: Tick) {
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
    fn settle(&mut self, reserved: Cost, actual: Cost) {
        for level in &mut self.levels {
            let (had, has) = (reserved.amount(level.unit()), actual.amount(level.unit()));
            level.take(has.saturating_sub(had));
            level.give(had.saturating_sub(has));
        }
    }

    /// Puts a waiter at the end of the line.
    fn join(
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
    fn serve(&mut self, now: Tick) {
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
    fn predict(&self, cost: Cost, now: Tick) -> Tick {
        let mut ahead = Forecast {
            levels: self.levels.clone(),
            now: self.paused_until.max(now),
        };
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

    /// The time at which an alarm has to be set, if it is before the one that is set already.
    /// Remembers it as set.
    fn alarm_needed(&mut self) -> Option<Tick> {
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

/// The levels as they will be, once the line has passed.
struct Forecast {
    levels: Vec<Level>,
    now: Tick,
}

impl Forecast {
    /// Moves on to the time at which `cost` is covered, takes it, and returns the time.
    fn pass(&mut self, cost: Cost) -> Tick {
        for level in &self.levels {
            self.now = self.now.max(level.due(cost.amount(level.unit())));
        }
        for level in &mut self.levels {
            level.refill(self.now);
            level.take(cost.amount(level.unit()));
        }
        self.now
    }
}
