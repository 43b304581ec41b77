//! What may change while others wait. Whoever changes something has the line served afterwards.

use std::time::Duration;

use super::super::hearing::{Heard, Hearing};
use super::super::level::{Level, Tick};
#[cfg(feature = "redis")]
use super::super::shared::Order;
use super::super::window::Landing;
use super::{Answer, Grant, Observed, Queue, Waiter};
use crate::cost::Cost;
use crate::feedback::{Feedback, Verdict};
use crate::quota::{Limits, Quota};
use crate::unit::Unit;

impl Queue {
    /// Takes what `actual` has more than `reserved`, and gives back what it has less.
    pub(in crate::limiter) fn settle(&mut self, reserved: Cost, actual: Cost, now: Tick) {
        #[cfg(feature = "redis")]
        if let Some(account) = &mut self.account {
            account.settle(reserved, actual);
            if account.is_fed() {
                return;
            }
        }
        for level in &mut self.levels {
            let (had, has) = (reserved.amount(level.unit()), actual.amount(level.unit()));
            level.take(has.saturating_sub(had));
            level.give(had.saturating_sub(has));
        }
        if let Some(hearing) = &mut self.hearing {
            hearing.settled(reserved, actual, &mut self.levels, now);
        }
    }

    /// A request has left the place among those in flight that it took at `sent`.
    pub(in crate::limiter) fn landed(&mut self, landing: Landing, sent: Tick, now: Tick) {
        self.slots.give(landing, sent, now);
        #[cfg(feature = "redis")]
        if let Some(account) = &mut self.account {
            account.made_room();
        }
    }

    /// Hears what the answer to a granted request says. One that was refused is given back, if it
    /// is known what is left instead, and nothing is granted before it may come again.
    pub(in crate::limiter) fn hear(
        &mut self,
        grant: &Grant,
        cost: Cost,
        feedback: &Feedback,
        now: Tick,
    ) -> Observed {
        let mut observed = Observed {
            charged: cost,
            advice: self.admissions.observe(cost, feedback, grant.at, now),
            found: None,
        };
        self.observe_room(feedback, now);
        if let Some(wait) = feedback.retry_after {
            self.pause_all_until(now.after(wait), now);
        }
        if self.hearing.is_none() {
            self.back_off(feedback, grant.at, now);
        }
        #[cfg(feature = "redis")]
        if self.account.is_some() {
            observed.charged = self.hear_shared(grant, cost, feedback, now);
            return observed;
        }
        if let Verdict::Refused(refusal) = &feedback.verdict {
            if self.hearing.is_some() && Hearing::gives_back(refusal, feedback) {
                observed.charged = Cost::default();
                self.settle(cost, observed.charged, now);
            }
            // A place that somebody else gives back is what those wait for who lack one.
            if let Some(wait) = refusal
                .wait
                .filter(|_| !refusal.is_for_room || self.slots.window().is_none())
            {
                self.pause_until(now.after(wait), now);
            }
        }
        if let (Some(hearing), Some(spent)) = (&mut self.hearing, &grant.spent) {
            let heard = Heard {
                cost,
                at: grant.at,
                spent: **spent,
            };
            let then = hearing.hear(heard, feedback, &mut self.levels, now);
            let is_trusted = hearing.is_trusted();
            observed.found = then.found;
            self.pause_until(now.after(then.pause), now);
            self.slots.observe(|window, _| window.trust(is_trusted));
            if then.limits_changed {
                self.release_too_large();
            }
        }
        observed
    }

    /// Grants nothing for a while after refusals that name no wait, ever longer, where nobody learns
    /// what they are for.
    fn back_off(&mut self, feedback: &Feedback, sent: Tick, now: Tick) {
        match feedback.verdict {
            Verdict::Admitted => self.outage.admitted(sent),
            Verdict::Refused(refusal) if refusal.wait.is_none() && !refusal.is_for_room => {
                let wait = self.outage.refused(sent, now);
                if !wait.is_zero() {
                    self.pause_all_until(now.after(wait), now);
                }
            }
            _ => {}
        }
    }

    /// Whether the server has room for those in flight, as an answer says it.
    fn observe_room(&mut self, feedback: &Feedback, now: Tick) {
        match feedback.verdict {
            Verdict::Refused(refusal) if refusal.is_for_room => {
                self.slots.observe(|window, left| window.refused(left, now));
            }
            Verdict::Overloaded => {
                self.slots
                    .observe(|window, left| window.overloaded(left, now));
            }
            _ => {}
        }
    }

