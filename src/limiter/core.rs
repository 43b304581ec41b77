//! The lock around a line, and how its threads wait.
//!
//! # Locking
//!
//! One mutex guards the queue with its levels. Everything that changes it happens under it, and
//! ends by taking out the waiters that can be answered ([`WaitQueue::serve`]), so between two holders
//! of the lock no waiter stands whose cost has come in, except for the time it takes an alarm to
//! ring.
//!
//! - The thread that takes a waiter out notifies it after it has released the lock. It notifies it
//!   once, because the waiter is in the queue once. Each waiter has a Condvar and a small lock of its
//!   own, and checks its answer under that before it sleeps, so the notify cannot fall in between. So
//!   a thread that is woken contends with no other.
//! - No thread waits with a timeout, but for the first 5 s where the log is to say what it waits for.
//!   What time has to bring (the head's turn, a deadline) is an alarm. The thread that finds that it is
//!   needed earlier than the one set before sets it under the lock. An alarm may come too early or for
//!   nothing; it is then set again if needed.
//! - Time is read with the lock held, so it does not run backward from one holder to the next; before
//!   that only where no thread waits ([`Core::take_freely`]).
//! - Lock order: line, then the alarms' or a token's. Neither calls back with its own lock held. A
//!   waiter's own lock is taken with no other one held.

#[cfg(not(paceline_loom))]
mod long_waits; // what the log says of them
#[cfg(feature = "redis")]
mod store; //    filled from a store that others share
#[cfg(feature = "redis")]
mod syncs; // what is said there

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::advice::Advice;
use super::alarm::{Alarms, Due, Ring};
use super::bucket::Tick;
use super::cancel::{CancelToken, Watcher};
use super::clock::Clock;
#[cfg(not(paceline_loom))]
use super::clock::Waiting;
use super::event::{Event, Hook, about};
use super::queue::{Answer, Asked, Grant, Parked, Rules, WaitQueue};
#[cfg(feature = "redis")]
use super::shared::Registration;
use super::snapshot::{Snapshot, Waiter};
use super::window::Landing;
use crate::cost::Cost;
use crate::observation::Observation;
use crate::quota::Limits;
use crate::sync::{Mutex, MutexGuard};
use crate::unit::Unit;
use crate::{AcquireError, Result};
#[cfg(not(paceline_loom))]
use long_waits::LongWaits;

/// What a limiter's clones and permits share.
pub(crate) struct Core {
    clock: Clock,
    alarms: Arc<dyn Alarms>,
    queue: Mutex<WaitQueue>,
    hook: Option<Hook>,
    /// Calls that came after their deadlines. They are counted without the lock: when a deadline passes,
    /// all that is left of a program's work may come at once.
    late: AtomicU64,
    #[cfg(not(paceline_loom))]
    said: LongWaits,
    /// Its registration with the store worker, if it is shared over a store.
    #[cfg(feature = "redis")]
    pub(super) registration: std::sync::OnceLock<Registration>,
    /// For handing out to alarms and tokens, which must not keep the line alive.
    me: Weak<Core>,
}

/// What a call asks for, and what ends its wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(super) asked: Asked,
    pub(super) deadline: Option<Instant>,
    pub(super) cancel: Option<&'a CancelToken>,
}

/// The outcome of joining the queue.
enum Entry {
    Granted(Grant),
    Waits(Arc<Parked>, Duration),
}

