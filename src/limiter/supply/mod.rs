//! Where the amounts come from that a queue grants.
//!
//! A supply says what is covered now and when something will be, takes, settles, observes, and shows
//! itself. It knows nothing of the waiters. *Fixed* has the buckets of the limits that it was given;
//! *adaptive* has an estimator beside them that follows what a server says; *shared* has what a store
//! books for it, and the same estimator over the counts of the store.
//!
//! Pure: the caller passes the time to every call.

pub(super) mod adaptive; //  buckets that follow a server
mod buckets; //   several quotas at once
mod forecast; //  buckets played forward
#[cfg(feature = "redis")]
mod shared; //    amounts that a store books

use std::time::Duration;

use super::bucket::Tick;
use super::snapshot::{LimitOrigin, QuotaSnapshot, Snapshot};
use super::supply::adaptive::Spent;
use crate::cost::Cost;
use crate::observation::{Observation, Outcome};
use crate::quota::{Limits, Quota};
use crate::unit::Unit;
use crate::{AcquireError, Result};

pub(super) use adaptive::Adaptive;
pub(super) use buckets::Buckets;
use buckets::refuse;
pub(super) use forecast::Forecast;
#[cfg(feature = "redis")]
pub(super) use shared::Shared;

/// Where the amounts come from.
#[derive(Debug)]
pub(super) enum Supply {
    /// Buckets of limits that are given.
    Fixed(Buckets),
    /// Buckets that follow what a server says.
    Adaptive(Box<Adaptive>),
    /// What a store books for this process.
    #[cfg(feature = "redis")]
    Shared(Box<Shared>),
}

/// What the answer to a granted request says.
#[derive(Debug)]
pub(super) struct GrantObservation<'a> {
    /// What is charged for the request.
    pub(super) cost: Cost,
    /// When it was granted.
    pub(super) at: Tick,
    /// What had been spent then, itself included, as [`Supply::spent`] returned it.
    pub(super) spent: Option<&'a Spent>,
    pub(super) observation: &'a Observation,
}

/// What comes of an observation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effect {
    /// What stays charged for the request.
    pub(super) charged: Cost,
    /// For how long nothing may be granted.
    pub(super) pause: Duration,
    /// Whether some limit is another one now.
    pub(super) limits_changed: bool,
    /// A limit that is neither stated nor reported and has just been found.
    pub(super) found: Option<Quota>,
    /// Whether the limits are stated by the user or reported by the server, where that is watched.
    pub(super) is_trusted: Option<bool>,
}

impl Supply {
    /// A supply of one process: an adaptive one where the way to a server is known to vary by `jitter`.
    pub(super) fn new(limits: &Limits, jitter: Option<Duration>, now: Tick) -> Self {
        match jitter {
            Some(jitter) => Self::Adaptive(Box::new(Adaptive::new(limits, jitter, now))),
            None => Self::Fixed(Buckets::starting(limits.quotas(), now)),
        }
    }

    /// One that has nothing and limits nothing.
    #[cfg(feature = "redis")]
    pub(super) fn empty() -> Self {
        Self::Fixed(Buckets::default())
    }

