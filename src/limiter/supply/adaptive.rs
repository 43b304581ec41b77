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
