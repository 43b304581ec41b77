//! The time that a limiter goes by: the real one, or one that a test moves.

#[cfg(not(paceline_loom))]
mod crowd; //  the queues that wait by it, for tests
mod manual; // time that a test moves

use std::fmt;
use std::sync::Arc;
#[cfg(not(paceline_loom))]
use std::sync::Weak;
use std::time::Instant;

#[cfg(not(paceline_loom))]
pub(super) use crowd::Waiting;
pub use manual::ManualClock;

use super::alarm::{Alarms, Due};
use super::bucket::Tick;
use super::refill::Scheduler;

/// Where a limiter gets its time and its alarms from.
///
/// Instants are monotonic: a wall clock that jumps moves nothing. They may stand still while a
/// machine sleeps, so a laptop that wakes up finds its buckets as it left them; where they do not,
/// it finds them full, and no fuller than that.
///
/// ```
/// use std::time::Duration;
/// use paceline::{Clock, ManualClock};
///
/// let hands = ManualClock::new();
/// let clock = Clock::from(&hands);
/// let before = clock.now();
/// hands.advance(Duration::from_secs(60));
/// assert_eq!(clock.now() - before, Duration::from_secs(60));
/// ```
#[derive(Clone)]
pub struct Clock {
    origin: Instant,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Real,
    Manual(ManualClock),
}

impl Clock {
    /// The machine's monotonic clock.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the home of Instant::now")]
    pub fn real() -> Self {
        Self {
            origin: Instant::now(),
            source: Source::Real,
        }
    }

    /// The time now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the home of Instant::now")]
    pub fn now(&self) -> Instant {
        match &self.source {
            Source::Real => Instant::now(),
            Source::Manual(clock) => clock.now(),
        }
    }

    /// Has the waiters of a queue counted, where a test may wait for them.
    #[cfg(not(paceline_loom))]
    pub(super) fn counts(&self, queue: Weak<dyn Waiting>) {
        if let Source::Manual(clock) = &self.source {
            clock.counts(queue);
        }
    }

    /// A waiter has joined a queue. Called without its lock.
    #[cfg(not(paceline_loom))]
    pub(super) fn joined(&self) {
        if let Source::Manual(clock) = &self.source {
            clock.joined();
        }
    }

    /// Whether it is the machine's.
    #[cfg(not(paceline_loom))]
    pub(super) fn is_real(&self) -> bool {
        matches!(self.source, Source::Real)
    }

    /// The time now, as a tick.
    #[inline]
    pub(super) fn tick(&self) -> Tick {
        self.tick_at(self.now())
    }

    /// The tick of an instant; one before the origin is the origin.
    #[inline]
    pub(super) fn tick_at(&self, instant: Instant) -> Tick {
        Tick(0).after(instant.saturating_duration_since(self.origin))
    }

    /// A tick as something to wait for, unless it is [`Tick::NEVER`].
    pub(super) fn due_at(&self, tick: Tick) -> Option<Due> {
        if tick == Tick::NEVER {
            return None;
        }
        let at = self.origin.checked_add(tick.since(Tick(0)))?;
        Some(Due { at, tick })
    }

    /// Starts the thread of its alarms, if there is none yet: for a caller that is about to start many
    /// threads, so that this one is among those that the system allows.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Scheduler`](crate::AcquireError::Scheduler) when the thread cannot be started.
    #[cfg(feature = "client")]
    pub(crate) fn start_alarms(&self) -> Result<(), crate::AcquireError> {
        self.alarms().ready()
    }

    pub(super) fn alarms(&self) -> Arc<dyn Alarms> {
        match &self.source {
            Source::Real => Arc::clone(Scheduler::global()) as Arc<dyn Alarms>,
            Source::Manual(clock) => clock.alarms(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Real => "Clock::real",
            Source::Manual(_) => "Clock::manual",
        })
    }
}

impl From<&ManualClock> for Clock {
    fn from(clock: &ManualClock) -> Self {
        Self {
            origin: clock.now(),
            source: Source::Manual(clock.clone()),
        }
    }
}
