//! How a line stands, and when whose turn comes: questions that change nothing but the time.

use std::time::Duration;

use super::super::Priority;
use super::super::forecast::Forecast;
use super::super::level::{Level, Tick};
use super::super::snapshot::{InLine, LimitOrigin, QuotaSnapshot, Snapshot};
use super::{Asked, Queue};
use crate::cost::Cost;
use crate::quota::Quota;

impl Queue {
    pub(in crate::limiter) fn snapshot(&mut self, now: Tick) -> Snapshot {
        self.bring_up_to(now);
        let head = self.lanes.head().map(|head| head.asked.cost);
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
                granted: self.spent.amount(level.unit()),
                told: known.told,
                origin: LimitOrigin::of(level.quota(), known.told),
                charge_ratio: known.ratio,
                others: known.others,
            }
        };
        Snapshot {
            quotas: shown.map(quota).collect(),
            in_flight: self.slots.taken(),
            max_in_flight: self.slots.most(),
            window: self.slots.window(),
            waiters: self.lanes.len(),
            batch_waiters: self.lanes.count(Priority::Batch),
            head_cost: head,
            head_due: head.and_then(|cost| wait(self.due(cost), now)),
            binding: head.and_then(|cost| self.binding(cost)),
            counters: self.counters,
            paused_for: self.paused_until.since(now),
            closed: self.closed,
            #[cfg(feature = "redis")]
            store: self.account.as_ref().map(|account| account.snapshot()),
        }
    }

    /// Everyone in line, in the order of their turns.
    pub(in crate::limiter) fn who_waits(&mut self, now: Tick) -> Vec<InLine> {
        self.bring_up_to(now);
        let mut ahead = self.forecast(now);
        let waiters = self.lanes.in_order();
        let seen = waiters.map(|waiter| InLine {
            thread: waiter.thread.name().map(str::to_owned),
            cost: waiter.asked.cost,
            priority: waiter.asked.priority,
            waited: now.since(waiter.joined),
            due: wait(ahead.pass(waiter.asked.cost), now),
            deadline: waiter.deadline.map(|deadline| deadline.since(now)),
        });
        seen.collect()
    }

    /// When `cost` is covered, if nobody else takes anything before. Never, as long as nobody who
    /// is in flight makes room.
    pub(in crate::limiter) fn due(&self, cost: Cost) -> Tick {
        let room = self.slots.due();
        if room == Tick::NEVER {
            return Tick::NEVER;
        }
        #[cfg(feature = "redis")]
        if let Some(account) = self.account.as_ref().filter(|account| account.is_fed()) {
            return account.due(cost).max(self.paused_until).max(room);
        }
        let dues = self
            .levels
            .iter()
            .map(|level| level.due(cost.amount(level.unit())));
        dues.fold(self.paused_until.max(room), Tick::max)
    }

    /// When a request would be served that joined the line as it stands, those in flight aside.
    /// Plays the line forward, so it costs time in proportion to its length.
    pub(in crate::limiter) fn predict(&self, asked: Asked, now: Tick) -> Tick {
        #[cfg(feature = "redis")]
        if let Some(turn) = self.predict_booked(asked, now) {
            return turn;
        }
        let mut ahead = self.forecast(now);
        for waiter in self.lanes.before(asked.priority, asked.place) {
            ahead.pass(waiter.asked.cost);
        }
        ahead.pass(asked.cost)
    }

    fn forecast(&self, now: Tick) -> Forecast {
        // A careful start ends with the first answers, and would make predictions far too long.
        let seen = |level: &&Level| !level.is_hidden();
        let levels = self.levels.iter().filter(seen);
        Forecast::new(levels, self.paused_until.max(now))
    }

    /// The quota that the head waits for longest, unless it waits for a place in flight.
    fn binding(&self, cost: Cost) -> Option<Quota> {
        if !self.slots.has(1) {
            return None;
        }
        let levels = self.levels.iter().filter(|level| !level.is_hidden());
        let slowest = levels.max_by_key(|level| level.due(cost.amount(level.unit())));
        slowest.map(Level::quota)
    }
}

/// How long it is until a time that comes.
fn wait(until: Tick, now: Tick) -> Option<Duration> {
    (until != Tick::NEVER).then(|| until.since(now))
}
