//! How a limiter stands at one moment.

use std::time::Duration;

use crate::cost::Cost;
use crate::quota::Quota;

/// How a limiter stands at one moment: all of it read under one lock.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Each quota with its level, in the order of their declaration. In a limiter that listens
    /// those that the server has named follow, and a stated quota where it is the smaller one.
    pub quotas: Vec<QuotaSnapshot>,
    /// Threads in line.
    pub waiters: usize,
    /// What the first of them waits for.
    pub head_cost: Option<Cost>,
    /// How long the first of them still has to wait, if nothing changes.
    pub head_due: Option<Duration>,
    /// The quota that the first of them waits for longest, a careful start aside.
    pub binding: Option<Quota>,
    /// Permits granted since the limiter was made.
    pub grants: u64,
    /// How much of a pause is left.
    pub paused_for: Duration,
    /// Whether the limiter is closed.
    pub closed: bool,
}

/// How one quota stands.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct QuotaSnapshot {
    /// The quota.
    pub quota: Quota,
    /// What is left, in whole units rounded down; below 0 it is debt that has to come in first.
    pub level: i64,
    /// What was granted since the limiter was made, before settlement.
    pub granted: u64,
    /// Whether the server has said what this limit is.
    pub told: bool,
    /// What the server charges for each unit that is reserved, once its answers have shown it:
    /// 1.12 when it counts 1.12 times our tokens.
    pub charge_ratio: Option<f64>,
    /// The share of the limit that others on the same account seem to use, 0 to 1.
    pub others: f64,
}
