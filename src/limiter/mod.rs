//! The pace: a blocking limiter over any set of quotas.

mod advice; //   what comes of the end of an attempt
mod alarm; //    what a line asks of time
mod bucket; //    bucket arithmetic, pure
mod builder; //  settings
mod cancel; //   calling waiters back from another thread
mod clock; //    real time, or time that a test moves
mod core; //     the lock and the line of waiters
mod event; //    events, for metrics
mod failure; //  what ends all waits
mod keyed; //    a limiter for each key
mod object; //   acquiring behind a trait object
mod options; //     what may end a wait early
mod permit; //   a granted cost, to be settled
mod priority; // whose work goes first
mod queue; //    the waiters, and whose turn it is
mod refill; //   the one alarm clock thread
mod registry; // one limiter per model, process-wide
#[cfg(feature = "redis")]
mod shared; //   one quota for many processes
mod slots; //    places in flight
mod snapshot; // how a limiter stands
mod supply; //   where the amounts come from
mod ticket; //     a place in line, kept for another try
mod window; //   how many the server has room for

#[cfg(test)]
mod tests;

#[cfg(all(
    any(test, fuzzing),
    feature = "batch",
    feature = "redis",
    feature = "sim",
    not(paceline_loom)
))]
pub(crate) use shared::fuzz;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::core::Core;
use queue::Grant;

pub use advice::Advice;
pub use builder::RateLimiterBuilder;
pub use cancel::CancelToken;
#[cfg(feature = "client")]
pub(crate) use cancel::Watcher;
pub use clock::{Clock, ManualClock};
pub use event::Event;
pub use keyed::KeyedLimiters;
pub use object::{Limiter, Reservation};
pub use options::AcquireOptions;
pub use permit::Permit;
pub use priority::Priority;
pub use registry::{DEFAULT_JITTER, Registry, limiter_for};
#[cfg(feature = "redis")]
pub use shared::{
    OnStoreOutage, SharedStore, SharedStoreBuilder, StoreLimiter, StoreProcess, StoreSnapshot,
};
pub use snapshot::{Counters, LimitOrigin, QuotaSnapshot, Snapshot, Waiter};
pub use ticket::Ticket;

use crate::Result;
use crate::cost::Cost;
use crate::error::per;
use crate::quota::Limits;
use crate::unit::Unit;
use crate::{AcquireError, ConfigError};

/// A blocking token-bucket limiter over any set of quotas, for any number of threads.
///
/// Most callers want [`acquire`](RateLimiter::acquire), which blocks until the cost fits every
/// quota at once. Threads are served in the order in which they came, each woken once, and
/// large costs do not starve. Work that is not urgent may wait in a lane of its own, see
/// [`Priority`]. Clones are the same limiter.
///
/// ```
/// use paceline::{Cost, Limits, RateLimiter};
///
/// let limits = Limits::builder()
///     .tokens_per_minute(30_000)
///     .requests_per_minute(500)
///     .build()?;
/// let limiter = RateLimiter::new(limits);
///
/// let permit = limiter.acquire(Cost::sized(420, 1_000))?; // prompt, output cap
/// // … send the request …
/// permit.settle(Cost::sized(420, 77)); // if the server gives unused output back
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// # What it guarantees
///
/// For a quota of A per period P with burst B, in every stretch of time T at most B + A·T/P is
/// granted, exactly: integers, waits rounded up. A single cost above the burst (but within A)
/// is granted when the bucket is full; where there is one, it takes B's place in that bound.
/// Time is bought, not lost: what the limiter holds back in one place it grants in another.
///
/// An [adaptive](RateLimiterBuilder::adaptive) limiter holds what the user states in the same
/// way where that is the smaller limit; beside that it follows what the server says remains, which
/// is an estimate.
///
/// # Cost
///
/// Without waiting: one uncontended lock, one look at the clock, and two multiplications a quota. With
/// waiting: one wake-up a grant, by one thread for the whole process. Nothing
/// polls. Predictions, which a deadline needs, play the queue forward: they cost time in proportion to
/// the number of waiters.
#[derive(Clone)]
pub struct RateLimiter {
    core: Arc<Core>,
}

