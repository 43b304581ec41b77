//! How a line stands, and when whose turn comes: questions that change nothing but the time.

use std::time::Duration;

use super::super::Priority;
use super::super::bucket::Tick;
use super::super::snapshot::{Snapshot, Waiter};
use super::{Asked, WaitQueue};
use crate::cost::Cost;
use crate::quota::Quota;
use crate::{AcquireError, Result};

impl WaitQueue {
    pub(in crate::limiter) fn snapshot(&mut self, now: Tick) -> Snapshot {
        self.bring_up_to(now);
        let head = self.priorities.head().map(|head| head.asked.cost);
        Snapshot {
            in_flight: self.slots.taken(),
            max_in_flight: self.slots.most(),
            window: self.slots.window(),
            waiters: self.priorities.len(),
            batch_waiters: self.priorities.count(Priority::Batch),
            head_cost: head,
            head_due: head.and_then(|cost| wait(self.due(cost), now)),
            binding: head.and_then(|cost| self.binding(cost)),
            counters: self.counters,
            paused_for: self.paused_until.since(now),
            closed: self.closed,
            ..self.supply.snapshot(self.spent)
        }
    }

    /// All waiters, in the order of their turns.
    pub(in crate::limiter) fn waiters(&mut self, now: Tick) -> Vec<Waiter> {
        self.bring_up_to(now);
        let mut ahead = self.supply.forecast(self.paused_until.max(now));
        let waiters = self.priorities.in_order();
        let seen = waiters.map(|waiter| Waiter {
            thread: waiter.thread.name().map(str::to_owned),
            cost: waiter.asked.cost,
            priority: waiter.asked.priority,
            waited: now.since(waiter.joined),
            due: wait(ahead.pass(waiter.asked.cost), now),
            deadline: waiter.deadline.map(|deadline| deadline.since(now)),
        });
        seen.collect()
    }

    /// Refuses a cost that no waiting would help.
    pub(in crate::limiter) fn check(&self, cost: Cost) -> Result<(), AcquireError> {
        self.supply.check(cost)
    }

    /// When `cost` is covered, if no other request takes anything before. Never, as long as no request
    /// in flight makes room.
    pub(in crate::limiter) fn due(&self, cost: Cost) -> Tick {
        let room = self.slots.due();
        if room == Tick::NEVER {
            return Tick::NEVER;
        }
        self.supply.due(cost).max(self.paused_until).max(room)
    }

    /// When a request would be served that joined the line as it stands, those in flight aside.
    /// Plays the line forward, so it costs time in proportion to its length.
    pub(in crate::limiter) fn predict(&self, asked: Asked, now: Tick) -> Tick {
        let before = self.priorities.before(asked.priority, asked.place);
        let costs = before.map(|waiter| waiter.asked.cost).chain([asked.cost]);
        self.supply.turn(costs, self.paused_until.max(now))
    }

    /// The quota that the head waits for longest, unless it waits for a place in flight.
    fn binding(&self, cost: Cost) -> Option<Quota> {
        if !self.slots.has(1) {
            return None;
        }
        self.supply.binding(cost)
    }
}

/// How long it is until a time that comes.
fn wait(until: Tick, now: Tick) -> Option<Duration> {
    (until != Tick::NEVER).then(|| until.since(now))
}
