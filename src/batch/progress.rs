//! Where a run stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::ClientStats;
use crate::{Cost, RateLimitedClient, Usage};

/// Where a run stands. Its numbers are read one by one, so while requests are under way they may
/// be of slightly different moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Lines of the input, if that is known.
    pub total: Option<u64>,
    /// Lines that an earlier run has finished.
    pub resumed: u64,
    /// Requests with a result.
    pub succeeded: u64,
    /// Requests and lines that failed.
    pub failed: u64,
    /// Requests under way now, waits between tries included.
    pub in_flight: u64,
    /// The most requests that were under way at once.
    pub max_in_flight: u64,
    /// Tries after the first.
    pub retries: u64,
    /// 429 answers that asked to wait.
    pub rate_limited: u64,
    /// Tokens that admitted requests reserved.
    pub tokens_reserved: u64,
    /// Tokens that answers say were used.
    pub tokens_used: u64,
}

impl Progress {
    /// Lines that need nothing more.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.resumed + self.succeeded + self.failed
    }
}

/// Tells where a run stands, from any thread, while it runs and after. Clones watch the same run.
#[derive(Debug, Clone)]
pub struct Watch {
    client: RateLimitedClient,
    before: ClientStats,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// 0 is not known: a file without lines is no input.
    total: AtomicU64,
    resumed: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    tokens_reserved: AtomicU64,
    tokens_used: AtomicU64,
}

impl Watch {
    pub(super) fn new(client: &RateLimitedClient, total: Option<u64>) -> Self {
        let counts = Counts::default();
        counts.total.store(total.unwrap_or(0), Ordering::Relaxed);
        Self {
            client: client.clone(),
            before: client.stats(),
            counts: Arc::new(counts),
        }
    }

    /// Where the run stands now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let stats = self.client.stats();
        let counts = &*self.counts;
        Progress {
            total: Some(read(&counts.total)).filter(|total| *total > 0),
            resumed: read(&counts.resumed),
            succeeded: read(&counts.succeeded),
            failed: read(&counts.failed),
            in_flight: read(&counts.in_flight),
            max_in_flight: read(&counts.max_in_flight),
            retries: stats.retries - self.before.retries,
            rate_limited: stats.rate_limited - self.before.rate_limited,
            tokens_reserved: read(&counts.tokens_reserved),
            tokens_used: read(&counts.tokens_used),
        }
    }

    /// The client that the run sends with.
    #[must_use]
    pub fn client(&self) -> &RateLimitedClient {
        &self.client
    }

    pub(super) fn resumed(&self) {
        self.counts.resumed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn admitted(&self, cost: Cost) {
        self.counts
            .tokens_reserved
            .fetch_add(cost.tokens, Ordering::Relaxed);
    }

    pub(super) fn begun(&self) {
        let now = self.counts.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.counts.max_in_flight.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.counts.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn written(&self, succeeded: bool, usage: Option<Usage>) {
        let count = if succeeded {
            &self.counts.succeeded
        } else {
            &self.counts.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
        let used = usage.map_or(0, |usage| usage.total());
        self.counts.tokens_used.fetch_add(used, Ordering::Relaxed);
    }
}
