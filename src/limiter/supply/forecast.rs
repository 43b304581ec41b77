//! The levels as they will be, once a line has passed.

use super::super::bucket::{Bucket, Tick};
use crate::cost::Cost;

/// Plays a line forward, one cost after the other.
pub(in crate::limiter) struct Forecast {
    levels: Vec<Bucket>,
    now: Tick,
}

impl Forecast {
    /// Begins with these levels, at `now`.
    pub(super) fn new<'a>(levels: impl Iterator<Item = &'a Bucket>, now: Tick) -> Self {
        Self {
            levels: levels.cloned().collect(),
            now,
        }
    }

    /// Moves on to the time at which `cost` is covered, takes it, and returns the time.
    pub(in crate::limiter) fn pass(&mut self, cost: Cost) -> Tick {
        for level in &self.levels {
            self.now = self.now.max(level.due(cost.amount(level.unit())));
        }
        for level in &mut self.levels {
            level.refill(self.now);
            level.take(cost.amount(level.unit()));
        }
        self.now
    }
}
