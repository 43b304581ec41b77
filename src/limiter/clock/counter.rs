//! Real time at the price of the processor's counter, where acquires follow each other closely.
//!
//! Asking the system for the time costs more than all else that an acquire does. The processor
//! counts cycles, and reading that is cheap; but how long a cycle is, is known only roughly, and
//! counters may jump when a machine is moved. So time is the system's, and the counter only says
//! how much of it has passed since the system was last asked: for [`HORIZON`] at most, and a
//! little less than it counts, so that it is never ahead. Whatever a counter does, the error
//! ends with the horizon, and does not add up.

use super::super::level::Tick;

/// For how long a reading is good, in nanoseconds.
const HORIZON: u64 = 100_000;
/// The binary logarithm of the share by which the counter is taken to be too fast: 1/4,096, where
/// it is known to some millionths.
const TOO_FAST: u32 = 12;

/// The processor's counter; the system's clock where it has none.
#[derive(Clone)]
pub(in crate::limiter) struct Counter(quanta::Clock);

/// What the counter showed when the system was last asked for the time, and what it said.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::limiter) struct Reading {
    raw: u64,
    tick: Tick,
}

impl Counter {
    /// The first one of a process finds out how fast it counts, within some milliseconds.
    pub(super) fn new() -> Self {
        Self(quanta::Clock::new())
    }

    /// The time by the counter, if the last reading is still good.
    #[inline]
    pub(super) fn since(&self, last: &Reading) -> Option<Tick> {
        let raw = self.0.raw();
        let passed = self.0.delta_as_nanos(last.raw, raw); // none if it counts backward
        let is_good = raw >= last.raw && passed < HORIZON && last.raw > 0;
        is_good.then(|| after(last.tick, passed))
    }

    /// What it shows now, when the system says `tick`.
    pub(super) fn reading(&self, tick: Tick) -> Reading {
        Reading {
            raw: self.0.raw(),
            tick,
        }
    }
}

/// The time that is sure to have come when the counter says that `passed` has since `last`.
fn after(last: Tick, passed: u64) -> Tick {
    Tick(last.0.saturating_add(passed - (passed >> TOO_FAST)))
}

#[cfg(all(test, not(paceline_loom)))]
mod tests {
    use super::super::{Clock, Instant};
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "this is about real time")]
    fn it_is_never_ahead_of_the_system_and_never_far_behind() {
        let clock = Clock::real();
        let mut last = Reading::default();
        let mut before = Tick(0);
        for step in 0..1_000_000 {
            let from = clock.tick_at(Instant::now());
            let tick = clock.tick(&mut last);
            let to = clock.tick_at(Instant::now());
            assert!(tick <= to, "step {step}: {tick:?} is ahead of {to:?}");
            // A reading can be as old as the horizon, and a pause may have come into it.
            let behind = from.0.saturating_sub(tick.0);
            assert!(behind < HORIZON * 1_000, "step {step}: {behind} ns behind");
            assert!(tick.0 + 1_000 > before.0, "step {step}: backward");
            before = tick;
        }
    }

    #[test]
    fn an_old_reading_and_one_from_the_future_are_not_used() {
        let counter = Counter::new();
        let fresh = counter.reading(Tick(7));
        assert!(counter.since(&Reading::default()).is_none(), "none yet");
        let ahead = Reading {
            raw: fresh.raw + (1 << 60),
            tick: Tick(7),
        };
        assert!(counter.since(&ahead).is_none(), "it counted backward");
        let old = Reading {
            raw: 1,
            tick: Tick(7),
        };
        assert!(counter.since(&old).is_none(), "the machine is not that new");
        assert_eq!(after(Tick(7), 0), Tick(7));
        assert_eq!(after(Tick(7), 8_192), Tick(7 + 8_190));
    }
}
