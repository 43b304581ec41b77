//! What a gateway has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that no limiter has.
///
/// They only count, and no memory is published through them, so `Relaxed` is enough.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Requests that came.
    pub(super) requests: Counter,
    /// Requests that are in its hands now: waiting, or on their way.
    pub(super) open: Counter,
    /// Refused because the wait would have passed their deadline.
    pub(super) refused: Counter,
    /// Refused for their `Host`, `Origin` or key.
    pub(super) denied: Counter,
    /// Left by their client while they waited.
    pub(super) hung_up: Counter,
    /// Failed on the way to the provider, or back.
    pub(super) failed: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of those that are open, until this is dropped.
pub(super) struct Open<'a>(&'a Counter);

impl<'a> Open<'a> {
    pub(super) fn new(counter: &'a Counter) -> Self {
        counter.add();
        Self(counter)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
