//! What the store has booked for this process: amounts, each from a time on.
//!
//! They do not belong to a waiter. The head of the queue takes what has come, so a waiter that gives
//! up leaves its reservation to the next.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::bucket::Tick;
use crate::cost::Cost;
use crate::unit::Unit;

/// Amounts by unit, as [`Cost::amounts`] has them.
pub(in crate::limiter) type Amounts = [u64; Unit::COUNT];
/// What the store has counted, by unit.
pub(in crate::limiter) type Counts = [i64; Unit::COUNT];
/// Sums of such amounts.
pub(super) type Sums = [u128; Unit::COUNT];

/// The most of one unit that is asked for: above all limits, and exact in the store.
const MOST: u64 = 1 << 52;

/// The amounts of a cost.
pub(in crate::limiter) fn amounts(cost: Cost) -> Amounts {
    cost.amounts().map(|amount| amount.min(MOST))
}

/// What has been booked and not been used.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    /// What may be used now.
    ready: Sums,
    /// What will be, the earliest first.
    coming: VecDeque<Reservation>,
    total: Sums,
    /// What the store had booked in all with the newest reservation that has come.
    booked: Option<Counts>,
    /// When that one was due.
    as_of: Tick,
}

#[derive(Debug)]
struct Reservation {
    due: Tick,
    amounts: Amounts,
    /// What the store had booked in all, this included.
    booked: Counts,
}

impl Reservations {
    pub(super) fn add(&mut self, due: Tick, amounts: Amounts, booked: Counts) {
        let at = self
            .coming
            .partition_point(|reservation| reservation.due <= due);
        let reservation = Reservation {
            due,
            amounts,
            booked,
        };
        self.coming.insert(at, reservation);
        add(&mut self.total, amounts);
    }

    /// Takes in what has come. What came longer ago than `life` is void: no request used it, and used
    /// now, it would be used in the turn of others.
    pub(super) fn take_in(&mut self, now: Tick, life: Duration) {
        while let Some(reservation) = self.coming.front()
            && reservation.due <= now
            && let Some(reservation) = self.coming.pop_front()
        {
            (self.booked, self.as_of) = (Some(reservation.booked), reservation.due);
            match reservation.due.after(life) >= now {
                true => add(&mut self.ready, reservation.amounts),
                false => sub(&mut self.total, reservation.amounts),
            }
        }
    }

    /// Whether a cost can be taken now.
    pub(super) fn covers(&self, cost: Amounts) -> bool {
        fits(cost.map(u128::from), self.ready)
    }

    /// Takes a cost that is covered.
    pub(super) fn take(&mut self, cost: Amounts) {
        sub(&mut self.ready, cost);
        sub(&mut self.total, cost);
    }

    /// What of the store's bookings has been used, for all that is known here: those up to the newest
    /// reservation that has come, less what has come and is not used. Reservations do not belong to a
    /// waiter, so no grant has one of its own. What others have booked since that reservation counts as
    /// unused.
    pub(super) fn used(&self) -> Option<Counts> {
        let mut used = self.booked?;
        for (used, ready) in used.iter_mut().zip(self.ready) {
            *used = used.saturating_sub(i64::try_from(ready).unwrap_or(i64::MAX));
        }
        Some(used)
    }

    /// The time up to which others' bookings are known here.
    pub(super) fn as_of(&self) -> Tick {
        self.as_of
    }

    /// What the store had booked before anything is known of it here.
    pub(super) fn begin_with(&mut self, booked: Counts) {
        self.booked.get_or_insert(booked);
    }

    /// The store counts anew.
    pub(super) fn count_anew(&mut self) {
        self.booked = None;
    }

    /// When so much will have come; never, if it is not booked.
    pub(super) fn due(&self, sum: Sums) -> Tick {
        let mut come = self.ready;
        let mut due = Tick(0);
        let mut coming = self.coming.iter();
        while !fits(sum, come) {
            let Some(reservation) = coming.next() else {
                return Tick::NEVER;
            };
            add(&mut come, reservation.amounts);
            due = reservation.due;
        }
        due
    }

    /// When the last of what is booked comes, if it has not.
    pub(super) fn last(&self) -> Option<Tick> {
        self.coming.back().map(|reservation| reservation.due)
    }

    /// All that is booked, come or not.
    pub(super) fn total(&self) -> Sums {
        self.total
    }

    /// What comes after a time.
    pub(super) fn after(&self, time: Tick) -> Amounts {
        let mut sum = Sums::default();
        for reservation in self
            .coming
            .iter()
            .rev()
            .take_while(|reservation| reservation.due > time)
        {
            add(&mut sum, reservation.amounts);
        }
        sum.map(|sum| u64::try_from(sum).unwrap_or(u64::MAX))
    }