impl Core {
    pub(super) fn new(
        limits: &Limits,
        rules: Rules,
        clock: Clock,
        hook: Option<Hook>,
    ) -> Arc<Self> {
        let queue = WaitQueue::new(limits, rules, clock.tick());
        let core = Arc::new_cyclic(|me| Self {
            alarms: clock.alarms(),
            clock,
            queue: Mutex::new(queue),
            hook,
            late: AtomicU64::new(0),
            #[cfg(not(paceline_loom))]
            said: LongWaits::default(),
            #[cfg(feature = "redis")]
            registration: std::sync::OnceLock::new(),
            me: Weak::clone(me),
        });
        #[cfg(not(paceline_loom))]
        core.clock
            .counts(Weak::clone(&core.me) as Weak<dyn Waiting>);
        core
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes a cost at `now` if nothing stands in its way, as is so for most. None does not say what does.
    ///
    /// The caller has read the clock before the lock, so that threads waiting for the lock do not wait for
    /// the clock, too: a grant counts from a moment between its call and its end either way. A time that
    /// another thread has passed by then brings nothing in.
    ///
    /// Inlined into its callers, down to the levels: returned from a call, a grant would be copied
    /// while it is still being written, which takes longer than all its arithmetic.
    #[inline(always)]
    pub(super) fn take_freely(&self, cost: Cost, place: Option<u64>, now: Tick) -> Option<Grant> {
        // No thread waits where this succeeds, so there is none to notify.
        self.queue.lock().take_freely(cost, place, now)
    }

    /// Takes a cost if that needs no waiting, or says how much it needs.
    #[cold]
    pub(super) fn try_take(&self, asked: Asked) -> Result<Grant, AcquireError> {
        #[cfg(feature = "redis")]
        if self.registration.get().is_some() {
            return self.try_booked(asked);
        }
        self.with(|queue, now| match self.take_at_once(queue, asked, now)? {
            Some(grant) => Ok(grant),
            None => {
                let turn = queue.predict(asked, now).max(queue.due(asked.cost));
                let wait = match turn {
                    // Some permit has to end first, which cannot be predicted.
                    Tick::NEVER => queue.predict(asked, now).since(now),
                    turn => turn.since(now),
                };
                Err(AcquireError::WouldBlock { wait })
            }
        })
    }

    /// Takes a cost, waiting in line for it, and returns how long that took.
    #[cold]
    pub(super) fn wait(&self, request: Request<'_>) -> Result<(Grant, Duration), AcquireError> {
        // Both may lock or start a thread, so they run without the queue's lock.
        #[cfg(feature = "redis")]
        self.registration_ready()?;
        self.alarms.ready()?;
        if let Some(token) = request.cancel {
            token.watch(&(Weak::clone(&self.me) as Weak<dyn Watcher>));
        }
        let cost = request.asked.cost;
        let (waiter, predicted) = match self.with(|queue, now| self.join(queue, request, now))? {
            Entry::Granted(grant) => return Ok((grant, Duration::ZERO)),
            Entry::Waits(waiter, predicted) => (waiter, predicted),
        };
        // The callback may panic, and must not leave the waiter in the queue.
        let place = Place {
            core: self,
            waiter: &waiter,
        };
        self.tell(|| Event::Waiting { cost });
        std::mem::forget(place);
        #[cfg(not(paceline_loom))]
        self.clock.joined();
        match self.answer_of(&waiter) {
            Answer::Granted(grant) => {
                let waited = grant.at.since(waiter.joined());
                Ok((grant, waited))
            }
            Answer::TimedOut => Err(AcquireError::DeadlineExceeded { wait: predicted }),
            Answer::Cancelled => Err(AcquireError::Cancelled),
            Answer::Failed(failure) => Err(failure.into()),
            Answer::TooLarge(quota) => Err(quota.too_large(cost.amount(quota.unit()))),
        }
    }

    #[cfg(paceline_loom)]
    fn answer_of(&self, waiter: &Parked) -> Answer {
        waiter.wait()
    }

    /// Blocks until a waiter is answered. After a while the log says what it waits for.
    #[cfg(not(paceline_loom))]
    fn answer_of(&self, waiter: &Parked) -> Answer {
        if !self.clock.is_real() || !LongWaits::are_logged() {
            return waiter.wait();
        }
        waiter.wait_for(LongWaits::AFTER).unwrap_or_else(|| {
            self.said.say(self.clock.now(), || self.snapshot());
            waiter.wait()
        })
    }

    /// Takes a cost after all, or joins the queue. Its token is watched by now: a thread that cancels it
    /// after this check finds the waiter.
    fn join(
        &self,
        queue: &mut WaitQueue,
        request: Request<'_>,
        now: Tick,
    ) -> Result<Entry, AcquireError> {
        let Request { asked, cancel, .. } = request;
        if cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(AcquireError::Cancelled);
        }
        if self.is_late(&request) {
            queue.reject();
            return Err(AcquireError::DeadlineExceeded {
                wait: Duration::ZERO,
            });
        }
        if let Some(grant) = self.take_at_once(queue, asked, now)? {
            return Ok(Entry::Granted(grant));
        }
        let deadline = request.deadline.map(|instant| self.clock.tick_at(instant));
        let mut predicted = Duration::ZERO;
        if let Some(deadline) = deadline {
            let turn = queue.predict(asked, now);
            predicted = turn.since(now);
            if turn > deadline {
                queue.reject();
                return Err(AcquireError::DeadlineExceeded { wait: predicted });
            }
        }
        let waiter = queue.join(asked, deadline, cancel.cloned(), now)?;
        self.set_alarm(queue);
        Ok(Entry::Waits(waiter, predicted))
    }

