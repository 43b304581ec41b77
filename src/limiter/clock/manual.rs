//! A clock that stands still until a test moves it.

use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::super::alarm::{Alarm, Alarms, Due, Ring};
#[cfg(not(paceline_loom))]
use super::crowd::{Crowd, Waiting};
use crate::sync::Mutex;
use crate::{AcquireError, Result};

/// An instant can hold it on every platform, and a program that adds it once.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A clock that stands still until the test moves it: for testing code that waits, without
/// waiting. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use paceline::{Cost, Limits, ManualClock, RateLimiter};
///
/// let clock = ManualClock::new();
/// let limiter = RateLimiter::builder(Limits::tokens_per_minute(60_000)?)
///     .clock(&clock)
///     .build();
/// limiter.acquire(Cost::tokens(60_000))?; // the whole bucket
/// assert!(limiter.try_acquire(Cost::tokens(1_000)).is_err());
/// clock.advance(Duration::from_secs(1)); // no second passes
/// limiter.try_acquire(Cost::tokens(1_000))?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Hands>);

struct Hands {
    origin: Instant,
    state: Mutex<HandsState>,
    #[cfg(not(paceline_loom))]
    crowd: Crowd,
}

struct HandsState {
    elapsed: Duration,
    pending: BinaryHeap<Alarm>,
}

impl ManualClock {
    /// A clock that stands at an arbitrary instant.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "an instant has to come from somewhere"
    )]
    pub fn new() -> Self {
        Self(Arc::new(Hands {
            origin: Instant::now(),
            state: Mutex::new(HandsState {
                elapsed: Duration::ZERO,
                pending: BinaryHeap::new(),
            }),
            #[cfg(not(paceline_loom))]
            crowd: Crowd::default(),
        }))
    }

    /// The time that the clock shows.
    #[must_use]
    pub fn now(&self) -> Instant {
        let elapsed = self.0.state.lock().elapsed;
        self.0.origin + elapsed
    }

    pub(super) fn alarms(&self) -> Arc<dyn Alarms> {
        Arc::clone(&self.0) as Arc<dyn Alarms>
    }

    /// Moves the clock on. It stops on the way at each instant at which a waiter's turn or
    /// deadline comes, so each is answered at exactly its time, and the answered threads are
    /// notified when this returns (they may not have run yet). At most a century at once.
    pub fn advance(&self, by: Duration) {
        self.ring_until(self.now() + by.min(CENTURY));
    }

    /// Moves the clock on at once, without stopping on the way: what a machine does that was
    /// asleep, or a process that was stopped. All that was due meanwhile is then found late, and
    /// answered as [`advance`](ManualClock::advance) would. At most a century at once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{Cost, Limits, ManualClock, RateLimiter};
    ///
    /// let clock = ManualClock::new();
    /// let limiter = RateLimiter::builder(Limits::tokens_per_minute(60_000)?)
    ///     .clock(&clock)
    ///     .build();
    /// clock.jump(Duration::from_secs(8 * 60 * 60)); // a night
    /// assert_eq!(limiter.snapshot().quotas[0].level, 60_000, "and no more");
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn jump(&self, by: Duration) {
        let target = self.now() + by.min(CENTURY);
        self.0.move_to(target);
        self.ring_until(target);
    }

    /// Blocks until `count` threads wait in the limiters of this clock: so a test knows that they have come
    /// before it moves the clock on. Never returns if they do not come.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{Cost, Limits, ManualClock, RateLimiter};
    ///
    /// let clock = ManualClock::new();
    /// let limits = Limits::tokens_per_minute(60_000)?;
    /// let limiter = RateLimiter::builder(limits).clock(&clock).build();
    /// limiter.acquire(Cost::tokens(60_000))?; // the whole bucket
    /// std::thread::scope(|scope| {
    ///     let waiting = scope.spawn(|| limiter.acquire(Cost::tokens(1_000)).map(|it| it.waited()));
    ///     clock.wait_for_waiters(1);
    ///     clock.advance(Duration::from_secs(1));
    ///     assert_eq!(waiting.join().unwrap()?, Duration::from_secs(1));
    ///     Ok::<(), paceline::Error>(())
    /// })?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[cfg(not(paceline_loom))]
    pub fn wait_for_waiters(&self, count: usize) {
        self.0.crowd.wait_for(count);
    }

    #[cfg(not(paceline_loom))]
    pub(super) fn counts(&self, queue: Weak<dyn Waiting>) {
        self.0.crowd.add(queue);
    }

    #[cfg(not(paceline_loom))]
    pub(super) fn joined(&self) {
        self.0.crowd.joined();
    }

    fn ring_until(&self, target: Instant) {
        while let Some(alarm) = self.0.move_to_alarm_or(target) {
            if let Some(next) = alarm.go_off() {
                self.0.state.lock().pending.push(next);
            }
        }
    }
}