    /// Grants nothing before `until`, or an earlier pause's later end.
    pub(in crate::limiter) fn pause_until(&mut self, until: Tick, now: Tick) {
        self.paused_until = self.paused_until.max(until);
        if until > now {
            self.slots.paced();
        }
    }

    /// The same for all who share the limiter.
    pub(in crate::limiter) fn pause_all_until(&mut self, until: Tick, now: Tick) {
        self.pause_until(until, now);
        #[cfg(feature = "redis")]
        self.order(Order::Pause(until));
    }

    /// Ends a pause for all who share the limiter.
    pub(in crate::limiter) fn resume(&mut self) {
        self.paused_until = Tick::default();
        #[cfg(feature = "redis")]
        self.order(Order::Resume);
    }

    /// Holds other limits from now on. What is used stays used.
    pub(in crate::limiter) fn set_limits(&mut self, limits: &Limits, now: Tick) {
        self.slots.set_most(limits.in_flight());
        #[cfg(feature = "redis")]
        if self.account.is_some() {
            return self.order_limits(limits);
        }
        if let Some(hearing) = &mut self.hearing {
            hearing.restate(limits, &mut self.levels, now);
        } else {
            let old = std::mem::take(&mut self.levels);
            let quotas = 0..limits.quotas().len();
            let level = |index| successor(index, &old, limits.quotas(), now);
            self.levels = quotas.map(level).collect();
        }
        self.release_too_large();
    }

    /// Takes it that `left` units are left of each quota of a unit and period. Returns whether
    /// there is one.
    pub(in crate::limiter) fn set_level(
        &mut self,
        unit: Unit,
        period: Duration,
        left: i64,
    ) -> bool {
        #[cfg(feature = "redis")]
        self.order(Order::Level(unit, period, left));
        let levels = self.levels.iter_mut();
        let of = |level: &&mut Level| level.is_of(unit, period) && !level.is_hidden();
        let set = levels.filter(of).map(|level| level.set_whole(left));
        set.count() > 0
    }

    /// Answers those whom no waiting would help any more.
    pub(super) fn release_too_large(&mut self) {
        let levels = std::mem::take(&mut self.levels);
        self.answer_where(|waiter| {
            let mut levels = levels.iter();
            let cost = waiter.asked.cost;
            let never = |level: &&Level| level.check(cost.amount(level.unit())).is_err();
            let level = levels.find(never)?;
            Some(Answer::TooLarge(level.quota()))
        });
        self.levels = levels;
    }

    /// Answers everyone who waits, and everyone who comes, with
    /// [`Error::Closed`](crate::Error::Closed).
    pub(in crate::limiter) fn close(&mut self) {
        self.closed = true;
        self.answer_where(|_| Some(Answer::Closed));
    }

    /// Answers a waiter whose thread does not wait for it any more, unless it has been answered.
    pub(in crate::limiter) fn abandon(&mut self, waiter: &Waiter) {
        if let Some(waiter) = self.lanes.remove(waiter.place) {
            self.answer(waiter, Answer::Cancelled);
        }
    }

    /// Answers those whose token is cancelled.
    pub(in crate::limiter) fn release_cancelled(&mut self) {
        self.answer_where(|waiter| {
            let token = waiter.cancel.as_ref()?;
            token.is_cancelled().then_some(Answer::Cancelled)
        });
    }
}

/// The level of a new quota. It goes on from that of the same unit and period, of several from its
/// own; or else from the one of another period whose place it takes: the same rate by the second
/// and not by the minute is no new burst. Of that it is at most empty: what has been used of a day
/// is not a minute's debt.
fn successor(index: usize, old: &[Level], new: &[Quota], now: Tick) -> Level {
    let quota = new[index];
    let is_same = |other: &&Quota| (other.unit(), other.period()) == (quota.unit(), quota.period());
    let before = new[..index].iter().filter(is_same).count();
    let same = |level: &&Level| level.is_of(quota.unit(), quota.period());
    let mut own = old.iter().filter(same);
    if let Some(level) = own.clone().nth(before).or_else(|| own.next()) {
        let mut level = level.clone();
        level.resize(quota);
        return level;
    }
    let goes_on = |level: &Level| new.iter().any(|new| level.is_of(new.unit(), new.period()));
    let ended = old
        .iter()
        .filter(|level| level.unit() == quota.unit() && !goes_on(level));
    match ended.min_by_key(|level| level.quota().period().abs_diff(quota.period())) {
        Some(level) => {
            let mut level = level.clone();
            level.resize(quota);
            level.forgive();
            level
        }
        None => Level::starting(quota, now),
    }
}
