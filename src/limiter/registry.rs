//! One limiter per model, for every caller in the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

#[cfg(feature = "redis")]
use super::SharedStore;
use super::event::{Event, Hook};
use super::{Clock, RateLimiter};
use crate::quota::{LimitTable, Limits};

/// Default of [`Registry::jitter`]: how much the time that requests take to the server may vary.
pub const DEFAULT_JITTER: Duration = Duration::from_millis(100);

/// Hands out one limiter per model (or family of models) by a [`LimitTable`].
///
/// Its limiters are for requests that travel to a server, so each burst is
/// [lowered](crate::Quota::allow_jitter) by what comes in within the jitter of that way.
///
/// # Locking
///
/// One mutex around the map, held to look up or insert, never during a wait.
///
/// ```
/// use paceline::{LimitTable, Limits, Registry};
///
/// let table = LimitTable::empty(Limits::tokens_per_minute(30_000)?);
/// let registry = Registry::new(table);
/// let limiter = registry.limiter_for("gpt-4o-mini");
/// assert!(limiter.is_same(&registry.limiter_for("gpt-4o-mini-2024-07-18")));
/// # Ok::<(), paceline::Error>(())
/// ```
pub struct Registry {
    table: LimitTable,
    jitter: Duration,
    clock: Clock,
    max_waiters: Option<usize>,
    hook: Option<Hook>,
    /// The one limiter of all models.
    single: Option<RateLimiter>,
    #[cfg(feature = "redis")]
    shared: Option<SharedStore>,
    /// Whose limits they are, where each key has its own.
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "a name in a store"))]
    key: Option<String>,
    limiters: Mutex<HashMap<String, RateLimiter>>,
}

impl Registry {
    /// A registry of its own, apart from the process-wide one.
    #[must_use]
    pub fn new(table: LimitTable) -> Self {
        Self {
            table,
            jitter: DEFAULT_JITTER,
            clock: Clock::real(),
            max_waiters: None,
            hook: None,
            single: None,
            #[cfg(feature = "redis")]
            shared: None,
            key: None,
            limiters: Mutex::new(HashMap::new()),
        }
    }

    /// A registry in which all models have this limiter: for one that the caller has made.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use paceline::{Limits, RateLimiter, Registry};
    ///
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
    /// let registry = Registry::single(limiter.clone());
    /// assert!(registry.limiter_for("any-model").is_same(&limiter));
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[must_use]
    pub fn single(limiter: RateLimiter) -> Self {
        let mut registry = Self::new(LimitTable::empty(Limits::none()));
        registry.single = Some(limiter);
        registry
    }

    /// Puts a limiter in for a model and all that share its limits, in place of the one that it would make or
    /// has made. Existing handles of that one keep it.
    pub fn insert(&self, model: &str, limiter: RateLimiter) {
        let family = self.table.family_of(model).to_owned();
        self.limiters.lock().insert(family, limiter);
    }

    /// Caps the wait queue of each limiter that it makes: see
    /// [`RateLimiterBuilder::max_waiters`](super::RateLimiterBuilder::max_waiters). Default: no cap.
    #[must_use]
    pub fn max_waiters(mut self, most: usize) -> Self {
        self.max_waiters = Some(most);
        self
    }

    /// Registers a callback for events of all limiters that it makes: see
    /// [`RateLimiterBuilder::on_event`](super::RateLimiterBuilder::on_event). Default: none.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use paceline::{Event, LimitTable, RateLimitedClient, Registry};
    ///
    /// let registry = Registry::new(LimitTable::default()).max_waiters(500).on_event(|event| {
    ///     if let Event::Granted { waited, .. } = event {
    ///         println!("waited {waited:?}");
    ///     }
    /// });
    /// # #[cfg(feature = "client")]
    /// let client = RateLimitedClient::builder().api_key("secret").registry(Arc::new(registry)).build()?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[must_use]
    pub fn on_event(mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Sets how much the time that requests take to the server may vary. Default: [`DEFAULT_JITTER`].
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the clock of its limiters. Default: the real one.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Shares its limiters with all processes that do so over the same store, each by the name of its
    /// model's family. Default: limiters of this process alone.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn share(mut self, store: &SharedStore) -> Self {
        self.shared = Some(store.clone());
        self
    }

    /// One of the same settings for another key, with limiters of its own. `name` tells them apart in a store.
    #[cfg(feature = "gateway")]
    pub(crate) fn of_key(&self, name: &str) -> Self {
        let mut registry = Self::new(self.table.clone())
            .jitter(self.jitter)
            .clock(self.clock.clone());
        registry.max_waiters = self.max_waiters;
        registry.hook.clone_from(&self.hook);
        registry.single.clone_from(&self.single);
        #[cfg(feature = "redis")]
        registry.shared.clone_from(&self.shared);
        registry.key = Some(name.to_owned());
        registry
    }

    /// One of the same settings that shares its limiters.
    #[cfg(all(feature = "client", feature = "redis"))]
    pub(crate) fn sharing(&self, store: &SharedStore) -> Self {
        let mut registry = Self::new(self.table.clone()).jitter(self.jitter);
        registry.max_waiters = self.max_waiters;
        registry.hook.clone_from(&self.hook);
        registry.key.clone_from(&self.key);
        registry.share(store)
    }

