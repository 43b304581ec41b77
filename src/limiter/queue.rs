//! The line without its lock: who waits, in which order, and whose turn it is.
//!
//! Everything here is decided by the time that is passed in, so tests play any course of events
//! without a thread or a clock. Only [`Queue::serve`] and its like reach out, to notify whom they
//! have answered.

mod outlook; // how it stands, and when whose turn comes
#[cfg(all(test, not(paceline_loom)))]
mod tests;
mod waiter; //  who waits, and what becomes of it

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(super) use waiter::{Answer, Grant, Waiter};

use super::cancel::CancelToken;
use super::hearing::{Heard, Hearing, Spent};
use super::level::{Level, Tick};
use crate::cost::Cost;
use crate::feedback::{Feedback, Verdict};
use crate::quota::{Limits, Quota};
use crate::sync::Condvar;
use crate::{Error, Result};

/// The levels, and those who wait for them to rise.
pub(super) struct Queue {
    levels: Vec<Level>,
    /// What the server says of them, if anybody listens.
    hearing: Option<Box<Hearing>>,
    /// By place.
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

impl Queue {
    /// A queue that holds `limits`, and with a `jitter` of the way to the server takes them for
    /// what the server says they are.
    pub(super) fn new(limits: &Limits, jitter: Option<Duration>, now: Tick) -> Self {
        let (hearing, levels) = match jitter {
            Some(jitter) => {
                let (hearing, levels) = Hearing::new(limits, jitter, now);
                (Some(Box::new(hearing)), levels)
            }
            None => {
                let quotas = limits.quotas().iter();
                let levels = quotas.map(|quota| Level::full(*quota, now));
                (None, levels.collect())
            }
        };
        Self {
            levels,
            hearing,
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

    /// Takes `cost` now if nobody is before it; `None` if it has to wait.
    ///
    /// With a `place` only those before it are.
    pub(super) fn take_at_once(
        &mut self,
        cost: Cost,
        place: Option<u64>,
        now: Tick,
    ) -> Result<Option<Grant>> {
        if self.closed {
            return Err(Error::Closed);
        }
        // An alarm that is late need not keep anyone: whoever comes by serves the line.
        if self.alarm.is_some_and(|alarm| alarm <= now) {
            self.serve(now);
        }
        if self.is_behind(place) || now < self.paused_until {
            self.check(cost)?;
            return Ok(None);
        }
        // One pass for all that has to be known, since most calls end here.
        let mut covered = true;
        for level in &mut self.levels {
            let wanted = cost.amount(level.unit());
            level.check(wanted)?;
            level.refill(now);
            covered &= level.covers(wanted);
        }
        Ok(covered.then(|| {
            let place = place.unwrap_or_else(|| self.new_place());
            self.grant(cost, place, now)
        }))
    }

    /// Whether anybody is before `place`, or before the end of the line.
    fn is_behind(&self, place: Option<u64>) -> bool {
        let mut heads = self.waiters.front().into_iter();
        heads.any(|head| place.is_none_or(|place| head.place < place))
    }

    fn new_place(&mut self) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        place
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
    #[inline]
    fn grant(&mut self, cost: Cost, place: u64, now: Tick) -> Grant {
        for level in &mut self.levels {
            level.take(cost.amount(level.unit()));
        }
        self.grants += 1;
        self.granted = self.granted.saturating_add(cost);
        let spent = match self.hearing {
            Some(_) => self.tell_of_grant(cost, now),
            None => None,
        };
        Grant {
            at: now,
            place,
            spent,
        }
    }

    /// Apart from the grant, which most limiters make without it.
    #[cold]
    fn tell_of_grant(&mut self, cost: Cost, now: Tick) -> Option<Box<Spent>> {
        let hearing = self.hearing.as_mut()?;
        Some(Box::new(hearing.granted(cost, &mut self.levels, now)))
    }

    /// Takes what `actual` has more than `reserved`, and gives back what it has less.
    pub(super) fn settle(&mut self, reserved: Cost, actual: Cost, now: Tick) {
        for level in &mut self.levels {
            let (had, has) = (reserved.amount(level.unit()), actual.amount(level.unit()));
            level.take(has.saturating_sub(had));
            level.give(had.saturating_sub(has));
        }
        if let Some(hearing) = &mut self.hearing {
            hearing.settled(reserved, actual, &mut self.levels, now);
        }
    }

    /// Hears what the answer to a granted request says. One that was refused is given back, if it
    /// is known what is left instead, and nothing is granted before it may come again. Returns
    /// what stays charged for it.
    pub(super) fn hear(
        &mut self,
        grant: &Grant,
        cost: Cost,
        feedback: &Feedback,
        now: Tick,
    ) -> Cost {
        let mut charged = cost;
        if let Verdict::Refused(refusal) = &feedback.verdict {
            // Without a word of what is left, a refund would invite the next refusal.
            if self.hearing.is_some() && (refusal.wait.is_some() || !feedback.reports.is_empty()) {
                charged = Cost::default();
                self.settle(cost, charged, now);
            }
            if let Some(wait) = refusal.wait {
                self.pause_until(now.after(wait));
            }
        }
        if let (Some(hearing), Some(spent)) = (&mut self.hearing, &grant.spent) {
            let heard = Heard {
                cost,
                at: grant.at,
                spent: **spent,
            };
            let then = hearing.hear(heard, feedback, &mut self.levels, now);
            self.pause_until(now.after(then.pause));
            if then.limits_changed {
                self.release_too_large();
            }
        }
        charged
    }

    /// Puts a waiter into the line: at the `place` where it stood before, or else at the end.
    pub(super) fn join(
        &mut self,
        cost: Cost,
        place: Option<u64>,
        deadline: Option<Tick>,
        cancel: Option<CancelToken>,
    ) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter {
            place: place.unwrap_or_else(|| self.new_place()),
            cost,
            deadline,
            cancel,
            answer: OnceLock::new(),
            answered: Condvar::new(),
        });
        self.deadlines.extend(deadline.map(|at| (at, waiter.place)));
        let later = |other: &Arc<Waiter>| other.place < waiter.place;
        let index = self.waiters.partition_point(later);
        self.waiters.insert(index, Arc::clone(&waiter));
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
                let grant = self.grant(head.cost, head.place, now);
                self.answer(&head, Answer::Granted(grant));
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

    /// Takes every waiter for which there is an answer out of the line, and gives it that.
    fn answer_where(&mut self, answer: impl Fn(&Waiter) -> Option<Answer>) {
        let waiters = std::mem::take(&mut self.waiters);
        for waiter in waiters {
            match answer(&waiter) {
                Some(answer) => self.answer(&waiter, answer),
                None => self.waiters.push_back(waiter),
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

    pub(super) fn resume(&mut self) {
        self.paused_until = Tick::default();
    }

    /// Holds other limits from now on. What is used stays used.
    pub(super) fn set_limits(&mut self, limits: &Limits, now: Tick) {
        if let Some(hearing) = &mut self.hearing {
            hearing.restate(limits, &mut self.levels, now);
        } else {
            let old = std::mem::take(&mut self.levels);
            let level = |quota: &Quota| {
                let same = |level: &&Level| {
                    let of = level.quota();
                    (of.unit(), of.period()) == (quota.unit(), quota.period())
                };
                match old.iter().find(same).cloned() {
                    Some(mut level) => {
                        level.resize(*quota);
                        level
                    }
                    None => Level::full(*quota, now),
                }
            };
            self.levels = limits.quotas().iter().map(level).collect();
        }
        self.release_too_large();
    }

    /// Answers those whom no waiting would help any more.
    fn release_too_large(&mut self) {
        let levels = std::mem::take(&mut self.levels);
        self.answer_where(|waiter| {
            let mut levels = levels.iter();
            let never = |level: &&Level| level.check(waiter.cost.amount(level.unit())).is_err();
            levels
                .find(never)
                .map(|level| Answer::TooLarge(level.quota()))
        });
        self.levels = levels;
    }

    /// Answers everyone who waits, and everyone who comes, with [`Error::Closed`].
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.answer_where(|_| Some(Answer::Closed));
    }

    /// Answers those whose token is cancelled.
    pub(super) fn release_cancelled(&mut self) {
        self.answer_where(|waiter| {
            let token = waiter.cancel.as_ref()?;
            token.is_cancelled().then_some(Answer::Cancelled)
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
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
