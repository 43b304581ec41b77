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
/// The share by which the counter is taken to be too fast: it is known to some millionths.
const TOO_FAST: u64 = 4_096;
/// The binary logarithm of the scale of [`Counter::speed`].
const SCALE: u32 = 32;

/// The processor's counter; the system's clock where it has none.
#[derive(Clone)]
pub(in crate::limiter) struct Counter {
    clock: quanta::Clock,
    /// The time that is sure to have passed when it counts 2³², in nanoseconds.
    speed: u64,
    /// What it counts within the horizon.
    horizon: u64,
}

/// What the counter showed when the system was last asked for the time, and what it said.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::limiter) struct Reading {
    raw: u64,
    tick: Tick,
}

impl Counter {
    /// The first one of a process finds out how fast it counts, within some milliseconds.
    pub(super) fn new() -> Self {
        let clock = quanta::Clock::new();
        // From 1: a start of 0 is the clock's word for none.
        let nanos = clock.delta_as_nanos(1, 1 + (1 << SCALE));
        let speed = (nanos - nanos / TOO_FAST).max(1);
        Self {
            clock,
            speed,
            // So that it times the speed fits, too.
            horizon: ((HORIZON << SCALE) / speed).min(u64::MAX / speed),
        }
    }

    /// The time by the counter, if the last reading is still good.
    #[inline]
    pub(super) fn since(&self, last: &Reading) -> Option<Tick> {
        let counted = self.clock.raw().wrapping_sub(last.raw);
        // One that counts backward is far ahead by this.
        (counted < self.horizon).then(|| after(last.tick, counted, self.speed))
    }

    /// What it shows now, when the system says `tick`.
    pub(super) fn reading(&self, tick: Tick) -> Reading {
        Reading {
            raw: self.clock.raw(),
            tick,
        }
    }
}

/// The time that is sure to have come when so much has been counted since `last`.
#[inline]
fn after(last: Tick, counted: u64, speed: u64) -> Tick {
    Tick(last.0.saturating_add((counted * speed) >> SCALE))
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
        let reading = |raw: u64| Reading { raw, tick: Tick(7) };
        assert!(counter.since(&Reading::default()).is_none(), "none yet");
        let ahead = reading(fresh.raw + (1 << 60));
        assert!(counter.since(&ahead).is_none(), "it counted backward");
        let old = reading(fresh.raw - counter.horizon);
        assert!(counter.since(&old).is_none(), "just too old");
    }

    #[test]
    fn less_time_has_passed_than_it_counts() {
        let speed = 40 << SCALE; // 25 MHz, as on some ARM processors
        assert_eq!(after(Tick(7), 0, speed), Tick(7));
        assert_eq!(after(Tick(7), 3, speed), Tick(127));
        let fast = (1 << SCALE) / 5; // 5 GHz
        assert_eq!(after(Tick(7), 500_000, fast), Tick(7 + 99_999));
        assert_eq!(after(Tick::NEVER, 9, speed), Tick::NEVER);
    }
}
