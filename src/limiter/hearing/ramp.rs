//! How fast a limiter may spend what it believes to have, until the server has confirmed it.
//!
//! A bucket that is used at its rate does not overflow, so nothing is lost by keeping its burst
//! until answers have shown that it is there. So a limiter begins with what comes in within half a
//! second, goes on at the limit's rate until the first answer, and then spends the burst at a
//! multiple of the rate: so fast that a full minute's burst takes two seconds, and so slow that
//! answers can still stop it in time. It begins again like that after a refusal, and below the
//! rate when the server says that it is overloaded.

use std::time::Duration;

use super::super::level::{Level, Tick};
use crate::quota::Quota;

/// Seconds of the rate that may go at once, at the rate's own speed.
const AT_ONCE: f64 = 0.5;
/// How a limit is begun with that nobody has stated, in multiples of its rate.
const ASSUMED: f64 = 0.1;
/// The highest speed while the server does not say how its limits stand.
const UNHEARD: f64 = 8.0;
/// The highest speed.
const HEARD: f64 = 30.0;
/// What each success multiplies the speed by.
const GROWTH: f64 = 1.5;
/// Where an overloaded server is met again: at half of what the limit allows.
const OVERLOADED: f64 = 0.5;

/// A speed limit.
#[derive(Debug, Clone)]
pub(super) struct Ramp {
    /// In multiples of the limit's rate.
    speed: f64,
    /// Requests that were admitted before this time do not show whether the speed is right.
    since: Tick,
}

impl Ramp {
    /// A careful start; a very careful one where the limit itself is a guess.
    pub(super) fn new(is_assumed: bool, now: Tick) -> Self {
        Self {
            speed: if is_assumed { ASSUMED } else { 1.0 },
            since: now,
        }
    }

    /// Of a limit that the server has just said: what is in flight confirms it.
    pub(super) fn of_told() -> Self {
        Self {
            speed: 1.0,
            since: Tick::default(),
        }
    }

    /// Makes `level` hold back what is above the speed.
    pub(super) fn apply(&self, level: &mut Level, quota: Quota) {
        let at_once = Duration::from_secs_f64(AT_ONCE * self.speed.min(1.0));
        let burst = quota.amount_in(at_once).min(quota.burst());
        level.pace(quota.burst_of(burst), self.speed);
    }

    /// A request that was granted at `sent` has passed the limits. `is_heard` says whether the
    /// server tells how its limits stand. Returns whether that counts.
    pub(super) fn passed(&mut self, sent: Tick, is_heard: bool) -> bool {
        if sent < self.since {
            return false;
        }
        self.speed = match is_heard {
            true => HEARD,
            false => (self.speed * GROWTH).min(UNHEARD),
        };
        true
    }

    /// The server refused a request: nothing more is to be spent at once.
    pub(super) fn refused(&mut self, now: Tick) {
        self.speed = self.speed.min(1.0);
        self.since = now;
    }

    /// The server is overloaded: its limit is not what counts.
    pub(super) fn overloaded(&mut self, now: Tick) {
        self.speed = self.speed.min(OVERLOADED);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speeds_up_with_successes_and_begins_again_after_a_refusal() {
        let mut ramp = Ramp::new(true, Tick(0));
        assert_eq!(ramp.speed, 0.1);
        assert!(ramp.passed(Tick(0), true));
        assert_eq!(ramp.speed, HEARD);
        ramp.refused(Tick(5));
        assert_eq!(ramp.speed, 1.0);
        assert!(!ramp.passed(Tick(4), true));
        assert_eq!(ramp.speed, 1.0, "it left before the refusal");
        ramp.overloaded(Tick(6));
        assert_eq!(ramp.speed, OVERLOADED);
    }

    #[test]
    fn a_server_that_says_nothing_is_met_with_more_care() {
        let mut ramp = Ramp::new(false, Tick(0));
        let speeds: Vec<f64> = std::iter::repeat_with(|| {
            ramp.passed(Tick(0), false);
            ramp.speed
        })
        .take(7)
        .collect();
        assert_eq!(speeds[..3], [1.5, 2.25, 3.375]);
        assert_eq!(speeds[6], UNHEARD);
    }
}
