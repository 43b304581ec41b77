//! A server that works on a limited number of requests at once and queues others.
//!
//! Nothing waits here: when a request comes, it is known when a place will be free for it, because
//! it is known how long each takes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

/// How many at once, and how many may wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotRule {
    pub(super) at_once: usize,
    pub(super) queue: usize,
}

/// When places become free. Times are nanoseconds since the simulator's start.
///
/// The lock is held for a few heap operations and through an admission, never across a wait. It is
/// the first of the locks of an admission.
#[derive(Debug)]
pub(super) struct Slots {
    rule: SlotRule,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When those that were admitted end; the earliest first.
    ends: BinaryHeap<Reverse<u64>>,
    /// When those that had to wait begin.
    starts: BinaryHeap<Reverse<u64>>,
}

/// The locked places: no other request takes one meanwhile.
#[derive(Debug)]
pub(super) struct Places<'a> {
    rule: SlotRule,
    state: MutexGuard<'a, State>,
}

impl Slots {
    pub(super) fn new(rule: SlotRule) -> Self {
        Self {
            rule,
            state: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> Places<'_> {
        Places {
            rule: self.rule,
            state: self.state.lock(),
        }
    }
}

impl Places<'_> {
    /// When the next request could begin: now, or when the first of the others ends.
    fn next_start(&self, now: u64) -> u64 {
        if self.state.ends.len() < self.rule.at_once {
            return now;
        }
        self.state.ends.peek().map_or(now, |end| end.0.max(now))
    }

    /// Whether a request would have to wait, and too many do.
    pub(super) fn are_full(&mut self, now: u64) -> bool {
        let starts = &mut self.state.starts;
        while starts.peek().is_some_and(|start| start.0 <= now) {
            starts.pop();
        }
        self.next_start(now) > now && self.state.starts.len() >= self.rule.queue
    }

    /// Lets a request in that takes `latency` once it has a place: the time from now to its end.
    pub(super) fn take(mut self, now: u64, latency: Duration) -> Duration {
        let start = self.next_start(now);
        if self.state.ends.len() >= self.rule.at_once {
            self.state.ends.pop();
        }
        if start > now {
            self.state.starts.push(Reverse(start));
        }
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let end = start.saturating_add(nanos);
        self.state.ends.push(Reverse(end));
        Duration::from_nanos(end - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn two_at_once_one_waits_and_the_fourth_is_refused() {
        let slots = Slots::new(SlotRule {
            at_once: 2,
            queue: 1,
        });
        let enter = |at, latency| {
            let mut places = slots.lock();
            let free = !places.are_full(at);
            free.then(|| places.take(at, Duration::from_nanos(latency)).as_nanos())
        };
        assert_eq!(enter(0, 4 * SECOND), Some(4_000_000_000));
        assert_eq!(enter(0, SECOND), Some(1_000_000_000));
        // From 1 s, when the second ends.
        assert_eq!(enter(0, SECOND), Some(2_000_000_000));
        assert_eq!(enter(0, SECOND), None);
        // The one that waited has begun, so another may wait until it ends at 2 s.
        assert_eq!(enter(SECOND, SECOND), Some(2_000_000_000));
        assert_eq!(enter(SECOND, SECOND), None);
        // Long after all have ended, every request starts at once.
        assert_eq!(enter(60 * SECOND, SECOND), Some(1_000_000_000));
        assert_eq!(enter(60 * SECOND, SECOND), Some(1_000_000_000));
    }

    #[test]
    fn without_a_queue_whoever_would_wait_is_refused() {
        let slots = Slots::new(SlotRule {
            at_once: 1,
            queue: 0,
        });
        let mut places = slots.lock();
        assert!(!places.are_full(u64::MAX - 1));
        assert_eq!(
            places.take(u64::MAX - 1, Duration::MAX),
            Duration::from_nanos(1)
        );
        assert!(slots.lock().are_full(u64::MAX - 1));
    }
}
