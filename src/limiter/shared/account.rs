//! What a line has with the store: what is booked for it, what it has to tell, when to sync.
//!
//! Pure: times are passed in, and the line's lock guards it.

mod syncs; // when the store is synced, and what for

use std::time::Duration;

use super::super::bucket::Tick;
use super::super::supply::adaptive::Spent;
use super::notes::{MOST_AT_ONCE, Note, Outgoing};
use super::reservations::{Amounts, Counts, Reservations, Sums, add, amounts, fits, sub};
use super::sync::{Joins, Order, Told};
use super::{OnStoreOutage, StoreSnapshot};
use crate::cost::Cost;
use crate::quota::Quota;
use crate::unit::Unit;

/// What a line has with the store.
#[derive(Debug)]
pub(in crate::limiter) struct Account {
    /// A name that no other limiter has.
    name: String,
    horizon: Duration,
    reservations: Reservations,
    /// What the waiters wait for.
    wanted: Sums,
    /// What the next sync reports, and since when.
    pending: Told,
    pending_since: Option<Tick>,
    /// What a sync without an answer reported: the next one repeats it unchanged.
    unheard: Option<Told>,
    /// The number of the last note that was read, and what is passed on with the next sync.
    noted: u64,
    observed: Option<(Tick, Note)>,
    incarnation: String,
    epoch: u64,
    /// When the last booking is due that is known of, by the store's clock.
    time: u64,
    turn: u64,
    /// What moved the store's levels beside bookings, as of its last answer.
    moved: Counts,
    joins: Joins,
    has_joined: bool,
    /// The limits that hold, as far as is known.
    quotas: Vec<Quota>,
    /// When to sync again for waiters without a booking, as the store said.
    come: Option<Tick>,
    /// When to be heard of again, for what is booked for later.
    heartbeat: Option<Tick>,
    is_visiting: bool,
    /// When the store last answered.
    synced: Tick,
    /// Whether more wait than have places in flight to go to.
    is_crowded: bool,
    /// The places of waiters that wait for one answer of the store and no longer.
    at_once: Vec<u64>,
    cut: Option<Cut>,
    people: People,
    present: u64,
    /// How many share it at least, as far as is known beforehand.
    expected: u64,
    snapshot: StoreSnapshot,
}

/// The store cannot be reached.
#[derive(Debug, Clone, Copy)]
struct Cut {
    rule: OnStoreOutage,
    since: Tick,
}

