//! How a line stands, and when whose turn comes: questions that change nothing but the time.

use std::sync::Arc;

use super::super::forecast::Forecast;
use super::super::level::{Level, Tick};
use super::super::snapshot::{QuotaSnapshot, Snapshot};
use super::{Queue, Waiter};
use crate::cost::Cost;
use crate::quota::Quota;

impl Queue {
    pub(in crate::limiter) fn snapshot(&mut self, now: Tick) -> Snapshot {
        self.bring_up_to(now);
        let head = self.waiters.front();
        let levels = self.levels.iter().enumerate();
        let shown = levels.filter(|(_, level)| !level.is_hidden());
        let quota = |(index, level): (usize, &Level)| {
            let hearing = self.hearing.as_ref();
            let known = hearing
                .map(|hearing| hearing.known(index))
                .unwrap_or_default();
            QuotaSnapshot {
                quota: level.quota(),
                level: level.whole(),
                granted: self.granted.amount(level.unit()),
                told: known.told,
                charge_ratio: known.ratio,
                others: known.others,
            }
        };
        Snapshot {
            quotas: shown.map(quota).collect(),
            waiters: self.waiters.len(),
            head_cost: head.map(|head| head.cost),
            head_due: head.map(|head| self.due(head.cost).since(now)),
            binding: head.and_then(|head| self.binding(head.cost)),
            grants: self.grants,
            paused_for: self.paused_until.since(now),
            closed: self.closed,
        }
    }

    /// When `cost` is covered, if nobody else takes anything before.
    pub(in crate::limiter) fn due(&self, cost: Cost) -> Tick {
        let dues = self
            .levels
            .iter()
            .map(|level| level.due(cost.amount(level.unit())));
        dues.fold(self.paused_until, Tick::max)
    }

    /// When a waiter of `cost` would be served at `place`, or at the end of the line as it stands.
    /// Plays the line forward, so it costs time in proportion to its length.
    pub(in crate::limiter) fn predict(&self, cost: Cost, place: Option<u64>, now: Tick) -> Tick {
        // A careful start ends with the first answers, and would make predictions far too long.
        let seen = |level: &&Level| !level.is_hidden();
        let mut ahead = Forecast::new(self.levels.iter().filter(seen), self.paused_until.max(now));
        let before = |waiter: &&Arc<Waiter>| place.is_none_or(|place| waiter.place < place);
        for waiter in self.waiters.iter().take_while(before) {
            ahead.pass(waiter.cost);
        }
        ahead.pass(cost)
    }

    /// The quota that the head waits for longest.
    fn binding(&self, cost: Cost) -> Option<Quota> {
        let levels = self.levels.iter().filter(|level| !level.is_hidden());
        let slowest = levels.max_by_key(|level| level.due(cost.amount(level.unit())));
        slowest.map(Level::quota)
    }
}
