//! The simulator's time, and the flag that ends all its waits at once.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};

/// The time by the simulator's own reading.
#[allow(
    clippy::disallowed_methods,
    reason = "a manual clock would make the judge keep the time of the judged"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The time since 1970, as headers that name instants have it.
#[allow(
    clippy::disallowed_methods,
    reason = "clients read wall-clock times; nothing here waits by them"
)]
pub(super) fn unix_now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The nanoseconds from `start` to now; 584 years fit.
pub(super) fn nanos_since(start: Instant) -> u64 {
    u64::try_from(now().saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

/// A flag that is raised once, and that every sleep of the simulator listens to.
#[derive(Debug, Default)]
pub(super) struct Stop {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Raises the flag and ends every [`pause`](Self::pause) and [`wait`](Self::wait).
    pub(super) fn raise(&self) {
        *self.raised.lock() = true;
        // The flag changes under the lock, so a sleeper either sees it or is already waiting.
        self.changed.notify_all();
    }

    /// Sleeps for `duration`, or until the flag is raised; false when it was.
    pub(super) fn pause(&self, duration: Duration) -> bool {
        let mut raised = self.raised.lock();
        if !duration.is_zero() {
            self.changed
                .wait_while_for(&mut raised, |raised| !*raised, duration);
        }
        !*raised
    }

    /// Sleeps until the flag is raised.
    pub(super) fn wait(&self) {
        let mut raised = self.raised.lock();
        self.changed.wait_while(&mut raised, |raised| !*raised);
    }
}