impl RateLimiter {
    /// A limiter with full buckets on the real clock.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::builder(limits).build()
    }

    /// A limiter with other settings.
    pub fn builder(limits: Limits) -> RateLimiterBuilder {
        RateLimiterBuilder::new(limits)
    }

    /// Blocks until `cost` fits every quota at once, and takes it.
    ///
    /// # Errors
    ///
    /// - [`TooLarge`](crate::AcquireError::TooLarge), at once, when it never would;
    /// - [`Closed`](crate::AcquireError::Closed) when the limiter is or gets closed;
    /// - [`QueueFull`](crate::AcquireError::QueueFull) when there is a cap on
    ///   [waiters](RateLimiterBuilder::max_waiters);
    /// - [`Scheduler`](crate::AcquireError::Scheduler) when the scheduler thread cannot be started.
    #[inline]
    pub fn acquire(&self, cost: Cost) -> Result<Permit<'_>, AcquireError> {
        self.acquire_with(cost, AcquireOptions::new())
    }

    /// Takes `cost` if that needs no waiting, which includes that no other call waits.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::AcquireError::WouldBlock) with the predicted wait, and those of
    /// [`acquire`](RateLimiter::acquire). The prediction costs time in proportion to the number
    /// of waiters.
    #[inline]
    pub fn try_acquire(&self, cost: Cost) -> Result<Permit<'_>, AcquireError> {
        match self.core.take_freely(cost, None, self.clock().tick()) {
            Some(grant) => Permit::at_once(&self.core, cost, grant),
            None => or_denied(&self.core, cost, || {
                let asked = AcquireOptions::new().request(cost, None).asked;
                Ok((self.core.try_take(asked)?, Duration::ZERO))
            }),
        }
    }

    /// Like [`acquire`](RateLimiter::acquire), but gives up at `deadline`: at once when it has passed
    /// or the predicted wait passes it, else when it comes. On a tie the grant wins.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{AcquireError, Cost, Limits, ManualClock, RateLimiter};
    ///
    /// let clock = ManualClock::new();
    /// let limits = Limits::tokens_per_minute(60_000)?;
    /// let limiter = RateLimiter::builder(limits).clock(&clock).build();
    /// let deadline = clock.now();
    /// limiter.acquire_until(Cost::tokens(10), deadline)?; // a tie
    /// clock.advance(Duration::from_nanos(1));
    /// let late = limiter.acquire_until(Cost::tokens(10), deadline);
    /// assert!(matches!(late, Err(AcquireError::DeadlineExceeded { .. })));
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](crate::AcquireError::DeadlineExceeded) with the wait as predicted on entry,
    /// and those of [`acquire`](RateLimiter::acquire).
    pub fn acquire_until(&self, cost: Cost, deadline: Instant) -> Result<Permit<'_>, AcquireError> {
        self.acquire_with(cost, AcquireOptions::new().deadline(deadline))
    }

    /// Like [`acquire_until`](RateLimiter::acquire_until), `timeout` from now.
    ///
    /// # Errors
    ///
    /// As [`acquire_until`](RateLimiter::acquire_until).
    pub fn acquire_timeout(
        &self,
        cost: Cost,
        timeout: Duration,
    ) -> Result<Permit<'_>, AcquireError> {
        // A timeout beyond the end of time is none.
        match self.clock().now().checked_add(timeout) {
            Some(deadline) => self.acquire_until(cost, deadline),
            None => self.acquire(cost),
        }
    }

    /// Like [`acquire`](RateLimiter::acquire), with everything that can end the wait early.
    ///
    /// # Errors
    ///
    /// [`Cancelled`](crate::AcquireError::Cancelled), and those of
    /// [`acquire_until`](RateLimiter::acquire_until).
    #[inline]
    pub fn acquire_with<'a>(
        &'a self,
        cost: Cost,
        wait: AcquireOptions<'_>,
    ) -> Result<Permit<'a>, AcquireError> {
        acquire(&self.core, cost, wait, None)
    }

    /// How long `cost` would wait if it joined the line now and nothing else changed.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::AcquireError::TooLarge) when it would never be granted.
    ///
    /// A cap on requests in flight is left out of all predictions: the end of a request is unknown.
    pub fn predicted_wait(&self, cost: Cost) -> Result<Duration, AcquireError> {
        self.core
            .predict(AcquireOptions::new().request(cost, None).asked)
    }

    /// Grants nothing before `until`. Buckets continue to fill. A later instant extends the pause; an
    /// earlier one changes nothing.
    pub fn pause_until(&self, until: Instant) {
        self.core.pause_until(until);
    }

    /// Ends a pause before its time. What the limits themselves hold back stays held back.
    pub fn resume(&self) {
        self.core.resume();
    }

    /// Replaces the limits while threads wait. The head is served as soon as they admit it.
    ///
    /// Consumption carries over: a bucket that gets larger gains the difference, and one that gets
    /// smaller may be in debt. A quota in the place of one of another period continues from its level, at
    /// most empty; one of a new unit begins with its [start](crate::Quota::start). Waiters that can never
    /// pass the new limits get [`TooLarge`](crate::AcquireError::TooLarge).
    ///
    /// An [adaptive](RateLimiterBuilder::adaptive) limiter takes them for what the user states:
    /// what the server has said of its own limits stands beside them.
    ///
    /// ```
    /// use paceline::{Cost, Limits, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000)?);
    /// let _permit = limiter.acquire(Cost::tokens(900))?;
    /// limiter.set_limits(&Limits::tokens_per_minute(3_000)?);
    /// assert_eq!(limiter.snapshot().quotas[0].level, 2_100);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn set_limits(&self, limits: &Limits) {
        self.core.set_limits(limits);
    }

    /// Takes it that `left` units are left now of the quota of this unit and period (of each, if there
    /// are several), not above its burst; below 0 it is a debt. For what is known from elsewhere: another process on the same account, the state of a
    /// former run. Whose turn that brings is served at once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{Cost, Limits, RateLimiter, Unit};
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
    /// limiter.set_level(Unit::Tokens, minute, 500)?;
    /// assert_eq!(limiter.snapshot().quotas[0].level, 500);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Config`](crate::Error::Config) when there is no quota of this unit and
    /// period.
    pub fn set_level(&self, unit: Unit, period: Duration, left: i64) -> Result<()> {
        if self.core.set_level(unit, period, left) {
            return Ok(());
        }
        let field = format!("{unit} per {}", per(period));
        let message = format!(
            "level of {field}: the limiter has no such quota; its snapshot lists those that it has"
        );
        Err(ConfigError::new(field, message).with_value(left).into())
    }

    /// Ends the limiter: every waiting and every later acquire returns
    /// [`AcquireError::Closed`](crate::AcquireError::Closed). Permits that were granted stay good.
    pub fn close(&self) {
        self.core.close();
    }

    /// How the limiter stands now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }

    /// All waiters, in the order of their turns: to find out why a program stands still. Costs time in
    /// proportion to their number, under the limiter's lock.
    ///
    /// ```
    /// use paceline::{Cost, Limits, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
    /// for waiter in limiter.waiters() {
    ///     let name = waiter.thread.as_deref().unwrap_or("a thread without a name");
    ///     println!("{name} waits for {} tokens since {:?}", waiter.cost.tokens, waiter.waited);
    /// }
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[must_use]
    pub fn waiters(&self) -> Vec<Waiter> {
        self.core.waiters()
    }

    /// The clock that the limiter goes by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.core.clock()
    }

    /// Whether it has no other handle and a new one would grant the same.
    fn is_idle(&self) -> bool {
        if Arc::strong_count(&self.core) > 1 {
            return false;
        }
        let Snapshot {
            quotas,
            in_flight,
            waiters,
            paused_for,
            closed,
            ..
        } = self.snapshot();
        let full = |it: &QuotaSnapshot| i64::try_from(it.quota.burst()).unwrap_or(i64::MAX);
        let is_full = |it: &QuotaSnapshot| it.level >= full(it);
        quotas.iter().all(is_full)
            && in_flight == 0
            && waiters == 0
            && paused_for.is_zero()
            && !closed
    }

    /// True when both are clones of one limiter.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

