//! How fast a limiter may spend what it believes to have, until the server has confirmed it.
//!
//! A bucket that is used at its rate does not overflow, so nothing is lost by keeping its burst
//! until answers have shown that it is there. So a limiter begins with what comes in within half a
//! second, continues at the limit's rate until the first answer, and then spends the burst at a
//! multiple of the rate: so fast that a full minute's burst takes two seconds, and so slow that
//! answers can still stop it in time. It begins again like that after a refusal. An overloaded
//! server is met again at half the speed, down to half of the rate.

use std::time::Duration;

use crate::limiter::bucket::{Bucket, Tick};
use crate::quota::Quota;

/// The start of a limit that is not stated, in multiples of its rate.
const ASSUMED: f64 = 0.1;
/// The highest speed while the server does not say how its limits stand.
const UNHEARD: f64 = 8.0;
/// The highest speed.
const HEARD: f64 = 30.0;
/// What each success multiplies the speed by.
const GROWTH: f64 = 1.5;
/// What an overload multiplies the speed by.
const OVERLOADED: f64 = 0.5;
/// The speed below which an overload does not bring it.
const SLOWEST: f64 = 0.5;

/// A speed limit.
#[derive(Debug, Clone)]
pub(super) struct Ramp {
    /// In multiples of the limit's rate.
    speed: f64,
    /// Requests that were admitted before this time do not show whether the speed is right.
    since: Tick,
    /// Whether it has to be regained step by step.
    is_held: bool,
    /// How many go by the same limit, each at its part of the speed.
    parts: f64,
}

impl Ramp {
    /// Seconds of the rate that may go at once, at the rate's own speed.
    pub(super) const AT_ONCE: f64 = 0.5;
    /// The same while the rate is a guess that nothing has confirmed.
    pub(super) const AT_ONCE_GUESSED: f64 = 0.1;

    /// A careful start; a very careful one where the limit itself is a guess.
    pub(super) fn new(is_provisional: bool, now: Tick) -> Self {
        Self {
            speed: if is_provisional { ASSUMED } else { 1.0 },
            since: now,
            is_held: false,
            parts: 1.0,
        }
    }

    /// Of a limit that the server has just said: what is in flight confirms it.
    pub(super) fn of_told() -> Self {
        Self {
            speed: 1.0,
            since: Tick::default(),
            is_held: false,
            parts: 1.0,
        }
    }

    /// In multiples of the limit's rate.
    pub(super) fn speed(&self) -> f64 {
        self.speed
    }

    /// Sets the speed that another process has decided.
    pub(super) fn set_speed(&mut self, speed: f64) {
        self.speed = speed;
    }

    /// `parts` processes follow the same limit. What the others spend is known too late to slow this one
    /// down, so each begins with its part.
    pub(super) fn divide(&mut self, parts: u64) {
        self.parts = parts.max(1) as f64;
    }

    /// Makes `level` hold back what is above the speed.
    pub(super) fn apply(&self, level: &mut Bucket, quota: Quota) {
        self.apply_with(Self::AT_ONCE, level, quota);
    }

    /// The same with `at_once` seconds of the rate at once.
    pub(super) fn apply_with(&self, at_once: f64, level: &mut Bucket, quota: Quota) {
        let at_once = Duration::from_secs_f64(at_once * self.speed.min(1.0) / self.parts);
        let burst = quota.amount_in(at_once).min(quota.burst());
        level.pace(quota.with_burst(burst), self.speed / self.parts);
    }

    /// A request that was granted at `sent` has passed the limits. `is_observed` says whether the
    /// server tells how its limits stand. Returns whether that counts.
    pub(super) fn passed(&mut self, sent: Tick, is_observed: bool) -> bool {
        if sent < self.since {
            return false;
        }
        let most = if is_observed { HEARD } else { UNHEARD };
        self.speed = match is_observed && !self.is_held {
            true => most,
            false => (self.speed * GROWTH).min(most),
        };
        self.is_held &= self.speed < most;
        true
    }

    /// The server refused a request: nothing more is to be spent at once.
    pub(super) fn refused(&mut self, now: Tick) {
        self.speed = self.speed.min(1.0);
        self.since = now;
    }

    /// The server was overloaded by a request that was granted at `sent`: its limit is not what
    /// counts.
    pub(super) fn overloaded(&mut self, sent: Tick, now: Tick) {
        if sent < self.since {
            return; // the same overload, met at the speed of before
        }
        self.speed = self.speed.min((self.speed * OVERLOADED).max(SLOWEST));
        self.since = now;
        self.is_held = true;
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
    }

    #[test]
    fn an_overload_halves_the_speed_and_it_is_regained_step_by_step() {
        let mut ramp = Ramp::of_told();
        ramp.passed(Tick(0), true);
        ramp.overloaded(Tick(1), Tick(5));
        ramp.overloaded(Tick(4), Tick(6));
        assert_eq!(
            ramp.speed,
            HEARD / 2.0,
            "both were under way at the same time"
        );
        ramp.passed(Tick(5), true);
        assert_eq!(ramp.speed, HEARD * 0.75);
        ramp.passed(Tick(5), true);
        assert_eq!(ramp.speed, HEARD);
        for at in 7..20 {
            ramp.overloaded(Tick(at), Tick(at));
        }
        assert_eq!(ramp.speed, SLOWEST);
        let mut careful = Ramp::new(true, Tick(0));
        careful.overloaded(Tick(1), Tick(2));
        assert_eq!(careful.speed, ASSUMED, "never faster than before");
    }

    #[test]
    fn what_has_been_regained_after_an_overload_is_held_no_longer() {
        let mut ramp = Ramp::of_told();
        ramp.overloaded(Tick(0), Tick(1));
        let speeds: Vec<f64> = std::iter::repeat_with(|| {
            ramp.passed(Tick(1), true);
            ramp.speed
        })
        .take(11)
        .collect();
        assert_eq!(speeds[..3], [0.75, 1.125, 1.6875], "step by step");
        assert_eq!(speeds[10], HEARD);
        ramp.refused(Tick(2));
        ramp.passed(Tick(2), true);
        assert_eq!(ramp.speed, HEARD, "at once, as if nothing had been");
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
