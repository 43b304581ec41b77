//! What a line asks of time: be called again at an instant.

use std::cmp::Ordering;
use std::sync::Weak;
use std::time::Instant;

use super::bucket::Tick;
use crate::{AcquireError, Result};

/// Something that wants to be called when its time has come.
pub(crate) trait Ring: Send + Sync {
    /// Called once for each alarm that was set, at its time or later, with the tick that it was set
    /// for. Returns when to be called next, if no alarm that is set already will do.
    fn ring(&self, set_for: Tick) -> Option<Due>;
}

/// A time in both of its forms: the tick is exact, and the instant is what one can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) tick: Tick,
}

/// Keeps alarms and rings them.
pub(crate) trait Alarms: Send + Sync {
    /// Makes sure that alarms will ring, which may mean starting a thread.
    fn ready(&self) -> Result<(), AcquireError>;

    /// Has `ring` called when `due`, or as soon after it as can be. Never blocks, and may be
    /// called with locks held that `ring` takes: it is not called from here.
    ///
    /// False when the time has come already: no alarm will ring, and the caller acts itself.
    #[must_use]
    fn set(&self, due: Due, ring: Weak<dyn Ring>) -> bool;
}

/// One alarm. The earliest is the greatest, for a max-heap to give it out first.
pub(super) struct Alarm {
    pub(super) due: Due,
    pub(super) ring: Weak<dyn Ring>,
}

impl Alarm {
    /// Rings, and returns the alarm that follows. One whose owner is gone is forgotten.
    pub(super) fn go_off(self) -> Option<Self> {
        let due = self.ring.upgrade()?.ring(self.due.tick)?;
        Some(Self {
            due,
            ring: self.ring,
        })
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Alarm {}

#[cfg(all(test, not(paceline_loom)))]
#[allow(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use std::collections::BinaryHeap;
    use std::time::Duration;

    use super::*;

    struct Nobody;

    impl Ring for Nobody {
        fn ring(&self, _: Tick) -> Option<Due> {
            None
        }
    }

    #[test]
    fn a_heap_gives_out_the_earliest_first_in_whatever_order_they_were_set() {
        let start = Instant::now();
        let alarm = |seconds| {
            let after = Duration::from_secs(seconds);
            let due = Due {
                at: start + after,
                tick: Tick(0).after(after),
            };
            let ring: Weak<dyn Ring> = Weak::<Nobody>::new();
            Alarm { due, ring }
        };
        for order in [[1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2], [2, 4, 1, 3]] {
            let mut heap: BinaryHeap<_> = order.into_iter().map(alarm).collect();
            for seconds in 1..=4 {
                let first = heap.pop().unwrap().due;
                assert_eq!(first.at, start + Duration::from_secs(seconds), "{order:?}");
            }
        }
    }
}
