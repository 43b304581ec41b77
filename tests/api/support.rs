//! Clients and servers for all tests.

use std::sync::Arc;
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits, Simulator};
use paceline::{
    ClientBuilder, Cost, LimitTable, Limits, ManualClock, RateLimitedClient, RateLimiter, Registry,
};

/// The key of every client here, so that it can be looked for wherever it must not be.
pub(crate) const KEY: &str = "sk-test-4f1d0c9e7a";
/// The limit of clients whose charges are looked at, in tokens a minute.
pub(crate) const TOKENS: u64 = 10_000;

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// More than any machine needs, and less than the waits that a test proves not to happen.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A client of `base_url` whose limits never hold it up.
pub(crate) fn builder(base_url: impl Into<String>) -> ClientBuilder {
    let limits = Limits::tokens_per_minute(1_000_000_000).unwrap();
    RateLimitedClient::builder()
        .api_key(KEY)
        .base_url(base_url)
        .limits(limits)
}

pub(crate) fn client(base_url: impl Into<String>) -> RateLimitedClient {
    builder(base_url).build().unwrap()
}

/// Limits on which nothing comes in, so that levels can be looked at: the clock stands still.
pub(crate) fn still() -> Arc<Registry> {
    let limits = Limits::tokens_per_minute(TOKENS).unwrap();
    let registry = Registry::new(LimitTable::empty(limits)).jitter(Duration::ZERO);
    Arc::new(registry.clock(&ManualClock::new()))
}

/// What is left of a limiter's first quota.
pub(crate) fn level(limiter: &RateLimiter) -> i64 {
    limiter.snapshot().quotas[0].level
}

/// What a cost leaves of a full bucket of [`TOKENS`], less the one token that jitter takes.
pub(crate) fn left_by(cost: Cost) -> i64 {
    i64::try_from(TOKENS).unwrap() - 1 - i64::try_from(cost.tokens).unwrap()
}

/// A simulator without limits.
pub(crate) fn free_simulator() -> Simulator {
    simulator(SimConfig::new().default_limits(SimLimits::default()))
}

pub(crate) fn simulator(config: SimConfig) -> Simulator {
    Simulator::start(config).unwrap()
}
