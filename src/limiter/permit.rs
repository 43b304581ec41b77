//! A granted cost, and what becomes of it.

use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use super::advice::Advice;
use super::core::Core;
use super::event::Event;
use super::queue::Grant;
use super::ticket::Ticket;
use super::window::Landing;
use crate::cost::Cost;
use crate::observation::{Observation, Outcome};
use crate::{AcquireError, Result};

/// The right to send one request, paid for by its [`Cost`].
///
/// The sender of the request ends the permit, once:
///
/// - [`settle`](Permit::settle) with what it really cost, when that is known;
/// - [`refund`](Permit::refund) when the request never left;
/// - dropping it keeps the charge as reserved: the safe choice when the cost is unknown.
///
/// Where there is a cap on requests [in flight](crate::LimitsBuilder::in_flight) it has one of the
/// places until then. So keep it as long as the request is in flight, and no longer.
///
/// A permit borrows the limiter that granted it. One that outlives it, or goes to a thread that
/// does, is made to [own](Permit::into_owned) its share of it.
///
/// ```
/// use paceline::{Cost, Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// let permit = limiter.acquire(Cost::sized(420, 1_000))?;
/// // … send the request …
/// permit.settle(Cost::sized(420, 77));
/// assert_eq!(limiter.snapshot().quotas[0].level, 30_000 - 497);
/// # Ok::<(), paceline::Error>(())
/// ```
#[must_use = "a permit that is dropped at once has been paid for and not used"]
pub struct Permit<'a> {
    core: Held<'a>,
    cost: Cost,
    grant: Grant,
    /// In nanoseconds. A `Duration` has a half word, which costs each move of a permit a wait for
    /// the memory.
    waited: u64,
}

/// The limiter of a permit. To count its handles takes two atomic operations a permit, a third of
/// all that an acquire costs, and more where several cores share the count.
enum Held<'a> {
    Borrowed(&'a Arc<Core>),
    Owned(Arc<Core>),
}

impl Deref for Held<'_> {
    type Target = Arc<Core>;

    #[inline]
    fn deref(&self) -> &Arc<Core> {
        match self {
            Self::Borrowed(core) => core,
            Self::Owned(core) => core,
        }
    }
}