/// How many processes share the limiter: the most of the last minute or two.
#[derive(Debug, Clone, Copy, Default)]
struct People {
    since: Tick,
    now: u64,
    before: u64,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Account {
    pub(super) fn new(quotas: Vec<Quota>, joins: Joins, horizon: Duration) -> Self {
        Self {
            name: format!("{:016x}", fastrand::u64(..)),
            horizon,
            reservations: Reservations::default(),
            wanted: Sums::default(),
            pending: Told::default(),
            pending_since: None,
            unheard: None,
            noted: 0,
            observed: None,
            incarnation: String::new(),
            epoch: 0,
            time: 0,
            turn: 1,
            moved: [0; Unit::COUNT],
            joins,
            has_joined: false,
            quotas,
            come: None,
            heartbeat: None,
            is_visiting: false,
            synced: Tick(0),
            is_crowded: false,
            at_once: Vec::new(),
            cut: None,
            people: People::default(),
            present: 1,
            expected: 1,
            snapshot: StoreSnapshot::default(),
        }
    }

    /// Says how many share the limiter at least.
    pub(super) fn expecting(mut self, processes: u64) -> Self {
        self.expected = processes;
        self
    }

    pub(in crate::limiter) fn horizon(&self) -> Duration {
        self.horizon
    }

    pub(in crate::limiter) fn quotas(&self) -> &[Quota] {
        &self.quotas
    }

    /// Takes these for the limits until the store says what they are.
    pub(in crate::limiter) fn set_quotas(&mut self, quotas: Vec<Quota>) {
        self.quotas = quotas;
    }

    /// Whether what is granted is what the store has booked.
    pub(in crate::limiter) fn is_fed(&self) -> bool {
        self.cut.is_none_or(|cut| cut.rule == OnStoreOutage::Wait)
    }

    /// What happens to waiters, if the store cannot be reached.
    pub(in crate::limiter) fn outage(&self) -> Option<OnStoreOutage> {
        self.cut.map(|cut| cut.rule)
    }

    pub(in crate::limiter) fn snapshot(&self) -> StoreSnapshot {
        StoreSnapshot {
            is_reachable: self.cut.is_none(),
            processes: self.people.now,
            ..self.snapshot
        }
    }

    // What is booked.

    pub(in crate::limiter) fn take_in(&mut self, now: Tick) {
        self.reservations.take_in(now, self.horizon * 3 / 2);
    }

    pub(in crate::limiter) fn covers(&self, cost: Cost) -> bool {
        self.reservations.covers(amounts(cost))
    }

    pub(in crate::limiter) fn take(&mut self, cost: Cost) {
        self.reservations.take(amounts(cost));
    }

    /// When a cost can be taken; never, as long as it is not booked.
    pub(in crate::limiter) fn due(&self, cost: Cost) -> Tick {
        self.reservations.due(amounts(cost).map(u128::from))
    }

    /// When the last of these, in their order, can be taken, or else what is not booked of each.
    pub(in crate::limiter) fn due_of_last(
        &self,
        costs: impl Iterator<Item = Cost>,
    ) -> Result<Tick, Vec<Cost>> {
        let mut sum = Sums::default();
        let mut left = self.reservations.total();
        let mut unbooked = Vec::new();
        for cost in costs {
            let cost = amounts(cost);
            add(&mut sum, cost);
            unbooked.extend(beyond(&mut left, cost).map(Cost::of));
        }
        match fits(sum, self.reservations.total()) {
            true => Ok(self.reservations.due(sum)),
            false => Err(unbooked),
        }
    }

    pub(in crate::limiter) fn joined(&mut self, cost: Cost) {
        add(&mut self.wanted, amounts(cost));
    }

    pub(in crate::limiter) fn left(&mut self, cost: Cost) {
        sub(&mut self.wanted, amounts(cost));
        if self.is_covered() {
            self.come = None;
        }
    }

    fn is_covered(&self) -> bool {
        fits(self.wanted, self.reservations.total())
    }

    /// What is booked and no request waits for.
    fn surplus(&self) -> Sums {
        let mut surplus = self.reservations.total();
        for (surplus, wanted) in surplus.iter_mut().zip(self.wanted) {
            *surplus = surplus.saturating_sub(wanted);
        }
        surplus
    }

    /// Hands back all that is booked.
    pub(in crate::limiter) fn hand_back_all(&mut self) {
        let back = self.reservations.hand_back(self.reservations.total());
        give(&mut self.pending.given, back);
    }

    // What the next sync reports.

    /// A cost that was taken from what is booked turned out to be another one.
    pub(in crate::limiter) fn settle(&mut self, reserved: Cost, actual: Cost) {
        let told = &mut self.pending;
        for (unit, (had, has)) in amounts(reserved)
            .into_iter()
            .zip(amounts(actual))
            .enumerate()
        {
            let (more, less) = (has.saturating_sub(had), had.saturating_sub(has));
            // What was used unseen is given back by reporting less of it.
            let offset = match self.cut.is_some() {
                true => less.min(told.taken[unit]),
                false => 0,
            };
            told.taken[unit] = (told.taken[unit] - offset).saturating_add(more);
            told.given[unit] = told.given[unit].saturating_add(less - offset);
        }
    }

    /// A cost was granted while the store could not be reached.
    pub(in crate::limiter) fn spent(&mut self, cost: Cost) {
        give(&mut self.pending.taken, amounts(cost));
    }

    pub(in crate::limiter) fn order(&mut self, order: Order) {
        if !self.pending.orders.contains(&order) {
            self.pending.orders.push(order);
        }
    }

    /// Passes on what was observed: at once if that is urgent, else the newest with the next sync.
    pub(in crate::limiter) fn pass_on(&mut self, note: Note, at: Tick, is_urgent: bool) {
        if !is_urgent {
            self.observed = Some((at, note));
            return;
        }
        let orders = &self.pending.orders;
        let notes = orders.iter().filter(|it| matches!(it, Order::Note(_)));
        if notes.count() < MOST_AT_ONCE {
            self.order(Order::Note(Outgoing::new(&note, at)));
        }
    }

    /// Sets other limits for all processes, unless another one has changed them meanwhile.
    pub(in crate::limiter) fn hold(&mut self, quotas: Vec<Quota>) {
        let orders = &mut self.pending.orders;
        orders.retain(|order| !matches!(order, Order::Hold(..)));
        orders.push(Order::Hold(quotas, self.epoch));
    }

    /// What the store has counted: what is used of its bookings, and what moved its levels besides as
    /// far as is known, with what this process has yet to tell. `None` where nothing has been booked
    /// yet, or all of it by a store that has forgotten it.
    pub(in crate::limiter) fn counted(&self) -> Option<Spent> {
        let mut counted = self.reservations.used()?;
        for (counted, moved) in counted.iter_mut().zip(self.moved) {
            *counted = counted.saturating_add(moved);
        }
        for told in self.unheard.iter().chain([&self.pending]) {
            count(&mut counted, told.taken, 1);
            count(&mut counted, told.given, -1);
        }
        Some(Spent::of(counted))
    }

    /// The time up to which is known what others have been booked.
    pub(in crate::limiter) fn counted_to(&self) -> Tick {
        self.reservations.as_of()
    }

    /// Whether an order of this kind is still to be reported.
    pub(in crate::limiter) fn has_order(&self, is_it: impl Fn(&Order) -> bool) -> bool {
        let unheard = self.unheard.iter().flat_map(|told| &told.orders);
        self.pending.orders.iter().chain(unheard).any(is_it)
    }

    /// Puts a place on the list of waiters that wait for one answer alone.
    pub(in crate::limiter) fn only_at_once(&mut self, place: u64) {
        self.at_once.push(place);
    }

    /// The places of that list that were there when a sync began.
    pub(in crate::limiter) fn answered_at_once(&mut self, before: u64) -> Vec<u64> {
        let (answered, others) = self.at_once.drain(..).partition(|place| *place < before);
        self.at_once = others;
        answered
    }

    /// How many are there now.
    pub(in crate::limiter) fn present(&self) -> u64 {
        self.present.max(1)
    }

    /// How many processes share the limiter: the most of the last minute or two.
    pub(in crate::limiter) fn people(&self) -> u64 {
        let seen = self.people.now.max(self.people.before);
        seen.max(self.expected).max(1)
    }
}

impl People {
    fn saw(&mut self, people: u64, now: Tick) {
        if now.since(self.since) >= MINUTE {
            (self.since, self.before, self.now) = (now, self.now, 0);
        }
        self.now = self.now.max(people);
    }
}

/// What a cost asks for beyond what is left, which it uses up. `None` if that is nothing.
fn beyond(left: &mut Sums, cost: Amounts) -> Option<Amounts> {
    let mut beyond = [0; Unit::COUNT];
    for ((beyond, left), amount) in beyond.iter_mut().zip(left).zip(cost) {
        let part = u64::try_from(*left).unwrap_or(u64::MAX).min(amount);
        *left -= u128::from(part);
        *beyond = amount - part;
    }
    (beyond != [0; Unit::COUNT]).then_some(beyond)
}

fn give(sum: &mut Amounts, amounts: Amounts) {
    for (sum, amount) in sum.iter_mut().zip(amounts) {
        *sum = sum.saturating_add(amount);
    }
}

/// Adds amounts to what is counted, or takes them off, by their sign.
fn count(counts: &mut Counts, amounts: Amounts, sign: i64) {
    for (count, amount) in counts.iter_mut().zip(amounts) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        *count = count.saturating_add(amount.saturating_mul(sign));
    }
}
