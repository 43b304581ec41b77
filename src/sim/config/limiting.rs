//! How the limits are enforced: refill or windows, days, neighbours, changes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::fraction::{WHOLE, parts};
use super::{SimConfig, SimLimits};

/// How often a steady neighbour is charged: small charges, and few enough to keep a list of.
const STEADY: Duration = Duration::from_millis(250);

/// The daily limits of a model.
///
/// ```
/// use paceline::sim::{DailyLimits, SimConfig};
///
/// let limits = DailyLimits::none().requests_per_day(1_000);
/// let config = SimConfig::new().daily_limits(limits);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
#[non_exhaustive]
pub struct DailyLimits {
    /// Tokens a day. 0 admits nothing, `None` is no limit.
    pub tokens_per_day: Option<u64>,
    /// Requests a day. 0 admits nothing, `None` is no limit.
    pub requests_per_day: Option<u64>,
}

impl DailyLimits {
    /// No limits.
    pub const fn none() -> Self {
        Self {
            tokens_per_day: None,
            requests_per_day: None,
        }
    }

    /// Sets the limit on tokens a day; 0 admits nothing. Default: none.
    pub fn tokens_per_day(mut self, tokens: impl Into<Option<u64>>) -> Self {
        self.tokens_per_day = tokens.into();
        self
    }

    /// Sets the limit on requests a day; 0 admits nothing. Default: none.
    pub fn requests_per_day(mut self, requests: impl Into<Option<u64>>) -> Self {
        self.requests_per_day = requests.into();
        self
    }
}

/// Limits from some time after the start on.
pub(in crate::sim) type Change = (Duration, SimLimits);

/// What another user of the account takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) struct NeighbourRule {
    /// Parts per million of each limit.
    pub(in crate::sim) share: u64,
    /// Time between two charges.
    pub(in crate::sim) every: Duration,
}

#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Limiting {
    pub(in crate::sim) window: Option<Duration>,
    pub(in crate::sim) daily: DailyLimits,
    pub(in crate::sim) neighbour: Option<NeighbourRule>,
    pub(in crate::sim) default_changes: Vec<Change>,
    pub(in crate::sim) changes: BTreeMap<String, Vec<Change>>,
    pub(in crate::sim) refusals_cost_requests: bool,
    pub(in crate::sim) money: Option<u64>,
}

/// How limits are enforced.
impl SimConfig {
    /// Counts in fixed windows of this length from the simulator's start on, each from 0, as Azure
    /// does with windows of 60 s. A window of another length
    /// admits as much as the limit allows in that time, rounded down, but at least 1; a request
    /// above that and within the limit is admitted when its window is empty. Daily limits count
    /// in windows of a day. Refusals name the time to the next window. The
    /// [`burst`](Self::burst) has no meaning then. Default: a continuous refill.
    #[must_use]
    pub fn fixed_windows(mut self, window: Duration) -> Self {
        self.limiting.window = Some(window);
        self
    }

    /// Sets daily limits, which each model has for itself beside those per minute. They refill
    /// continuously, and the whole day's amount may pass at once. Where there is one, the headers
    /// report it and not the limit per minute, as the API itself does.
    /// Default: none.
    #[must_use]
    pub fn daily_limits(mut self, limits: DailyLimits) -> Self {
        self.limiting.daily = limits;
        self
    }

    /// Adds a neighbour on the same account that steadily uses this fraction of each limit of each
    /// model: 0.3 is three tenths of the rate, in a small charge every 250 ms. The neighbour has
    /// precedence: the simulator takes what did not fit as soon as there is room, before it admits
    /// a request. Fractions are clamped to 0 to 1. Default: no neighbour.
    #[must_use]
    pub fn neighbour(self, share: f64) -> Self {
        self.bursty_neighbour(share, STEADY)
    }

    /// Adds a [`neighbour`](Self::neighbour) that takes the amount of a whole interval at once, at
    /// the end of each. Intervals are at least 250 ms. Default: no neighbour.
    #[must_use]
    pub fn bursty_neighbour(mut self, share: f64, every: Duration) -> Self {
        self.limiting.neighbour = Some(NeighbourRule {
            share: parts(share).min(WHOLE),
            every: every.max(STEADY),
        });
        self
    }

    /// Changes the limits of every model without limits of its own, `after` the simulator's start.
    /// May be called many times. Consumption carries over: after a cut nothing passes until enough
    /// has leaked away. Default: no change.
    #[must_use]
    pub fn default_limits_after(mut self, after: Duration, limits: SimLimits) -> Self {
        self.limiting.default_changes.push((after, limits));
        self
    }

    /// Changes the limits of one model, as [`default_limits_after`](Self::default_limits_after)
    /// does for those without limits of their own. Default: no change.
    #[must_use]
    pub fn limits_after(
        mut self,
        model: impl Into<String>,
        after: Duration,
        limits: SimLimits,
    ) -> Self {
        let changes = self.limiting.changes.entry(model.into()).or_default();
        changes.push((after, limits));
        self
    }

    /// Charges each 429 as one request to the limits on requests, but never more than there is room
    /// for. So a client that retries without waiting keeps them used up. The 429 names the wait
    /// after its own charge. Default: false.
    #[must_use]
    pub fn refusals_cost_requests(mut self, cost: bool) -> Self {
        self.limiting.refusals_cost_requests = cost;
        self
    }

    /// Lets the account run out of money after this number of admitted requests, over all models.
    /// Each later request gets a 429 `insufficient_quota`, which takes nothing and reports no
    /// limits. Default: never.
    #[must_use]
    pub fn out_of_money_after(mut self, admitted: u64) -> Self {
        self.limiting.money = Some(admitted);
        self
    }
}