impl Hands {
    fn move_to(&self, target: Instant) {
        let mut state = self.state.lock();
        state.elapsed = state.elapsed.max(target - self.origin);
    }

    /// Moves to the first alarm up to `target` and takes it out, or moves to `target`. In one
    /// step: an alarm set meanwhile is either found here, or setting it fails as its time has come.
    fn move_to_alarm_or(&self, target: Instant) -> Option<Alarm> {
        let mut state = self.state.lock();
        let target = state.elapsed.max(target - self.origin);
        let first = state.pending.peek().map(|alarm| alarm.due.at - self.origin);
        match first.filter(|first| *first <= target) {
            Some(first) => {
                state.elapsed = state.elapsed.max(first);
                state.pending.pop()
            }
            None => {
                state.elapsed = target;
                None
            }
        }
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock")
            .field("elapsed", &self.0.state.lock().elapsed)
            .finish_non_exhaustive()
    }
}

impl Alarms for Hands {
    fn ready(&self) -> Result<(), AcquireError> {
        Ok(())
    }

    fn set(&self, due: Due, ring: Weak<dyn Ring>) -> bool {
        let mut state = self.state.lock();
        let ahead = due.at > self.origin + state.elapsed;
        if ahead {
            state.pending.push(Alarm { due, ring });
        }
        ahead
    }
}

#[cfg(all(test, not(paceline_loom)))]
mod tests {
    use super::*;
    use crate::limiter::bucket::Tick;

    struct Nobody;

    impl Ring for Nobody {
        fn ring(&self, _: Tick) -> Option<Due> {
            None
        }
    }

    #[test]
    fn waiters_are_counted_as_they_come_and_go() {
        use crate::{Cost, Limits, RateLimiter};
        let clock = ManualClock::new();
        let make = || {
            let limits = Limits::tokens_per_minute(60).unwrap();
            let limiter = RateLimiter::builder(limits).clock(&clock).build();
            drop(limiter.acquire(Cost::tokens(60)).unwrap());
            limiter
        };
        drop(make());
        let limiters = [make(), make()];
        clock.wait_for_waiters(0);
        std::thread::scope(|scope| {
            for limiter in &limiters {
                scope.spawn(|| drop(limiter.acquire(Cost::tokens(1)).unwrap()));
            }
            clock.wait_for_waiters(2);
            clock.advance(Duration::from_secs(1));
            // Answered, whether or not its thread has run since, none of them counts.
            scope.spawn(|| drop(limiters[0].acquire(Cost::tokens(2)).unwrap()));
            clock.wait_for_waiters(1);
            let waiting = limiters.iter().map(|it| it.snapshot().waiters);
            assert_eq!(waiting.sum::<usize>(), 1);
            clock.advance(Duration::from_secs(2));
        });
    }

    #[test]
    fn an_alarm_whose_time_has_come_is_not_set() {
        let clock = ManualClock::new();
        let origin = clock.now();
        let second = Duration::from_secs(1);
        clock.advance(second * 10);
        for (seconds, is_set) in [(9, false), (10, false), (11, true)] {
            let after = second * seconds;
            let due = Due {
                at: origin + after,
                tick: Tick(0).after(after),
            };
            let set = clock.0.set(due, Weak::<Nobody>::new());
            assert_eq!(set, is_set, "{seconds}");
        }
    }
}
