//! What a client has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the client was made. They are read one by one, so while requests are in flight
/// they may be of slightly different moments.
///
/// ```no_run
/// let client = paceline::RateLimitedClient::new()?;
/// client.chat("Hello")?;
/// let stats = client.stats();
/// println!("{} attempts, {} refused", stats.sent, stats.rate_limited);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct ClientStats {
    /// Tries to send a request, retries included.
    pub sent: u64,
    /// Those of them that were retries.
    pub retries: u64,
    /// 429 answers that asked to wait.
    pub rate_limited: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    sent: AtomicU64,
    retries: AtomicU64,
    rate_limited: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rate_limited(&self) {
        self.rate_limited.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> ClientStats {
        ClientStats {
            sent: self.sent.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            rate_limited: self.rate_limited.load(Ordering::Relaxed),
        }
    }
}
