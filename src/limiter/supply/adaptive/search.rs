//! The search for a limit that is not stated and that the server does not report.
//!
//! A preset is a place to begin. From there the rate rises, at most twofold in two seconds and only
//! while it is what holds requests back, until the server refuses one. At that moment its bucket was
//! empty. It was empty at the refusal before, too, so what it let in between is exactly what came in:
//! two refusals measure a rate, however large the bucket is, and the further they are apart the better.
//! The rate then stays just below what was measured, and rises again after a while that doubles each
//! time that it was right.
//!
//! Pure: the caller passes the time, and what has been admitted. Amounts are in the limit's unit.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limiter::bucket::Tick;

/// The time in which the rate doubles.
const DOUBLING: Duration = Duration::from_secs(2);
/// How many times as slowly a limit is met again that has been found.
const SLOWER: u32 = 4;
/// How often it is raised.
const STEP: Duration = Duration::from_millis(250);
/// The part of the rate that has to be used for it to be raised.
const USED: f64 = 0.7;
/// What the first refusal multiplies it by: nothing has been measured yet.
const FIRST: f64 = 0.5;
/// The least that a refusal leaves of it: what is measured within a few requests may be far off.
const LEAST: f64 = 0.25;
/// How far below what was measured it stays.
const MARGIN: f64 = 0.97;
/// How long it stays there, at first and at most.
const FIRST_HOLD: Duration = Duration::from_secs(2);
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// An unrefused rate of this many times the measured one is that of another limit.
const CHANGED: f64 = 1.5;
/// The longest that is held after that.
const CHANGED_HOLD: Duration = Duration::from_secs(8);
/// Refusals are measured against an earlier one within this time: older limits are no guide.
const MEMORY: Duration = Duration::from_secs(60);
/// A measurement over fewer requests is not worth telling.
const FEW: f64 = 10.0;
/// One over this many requests is exact to a twentieth.
const MANY: f64 = 20.0;

/// What is known of a limit that has to be found.
#[derive(Debug, Clone)]
pub(super) struct LimitSearch {
    /// Units per second.
    rate: f64,
    /// When it was last looked at whether the rate is used, and what had been spent by then.
    looked: (Tick, f64),
    /// Refusals: when their requests were sent, and what had been let in by then.
    refusals: VecDeque<(Tick, f64)>,
    /// When the last refusal was heard: requests that had left by then say nothing new.
    heard: Tick,
    hold: Duration,
    /// Until when it stays as it is.
    held_until: Tick,
    /// Units per second, as measured last.
    measured: f64,
    found: bool,
}

impl LimitSearch {
    /// Begins with `rate` units per second.
    pub(super) fn new(rate: f64, now: Tick, spent: f64) -> Self {
        Self {
            rate,
            looked: (now, spent),
            refusals: VecDeque::new(),
            heard: Tick::default(),
            hold: FIRST_HOLD,
            held_until: now,
            measured: rate,
            found: false,
        }
    }

