//! The time of sockets.

use std::time::{Duration, Instant};

/// Real time: sockets have no other.
#[allow(
    clippy::disallowed_methods,
    reason = "time-outs of sockets are the system's; no test moves them"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Bytes that earn one more second: a transfer that is slower than this ends.
const BYTES_A_SECOND: usize = 16 * 1024;

/// The end of a transfer, which moves as bytes come: a slow one ends, a long one does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    end: Instant,
    bytes: usize,
}

impl Pace {
    /// A transfer that begins now and has `time` for its first bytes.
    pub(super) fn new(time: Duration) -> Self {
        Self {
            end: now() + time,
            bytes: 0,
        }
    }

    /// What is left for the next bytes; None when the time is over.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.end.saturating_duration_since(now());
        // A time-out below 1 ms could be rounded to 0, which means none.
        (!left.is_zero()).then(|| left.max(Duration::from_millis(1)))
    }

    /// Counts bytes that came or went.
    pub(super) fn progress(&mut self, bytes: usize) {
        self.bytes += bytes;
        while self.bytes >= BYTES_A_SECOND {
            self.bytes -= BYTES_A_SECOND;
            self.end += Duration::from_secs(1);
        }
    }
}