    /// Takes out what no waiter needs any more, up to `surplus`, the last to come first.
    pub(super) fn hand_back(&mut self, surplus: Sums) -> Amounts {
        let mut back = Sums::default();
        let mut rest = surplus;
        for reservation in self.coming.iter_mut().rev() {
            for ((amount, rest), back) in
                reservation.amounts.iter_mut().zip(&mut rest).zip(&mut back)
            {
                let part = u64::try_from(*rest).unwrap_or(u64::MAX).min(*amount);
                *amount -= part;
                *rest -= u128::from(part);
                *back += u128::from(part);
            }
        }
        while self
            .coming
            .back()
            .is_some_and(|reservation| reservation.amounts == [0; Unit::COUNT])
        {
            self.coming.pop_back();
        }
        for ((ready, rest), back) in self.ready.iter_mut().zip(rest).zip(&mut back) {
            let part = rest.min(*ready);
            *ready -= part;
            *back += part;
        }
        for (total, back) in self.total.iter_mut().zip(back) {
            *total = total.saturating_sub(back);
        }
        back.map(|sum| u64::try_from(sum).unwrap_or(u64::MAX))
    }

    /// Forgets all that has not come, or all.
    pub(super) fn forget(&mut self, is_all: bool) {
        self.coming.clear();
        if is_all {
            self.ready = Sums::default();
        }
        self.total = self.ready;
    }
}

pub(super) fn add(sums: &mut Sums, amounts: Amounts) {
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum += u128::from(amount);
    }
}

pub(super) fn sub(sums: &mut Sums, amounts: Amounts) {
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum = sum.saturating_sub(u128::from(amount));
    }
}

/// Whether `small` is no more than `large` in any unit.
pub(super) fn fits(small: Sums, large: Sums) -> bool {
    small
        .iter()
        .zip(large)
        .all(|(small, large)| *small <= large)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFE: Duration = Duration::from_nanos(100);

    fn tokens(amount: u64) -> Amounts {
        amounts(Cost::tokens(amount))
    }

    fn sums(amount: u64) -> Sums {
        tokens(amount).map(u128::from)
    }

    #[test]
    fn a_cost_is_due_when_the_lot_comes_that_completes_it() {
        let mut reservations = Reservations::default();
        for (due, amount) in [(30, 5), (10, 2), (20, 3)] {
            reservations.add(Tick(due), tokens(amount), [0; 5]);
        }
        let due = |reservations: &Reservations, amount| reservations.due([0, amount, 0, 0, 0]);
        assert_eq!(
            [0, 2, 3, 5, 6, 10].map(|amount| due(&reservations, amount).0),
            [0, 10, 20, 20, 30, 30]
        );
        assert_eq!(due(&reservations, 11), Tick::NEVER);
        reservations.take_in(Tick(20), LIFE);
        assert!(reservations.covers([2, 5, 5, 0, 0]) && !reservations.covers([1, 6, 0, 0, 0]));
        reservations.take(tokens(4));
        assert_eq!(
            (due(&reservations, 1), due(&reservations, 2)),
            (Tick(0), Tick(30))
        );
    }

    #[test]
    fn what_came_long_ago_is_void() {
        let mut reservations = Reservations::default();
        reservations.add(Tick(10), tokens(1), [0; 5]);
        reservations.add(Tick(50), tokens(2), [0; 5]);
        reservations.take_in(Tick(111), LIFE);
        assert_eq!(reservations.total(), sums(2));
        assert!(reservations.covers(tokens(2)));
    }

    #[test]
    fn the_last_to_come_is_handed_back_first() {
        let mut reservations = Reservations::default();
        for (due, amount) in [(10, 4), (20, 3), (30, 5)] {
            reservations.add(Tick(due), tokens(amount), [0; 5]);
        }
        reservations.take_in(Tick(10), LIFE);
        assert_eq!(reservations.after(Tick(10)), [2, 8, 8, 0, 0]);
        assert_eq!(reservations.hand_back([1, 6, 6, 0, 0]), [1, 6, 6, 0, 0]);
        assert_eq!(reservations.after(Tick(10)), [1, 2, 2, 0, 0]);
        assert_eq!(reservations.hand_back([9, 9, 9, 9, 0]), [2, 6, 6, 0, 0]);
        assert_eq!(reservations.total(), Sums::default());
    }

    proptest! {
        /// Whatever is done, all that was added is there, was taken, was handed back or is void.
        #[test]
        fn nothing_is_lost_or_made(
            steps in prop::collection::vec((0..4_u8, 0..50_u64, 0..20_u64), 1..80),
        ) {
            let mut reservations = Reservations::default();
            let (mut added, mut gone) = (0_u128, 0_u128);
            let mut now = 0;
            for (kind, time, amount) in steps {
                let before = reservations.total()[1];
                match kind {
                    0 => {
                        reservations.add(Tick(now + time), tokens(amount), [0; 5]);
                        added += u128::from(amount);
                    }
                    1 => {
                        now += time;
                        reservations.take_in(Tick(now), LIFE);
                        gone += before - reservations.total()[1];
                    }
                    2 => if reservations.covers(tokens(amount)) {
                        reservations.take(tokens(amount));
                        gone += u128::from(amount);
                    },
                    _ => gone += u128::from(reservations.hand_back(sums(amount))[1]),
                }
                prop_assert_eq!(reservations.total()[1] + gone, added);
                prop_assert!(reservations.due(reservations.total()) != Tick::NEVER);
            }
        }
    }
}
