//! For amounts that come from a store: the waiters for them, and what an answer of the store brings.

use std::time::Duration;

use super::super::bucket::Tick;
use super::super::supply::Supply;
use super::{Answer, Asked, WaitQueue};
use crate::cost::Cost;

impl WaitQueue {
    pub(in crate::limiter) fn supply(&mut self) -> &mut Supply {
        &mut self.supply
    }

    /// The supply, and its waiters in their order, no more than `most`: for what, and how long.
    pub(in crate::limiter) fn supply_and_line(
        &mut self,
        most: usize,
        now: Tick,
    ) -> (&mut Supply, Vec<(Cost, Duration)>) {
        let line = self.priorities.in_order().take(most);
        let line = line.map(|waiter| (waiter.asked.cost, now.since(waiter.joined)));
        (&mut self.supply, line.collect())
    }

    pub(in crate::limiter) fn len(&self) -> usize {
        self.priorities.len()
    }

    /// The place of the next request.
    pub(in crate::limiter) fn next_place(&self) -> u64 {
        self.next_place
    }

    /// Sets whether the limits are stated by the user or reported by the server.
    pub(in crate::limiter) fn trust(&mut self, is_trusted: bool) {
        self.slots.observe(|window, _| window.trust(is_trusted));
    }

    /// How many more may be in flight.
    pub(in crate::limiter) fn room(&self) -> usize {
        self.slots.free()
    }

    /// Grants nothing before `until`, whatever held until now.
    pub(in crate::limiter) fn set_pause(&mut self, until: Tick) {
        self.paused_until = until;
    }

    /// The first in line, if it has a deadline: its place, what it asks for, and the deadline.
    pub(in crate::limiter) fn head_with_deadline(&self) -> Option<(u64, Asked, Tick)> {
        let head = self.priorities.head()?;
        Some((head.place, head.asked, head.deadline?))
    }

    /// Answers those at these places as if their deadline had come.
    pub(in crate::limiter) fn time_out(&mut self, places: &[u64]) {
        for place in places {
            if let Some(waiter) = self.priorities.remove(*place) {
                self.answer(waiter, Answer::TimedOut);
            }
        }
    }
}
