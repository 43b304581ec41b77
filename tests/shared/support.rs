//! Limiters and times for all tests.

use std::time::{Duration, Instant};

use paceline::{Limits, OnStoreOutage, Quota, RateLimiter, SharedStore, Unit};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// More than any machine needs.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// So many tokens a second, with a burst of a tenth of a second.
pub(crate) fn tokens(per_second: u64) -> Limits {
    let quota = Quota::per_second(Unit::Tokens, per_second).unwrap();
    let quota = quota.with_burst((per_second / 10).max(1));
    Limits::builder().quota(quota).build().unwrap()
}

pub(crate) fn store(url: &str) -> SharedStore {
    let store = SharedStore::builder(url).on_outage(OnStoreOutage::Wait);
    store.build().unwrap()
}

pub(crate) fn limiter(url: &str, limits: Limits) -> RateLimiter {
    RateLimiter::builder(limits).share(&store(url), "m").build()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}