    /// Whether its deadline has passed. On a tie it is granted.
    fn is_late(&self, request: &Request<'_>) -> bool {
        let now = || self.clock.now();
        request.deadline.is_some_and(|deadline| now() > deadline)
    }

    /// Takes a cost if that needs no waiting, and serves the waiters that it affects: a grant that
    /// overtakes others may bring the turn of the other priority.
    fn take_at_once(
        &self,
        queue: &mut WaitQueue,
        asked: Asked,
        now: Tick,
    ) -> Result<Option<Grant>, AcquireError> {
        let taken = queue.take_at_once(asked, now)?;
        if taken.is_some() {
            queue.serve(now);
            self.set_alarm(queue);
        }
        Ok(taken)
    }

    /// Ends a permit: corrects what was taken for `reserved` to `actual`, up or down, and gives
    /// back its place in flight if it has one.
    pub(super) fn settle(&self, reserved: Cost, actual: Cost, lands: Option<(Landing, Tick)>) {
        let mut queue = self.queue.lock();
        if queue.settle_freely(reserved, actual, lands, || self.clock.tick()) {
            drop(queue);
        } else {
            self.change_in(queue, |queue, now| {
                if let Some((landing, sent)) = lands {
                    queue.landed(landing, sent, now);
                }
                if actual != reserved {
                    queue.settle(reserved, actual, now);
                }
            });
        }
        if actual != reserved {
            self.tell(|| Event::Settled { reserved, actual });
        }
    }

    /// Hears what the answer to a granted request says, and returns what stays charged for it and
    /// what comes of it.
    pub(super) fn observe(
        &self,
        grant: &Grant,
        cost: Cost,
        observation: &Observation,
    ) -> (Cost, Advice) {
        let observed = self.change(|queue, now| queue.observe(grant, cost, observation, now));
        if let Some(quota) = observed.found {
            log::info!("no limit reported; found about {}", about(quota));
            self.tell(|| Event::LimitFound { quota });
        }
        (observed.charged, observed.advice)
    }

