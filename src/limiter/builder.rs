//! Settings of a limiter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::event::{Event, Hook};
use super::queue::Rules;
#[cfg(feature = "redis")]
use super::shared::SharedStore;
use super::{Clock, RateLimiter};
use crate::quota::Limits;

/// Settings of a [`RateLimiter`].
///
/// How large a burst may be, with how much a bucket starts and how many requests may be in flight
/// is said by the [`Limits`].
///
/// ```
/// use paceline::{Limits, RateLimiter};
///
/// let limits = Limits::tokens_per_minute(30_000)?;
/// let limiter = RateLimiter::builder(limits).max_waiters(500).build();
/// assert_eq!(limiter.snapshot().waiters, 0);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RateLimiterBuilder {
    limits: Limits,
    rules: Rules,
    clock: Clock,
    hook: Option<Hook>,
    /// The store that it is shared over, and by what name.
    #[cfg(feature = "redis")]
    shared: Option<(SharedStore, String)>,
}

impl RateLimiterBuilder {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            rules: Rules::default(),
            clock: Clock::real(),
            hook: None,
            #[cfg(feature = "redis")]
            shared: None,
        }
    }

    /// Makes a limiter that takes the server's word for what its limits are, once it
    /// [hears](super::Permit::observe) it, and is careful until then. Limits that are only
    /// [provisional](crate::Quota::provisional) give way to the server's; those that are stated are
    /// ceilings. `jitter` is how much the time varies that requests take to the server, by which
    /// each burst is [lowered](crate::Quota::allow_jitter). Default: the limiter is not adaptive and
    /// holds exactly the stated limits.
    pub fn adaptive(mut self, jitter: Duration) -> Self {
        self.rules.jitter = Some(jitter);
        self
    }

    /// Caps the wait queue. Further calls fail with [`QueueFull`](crate::AcquireError::QueueFull), except those
    /// of a [`Ticket`](super::Ticket). Default: no cap.
    pub fn max_waiters(mut self, most: usize) -> Self {
        self.rules.max_waiters = Some(most);
        self
    }

    /// Lets a request that fits now overtake waiters, if that does not delay the head of the queue: it
    /// takes nothing of what the head waits for, such as a request without output while the head waits
    /// for output tokens. It may delay waiters behind the head, and no waiter from the moment it becomes
    /// the head. Default: false, no request overtakes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{Cost, Limits, RateLimiter, Unit, AcquireOptions};
    ///
    /// let limits = Limits::builder()
    ///     .requests_per_minute(600)
    ///     .per_minute(Unit::OutputTokens, 1_000);
    /// let limiter = RateLimiter::builder(limits.build()?).bypass(true).build();
    /// let permit = limiter.acquire(Cost::sized(100, 1_000))?; // all the output there is
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| limiter.acquire(Cost::sized(100, 500)));
    ///     while limiter.snapshot().waiters == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     let embedding = limiter.try_acquire(Cost::sized(100, 0));
    ///     assert!(embedding.is_ok(), "it delays no other");
    ///     limiter.close();
    /// });
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn bypass(mut self, bypass: bool) -> Self {
        self.rules.bypass = bypass;
        self
    }

    /// Registers a callback for each [`Event`]: to count and to measure. The thread of the request calls
    /// it, without a lock of the limiter, and continues when it returns. A panic in it unwinds that
    /// thread: a cost granted to it by then stays charged, like that of a dropped permit. Default: none.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use paceline::{Cost, Event, Limits, RateLimiter};
    ///
    /// let granted = Arc::new(AtomicU64::new(0));
    /// let count = Arc::clone(&granted);
    /// let limiter = RateLimiter::builder(Limits::tokens_per_minute(30_000)?)
    ///     .on_event(move |event| {
    ///         if let Event::Granted { cost, .. } = event {
    ///             count.fetch_add(cost.tokens, Ordering::Relaxed);
    ///         }
    ///     })
    ///     .build();
    /// drop(limiter.acquire(Cost::tokens(500))?);
    /// assert_eq!(granted.load(Ordering::Relaxed), 500);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn on_event(mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    pub(super) fn hook(mut self, hook: &Hook) -> Self {
        self.hook = Some(Arc::clone(hook));
        self
    }

    /// Sets the clock. Tests pass a `&ManualClock`. Default: the real one.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Shares the limits with all limiters of this name over the same store, in any process on any
    /// machine. Everything else stays as it is; see [`SharedStore`]. Time is the real one then.
    ///
    /// Other limits hold for all processes, be they set, reported by the server or stated by the process
    /// that joins last. A bucket that gets smaller by that is at most empty, since it may have begun so.
    ///
    /// All processes follow what a server reports of its limits and of what remains, where the limiter
    /// [is adaptive](Self::adaptive), and its refusals in any case. A cap on requests in flight stays this
    /// process's own. Default: a limiter of this process alone.
    #[cfg(feature = "redis")]
    pub fn share(mut self, store: &SharedStore, name: impl Into<String>) -> Self {
        self.shared = Some((store.clone(), name.into()));
        self
    }

    /// The finished limiter.
    #[must_use]
    pub fn build(self) -> RateLimiter {
        #[cfg(feature = "redis")]
        if let Some((store, name)) = self.shared {
            let limits = match self.rules.jitter {
                Some(jitter) => self.limits.clone().allow_jitter(jitter),
                None => self.limits.clone(),
            };
            let core = Core::new(&self.limits, self.rules, Clock::real(), self.hook);
            let account = store.account(&limits);
            core.feed(&store, &name, account);
            return RateLimiter { core };
        }
        RateLimiter {
            core: Core::new(&self.limits, self.rules, self.clock, self.hook),
        }
    }
}

impl fmt::Debug for RateLimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limits,
            rules,
            clock,
            hook,
            #[cfg(feature = "redis")]
            shared,
        } = self;
        let mut shown = f.debug_struct("RateLimiterBuilder");
        shown
            .field("limits", limits)
            .field("rules", rules)
            .field("clock", clock)
            .field("on_event", &hook.is_some());
        #[cfg(feature = "redis")]
        shown.field("shared", shared);
        shown.finish()
    }
}