    /// Begins with another rate.
    pub(super) fn begin_at(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// A request was let in, so the guess itself is where it begins, unless a refusal has said more.
    pub(super) fn admitted(&mut self, guess: f64) {
        if self.refusals.is_empty() {
            self.rate = self.rate.max(guess);
        }
    }

    /// Units per second that are let go now.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Whether it has been measured.
    pub(super) fn is_found(&self) -> bool {
        self.found
    }

    /// `spent` units have been granted in all, the last of them now.
    pub(super) fn granted(&mut self, spent: f64, now: Tick) {
        let (since, before) = self.looked;
        let time = now.since(since);
        if time < STEP {
            return;
        }
        self.looked = (now, spent);
        let is_used = spent - before >= USED * self.rate * time.as_secs_f64();
        if !is_used || now < self.held_until {
            return;
        }
        let is_changed = self.rate > CHANGED * self.measured;
        let doubling = match self.found && !is_changed {
            true => DOUBLING * SLOWER,
            false => DOUBLING,
        };
        self.rate *= (time.min(DOUBLING).as_secs_f64() / doubling.as_secs_f64()).exp2();
        if is_changed {
            // Or a bucket lets in more until it is empty.
            self.hold = self.hold.min(CHANGED_HOLD);
        }
    }

    /// A request that was sent at `sent` has been refused, before which `admitted` units had been let
    /// in, in requests of this size. Returns whether the limit has just been found.
    pub(super) fn refused(&mut self, sent: Tick, admitted: f64, size: f64, now: Tick) -> bool {
        if sent < self.heard {
            return false;
        }
        self.heard = now;
        while self.refusals.len() > 1 && sent.since(self.refusals[0].0) > MEMORY {
            self.refusals.pop_front();
        }
        let measured = self.measure(sent, admitted, size);
        self.refusals.push_back((sent, admitted));
        let before = self.found;
        self.rate = match measured {
            None => self.rate * FIRST,
            Some((came_in, rate)) => {
                self.found |= came_in >= FEW * size;
                rate.clamp(self.rate * LEAST, self.rate) * MARGIN
            }
        };
        self.measured = self.rate;
        // What is measured within a few requests, or refused while it is held, is not right for long.
        let is_sure = measured.is_some_and(|(came_in, _)| came_in >= MANY * size);
        let was_right = is_sure && sent >= self.held_until;
        self.held_until = now.after(self.hold);
        if was_right {
            self.hold = (self.hold * 2).min(LONGEST_HOLD);
        }
        self.found && !before
    }

    /// What has come in since an earlier refusal, and the units per second that are let in at least: what
    /// came in while the bucket was full was lost, so no two refusals show more than the rate.
    fn measure(&self, sent: Tick, admitted: f64, size: f64) -> Option<(f64, f64)> {
        let since = |(first, then): &(Tick, f64)| {
            let time = sent.since(*first).as_secs_f64().max(1e-3);
            let came_in = (admitted - then).max(0.0);
            (came_in, came_in / time)
        };
        let mut all = self.refusals.iter().map(since);
        let sure = all.clone().filter(|(came_in, _)| *came_in >= MANY * size);
        let best = sure.max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.or_else(|| all.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Tick {
        Tick::default().after(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn it_rises_twofold_in_two_seconds_and_only_where_it_is_used() {
        let mut search = LimitSearch::new(10.0, at(0.0), 0.0);
        search.granted(10.0, at(1.0));
        assert!((search.rate() - 10.0 * 2.0_f64.sqrt()).abs() < 1e-9);
        search.granted(12.0, at(2.0));
        assert!(
            (search.rate() - 10.0 * 2.0_f64.sqrt()).abs() < 1e-9,
            "hardly used"
        );
        search.granted(1_012.0, at(60.0));
        assert!(
            (search.rate() - 20.0 * 2.0_f64.sqrt()).abs() < 1e-9,
            "twofold at most"
        );
    }

    #[test]
    fn two_refusals_measure_what_came_in_between_them() {
        let mut search = LimitSearch::new(20.0, at(0.0), 0.0);
        assert!(!search.refused(at(1.0), 40.0, 1.0, at(1.1)));
        assert_eq!(search.rate(), 10.0, "nothing is measured yet");
        assert!(
            !search.refused(at(1.05), 40.0, 1.0, at(1.2)),
            "of the same moment"
        );
        assert_eq!(search.rate(), 10.0);
        assert!(search.refused(at(5.0), 70.0, 1.0, at(5.1)), "found");
        assert!((search.rate() - 7.5 * MARGIN).abs() < 1e-9, "30 in 4 s");
        search.granted(1_000.0, at(6.0));
        assert!(
            (search.rate() - 7.5 * MARGIN).abs() < 1e-9,
            "it is held for a while"
        );
        search.granted(2_000.0, at(12.0));
        assert!(search.rate() > 7.5 * MARGIN);
        assert!(!search.refused(at(13.0), 130.0, 1.0, at(13.1)), "said once");
    }
}