    /// Holds other limits from now on.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.change(|queue, now| queue.set_limits(limits, now));
    }

    /// Takes it that `left` units are left of a quota. Returns whether there is such a quota.
    pub(super) fn set_level(&self, unit: Unit, period: Duration, left: i64) -> bool {
        self.change(|queue, _| queue.set_level(unit, period, left))
    }

    /// Grants nothing before `until`. An earlier instant than one already set changes nothing.
    pub(super) fn pause_until(&self, until: Instant) {
        let until = self.clock.tick_at(until);
        self.change(|queue, now| queue.pause_all_until(until, now));
    }

    /// Ends a pause before its time.
    pub(super) fn resume(&self) {
        self.change(|queue, _| queue.resume());
    }

    /// Answers all waiters, and all later calls, with [`AcquireError::Closed`].
    pub(super) fn close(&self) {
        self.change(|queue, _| queue.close());
    }

    pub(super) fn predict(&self, asked: Asked) -> Result<Duration, AcquireError> {
        self.with(|queue, now| {
            queue.check(asked.cost)?;
            Ok(queue.predict(asked, now).since(now))
        })
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.with(WaitQueue::snapshot);
        let late = self.late.load(Ordering::Relaxed);
        snapshot.counters.rejected = snapshot.counters.rejected.saturating_add(late);
        snapshot
    }

    /// Counts a call that comes after its deadline, without the lock, and returns its error.
    pub(super) fn reject_late(&self) -> AcquireError {
        self.late.fetch_add(1, Ordering::Relaxed);
        AcquireError::DeadlineExceeded {
            wait: Duration::ZERO,
        }
    }

    pub(super) fn waiters(&self) -> Vec<Waiter> {
        self.with(WaitQueue::waiters)
    }

    /// Whether there is a callback for events.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        self.hook.is_some()
    }

    /// Calls the hook with an event.
    #[inline]
    pub(super) fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if let Some(hook) = &self.hook {
            hook(&event());
        }
    }

    /// Does something under the lock, at the current time, and notifies the waiters that it answered.
    #[inline]
    fn with<T>(&self, act: impl FnOnce(&mut WaitQueue, Tick) -> T) -> T {
        self.with_in(self.queue.lock(), act)
    }

    #[inline]
    fn with_in<T>(
        &self,
        mut queue: MutexGuard<'_, WaitQueue>,
        act: impl FnOnce(&mut WaitQueue, Tick) -> T,
    ) -> T {
        let now = self.clock.tick();
        let result = act(&mut queue, now);
        let answered = queue.take_answered();
        #[cfg(feature = "redis")]
        let wish = queue.wish(now);
        drop(queue);
        #[cfg(feature = "redis")]
        self.call(wish);
        if let Some(answered) = answered {
            answered.tell();
        }
        result
    }

    /// Makes a change that can bring a turn nearer, and answers the waiters whose turn it is.
    fn change<T>(&self, change: impl FnOnce(&mut WaitQueue, Tick) -> T) -> T {
        self.change_in(self.queue.lock(), change)
    }

    fn change_in<T>(
        &self,
        queue: MutexGuard<'_, WaitQueue>,
        change: impl FnOnce(&mut WaitQueue, Tick) -> T,
    ) -> T {
        self.with_in(queue, |queue, now| {
            queue.bring_up_to(now);
            let result = change(queue, now);
            queue.serve(now);
            self.set_alarm(queue);
            result
        })
    }

    /// Sets an alarm if one is needed before the earliest that is set.
    fn set_alarm(&self, queue: &mut WaitQueue) {
        while let Some(due) = self.alarm_needed(queue) {
            let ring = Weak::clone(&self.me) as Weak<dyn Ring>;
            if self.alarms.set(due, ring) {
                break;
            }
            queue.alarm_rang(due.tick);
            queue.serve(self.clock.tick());
        }
    }

    fn alarm_needed(&self, queue: &mut WaitQueue) -> Option<Due> {
        self.clock.due_at(queue.alarm_needed()?)
    }
}

/// A place in line that is given up with the stack frame that holds it.
struct Place<'a> {
    core: &'a Core,
    waiter: &'a Parked,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.core.change(|queue, _| queue.abandon(self.waiter));
        // Its turn may have come before. What was granted then is kept as charged, like that of a
        // dropped permit.
        if let Answer::Granted(grant) = self.waiter.wait()
            && grant.in_flight > 0
        {
            let lands = Some((grant.landing, grant.at));
            self.core.settle(Cost::default(), Cost::default(), lands);
        }
    }
}

impl Ring for Core {
    fn ring(&self, set_for: Tick) -> Option<Due> {
        self.with(|queue, now| {
            queue.alarm_rang(set_for);
            // Its time has come, even if this reading of the clock is a little behind it.
            queue.serve(now.max(set_for));
            self.alarm_needed(queue)
        })
    }
}

#[cfg(not(paceline_loom))]
impl Waiting for Core {
    fn waiting(&self) -> usize {
        self.snapshot().waiters
    }
}

impl Watcher for Core {
    fn cancelled(&self) {
        self.change(|queue, _| queue.release_cancelled());
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        #[cfg(feature = "redis")]
        self.leave();
        // A waiting thread holds the line that it waits in.
        debug_assert!(self.queue.lock().is_empty(), "dropped with waiters");
    }
}
