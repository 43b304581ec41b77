//! What may change while others wait. The caller of a change serves the queue afterwards.

use std::time::Duration;

use super::super::bucket::Tick;
use super::super::failure::Failure;
use super::super::supply::GrantObservation;
use super::super::window::Landing;
use super::{Answer, Grant, Observed, Parked, WaitQueue};
use crate::cost::Cost;
use crate::observation::{Observation, Outcome};
use crate::quota::Limits;
use crate::unit::Unit;

impl WaitQueue {
    /// Takes what `actual` has more than `reserved`, and gives back what it has less.
    pub(in crate::limiter) fn settle(&mut self, reserved: Cost, actual: Cost, now: Tick) {
        self.supply.settle(reserved, actual, now);
    }

    /// Ends a permit if no request waits for what that gives back. Returns false and changes nothing if
    /// one does. Where the time makes no difference, the clock is not read.
    ///
    /// A bucket that is given something and then refilled stands where it would after a refill first:
    /// both are cut off at the burst alone.
    #[inline]
    pub(in crate::limiter) fn settle_freely(
        &mut self,
        reserved: Cost,
        actual: Cost,
        lands: Option<(Landing, Tick)>,
        clock: impl FnOnce() -> Tick,
    ) -> bool {
        if !self.priorities.is_empty() || self.supply.is_shared() {
            return false;
        }
        let is_measured = lands.is_some_and(|(landing, _)| !self.slots.is_timeless(landing));
        if is_measured || !reserved.covers(actual) {
            let now = clock();
            self.bring_up_to(now);
            if let Some((landing, sent)) = lands {
                self.slots.give(landing, sent, now);
            }
        } else if lands.is_some() {
            self.slots.give_place();
        }
        self.supply.settle_freely(reserved, actual);
        true
    }

    /// A request has left the place among those in flight that it took at `sent`.
    pub(in crate::limiter) fn landed(&mut self, landing: Landing, sent: Tick, now: Tick) {
        self.slots.give(landing, sent, now);
        self.supply.made_room();
    }

    /// Hears what the answer to a granted request says. One that was refused is given back, if it
    /// is known what is left instead, and nothing is granted before it may come again.
    pub(in crate::limiter) fn observe(
        &mut self,
        grant: &Grant,
        cost: Cost,
        observation: &Observation,
        now: Tick,
    ) -> Observed {
        let mut observed = Observed {
            charged: cost,
            advice: self.admissions.observe(cost, observation, grant.at, now),
            found: None,
        };
        let told = observation.retry_after.unwrap_or_default();
        let wait = told.max(self.back_off(observation, grant.at, now));
        if !wait.is_zero() {
            self.supply.paused(now.after(wait));
        }
        let seen = GrantObservation {
            cost,
            at: grant.at,
            spent: grant.spent.as_ref(),
            observation,
        };
        let effect = self.supply.observe(&seen, now);
        (observed.charged, observed.found) = (effect.charged, effect.found);
        self.pause_until(now.after(effect.pause.max(wait)), now);
        self.observe_room(observation, effect.is_trusted, now);
        if effect.limits_changed {
            self.release_too_large();
        }
        observed
    }

    /// For how long nothing is granted after refusals that name no wait, ever longer, where no estimator
    /// learns what they are for.
    fn back_off(&mut self, observation: &Observation, sent: Tick, now: Tick) -> Duration {
        match observation.outcome {
            _ if self.supply.is_adaptive() => {}
            Outcome::Admitted => self.refusal_backoff.admitted(sent),
            Outcome::Refused(refusal) if refusal.wait.is_none() && !refusal.is_for_room => {
                return self.refusal_backoff.refused(sent, now);
            }
            _ => {}
        }
        Duration::ZERO
    }

    /// Whether the server has room for those in flight, as an answer says it, and whether rates are known.
    fn observe_room(&mut self, observation: &Observation, is_trusted: Option<bool>, now: Tick) {
        match observation.outcome {
            Outcome::Refused(refusal) if refusal.is_for_room => {
                self.slots.observe(|window, left| window.refused(left, now));
            }
            Outcome::Overloaded => {
                self.slots
                    .observe(|window, left| window.overloaded(left, now));
            }
            _ => {}
        }
        if let Some(is_trusted) = is_trusted {
            self.slots.observe(|window, _| window.trust(is_trusted));
        }
    }

    /// Grants nothing before `until`, or an earlier pause's later end.
    pub(in crate::limiter) fn pause_until(&mut self, until: Tick, now: Tick) {
        self.paused_until = self.paused_until.max(until);
        if until > now {
            self.slots.paced();
        }
    }

    /// The same for all processes that share the limiter.
    pub(in crate::limiter) fn pause_all_until(&mut self, until: Tick, now: Tick) {
        self.pause_until(until, now);
        self.supply.paused(until);
    }

    /// Ends a pause for all processes that share the limiter.
    pub(in crate::limiter) fn resume(&mut self) {
        self.paused_until = Tick::default();
        self.supply.resumed();
    }

    /// Holds other limits from now on. What is used stays used.
    pub(in crate::limiter) fn set_limits(&mut self, limits: &Limits, now: Tick) {
        self.slots.set_most(limits.in_flight());
        self.supply.set_limits(limits, now);
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
        self.supply.set_left(unit, period, left)
    }

    /// Answers the waiters that can never be granted any more.
    pub(in crate::limiter) fn release_too_large(&mut self) {
        let left = self.priorities.remove_where(|waiter| {
            let too_small = self.supply.too_small(waiter.asked.cost);
            too_small.is_some()
        });
        for waiter in left {
            if let Some(quota) = self.supply.too_small(waiter.asked.cost) {
                self.answer(waiter, Answer::TooLarge(quota));
            }
        }
    }

    /// Answers all waiters, and all later calls, with [`AcquireError::Closed`](crate::AcquireError::Closed).
    pub(in crate::limiter) fn close(&mut self) {
        self.closed = true;
        self.fail(Failure::Closed);
    }

    /// Answers all waiters that they are granted nothing.
    pub(in crate::limiter) fn fail(&mut self, failure: Failure) {
        self.answer_where(|_| Some(Answer::Failed(failure)));
    }

    /// Answers a waiter whose thread does not wait for it any more, unless it has been answered.
    pub(in crate::limiter) fn abandon(&mut self, waiter: &Parked) {
        if let Some(waiter) = self.priorities.remove(waiter.place) {
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