    /// Whether it follows what a server says.
    pub(super) fn is_adaptive(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Adaptive(_) => true,
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.is_adaptive(),
        }
    }

    /// Whether takes and refunds have to be reported to a store.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Self::Fixed(_) | Self::Adaptive(_) => false,
            #[cfg(feature = "redis")]
            Self::Shared(_) => true,
        }
    }

    /// Advances to `now`.
    #[inline]
    pub(super) fn advance(&mut self, now: Tick) {
        match self {
            Self::Fixed(buckets) => buckets.refill(now),
            Self::Adaptive(adaptive) => adaptive.buckets.refill(now),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.advance(now),
        }
    }

    /// Takes a cost at `now` if that is all that has to be looked at, as is so for most. False says that
    /// more has to be, and takes nothing.
    #[inline(always)]
    pub(super) fn take_freely(&mut self, cost: Cost, now: Tick) -> bool {
        match self {
            Self::Fixed(buckets) => buckets.take_freely(cost, now),
            Self::Adaptive(adaptive) => adaptive.take_freely(cost, now),
            #[cfg(feature = "redis")]
            Self::Shared(_) => false,
        }
    }

    /// What has been spent in all, where answers are compared with that.
    #[inline(always)]
    pub(super) fn spent(&self) -> Option<Spent> {
        match self {
            Self::Fixed(_) => None,
            Self::Adaptive(adaptive) => Some(adaptive.spent()),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.spent(),
        }
    }

    /// Whether a cost can be taken now.
    pub(super) fn covers(&self, cost: Cost) -> bool {
        match self {
            Self::Fixed(buckets) => buckets.covers(cost),
            Self::Adaptive(adaptive) => adaptive.buckets.covers(cost),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.covers(cost),
        }
    }

    /// When a cost can be taken if nothing else is taken before, as far as that is known.
    pub(super) fn due(&self, cost: Cost) -> Tick {
        match self {
            Self::Fixed(buckets) => buckets.due(cost),
            Self::Adaptive(adaptive) => adaptive.buckets.due(cost),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.due(cost),
        }
    }

    /// Takes a cost that is covered, from every quota at once.
    pub(super) fn take(&mut self, cost: Cost, now: Tick) {
        match self {
            Self::Fixed(buckets) => buckets.take(cost),
            Self::Adaptive(adaptive) => adaptive.take(cost, now),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.take(cost, now),
        }
    }

    /// Takes what `actual` has more than `reserved`, and gives back what it has less. Shared amounts
    /// need the time.
    pub(super) fn settle(&mut self, reserved: Cost, actual: Cost, now: Tick) {
        let _ = now;
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            return shared.settle(reserved, actual, now);
        }
        self.settle_freely(reserved, actual);
    }

    /// The same for a supply that is not shared.
    #[inline]
    pub(super) fn settle_freely(&mut self, reserved: Cost, actual: Cost) {
        match self {
            Self::Fixed(buckets) => buckets.settle(reserved, actual),
            Self::Adaptive(adaptive) => adaptive.settle(reserved, actual),
            #[cfg(feature = "redis")]
            Self::Shared(_) => {}
        }
    }

    /// Observes what an answer says.
    pub(super) fn observe(&mut self, seen: &GrantObservation<'_>, now: Tick) -> Effect {
        let pause = match &seen.observation.outcome {
            // Waiters without a place wait until another request gives one back.
            Outcome::Refused(refusal) if refusal.is_for_room && self.is_adaptive() => None,
            Outcome::Refused(refusal) => refusal.wait,
            _ => None,
        };
        let pause = pause.unwrap_or_default();
        let is_given_back = match self {
            Self::Fixed(_) => false,
            Self::Adaptive(_) => adaptive::is_given_back(seen),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.is_given_back(seen),
        };
        if is_given_back {
            self.settle(seen.cost, Cost::default(), now);
        }
        let mut observed = match self {
            Self::Fixed(_) => Effect::default(),
            Self::Adaptive(adaptive) => adaptive.observe(seen, now),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.observe(seen, now),
        };
        observed.pause = observed.pause.max(pause);
        observed.charged = match is_given_back {
            true => Cost::default(),
            false => seen.cost,
        };
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            shared.hold_back(seen, observed.pause, now);
        }
        observed
    }

    /// Whether `wanted` is still due at `due` if `cost` is taken before it.
    pub(super) fn stays_due(&self, wanted: Cost, cost: Cost, due: Tick) -> bool {
        match self {
            Self::Fixed(buckets) => buckets.stays_due(wanted, cost, due),
            Self::Adaptive(adaptive) => adaptive.buckets.stays_due(wanted, cost, due),
            #[cfg(feature = "redis")]
            Self::Shared(_) => false, // what is booked is the head's
        }
    }

    /// The quota that a cost can never pass.
    pub(super) fn too_small(&self, cost: Cost) -> Option<Quota> {
        match self {
            Self::Fixed(buckets) => buckets.too_small(cost),
            Self::Adaptive(adaptive) => adaptive.buckets.too_small(cost),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.too_small(cost),
        }
    }

    /// Refuses a cost that no waiting would help.
    pub(super) fn check(&self, cost: Cost) -> Result<(), AcquireError> {
        refuse(self.too_small(cost), cost)?;
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            shared.check_store()?;
        }
        Ok(())
    }

    /// The amounts as they will come from `start` on, for costs to be passed one after the other.
    pub(super) fn forecast(&self, start: Tick) -> Forecast {
        self.shown().forecast(start)
    }

    /// When the last of these costs, in their order, can be taken.
    pub(super) fn turn(&self, costs: impl Iterator<Item = Cost>, start: Tick) -> Tick {
        let mut ahead = self.forecast(start);
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            return shared.turn(costs, ahead, start);
        }
        costs.map(|cost| ahead.pass(cost)).last().unwrap_or(start)
    }

    /// The quota that a cost waits for longest.
    pub(super) fn binding(&self, cost: Cost) -> Option<Quota> {
        self.shown().binding(cost)
    }

    /// How each quota stands, when this much was granted in all, and what it has with a store.
    pub(super) fn snapshot(&self, granted: Cost) -> Snapshot {
        let estimate = match self {
            Self::Fixed(_) => None,
            Self::Adaptive(adaptive) => Some(&**adaptive),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.pace.as_deref(),
        };
        let quotas = self.shown().shown().map(|(index, level)| {
            let known = estimate.map(|estimate| estimate.known(index));
            let known = known.unwrap_or_default();
            QuotaSnapshot {
                quota: level.quota(),
                level: level.available(),
                granted: granted.amount(level.unit()),
                reported: known.reported,
                origin: LimitOrigin::of(level.quota(), known.reported),
                count_ratio: known.ratio,
                others: known.others,
            }
        });
        Snapshot {
            quotas: quotas.collect(),
            #[cfg(feature = "redis")]
            store: match self {
                Self::Fixed(_) | Self::Adaptive(_) => None,
                Self::Shared(shared) => Some(shared.account.snapshot()),
            },
            ..Snapshot::default()
        }
    }

    fn shown(&self) -> &Buckets {
        match self {
            Self::Fixed(buckets) => buckets,
            Self::Adaptive(adaptive) => &adaptive.buckets,
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.shown(),
        }
    }

    /// Holds other limits from now on. What is used stays used.
    pub(super) fn set_limits(&mut self, limits: &Limits, now: Tick) {
        match self {
            Self::Fixed(buckets) => buckets.replace(limits.quotas(), now),
            Self::Adaptive(adaptive) => adaptive.restate(limits, now),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.set_limits(limits, now),
        }
    }

    /// Takes it that `left` units are left of each quota of a unit and period. Returns whether there is
    /// one.
    pub(super) fn set_left(&mut self, unit: Unit, period: Duration, left: i64) -> bool {
        match self {
            Self::Fixed(buckets) => buckets.set_left(unit, period, left),
            Self::Adaptive(adaptive) => adaptive.set_left(unit, period, left),
            #[cfg(feature = "redis")]
            Self::Shared(shared) => shared.set_left(unit, period, left),
        }
    }

    // What has to be reported to the store, where it is shared.

    /// Nothing is granted before `until`.
    pub(super) fn paused(&mut self, until: Tick) {
        let _ = until;
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            shared.paused(until);
        }
    }

    /// A pause has ended before its time.
    pub(super) fn resumed(&mut self) {
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            shared.resumed();
        }
    }

    /// A request waits for a cost.
    pub(super) fn joined(&mut self, cost: Cost) {
        let _ = cost;
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            shared.account.joined(cost);
        }
    }

    /// A request does not wait for a cost any more.
    pub(super) fn left(&mut self, cost: Cost) {
        let _ = cost;
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            shared.account.left(cost);
        }
    }

    /// A request is no longer in flight.
    pub(super) fn made_room(&mut self) {
        #[cfg(feature = "redis")]
        if let Self::Shared(shared) = self {
            shared.account.made_room();
        }
    }
}
