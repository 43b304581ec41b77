//! What has been spent: in all, and around a time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cost::Cost;
use crate::limiter::bucket::Tick;
use crate::unit::Unit;

/// Requests that leave within this time of each other may arrive in another order.
const SLOT: u64 = 10_000_000;
/// Slots with grants that are remembered; older ones are taken to be empty.
const SLOTS: usize = 4_096;

/// What has been granted since the start, settlements included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::limiter) struct Spent {
    requests: i64,
    tokens: i64,
    input_tokens: i64,
    output_tokens: i64,
    custom: i64,
}

impl Spent {
    /// What was counted elsewhere, in the order of [`Cost::amounts`].
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn of(amounts: [i64; Unit::COUNT]) -> Self {
        let [requests, tokens, input_tokens, output_tokens, custom] = amounts;
        Self {
            requests,
            tokens,
            input_tokens,
            output_tokens,
            custom,
        }
    }

    /// What this is on another scale, on which `here` is `there`.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn moved(self, here: Self, there: Self) -> Self {
        let moved =
            |this: i64, here: i64, there: i64| there.saturating_add(this.saturating_sub(here));
        Self {
            requests: moved(self.requests, here.requests, there.requests),
            tokens: moved(self.tokens, here.tokens, there.tokens),
            input_tokens: moved(self.input_tokens, here.input_tokens, there.input_tokens),
            output_tokens: moved(self.output_tokens, here.output_tokens, there.output_tokens),
            custom: moved(self.custom, here.custom, there.custom),
        }
    }

    /// In the order of [`Cost::amounts`].
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn amounts(self) -> [i64; Unit::COUNT] {
        [
            self.requests,
            self.tokens,
            self.input_tokens,
            self.output_tokens,
            self.custom,
        ]
    }

    /// The same and `cost`.
    pub(super) fn and(self, cost: Cost) -> Self {
        let sum = |sum: i64, amount: u64| sum.saturating_add_unsigned(amount);
        Self {
            requests: sum(self.requests, cost.requests),
            tokens: sum(self.tokens, cost.tokens),
            input_tokens: sum(self.input_tokens, cost.input_tokens),
            output_tokens: sum(self.output_tokens, cost.output_tokens),
            custom: sum(self.custom, cost.custom),
        }
    }

    /// The same without `cost`.
    pub(super) fn without(self, cost: Cost) -> Self {
        let rest = |sum: i64, amount: u64| sum.saturating_sub_unsigned(amount);
        Self {
            requests: rest(self.requests, cost.requests),
            tokens: rest(self.tokens, cost.tokens),
            input_tokens: rest(self.input_tokens, cost.input_tokens),
            output_tokens: rest(self.output_tokens, cost.output_tokens),
            custom: rest(self.custom, cost.custom),
        }
    }

    /// What was spent from `earlier` until this, and what has come back more than that, by unit.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn against(self, earlier: Self) -> (Cost, Cost) {
        let more =
            |later: i64, earlier: i64| u64::try_from(later.saturating_sub(earlier)).unwrap_or(0);
        let beyond = |later: Self, earlier: Self| Cost {
            requests: more(later.requests, earlier.requests),
            tokens: more(later.tokens, earlier.tokens),
            input_tokens: more(later.input_tokens, earlier.input_tokens),
            output_tokens: more(later.output_tokens, earlier.output_tokens),
            custom: more(later.custom, earlier.custom),
        };
        (beyond(self, earlier), beyond(earlier, self))
    }

    /// What was spent in one unit from `earlier` until this.
    pub(super) fn since(self, earlier: Self, unit: Unit) -> f64 {
        self.amount(unit).saturating_sub(earlier.amount(unit)) as f64
    }

    pub(in crate::limiter) fn amount(self, unit: Unit) -> i64 {
        match unit {
            Unit::Requests => self.requests,
            Unit::Tokens => self.tokens,
            Unit::InputTokens => self.input_tokens,
            Unit::OutputTokens => self.output_tokens,
            Unit::Custom(_) => self.custom,
        }
    }
}

/// What was granted in each stretch of 10 ms that had grants, and what was spent in all.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub(super) spent: Spent,
    slots: VecDeque<(u64, Cost)>,
}

impl History {
    pub(super) fn granted(&mut self, cost: Cost, now: Tick) {
        self.spent = self.spent.and(cost);
        let slot = now.0 / SLOT;
        match self.slots.back_mut() {
            // Or before it, by a thread that read the clock earlier.
            Some((last, sum)) if slot <= *last => *sum = sum.saturating_add(cost),
            _ => {
                if self.slots.len() == SLOTS {
                    self.slots.pop_front();
                }
                self.slots.push_back((slot, cost));
            }
        }
    }

    pub(super) fn settled(&mut self, reserved: Cost, actual: Cost) {
        self.spent = self.spent.without(reserved).and(actual);
    }

    /// What was granted within a time before `now`.
    pub(super) fn since(&self, now: Tick, time: Duration) -> Cost {
        let first = Tick(now.0.saturating_sub(Tick::default().after(time).0)).0 / SLOT;
        let from = self.slots.partition_point(|(slot, _)| *slot < first);
        let near = self.slots.range(from..);
        near.fold(Cost::default(), |sum, (_, cost)| sum.saturating_add(*cost))
    }

    /// What was granted in the slot of `at` and its neighbours.
    pub(super) fn around(&self, at: Tick) -> Cost {
        let slot = at.0 / SLOT;
        let first = slot.saturating_sub(1);
        let from = self.slots.partition_point(|(slot, _)| *slot < first);
        let near = self.slots.range(from..);
        let near = near.take_while(|(found, _)| *found <= slot.saturating_add(1));
        near.fold(Cost::default(), |sum, (_, cost)| sum.saturating_add(*cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_counts_and_nothing_else() {
        let mut history = History::default();
        for slot in [0, 1, 1, 2, 5] {
            history.granted(Cost::tokens(10), Tick(slot * SLOT + 3));
        }
        let near = |slot: u64| history.around(Tick(slot * SLOT)).requests;
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(near), [3, 4, 3, 1, 1, 1, 1, 0]);
        assert_eq!(history.slots.len(), 4, "those of one slot are one");
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut history = History::default();
        for slot in 0..SLOTS as u64 + 2 {
            history.granted(Cost::tokens(1), Tick(slot * SLOT));
        }
        assert_eq!(history.slots.len(), SLOTS);
        assert_eq!(history.around(Tick(0)).requests, 0);
        assert_eq!(history.around(Tick(4 * SLOT)).requests, 3);
    }

    #[test]
    fn what_is_settled_is_spent_in_place_of_what_was_reserved() {
        let mut history = History::default();
        history.granted(Cost::tokens(10), Tick(0));
        let then = history.spent;
        history.granted(Cost::sized(20, 30), Tick(1));
        history.settled(Cost::sized(20, 30), Cost::sized(20, 5));
        let since = |unit| history.spent.since(then, unit);
        let units = [
            Unit::Requests,
            Unit::Tokens,
            Unit::InputTokens,
            Unit::OutputTokens,
        ];
        assert_eq!(units.map(since), [1.0, 25.0, 20.0, 5.0]);
    }
}
