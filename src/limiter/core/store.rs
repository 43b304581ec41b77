//! A queue that is filled from a store: its calls to and from the store worker.

use std::sync::Arc;
use std::time::Instant;

use super::super::bucket::Tick;
use super::super::queue::{Answer, Asked, Grant, WaitQueue};
use super::super::shared::{
    Account, OnStoreOutage, Registration, SharedStore, StoreReply as SyncReply, SyncRequest,
};
use super::{Core, Entry, Request};
use crate::{AcquireError, Result};

impl Core {
    /// Fills the queue from a store from now on. To be called before another thread has it.
    pub(in crate::limiter) fn feed(
        self: &Arc<Self>,
        store: &SharedStore,
        limiter: &str,
        account: Account,
    ) {
        self.with(|queue, now| queue.share(account, now));
        let registration = store.registration(Arc::downgrade(self), limiter);
        let _ = self.registration.set(registration); // set here alone
    }

    pub(super) fn registration_ready(&self) -> Result<(), AcquireError> {
        self.registration.get().map_or(Ok(()), Registration::ready)
    }

    /// Has the store synced when that is needed. With no lock held.
    pub(super) fn call(&self, wish: Option<Tick>) {
        if let Some(wish) = wish
            && let Some(registration) = self.registration.get()
            && let Some(due) = self.clock.due_at(wish)
        {
            registration.call(due.at);
        }
    }

    /// Takes a cost if the store has it ready: one trip is no waiting.
    pub(super) fn try_booked(&self, asked: Asked) -> Result<Grant, AcquireError> {
        self.alarms.ready()?;
        self.registration_ready()?;
        let request = Request {
            asked,
            deadline: None,
            cancel: None,
        };
        let entry = self.with(|queue, now| {
            let predicted = queue.predict(asked, now);
            if let Some(grant) = self.take_at_once(queue, asked, now)? {
                return Ok(Entry::Granted(grant));
            }
            let wait = predicted.since(now);
            // Waiters before it are first, and what the store last granted may be enough.
            let is_cut = queue
                .shared()
                .is_some_and(|shared| shared.account.outage().is_some());
            if !queue.is_empty() || is_cut || !wait.is_zero() || queue.room() == 0 {
                return Err(AcquireError::WouldBlock { wait });
            }
            let entry = self.join(queue, request, now)?;
            if let (Entry::Waits(waiter, _), Some(shared)) = (&entry, queue.shared()) {
                shared.account.only_at_once(waiter.place);
            }
            Ok(entry)
        })?;
        let waiter = match entry {
            Entry::Granted(grant) => return Ok(grant),
            Entry::Waits(waiter, _) => waiter,
        };
        match waiter.wait() {
            Answer::Granted(grant) => Ok(grant),
            Answer::Cancelled | Answer::TimedOut => Err(AcquireError::WouldBlock {
                wait: self.predict(asked)?,
            }),
            Answer::Failed(failure) => Err(failure.into()),
            Answer::TooLarge(quota) => Err(quota.too_large(asked.cost.amount(quota.unit()))),
        }
    }

    /// What is to be said to the store now, if anything is.
    pub(in crate::limiter) fn sync(&self) -> Option<(SyncRequest, u64)> {
        self.with(|queue, now| {
            queue.bring_up_to(now);
            queue.sync(now)
        })
    }

    /// The store has answered, at `received`.
    pub(in crate::limiter) fn heard(
        &self,
        sync: &(SyncRequest, u64),
        answer: &SyncReply,
        received: Instant,
    ) {
        let received = self.clock.tick_at(received);
        // Its answer was written before it came, so what is due by it has come.
        let said = answer.now();
        let local = |time: u64| {
            let nanos = |micros: u64| micros.saturating_mul(1_000);
            match time >= said {
                true => Tick(received.0.saturating_add(nanos(time - said))),
                false => Tick(received.0.saturating_sub(nanos(said - time))),
            }
        };
        self.with(|queue, now| {
            queue.heard(sync, answer, local);
            queue.serve(now.max(received));
            self.set_alarm(queue);
        });
    }

    pub(in crate::limiter) fn unanswered(&self) {
        self.with(|queue, _| queue.unanswered());
    }

    /// The store cannot be reached.
    pub(in crate::limiter) fn cut(&self, rule: OnStoreOutage) {
        self.change(|queue, now| queue.cut(rule, now));
    }

    /// The store can be reached again.
    pub(in crate::limiter) fn back(&self) {
        self.change(WaitQueue::back);
    }

    /// Says the last that it has to say.
    pub(super) fn leave(&self) {
        if let Some(registration) = self.registration.get() {
            let sync = self.queue.lock().leave();
            registration.leave(sync);
        }
    }
}
