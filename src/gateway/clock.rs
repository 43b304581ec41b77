//! When requests come.

use std::time::Instant;

/// Real time: deadlines of callers count from their arrival at a socket.
pub(super) fn now() -> Instant {
    crate::Clock::real().now()
}
