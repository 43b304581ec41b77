//! When a line syncs the store, what it says and hears there, and what becomes of it without.

use std::time::Duration;

use super::super::super::bucket::Tick;
use super::super::OnStoreOutage;
use super::super::notes::Outgoing;
use super::super::reservations::{Sums, amounts};
use super::super::sync::{Ask, MOST_ASKS, Order, SyncReply, SyncRequest};
use super::{Account, Cut, beyond, count, give};
use crate::cost::Cost;
use crate::quota::Quota;
use crate::unit::Unit;

impl Account {
    /// A request has left a place in flight.
    pub(in crate::limiter) fn made_room(&mut self) {
        if std::mem::take(&mut self.is_crowded) {
            self.come = None;
        }
    }

    /// When the store has to be synced; `None` if there is nothing to report. A waiter without `room` in
    /// flight gets no booking: it would be void before it is used.
    pub(in crate::limiter) fn wish(&mut self, room: usize, now: Tick) -> Option<Tick> {
        if self.is_visiting || self.cut.is_some() {
            return None;
        }
        let asks = (room > 0 && !self.is_covered()).then(|| {
            let first = self
                .reservations
                .last()
                .map_or(now, |last| together(last, now));
            *self
                .come
                .get_or_insert(first.min(now.after(self.horizon / 8)))
        });
        [asks, self.news(now)].into_iter().flatten().min()
    }

    /// When the store has to be synced, with waiters or without.
    fn news(&mut self, now: Tick) -> Option<Tick> {
        let orders = (!self.pending.orders.is_empty() || self.unheard.is_some()).then_some(now);
        let told = self.has_news().then(|| {
            let since = *self.pending_since.get_or_insert(now);
            since.after(self.horizon / 4)
        });
        [orders, told, self.heartbeat].into_iter().flatten().min()
    }

    fn has_news(&self) -> bool {
        let told = &self.pending;
        let nothing = [0; Unit::COUNT];
        told.given != nothing || told.taken != nothing || self.surplus() != Sums::default()
    }

    /// Begins a sync, if its time has come: for the waiters in their order, and for how long each has
    /// waited. It does not ask for waiters that are `held`, and looks at them again then. It reports
    /// what is `known`, too.
    pub(in crate::limiter) fn sync(
        &mut self,
        line: impl Iterator<Item = (Cost, Duration)>,
        waiters: usize,
        room: usize,
        held: Option<Tick>,
        known: impl IntoIterator<Item = Order>,
        now: Tick,
    ) -> Option<SyncRequest> {
        if self.wish(room, now).is_none_or(|at| at > now) {
            return None;
        }
        let mut left = self.reservations.total();
        let asks = line.take(room).filter_map(|(cost, waited)| {
            let amounts = beyond(&mut left, amounts(cost))?;
            Some(Ask { amounts, waited })
        });
        let mut asks: Vec<Ask> = asks.take(MOST_ASKS + 1).collect();
        if let Some(held) = held
            && asks.is_empty()
            // What changes for all has to be felt within a horizon.
            && now.since(self.synced) < self.horizon
            && self.news(now).is_none_or(|at| at > now)
        {
            let soon = now.after(self.horizon / 64);
            self.come = Some(held.max(soon).min(now.after(self.horizon / 8)));
            return None;
        }
        let back = self.reservations.hand_back(self.surplus());
        give(&mut self.pending.given, back);
        let told = match &self.unheard {
            Some(told) => told.clone(),
            None => {
                self.pending.orders.extend(known);
                let observed = self.observed.take();
                let observed = observed.map(|(at, note)| Order::Note(Outgoing::new(&note, at)));
                self.pending.orders.extend(observed);
                self.unheard
                    .insert(std::mem::take(&mut self.pending))
                    .clone()
            }
        };
        self.pending_since = None;
        self.heartbeat = None;
        self.is_visiting = true;
        self.is_crowded = waiters > room;
        let has_more = asks.len() > MOST_ASKS;
        asks.truncate(MOST_ASKS);
        Some(SyncRequest {
            name: self.name.clone(),
            incarnation: self.incarnation.clone(),
            epoch: self.epoch,
            time: self.time,
            turn: self.turn,
            noted: self.noted,
            waiters: Some(waiters),
            told,
            at: now,
            late: self.reservations.after(now.after(self.horizon / 2)),
            joins: (!self.has_joined).then(|| self.joins.clone()),
            asks,
            has_more,
        })
    }

