//! The queue without its lock: the waiters, their order, and whose turn it is.
//!
//! Everything here is decided by the time that is passed in, so tests play any course of events
//! without a thread or a clock. Answered waiters are put aside ([`WaitQueue::take_answered`]); the
//! holder of the lock notifies them after it has released it.

mod changes; // what may change while others wait
mod outlook; // how it stands, and when whose turn comes
#[cfg(feature = "redis")]
mod outside; // for amounts from outside
mod priorities; //   in which order they wait
#[cfg(all(test, not(paceline_loom)))]
mod tests;
mod waiter; //  a waiter and its answer

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(super) use waiter::{Answer, Answered, Asked, Grant, Parked};

use priorities::PriorityQueues;

use super::advice::{Admissions, Advice};
use super::bucket::Tick;
use super::cancel::CancelToken;
use super::slots::Slots;
use super::snapshot::Counters;
use super::supply::Supply;
use super::supply::adaptive::RefusalBackoff;
use super::window::Landing;
use crate::cost::Cost;
use crate::quota::{Limits, Quota};
use crate::{AcquireError, Result};

/// A supply of amounts, and the waiters for it.
pub(super) struct WaitQueue {
    supply: Supply,
    slots: Slots,
    priorities: PriorityQueues,
    rules: Rules,
    /// Deadlines of the waiters that have one, with their places.
    deadlines: BTreeSet<(Tick, u64)>,
    answered: Answered,
    next_place: u64,
    /// The earliest alarm that is set and has not rung.
    alarm: Option<Tick>,
    /// Nothing is granted before this time.
    paused_until: Tick,
    closed: bool,
    counters: Counters,
    /// What has been granted in all.
    spent: Cost,
    /// What the server has let in.
    admissions: Admissions,
    /// Refusals in a row, where the supply does not learn from them.
    refusal_backoff: RefusalBackoff,
}

/// What has come of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    /// What stays charged for the request.
    pub(super) charged: Cost,
    pub(super) advice: Advice,
    /// A limit that is neither stated nor reported and has just been found.
    pub(super) found: Option<Quota>,
}

/// How the line is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// The way to a server whose word is taken for what the limits are, if any is, varies by this.
    pub(super) jitter: Option<Duration>,
    /// How many may wait.
    pub(super) max_waiters: Option<usize>,
    /// Whether a request that delays no head may overtake.
    pub(super) bypass: bool,
}

impl WaitQueue {
    pub(super) fn new(limits: &Limits, rules: Rules, now: Tick) -> Self {
        let supply = Supply::new(limits, rules.jitter, now);
        let mut slots = Slots::new(limits.in_flight());
        if supply.is_adaptive() {
            slots.open_window();
        }
        Self {
            supply,
            slots,
            priorities: PriorityQueues::default(),
            rules,
            deadlines: BTreeSet::new(),
            answered: Answered::default(),
            next_place: 0,
            alarm: None,
            paused_until: Tick(0),
            closed: false,
            counters: Counters::default(),
            spent: Cost::default(),
            admissions: Admissions::default(),
            refusal_backoff: RefusalBackoff::default(),
        }
    }

    /// Takes what is asked for now if no waiter is before it; `None` if it has to wait.
    pub(super) fn take_at_once(
        &mut self,
        asked: Asked,
        now: Tick,
    ) -> Result<Option<Grant>, AcquireError> {
        if self.closed {
            return Err(AcquireError::Closed);
        }
        // A late alarm holds no waiter up: the next call serves the queue.
        if self.alarm.is_some_and(|alarm| alarm <= now) {
            self.serve(now);
        }
        if let Some(grant) = self.take_freely(asked.cost, asked.place, now) {
            return Ok(Some(grant));
        }
        self.supply.check(asked.cost)?;
        self.bring_up_to(now);
        let is_covered = now >= self.paused_until && self.covers(asked.cost);
        if !is_covered || !self.goes_ahead(asked) {
            return Ok(None);
        }
        let place = asked.place.unwrap_or_else(|| self.new_place());
        Ok(Some(self.grant(asked.cost, place, now)))
    }

    /// Takes what is asked for if nothing at all stands in its way, as is so for most. `None` does not
    /// say what does.
    #[inline(always)]
    pub(super) fn take_freely(
        &mut self,
        cost: Cost,
        place: Option<u64>,
        now: Tick,
    ) -> Option<Grant> {
        // A window only opens as time passes, so it is looked at where it is too small.
        if !self.slots.has(1) {
            self.slots.advance(now);
        }
        if !self.is_free(now) {
            return None;
        }
        if !self.supply.take_freely(cost, now) {
            return None;
        }
        let place = place.unwrap_or_else(|| self.new_place());
        Some(self.granted(cost, place, now))
    }

    /// Whether only the supply can hold a request up.
    #[inline(always)]
    fn is_free(&self, now: Tick) -> bool {
        let is_quiet = !self.closed && self.priorities.is_empty() && now >= self.paused_until;
        is_quiet && self.slots.has(1)
    }

    /// Whether a request that is covered may overtake the waiters: because its turn comes before
    /// theirs, or because it does not delay the head.
    fn goes_ahead(&mut self, asked: Asked) -> bool {
        if self.priorities.is_next(asked.priority, asked.place) {
            self.priorities.served(asked.priority);
            return true;
        }
        let passes = self.rules.bypass && self.delays_nobody(asked.cost);
        self.counters.overtaken += u64::from(passes);
        passes
    }

