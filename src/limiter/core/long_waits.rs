//! What the log says of long waits.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::human;
use crate::limiter::snapshot::Snapshot;

/// Says what a limiter's waiters wait for, once in a while.
#[derive(Default)]
pub(super) struct LongWaits(Mutex<Option<Instant>>);

impl LongWaits {
    /// A wait is long after this time: a reader of a log has begun to wonder.
    pub(super) const AFTER: Duration = Duration::from_secs(5);
    /// A thousand waiters are one line.
    const EVERY: Duration = Duration::from_secs(60);

    pub(super) fn are_logged() -> bool {
        log::log_enabled!(log::Level::Info)
    }

    pub(super) fn say(&self, now: Instant, snapshot: impl FnOnce() -> Snapshot) {
        if self.is_due(now) {
            log::info!("{}", line(&snapshot()));
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock();
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= Self::EVERY);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

/// `waiting for a rate limit of 30000 tokens per minute; 7 wait, the first for 3.2 s more`.
fn line(snapshot: &Snapshot) -> String {
    let Snapshot {
        waiters,
        head_due,
        binding,
        max_in_flight,
        window,
        paused_for,
        ..
    } = snapshot;
    let what = match (binding, max_in_flight.or(*window)) {
        _ if !paused_for.is_zero() => "the end of a pause that the server asked for".to_owned(),
        (Some(quota), _) => {
            let (amount, unit) = (quota.amount(), quota.unit());
            let period = crate::error::per(quota.period());
            format!("a rate limit of {amount} {unit} per {period}")
        }
        (None, Some(most)) => format!("one of {most} requests in flight to end"),
        (None, None) => "a rate limit".to_owned(),
    };
    let first = match head_due {
        Some(due) => format!(", the first for {} more", human(*due)),
        None => String::new(),
    };
    format!("waiting for {what}; {waiters} wait{first}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Limits;
    use crate::{Cost, ManualClock, RateLimiter};

    #[test]
    fn a_line_names_the_limit_and_comes_once_a_minute() {
        let clock = ManualClock::new();
        let limits = Limits::tokens_per_minute(60_000).unwrap();
        let limiter = RateLimiter::builder(limits).clock(&clock).build();
        drop(limiter.acquire(Cost::tokens(60_000)).unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| drop(limiter.acquire(Cost::tokens(2_000)).unwrap()));
            clock.wait_for_waiters(1);
            let expected = "waiting for a rate limit of 60000 tokens per minute; 1 wait, the first \
                            for 2.0 s more";
            assert_eq!(line(&limiter.snapshot()), expected);
            limiter.pause_until(clock.now() + Duration::from_secs(3));
            assert!(line(&limiter.snapshot()).contains("the end of a pause"));
            clock.advance(Duration::from_secs(3));
        });
        let said = LongWaits::default();
        let second = Duration::from_secs(1);
        let due = [0, 1, 59, 60, 61].map(|after| said.is_due(clock.now() + second * after));
        assert_eq!(due, [true, false, false, true, false]);
    }
}