    /// The process-wide registry, with the built-in table unless [`Registry::set_global`] was
    /// called before.
    #[must_use]
    pub fn global() -> &'static Arc<Self> {
        GLOBAL.get_or_init(|| Arc::new(Self::new(LimitTable::default())))
    }

    /// Makes `registry` the process-wide one. To be called before the first use.
    ///
    /// # Errors
    ///
    /// Gives `registry` back when the process has one already: limiters may be in use.
    pub fn set_global(registry: Arc<Self>) -> Result<(), Arc<Self>> {
        GLOBAL.set(registry)
    }

    /// The limiter of a model: the same one for every name that shares its limits, and for every
    /// caller.
    #[must_use]
    pub fn limiter_for(&self, model: &str) -> RateLimiter {
        if let Some(single) = &self.single {
            return single.clone();
        }
        let family = self.table.family_of(model);
        let mut limiters = self.limiters.lock();
        if let Some(limiter) = limiters.get(family) {
            return limiter.clone();
        }
        let limits = self.table.limits_for(model).clone();
        let mut limiter = RateLimiter::builder(limits)
            .adaptive(self.jitter)
            .clock(self.clock.clone());
        if let Some(most) = self.max_waiters {
            limiter = limiter.max_waiters(most);
        }
        if let Some(hook) = &self.hook {
            limiter = limiter.hook(hook);
        }
        #[cfg(feature = "redis")]
        let limiter = match &self.shared {
            Some(store) => match &self.key {
                Some(key) => limiter.share(store, format!("{family}@{key}")),
                None => limiter.share(store, family),
            },
            None => limiter,
        };
        let limiter = limiter.build();
        limiters.insert(family.to_owned(), limiter.clone());
        limiter
    }

    /// Every limiter handed out so far, by the name under which the table keeps its limits,
    /// sorted.
    #[must_use]
    pub fn limiters(&self) -> Vec<(String, RateLimiter)> {
        if let Some(single) = &self.single {
            return vec![("all models".to_owned(), single.clone())];
        }
        let limiters = self.limiters.lock();
        let mut all: Vec<_> = limiters
            .iter()
            .map(|(family, limiter)| (family.clone(), limiter.clone()))
            .collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The limits by which it hands out limiters.
    #[must_use]
    pub fn table(&self) -> &LimitTable {
        &self.table
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.limiters()).finish()
    }
}

static GLOBAL: OnceLock<Arc<Registry>> = OnceLock::new();

/// The process-wide limiter of a model: every caller on every thread gets the same one.
///
/// ```
/// let one = paceline::limiter_for("gpt-4o-mini");
/// let same = paceline::limiter_for("ft:gpt-4o-mini-2024-07-18:acme::B4x");
/// assert!(one.is_same(&same));
/// ```
#[must_use]
pub fn limiter_for(model: &str) -> RateLimiter {
    Registry::global().limiter_for(model)
}

#[cfg(all(test, not(paceline_loom)))]
#[allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
mod tests {
    use super::*;
    use crate::cost::Cost;
    use crate::{AcquireError, ManualClock};

    #[test]
    fn callbacks_queue_caps_and_limiters_of_the_caller_s() {
        let denied = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&denied);
        let limits = Limits::tokens_per_minute(60).unwrap();
        let registry = Registry::new(LimitTable::empty(limits))
            .clock(&ManualClock::new())
            .max_waiters(0)
            .on_event(move |event| {
                if let Event::Denied { cost, .. } = event {
                    list.lock().push(cost.tokens);
                }
            });
        let made = registry.limiter_for("a");
        let full = made
            .acquire(Cost::tokens(59))
            .and_then(|_| made.acquire(Cost::tokens(50)));
        assert!(
            matches!(full, Err(AcquireError::QueueFull { .. })),
            "{full:?}"
        );
        assert_eq!(*denied.lock(), [50]);

        let own = RateLimiter::new(Limits::none());
        registry.insert("a", own.clone());
        assert!(registry.limiter_for("a").is_same(&own));
        assert!(!registry.limiter_for("b").is_same(&own));
        let single = Registry::single(own.clone());
        assert!(single.limiter_for("a").is_same(&single.limiter_for("b")));
        assert!(single.limiters()[0].1.is_same(&own));
    }

    #[test]
    fn every_thread_gets_the_same_limiter_for_every_name_of_a_model() {
        let registry = Registry::new(LimitTable::default());
        assert_eq!(*registry.table(), LimitTable::default());
        let names = [
            "gpt-4o-mini",
            "gpt-4o-mini-2024-07-18",
            "ft:gpt-4o-mini:a::b",
        ];
        let limiters: Vec<RateLimiter> = std::thread::scope(|scope| {
            let registry = &registry;
            let threads: Vec<_> = (0..24)
                .map(|thread| {
                    scope.spawn(move || registry.limiter_for(names[thread % names.len()]))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(limiters.iter().all(|limiter| limiter.is_same(&limiters[0])));
        assert_eq!(registry.limiters().len(), 1);
        assert!(!limiters[0].is_same(&registry.limiter_for("gpt-4o")));
    }

    #[test]
    fn a_family_shares_one_limiter_and_unknown_models_do_not() {
        let mut table = LimitTable::default();
        let limits = Limits::tokens_per_minute(60_000).unwrap();
        table.set_family("research", ["o3", "o4-mini"], limits);
        let registry = Registry::new(table).jitter(Duration::from_secs(1));
        let research = registry.limiter_for("o3");
        assert!(research.is_same(&registry.limiter_for("o4-mini-2025-04-16")));
        assert!(
            !registry
                .limiter_for("a")
                .is_same(&registry.limiter_for("b"))
        );
        // A second of the rate is held back for jitter, and one for rounding.
        assert_eq!(research.snapshot().quotas[0].level, 58_999);
    }
}