    /// The last sync: all that is left comes back. `None` if there is nothing to say.
    pub(in crate::limiter) fn leave(&mut self) -> Option<SyncRequest> {
        self.hand_back_all();
        let is_known = self.has_joined && self.cut.is_none();
        (is_known && self.snapshot.syncs > 0).then(|| {
            let told = self.unheard.take();
            let told = told.unwrap_or_else(|| std::mem::take(&mut self.pending));
            SyncRequest {
                name: self.name.clone(),
                incarnation: self.incarnation.clone(),
                epoch: self.epoch,
                time: self.time,
                turn: self.turn,
                noted: self.noted,
                waiters: None,
                told,
                at: Tick(0),
                late: [0; Unit::COUNT],
                joins: None,
                asks: Vec::new(),
                has_more: false,
            }
        })
    }

    /// The store has answered. Takes in what it booked and when to come again.
    pub(in crate::limiter) fn heard(
        &mut self,
        sync: &SyncRequest,
        heard: &SyncReply,
        local: impl Fn(u64) -> Tick,
    ) {
        self.is_visiting = false;
        self.unheard = None;
        self.turn += 1;
        self.has_joined = true;
        if self.incarnation != heard.incarnation {
            self.reservations.count_anew();
        }
        self.incarnation.clone_from(&heard.incarnation);
        self.epoch = heard.epoch;
        self.noted = heard.noted;
        self.present = heard.people;
        self.time = heard.time;
        if let Some(quotas) = &heard.limits {
            // The store keeps no name of a unit.
            let named = |quota: &Quota| quota.with_unit_of(&self.quotas);
            self.quotas = quotas.iter().map(named).collect();
        }
        self.moved = heard.moved;
        let mut booked = heard.booked;
        let asks = sync.asks.iter().zip(&heard.dues);
        for (ask, due) in asks.collect::<Vec<_>>().into_iter().rev() {
            self.reservations.add(local(*due), ask.amounts, booked);
            count(&mut booked, ask.amounts, -1);
        }
        self.reservations.begin_with(booked);
        let now = local(heard.now);
        self.synced = now;
        // Those without a place are asked for when one is free, or else looked after in a while.
        let later = self.is_crowded.then(|| now.after(self.horizon));
        self.come = heard.come.map(&local).or(later);
        let soon = now.after(self.horizon / 2);
        let is_late = self.reservations.after(soon) != [0; Unit::COUNT];
        self.heartbeat = is_late.then_some(soon);
        self.people.saw(heard.people, now);
        self.snapshot.syncs += 1;
        self.snapshot.booked += heard.dues.len() as u64;
    }

    /// The store has lost what it was sent and had booked.
    pub(in crate::limiter) fn forgotten(&mut self) {
        self.is_visiting = false;
        self.has_joined = false;
        self.come = None;
        self.reservations.forget(false);
        self.pending.given = [0; Unit::COUNT];
        if let Some(told) = &mut self.unheard {
            told.given = [0; Unit::COUNT];
        }
    }

    /// A sync was not answered.
    pub(in crate::limiter) fn unanswered(&mut self) {
        self.is_visiting = false;
        self.come = None;
    }

    // Outages.

    /// The store cannot be reached. What is booked is left to processes that use their last lease.
    pub(in crate::limiter) fn cut(&mut self, rule: OnStoreOutage, now: Tick) {
        self.unanswered();
        if self.cut.is_none() {
            self.snapshot.outages += 1;
            self.cut = Some(Cut { rule, since: now });
        }
        if rule != OnStoreOutage::Wait {
            self.reservations.forget(true);
        }
    }

    /// The store can be reached again.
    pub(in crate::limiter) fn back(&mut self, now: Tick) {
        let Some(cut) = self.cut.take() else { return };
        self.come = None;
        if now.since(cut.since) > self.horizon * 2 {
            // A sync that is no longer remembered may have reported it already.
            self.pending.given = [0; Unit::COUNT];
            if let Some(told) = &mut self.unheard {
                told.given = [0; Unit::COUNT];
            }
        }
        if cut.rule == OnStoreOutage::Divide && self.pending.taken != [0; Unit::COUNT] {
            self.pending.orders.insert(0, Order::Quiesce);
        }
    }
}

/// When to ask for the last waiters: they get no booking before those that exist, so until half of
/// that time has passed others may come, to be asked for in the same trip.
fn together(last: Tick, now: Tick) -> Tick {
    now.after(last.since(now) / 2)
}
