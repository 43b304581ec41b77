//! Buckets that follow what a server says.

use std::time::Duration;

use super::super::buckets::Buckets;
use super::super::{Effect, GrantObservation};
#[cfg(feature = "redis")]
use super::Found;
use super::{Estimator, Known, SentRequest, Spent};
use crate::cost::Cost;
use crate::limiter::bucket::Tick;
use crate::observation::Outcome;
use crate::quota::Limits;
#[cfg(feature = "redis")]
use crate::quota::Quota;
use crate::unit::Unit;

/// Buckets with an estimator that corrects them.
#[derive(Debug)]
pub(in crate::limiter) struct Adaptive {
    pub(in crate::limiter) buckets: Buckets,
    estimator: Estimator,
}

impl Adaptive {
    pub(in crate::limiter) fn new(limits: &Limits, jitter: Duration, now: Tick) -> Self {
        let (estimator, levels) = Estimator::new(limits, jitter, now);
        Self {
            buckets: Buckets(levels),
            estimator,
        }
    }

    pub(in crate::limiter) fn take_freely(&mut self, cost: Cost, now: Tick) -> bool {
        let is_taken = self.buckets.take_freely(cost, now);
        if is_taken {
            self.granted(cost, now);
        }
        is_taken
    }

    /// Takes a cost.
    pub(in crate::limiter) fn take(&mut self, cost: Cost, now: Tick) {
        self.buckets.take(cost);
        self.granted(cost, now);
    }

    /// What has been spent in all, for the answer to the last grant to be compared with.
    pub(in crate::limiter) fn spent(&self) -> Spent {
        self.estimator.spent()
    }

    /// Counts what others have spent. A careful start is of this process alone.
    ///
    /// As if it had been granted now: it is not known when it left, and that is the noise of what answers
    /// to requests say that leave about now.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn count(&mut self, cost: Cost, now: Tick) {
        let levels = self.buckets.0.iter_mut();
        for level in levels.filter(|level| !level.is_hidden()) {
            level.take(cost.amount(level.unit()));
        }
        self.granted(cost, now);
    }

    /// Whether the limits are stated by the user or reported by the server.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn is_trusted(&self) -> bool {
        self.estimator.is_trusted()
    }

    /// `processes` processes follow the same limits.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn divide(&mut self, processes: u64) {
        self.estimator.divide(processes, &mut self.buckets.0);
    }

    fn granted(&mut self, cost: Cost, now: Tick) {
        self.estimator.granted(cost, &mut self.buckets.0, now);
    }

    pub(in crate::limiter) fn settle(&mut self, reserved: Cost, actual: Cost) {
        self.buckets.settle(reserved, actual);
        self.estimator.settled(reserved, actual);
    }

    /// Lets the estimator follow now what has been settled.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn advance(&mut self, now: Tick) {
        self.estimator.advance(&mut self.buckets.0, now);
    }

    pub(in crate::limiter) fn observe(&mut self, seen: &GrantObservation<'_>, now: Tick) -> Effect {
        self.observe_unsure(seen, Cost::default(), now)
    }

    /// The same where `unsure` may have left before the request or after it, so that the answer says the less.
    pub(in crate::limiter) fn observe_unsure(
        &mut self,
        seen: &GrantObservation<'_>,
        unsure: Cost,
        now: Tick,
    ) -> Effect {
        let Some(spent) = seen.spent else {
            return Effect::default();
        };
        let heard = SentRequest {
            cost: seen.cost,
            at: seen.at,
            spent: *spent,
            unsure,
        };
        let levels = &mut self.buckets.0;
        let then = self.estimator.observe(heard, seen.observation, levels, now);
        Effect {
            charged: seen.cost,
            pause: then.pause,
            limits_changed: then.limits_changed,
            found: then.found,
            is_trusted: Some(self.estimator.is_trusted()),
        }
    }

    pub(in crate::limiter) fn restate(&mut self, limits: &Limits, now: Tick) {
        self.estimator.restate(limits, &mut self.buckets.0, now);
    }

    pub(in crate::limiter) fn set_left(&mut self, unit: Unit, period: Duration, left: i64) -> bool {
        self.buckets.set_left(unit, period, left)
    }

    pub(in crate::limiter) fn known(&self, index: usize) -> Known {
        self.estimator.known(index)
    }

    /// Takes limits that others have found in place of guesses.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn adopt(&mut self, quotas: &[Quota], now: Tick) {
        self.estimator.adopt(quotas, &mut self.buckets.0, now);
    }

    /// What the limits are found to be.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn found(&self) -> Vec<Found> {
        self.estimator.found(&self.buckets.0)
    }
}

/// Whether a refused request is given back.
pub(in crate::limiter) fn is_given_back(seen: &GrantObservation<'_>) -> bool {
    match &seen.observation.outcome {
        Outcome::Refused(refusal) => Estimator::gives_back(refusal, seen.observation),
        _ => false,
    }
}