impl<'a> Permit<'a> {
    pub(super) fn new(core: &'a Arc<Core>, cost: Cost, grant: Grant, waited: Duration) -> Self {
        let permit = Self {
            core: Held::Borrowed(core),
            cost,
            grant,
            waited: u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX),
        };
        match core.is_watched() {
            false => permit,
            true => permit.told(),
        }
    }

    /// One that did not wait. It is made where it stays, part by part: a permit that is made in one
    /// place and moved to another waits for the memory for longer than the lock takes.
    #[inline(always)]
    pub(super) fn at_once(
        core: &'a Arc<Core>,
        cost: Cost,
        grant: Grant,
    ) -> Result<Self, AcquireError> {
        if core.is_watched() {
            return Ok(Self::new(core, cost, grant, Duration::ZERO));
        }
        let Grant {
            at,
            place,
            in_flight,
            landing,
            spent,
        } = grant;
        Ok(Self {
            core: Held::Borrowed(core),
            cost,
            grant: Grant {
                at,
                place,
                in_flight,
                landing,
                spent,
            },
            waited: 0,
        })
    }

    /// The callback may panic: that ends the permit, and its place in flight is free.
    #[cold]
    fn told(self) -> Self {
        let (cost, waited) = (self.cost, self.waited());
        self.core.tell(|| Event::Granted { cost, waited });
        self
    }

    /// The same permit with a share in its limiter, like a clone of it: it can outlive the limiter
    /// that it was acquired from.
    ///
    /// ```
    /// use std::thread;
    /// use paceline::{Cost, Limits, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
    /// let permit = limiter.acquire(Cost::sized(420, 1_000))?.into_owned();
    /// let sent = thread::spawn(move || {
    ///     // … send the request …
    ///     permit.settle(Cost::sized(420, 77));
    /// });
    /// # sent.join().unwrap();
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn into_owned(mut self) -> Permit<'static> {
        Permit {
            core: Held::Owned(Arc::clone(&self.core)),
            cost: self.cost,
            // Its place in flight goes along: what is left here has none to give back.
            grant: std::mem::take(&mut self.grant),
            waited: self.waited,
        }
    }

    /// What was granted, and has not been given back since.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// How long the request stood in line.
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited)
    }

    /// Corrects the charge to what the request really cost, up or down.
    ///
    /// What was reserved too much is given back, and may serve the head of the line at once.
    /// What was reserved too little becomes debt, and comes in before anything else is granted.
    ///
    /// ```
    /// use paceline::{Cost, Limits, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000)?);
    /// let permit = limiter.acquire(Cost::sized(100, 800))?;
    /// permit.settle(Cost::sized(100, 50));
    /// limiter.try_acquire(Cost::tokens(850))?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[inline]
    pub fn settle(mut self, actual: Cost) {
        self.end(actual);
    }

    /// Gives everything back: the request never left.
    #[inline]
    pub fn refund(mut self) {
        self.end(Cost::default());
    }

    /// Gives back what was taken from the quotas; its place in flight stays.
    #[cfg(feature = "client")]
    pub(crate) fn give_back(&mut self) {
        let reserved = std::mem::take(&mut self.cost);
        self.core.settle(reserved, Cost::default(), None);
    }

    #[inline]
    fn end(&mut self, actual: Cost) {
        let is_in_flight = std::mem::take(&mut self.grant.in_flight) > 0;
        let lands = is_in_flight.then_some((self.grant.landing, self.grant.at));
        let reserved = std::mem::replace(&mut self.cost, actual);
        if is_in_flight || actual != reserved {
            self.core.settle(reserved, actual, lands);
        }
    }

    /// Tells the limiter what the request's answer says of its limits, as soon as its head is
    /// there. An [adaptive](super::RateLimiterBuilder::adaptive) limiter learns from it; any
    /// limiter holds back all requests that share it for as long as a refusal asks to wait.
    ///
    /// A request that was refused has not been charged: what it reserved is given back here, where
    /// the answer says enough to know what is left instead.
    ///
    /// ```
    /// use paceline::{Cost, Observation, Limits, RateLimiter, LimitStatus, Unit};
    /// use std::time::Duration;
    ///
    /// let guess = Limits::tokens_per_minute(800_000)?.provisional();
    /// let limiter = RateLimiter::builder(guess).adaptive(Duration::ZERO).build();
    ///
    /// let mut permit = limiter.acquire(Cost::tokens(1_000))?;
    /// // … send the request, and read its headers …
    /// let mut report = LimitStatus::of(Unit::Tokens);
    /// report.limit = Some(30_000);
    /// report.remaining = Some(29_000);
    /// permit.observe(&Observation::admitted().with(report));
    ///
    /// let quota = limiter.snapshot().quotas[0];
    /// assert!(quota.reported && quota.quota.amount() == 30_000);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    /// Returns when it makes sense to try again, and whether others are better off. Of an attempt
    /// without an answer `Observation::default()` says all that there is to say.
    pub fn observe(&mut self, observation: &Observation) -> Advice {
        let (cost, advice) = self.core.observe(&self.grant, self.cost, observation);
        self.cost = cost;
        if observation.outcome == Outcome::Admitted {
            self.grant.landing = Landing::Admitted;
        }
        advice
    }

    /// Ends the permit like dropping it, and keeps its place in line for another try of the same
    /// request: it goes ahead of all later ones.
    pub fn keep_place(self) -> Ticket {
        Ticket::new(Arc::clone(&self.core), self.grant.place)
    }
}

// As its limiter: a panic that it passes ends it like dropping it.
impl UnwindSafe for Permit<'_> {}
impl RefUnwindSafe for Permit<'_> {}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.grant.in_flight > 0 {
            self.end(self.cost);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            core: _,
            cost,
            grant: _,
            waited: _,
        } = self;
        f.debug_struct("Permit")
            .field("cost", cost)
            .field("waited", &self.waited())
            .finish_non_exhaustive()
    }
}
