//! A line that is filled from a store: its dealings with whoever goes there.

use std::sync::Arc;
use std::time::Instant;

use super::super::level::Tick;
use super::super::queue::{Answer, Asked, Grant, Queue};
use super::super::shared::{Account, Answer as Heard, OnOutage, Seat, SharedStore, Visit};
use super::{Entry, Line, Request};
use crate::{Error, Result};

impl Line {
    /// Has the line filled from a store from now on. To be called before anybody else has it.
    pub(in crate::limiter) fn feed(
        self: &Arc<Self>,
        store: &SharedStore,
        limiter: &str,
        account: Account,
    ) {
        self.with(|queue, now| queue.share(account, now));
        let seat = store.seat(Arc::downgrade(self), limiter);
        let _ = self.seat.set(seat); // nobody else sets it
    }

    pub(super) fn seat_ready(&self) -> Result<()> {
        self.seat.get().map_or(Ok(()), Seat::ready)
    }

    /// Has the store visited when that is needed. With no lock held.
    pub(super) fn call(&self, wish: Option<Tick>) {
        if let Some(wish) = wish
            && let Some(seat) = self.seat.get()
            && let Some(due) = self.clock.due_at(wish)
        {
            seat.call(due.at);
        }
    }

    /// Takes a cost if the store has it ready: one trip is no waiting.
    pub(super) fn try_booked(&self, asked: Asked) -> Result<Grant> {
        self.alarms.ready()?;
        self.seat_ready()?;
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
            // Whoever stands before it is first, and the store's last word may be enough.
            let is_cut = queue
                .shared()
                .is_some_and(|shared| shared.account.outage().is_some());
            if !queue.is_empty() || is_cut || !wait.is_zero() || queue.room() == 0 {
                return Err(Error::WouldWait { wait });
            }
            let entry = self.join(queue, request, now)?;
            if let (Entry::Waits(waiter, _), Some(shared)) = (&entry, queue.shared()) {
                shared.account.only_at_once(waiter.place());
            }
            Ok(entry)
        })?;
        let waiter = match entry {
            Entry::Granted(grant) => return Ok(grant),
            Entry::Waits(waiter, _) => waiter,
        };
        match waiter.wait() {
            Answer::Granted(grant) => Ok(grant),
            Answer::Cancelled | Answer::TimedOut => Err(Error::WouldWait {
                wait: self.predict(asked)?,
            }),
            Answer::Closed => Err(Error::Closed),
            Answer::StoreDown => Err(Error::StoreDown),
            Answer::TooLarge(quota) => Err(quota.too_large(asked.cost.amount(quota.unit()))),
        }
    }

    /// What is to be said to the store now, if anything is.
    pub(in crate::limiter) fn visit(&self) -> Option<(Visit, u64)> {
        self.with(|queue, now| {
            queue.bring_up_to(now);
            queue.visit(now)
        })
    }

    /// The store has answered, at `received`.
    pub(in crate::limiter) fn heard(
        &self,
        visit: &(Visit, u64),
        answer: &Heard,
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
            queue.heard(visit, answer, local);
            queue.serve(now.max(received));
            self.set_alarm(queue);
        });
    }

    pub(in crate::limiter) fn unanswered(&self) {
        self.with(|queue, _| queue.unanswered());
    }

    /// The store cannot be reached.
    pub(in crate::limiter) fn cut(&self, rule: OnOutage) {
        self.change(|queue, now| queue.cut(rule, now));
    }

    /// The store can be reached again.
    pub(in crate::limiter) fn back(&self) {
        self.change(Queue::back);
    }

    /// Says the last that it has to say.
    pub(super) fn leave(&self) {
        if let Some(seat) = self.seat.get() {
            let visit = self.queue.lock().leave();
            seat.leave(visit);
        }
    }
}
