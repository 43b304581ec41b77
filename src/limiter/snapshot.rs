//! How a limiter stands at one moment.

use std::time::Duration;

use super::Priority;
use crate::cost::Cost;
use crate::quota::Quota;

/// How a limiter stands at one moment: all of it read under one lock.
///
/// ```
/// use paceline::{Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// let snapshot = limiter.snapshot();
/// println!("{} wait, the first for {:?}", snapshot.waiters, snapshot.head_due);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Each quota with its level, in the order of their declaration. In an adaptive limiter
    /// those that the server has named follow, and a stated quota where it is the smaller one.
    pub quotas: Vec<QuotaSnapshot>,
    /// Requests in flight, where there is a [cap](crate::LimitsBuilder::in_flight) on them or the
    /// limiter is adaptive; else they are not counted, and it is 0.
    pub in_flight: u64,
    /// How many may be in flight.
    pub max_in_flight: Option<u64>,
    /// How many the server has room for, as far as an adaptive limiter has found that out. Fewer of
    /// both are in flight at most.
    pub window: Option<u64>,
    /// Threads in line.
    pub waiters: usize,
    /// Those of them that wait with [`Priority::Batch`].
    pub batch_waiters: usize,
    /// What the first of them waits for.
    pub head_cost: Option<Cost>,
    /// How long the first of them still has to wait, if nothing changes. `None` if there is no waiter,
    /// or if it waits for a place in flight.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::unit::seconds::maybe::serialize")
    )]
    pub head_due: Option<Duration>,
    /// The quota that the first of them waits for longest, a careful start aside. `None` if there is no
    /// waiter, or if it waits for a place in flight.
    pub binding: Option<Quota>,
    /// What has happened since the limiter was made.
    pub counters: Counters,
    /// How much of a pause is left.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::unit::seconds::serialize")
    )]
    pub paused_for: Duration,
    /// Whether the limiter is closed.
    pub closed: bool,
    /// What it has with the store over which it is shared, if it is.
    #[cfg(feature = "redis")]
    pub store: Option<super::StoreSnapshot>,
}

/// How one quota stands.
///
/// ```
/// use paceline::{Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// for quota in limiter.snapshot().quotas {
///     println!("{} {} left of {}", quota.level, quota.quota.unit(), quota.quota.amount());
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct QuotaSnapshot {
    /// The quota.
    pub quota: Quota,
    /// What is left, in whole units rounded down; below 0 it is debt that has to come in first.
    pub level: i64,
    /// What was granted since the limiter was made, before settlement.
    pub granted: u64,
    /// Whether the server has said what this limit is.
    pub reported: bool,
    /// Where the limit comes from.
    pub origin: LimitOrigin,
    /// What the server charges for each unit that is reserved, once its answers have shown it:
    /// 1.12 when it counts 1.12 times our tokens.
    pub count_ratio: Option<f64>,
    /// The share of the limit that others on the same account seem to use, 0 to 1.
    pub others: f64,
}

/// Where a limit comes from.
///
/// ```
/// use paceline::{LimitOrigin, Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?.provisional());
/// assert_eq!(limiter.snapshot().quotas[0].origin, LimitOrigin::Provisional);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LimitOrigin {
    /// The caller states it.
    #[default]
    Stated,
    /// The server reports it.
    Reported,
    /// It is a [guess](Quota::provisional) until the server reports it.
    Provisional,
}

impl LimitOrigin {
    pub(in crate::limiter) fn of(quota: Quota, is_reported: bool) -> Self {
        match (is_reported, quota.is_provisional()) {
            (true, _) => Self::Reported,
            (false, true) => Self::Provisional,
            (false, false) => Self::Stated,
        }
    }
}

/// What has happened in a limiter since it was made.
///
/// ```
/// use paceline::{Cost, Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// drop(limiter.acquire(Cost::tokens(500))?);
/// let counters = limiter.snapshot().counters;
/// assert_eq!((counters.grants, counters.waited), (1, 0));
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Counters {
    /// Permits granted.
    pub grants: u64,
    /// Those of them that stood in line.
    pub waited: u64,
    /// How long they stood there, in all.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::unit::seconds::serialize")
    )]
    pub total_wait: Duration,
    /// How long the one did that waited longest.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::unit::seconds::serialize")
    )]
    pub longest_wait: Duration,
    /// Grants that overtook waiters without delaying the head; see
    /// [`bypass`](super::RateLimiterBuilder::bypass).
    pub overtaken: u64,
    /// Requests that were refused at once, because their deadline could not be met.
    pub rejected: u64,
    /// Requests that were turned away because the line was full.
    pub queue_full: u64,
    /// Requests that gave up at their deadline.
    pub timed_out: u64,
    /// Requests that were called back out of the line.
    pub cancelled: u64,
}

impl Counters {
    /// Counts a grant that stood in line for `time`.
    pub(super) fn waited_for(&mut self, time: Duration) {
        self.waited += 1;
        self.total_wait = self.total_wait.saturating_add(time);
        self.longest_wait = self.longest_wait.max(time);
    }
}

/// A waiter.
///
/// ```
/// use paceline::{Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// for waiter in limiter.waiters() {
///     println!("{:?} waits for {} tokens", waiter.thread, waiter.cost.tokens);
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Waiter {
    /// The name of the thread, if it has one.
    pub thread: Option<String>,
    /// What it waits for.
    pub cost: Cost,
    /// In which lane.
    pub priority: Priority,
    /// For how long it has waited.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::unit::seconds::serialize")
    )]
    pub waited: Duration,
    /// How long it still has to wait, if no waiter comes or goes; requests in flight aside.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::unit::seconds::maybe::serialize")
    )]
    pub due: Option<Duration>,
    /// How long it would, if its deadline came first.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::unit::seconds::maybe::serialize")
    )]
    pub deadline: Option<Duration>,
}