    /// Whether the head's turn would come just when it does now, if `cost` were granted before.
    fn delays_nobody(&self, cost: Cost) -> bool {
        let Some(head) = self.priorities.head() else {
            return true;
        };
        let wanted = head.asked.cost;
        self.slots.has(2) && self.supply.stays_due(wanted, cost, self.due(wanted))
    }

    #[inline]
    fn new_place(&mut self) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        place
    }

    pub(super) fn bring_up_to(&mut self, now: Tick) {
        self.supply.advance(now);
        self.slots.advance(now);
    }

    fn covers(&mut self, cost: Cost) -> bool {
        if !self.supply.covers(cost) {
            self.slots.paced();
            return false;
        }
        // The place comes last: a head that lacks nothing else shows that the window binds.
        self.slots.has_for_head()
    }

    /// Takes from every quota at once.
    fn grant(&mut self, cost: Cost, place: u64, now: Tick) -> Grant {
        self.supply.take(cost, now);
        self.granted(cost, place, now)
    }

    /// What has been taken from every quota is a grant.
    #[inline(always)]
    fn granted(&mut self, cost: Cost, place: u64, now: Tick) -> Grant {
        self.counters.grants += 1;
        self.spent = self.spent.saturating_add(cost);
        Grant {
            at: now,
            place,
            in_flight: self.slots.take(now),
            landing: Landing::Unknown,
            spent: self.supply.spent(),
        }
    }

    /// Puts a waiter into the line: at the place where it stood before, or else at the end of its
    /// lane.
    ///
    /// # Errors
    ///
    /// [`AcquireError::QueueFull`], unless it has stood in line before: it has a right to its place.
    pub(super) fn join(
        &mut self,
        asked: Asked,
        deadline: Option<Tick>,
        cancel: Option<CancelToken>,
        now: Tick,
    ) -> Result<Arc<Parked>, AcquireError> {
        let is_full = self
            .rules
            .max_waiters
            .is_some_and(|most| self.priorities.len() >= most);
        if is_full && asked.place.is_none() {
            self.counters.queue_full += 1;
            return Err(AcquireError::QueueFull {
                waiters: self.priorities.len(),
            });
        }
        let place = asked.place.unwrap_or_else(|| self.new_place());
        let waiter = Arc::new(Parked::new(asked, place, deadline, cancel, now));
        self.deadlines.extend(deadline.map(|at| (at, place)));
        self.priorities.insert(Arc::clone(&waiter));
        self.supply.joined(waiter.asked.cost);
        Ok(waiter)
    }

    /// Answers all waiters whose turn or whose deadline has come. On a tie the grant wins.
    pub(super) fn serve(&mut self, now: Tick) {
        if self.priorities.is_empty() {
            return;
        }
        self.bring_up_to(now);
        loop {
            while now >= self.paused_until && self.head_is_covered() {
                let Some(head) = self.priorities.pop_head() else {
                    break;
                };
                let grant = self.grant(head.asked.cost, head.place, now);
                self.counters.waited_for(now.since(head.joined));
                self.answer(head, Answer::Granted(grant));
            }
            // Its leaving may bring the next one's turn.
            let Some(&(at, place)) = self.deadlines.first().filter(|(at, _)| *at <= now) else {
                return;
            };
            match self.priorities.remove(place) {
                Some(late) => self.answer(late, Answer::TimedOut),
                None => drop(self.deadlines.remove(&(at, place))),
            }
        }
    }

    fn head_is_covered(&mut self) -> bool {
        let head = self.priorities.head().map(|head| head.asked.cost);
        head.is_some_and(|cost| self.covers(cost))
    }

    /// Takes every waiter for which there is an answer out of the line, and gives it that.
    pub(super) fn answer_where(&mut self, answer: impl Fn(&Parked) -> Option<Answer>) {
        let left = self
            .priorities
            .remove_where(|waiter| answer(waiter).is_some());
        for waiter in left {
            if let Some(answer) = answer(&waiter) {
                self.answer(waiter, answer);
            }
        }
    }

    /// Answers a waiter that has just been taken out of the line.
    pub(super) fn answer(&mut self, waiter: Arc<Parked>, answer: Answer) {
        if let Some(deadline) = waiter.deadline {
            self.deadlines.remove(&(deadline, waiter.place));
        }
        self.supply.left(waiter.asked.cost);
        match answer {
            Answer::TimedOut => self.counters.timed_out += 1,
            Answer::Cancelled => self.counters.cancelled += 1,
            Answer::Granted(_) | Answer::Failed(_) | Answer::TooLarge(_) => {}
        }
        self.answered.push(waiter, answer);
    }

    /// The waiters answered since the last call, to be notified.
    #[inline]
    pub(super) fn take_answered(&mut self) -> Option<Answered> {
        match self.answered.is_empty() {
            true => None,
            false => Some(std::mem::take(&mut self.answered)),
        }
    }

    /// Counts a request that was refused at once, because its deadline could not be met.
    pub(super) fn reject(&mut self) {
        self.counters.rejected += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.priorities.is_empty() && self.answered.is_empty()
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
        let head = self.priorities.head()?;
        let turn = self.due(head.asked.cost);
        let deadline = self.deadlines.first().map_or(Tick::NEVER, |(at, _)| *at);
        let needed = turn.min(deadline);
        if needed == Tick::NEVER || self.alarm.is_some_and(|alarm| alarm <= needed) {
            return None;
        }
        self.alarm = Some(needed);
        Some(needed)
    }
}
