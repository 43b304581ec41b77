//! Buckets that follow what a server says.

use std::time::Duration;

#[cfg(feature = "redis")]
use super::super::hearing::Found;
use super::super::hearing::{Heard, Hearing, Known, Spent};
use super::super::level::Tick;
use super::buckets::Buckets;
use super::{Effect, Observation};
use crate::cost::Cost;
use crate::feedback::Verdict;
use crate::quota::Limits;
#[cfg(feature = "redis")]
use crate::quota::Quota;
use crate::unit::Unit;

/// Buckets with an estimator that corrects them.
#[derive(Debug)]
pub(in crate::limiter) struct Adaptive {
    pub(super) buckets: Buckets,
    hearing: Hearing,
}

impl Adaptive {
    pub(super) fn new(limits: &Limits, jitter: Duration, now: Tick) -> Self {
        let (hearing, levels) = Hearing::new(limits, jitter, now);
        Self {
            buckets: Buckets(levels),
            hearing,
        }
    }

    pub(super) fn take_freely(&mut self, cost: Cost, now: Tick) -> Option<Box<Spent>> {
        let is_taken = self.buckets.take_freely(cost, now);
        is_taken.then(|| self.granted(cost, now))
    }

    /// Takes a cost. Returns what has been spent in all, for its answer to be compared with.
    pub(super) fn take(&mut self, cost: Cost, now: Tick) -> Box<Spent> {
        self.buckets.take(cost);
        self.granted(cost, now)
    }

    /// Counts what others have spent. It uses up a careful start, too, but leaves no debt there: whoever
    /// begins later would never come to it.
    ///
    /// As if it had been granted now: it is not known when it left, and that is the noise of what answers
    /// to requests say that leave about now.
    #[cfg(feature = "redis")]
    pub(super) fn count(&mut self, cost: Cost, now: Tick) {
        for level in &mut self.buckets.0 {
            let before = level.units();
            level.take(cost.amount(level.unit()));
            if level.is_hidden() {
                level.set_units(level.units().max(before.min(0.0)));
            }
        }
        let _ = self.granted(cost, now);
    }

    fn granted(&mut self, cost: Cost, now: Tick) -> Box<Spent> {
        Box::new(self.hearing.granted(cost, &mut self.buckets.0, now))
    }

    pub(super) fn settle(&mut self, reserved: Cost, actual: Cost, now: Tick) {
        self.buckets.settle(reserved, actual);
        self.hearing
            .settled(reserved, actual, &mut self.buckets.0, now);
    }

    pub(super) fn observe(&mut self, seen: &Observation<'_>, now: Tick) -> Effect {
        let Some(spent) = seen.spent else {
            return Effect::default();
        };
        let heard = Heard {
            cost: seen.cost,
            at: seen.at,
            spent: *spent,
        };
        let levels = &mut self.buckets.0;
        let then = self.hearing.hear(heard, seen.feedback, levels, now);
        Effect {
            charged: seen.cost,
            pause: then.pause,
            limits_changed: then.limits_changed,
            found: then.found,
            is_trusted: Some(self.hearing.is_trusted()),
        }
    }

    pub(super) fn restate(&mut self, limits: &Limits, now: Tick) {
        self.hearing.restate(limits, &mut self.buckets.0, now);
    }

    pub(super) fn set_left(&mut self, unit: Unit, period: Duration, left: i64) -> bool {
        self.buckets.set_left(unit, period, left)
    }

    pub(super) fn known(&self, index: usize) -> Known {
        self.hearing.known(index)
    }

    /// Takes limits that others have found in place of guesses.
    #[cfg(feature = "redis")]
    pub(super) fn adopt(&mut self, quotas: &[Quota], now: Tick) {
        self.hearing.adopt(quotas, &mut self.buckets.0, now);
    }

    /// What the limits are found to be.
    #[cfg(feature = "redis")]
    pub(super) fn found(&self) -> Vec<Found> {
        self.hearing.found(&self.buckets.0)
    }
}

/// Whether a refused request is given back.
pub(super) fn is_given_back(seen: &Observation<'_>) -> bool {
    match &seen.feedback.verdict {
        Verdict::Refused(refusal) => Hearing::gives_back(refusal, seen.feedback),
        _ => false,
    }
}
