//! A queue whose amounts a store books: what it says there, and what becomes of it with the answer and
//! without.

use super::super::bucket::Tick;
use super::super::failure::Failure;
use super::super::queue::{Asked, WaitQueue};
use super::super::shared::{Account, OnStoreOutage, StoreReply, SyncRequest};
use super::super::supply::{Shared, Supply};

/// Waiters that one sync looks at, at most.
const MOST_IN_REACH: usize = 1_024;

impl WaitQueue {
    /// Has the amounts booked by a store from now on.
    pub(in crate::limiter) fn share(&mut self, account: Account, now: Tick) {
        let local = std::mem::replace(self.supply(), Supply::empty());
        let pace = match local {
            Supply::Adaptive(pace) => Some(pace),
            Supply::Fixed(_) | Supply::Shared(_) => None,
        };
        *self.supply() = Supply::Shared(Box::new(Shared::new(account, pace, now)));
    }

    pub(in crate::limiter) fn shared(&mut self) -> Option<&mut Shared> {
        match self.supply() {
            Supply::Shared(shared) => Some(shared),
            Supply::Fixed(_) | Supply::Adaptive(_) => None,
        }
    }

    /// When the store has to be synced.
    pub(in crate::limiter) fn wish(&mut self, now: Tick) -> Option<Tick> {
        let room = self.room();
        self.shared()?.account.wish(room, now)
    }

    /// Begins a sync to the store, if it is time for one. Says which places were there then.
    pub(in crate::limiter) fn sync(&mut self, now: Tick) -> Option<(SyncRequest, u64)> {
        let (room, waiters, before) = (self.room(), self.len(), self.next_place());
        let (supply, line) = self.supply_and_line(MOST_IN_REACH.min(room), now);
        let Supply::Shared(shared) = supply else {
            return None;
        };
        let sync = shared.sync(line, waiters, room, now)?;
        Some((sync, before))
    }

    /// Takes in what the store answered to a sync. `local` turns its times into ticks.
    pub(in crate::limiter) fn heard(
        &mut self,
        (sync, before): &(SyncRequest, u64),
        answer: &StoreReply,
        local: impl Fn(u64) -> Tick,
    ) {
        let Some(shared) = self.shared() else { return };
        let StoreReply::Synced(heard) = answer else {
            return shared.forgotten();
        };
        let pause = shared.heard(sync, heard, &local);
        let late = shared.account.answered_at_once(*before);
        let is_trusted = shared.is_trusted();
        if let Some(until) = pause {
            self.set_pause(until);
        }
        if heard.limits.is_some() || !heard.notes.is_empty() {
            self.trust(is_trusted);
            self.release_too_large();
        }
        let now = local(heard.now);
        self.serve(now);
        self.release_hopeless(now);
        self.time_out(&late);
    }

    /// Answers heads whose deadline comes before their turn, as the store's levels have it.
    fn release_hopeless(&mut self, now: Tick) {
        while let Some((place, asked, deadline)) = self.head_with_deadline() {
            let asked = Asked {
                place: Some(place),
                ..asked
            };
            let is_fed = self.shared().is_some_and(|shared| shared.account.is_fed());
            if !is_fed || self.predict(asked, now) <= deadline {
                return;
            }
            self.time_out(&[place]);
        }
    }

    /// The last sync, if there is anything to say.
    pub(in crate::limiter) fn leave(&mut self) -> Option<SyncRequest> {
        self.shared()?.account.leave()
    }

    /// A sync was not answered, and will be repeated.
    pub(in crate::limiter) fn unanswered(&mut self) {
        if let Some(shared) = self.shared() {
            shared.account.unanswered();
        }
    }

    /// The store cannot be reached.
    pub(in crate::limiter) fn cut(&mut self, rule: OnStoreOutage, now: Tick) {
        let Some(shared) = self.shared() else { return };
        shared.cut(rule, now);
        let late = shared.account.answered_at_once(u64::MAX);
        if rule == OnStoreOutage::Fail {
            self.fail(Failure::StoreDown);
        }
        self.time_out(&late);
    }

    /// The store can be reached again.
    pub(in crate::limiter) fn back(&mut self, now: Tick) {
        if let Some(shared) = self.shared() {
            shared.back(now);
        }
    }
}
