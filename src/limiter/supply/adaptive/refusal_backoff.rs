//! Refusals that come after the wait that the server asked for: other clients took what had come in.
//!
//! A server names the wait that is enough if no other client sends. On an account with others it can
//! be wrong again and again, so each further refusal doubles the wait. When it is over, how long it
//! took is about what the others took at once. That much is then kept back for the next time, where a
//! level that is never spent costs time once and no throughput. It is given up again while nothing
//! happens, so that others that have left cost nothing for long.

use std::time::Duration;

use crate::limiter::bucket::Tick;

/// The wait after the second refusal.
const FIRST_WAIT: Duration = Duration::from_millis(150);
/// The longest wait that is not the server's word.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The most that is kept back, in seconds of the rate.
const MOST_KEPT: f64 = 2.0;
/// The time in which what is kept back halves, in seconds.
const HALF_LIFE: f64 = 30.0;

/// A time in which the server refuses everything, and what is kept for the next.
#[derive(Debug, Clone, Default)]
pub(in crate::limiter) struct RefusalBackoff {
    /// When the first refusal was heard that no answer to a later request has ended.
    since: Tick,
    /// When the last one was heard.
    last: Tick,
    /// Refusals of requests that had waited for the one before.
    refusals: u32,
    /// What is kept back, in seconds of the rate, as it was at `kept_at`.
    kept: f64,
    kept_at: Tick,
}

impl RefusalBackoff {
    /// A request that was granted at `sent` has been refused. Returns for how long all requests have to
    /// wait at least, whatever the server says.
    pub(in crate::limiter) fn refused(&mut self, sent: Tick, now: Tick) -> Duration {
        if self.refusals == 0 {
            self.since = now;
        } else if sent < self.last {
            return Duration::ZERO; // it left before the last refusal was heard
        }
        self.refusals = self.refusals.saturating_add(1);
        self.last = now;
        match self.refusals {
            1 => Duration::ZERO,
            more => FIRST_WAIT
                .saturating_mul(1 << (more - 2).min(16))
                .min(LONGEST_WAIT),
        }
    }

    /// A request that was granted at `sent` has been let in.
    pub(in crate::limiter) fn admitted(&mut self, sent: Tick) {
        if self.refusals == 0 || sent < self.last {
            return;
        }
        if self.refusals > 1 {
            let kept = self.kept(sent) + sent.since(self.since).as_secs_f64();
            self.kept = kept.min(MOST_KEPT);
            self.kept_at = sent;
        }
        self.refusals = 0;
    }

    /// The limits are other ones: what was is no guide.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What is to be kept back at `now`, in seconds of the rate.
    pub(super) fn kept(&self, now: Tick) -> f64 {
        if self.kept <= 0.0 {
            return 0.0; // as is so for most, and each grant asks
        }
        let age = now.since(self.kept_at).as_secs_f64();
        self.kept * 0.5_f64.powf(age / HALF_LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn waits_double_and_what_left_before_does_not_count() {
        let mut refusal_backoff = RefusalBackoff::default();
        let table = [
            // sent and heard in seconds, the wait in ms
            (0, 1, 0),
            (0, 1, 0), // left before the first was heard
            (2, 3, 150),
            (2, 3, 0),
            (4, 4, 300),
            (5, 5, 600),
        ];
        for (step, (sent, heard, millis)) in table.into_iter().enumerate() {
            let wait = refusal_backoff.refused(Tick(sent * SECOND), Tick(heard * SECOND));
            assert_eq!(wait, Duration::from_millis(millis), "step {step}");
        }
        for _ in 0..100 {
            refusal_backoff.refused(Tick(9 * SECOND), Tick(9 * SECOND));
        }
        let wait = refusal_backoff.refused(Tick(9 * SECOND), Tick(9 * SECOND));
        assert_eq!(wait, LONGEST_WAIT);
    }

    #[test]
    fn what_an_outage_took_is_kept_back_for_a_while() {
        let mut refusal_backoff = RefusalBackoff::default();
        let at = |seconds: f64| Tick::default().after(Duration::from_secs_f64(seconds));
        refusal_backoff.refused(at(0.0), at(1.0));
        refusal_backoff.admitted(at(0.5));
        assert_eq!(refusal_backoff.refusals, 1, "it left before the refusal");
        refusal_backoff.admitted(at(1.1));
        assert_eq!(
            refusal_backoff.kept(at(1.1)),
            0.0,
            "the server's wait was right"
        );
        refusal_backoff.refused(at(2.0), at(2.0));
        refusal_backoff.refused(at(2.1), at(2.1));
        refusal_backoff.admitted(at(3.5));
        assert_eq!(refusal_backoff.kept(at(3.5)), 1.5);
        assert_eq!(refusal_backoff.kept(at(3.5 + HALF_LIFE)), 0.75);
        refusal_backoff.forget();
        assert_eq!(refusal_backoff.kept(at(4.0)), 0.0);
        refusal_backoff.refused(at(5.0), at(5.0));
        refusal_backoff.admitted(at(5.0));
        assert_eq!(refusal_backoff.refusals, 0, "it left when that was heard");
    }
}