// A panic passes through a limiter in the callback for events alone. It is called with no lock held,
// and a wait that it interrupts is given up, so nothing is left half done.
impl UnwindSafe for RateLimiter {}
impl RefUnwindSafe for RateLimiter {}

/// A request is put together only where it has to wait: copied right after it has been written, it
/// would keep the processor waiting for longer than the lock takes.
#[inline]
fn acquire<'a>(
    core: &'a Arc<Core>,
    cost: Cost,
    wait: AcquireOptions<'_>,
    place: Option<u64>,
) -> Result<Permit<'a>, AcquireError> {
    let now = core.clock().now();
    if !wait.is_cancelled() {
        if wait.is_late(now) {
            return or_denied(core, cost, || Err(core.reject_late()));
        }
        if let Some(grant) = core.take_freely(cost, place, core.clock().tick_at(now)) {
            return Permit::at_once(core, cost, grant);
        }
    }
    or_denied(core, cost, || core.wait(wait.request(cost, place)))
}

/// The end of an acquire that is not granted freely.
#[cold]
fn or_denied(
    core: &Arc<Core>,
    cost: Cost,
    take: impl FnOnce() -> Result<(Grant, Duration), AcquireError>,
) -> Result<Permit<'_>, AcquireError> {
    match take() {
        Ok((grant, waited)) => Ok(Permit::new(core, cost, grant, waited)),
        Err(error) => {
            core.tell(|| Event::Denied {
                cost,
                error: &error,
            });
            Err(error)
        }
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimiter")
            .field(&self.snapshot())
            .finish()
    }
}
