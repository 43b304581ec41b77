//! The contract, on a clock that the tests move.

#![allow(clippy::disallowed_methods, reason = "these tests drive real threads")]

#[cfg(not(paceline_loom))]
mod adaptive;
#[cfg(not(paceline_loom))]
mod conservation;
#[cfg(not(paceline_loom))]
mod contract;
#[cfg(not(paceline_loom))]
mod live;
#[cfg(paceline_loom)]
mod model;
#[cfg(not(paceline_loom))]
mod places;
#[cfg(not(paceline_loom))]
mod tables;
#[cfg(not(paceline_loom))]
mod visible;

use std::time::Duration;

use super::{ManualClock, RateLimiter};
use crate::quota::{Limits, Quota};
use crate::unit::Unit;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A limiter of 1,000 tokens a second with a burst of 1,000, and its clock.
fn thousand_a_second() -> (RateLimiter, ManualClock) {
    on_manual_clock([Quota::new(Unit::Tokens, 1_000, SECOND).unwrap()])
}

fn on_manual_clock(quotas: impl IntoIterator<Item = Quota>) -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limits = quotas
        .into_iter()
        .fold(Limits::builder(), crate::LimitsBuilder::quota);
    let limiter = RateLimiter::builder(limits.build().unwrap()).clock(&clock);
    (limiter.build(), clock)
}

/// Lets `count` threads join the line, one after the other, so that their order is known.
/// A thread in line shows in the snapshot, so this needs no sleep.
#[cfg(not(paceline_loom))]
fn until_waiting(limiter: &RateLimiter, count: usize) {
    while limiter.snapshot().waiters < count {
        std::thread::yield_now();
    }
}

/// The amounts of the quotas that a limiter shows, with their levels.
#[cfg(not(paceline_loom))]
fn quotas(limiter: &RateLimiter) -> Vec<(u64, i64)> {
    let quotas = limiter.snapshot().quotas.into_iter();
    quotas.map(|it| (it.quota.amount(), it.level)).collect()
}
