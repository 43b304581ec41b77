//! One limiter per model, for every caller in the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Clock, RateLimiter};
use crate::quota::LimitTable;

/// How much the time that requests take to the server is taken to vary, unless told otherwise.
pub const DEFAULT_JITTER: Duration = Duration::from_millis(100);

/// Hands out one limiter per model (or family of models) by a [`LimitTable`].
///
/// Its limiters are for requests that travel to a server, so each burst is
/// [lowered](crate::Quota::allow_jitter) by what comes in within the jitter of that way.
///
/// # Locking
///
/// One mutex around the map, held to look up or insert, never while anybody waits.
pub struct Registry {
    table: LimitTable,
    jitter: Duration,
    clock: Clock,
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
            limiters: Mutex::new(HashMap::new()),
        }
    }

    /// Sets how much the time that requests take to the server may vary. Defaults to
    /// [`DEFAULT_JITTER`].
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the clock of its limiters. Defaults to the real one.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
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
        let family = self.table.family_of(model);
        let mut limiters = self.limiters.lock();
        if let Some(limiter) = limiters.get(family) {
            return limiter.clone();
        }
        let limits = self.table.limits_for(model).clone();
        let limiter = RateLimiter::builder(limits.allow_jitter(self.jitter))
            .clock(self.clock.clone())
            .build();
        limiters.insert(family.to_owned(), limiter.clone());
        limiter
    }

    /// Every limiter handed out so far, by the name under which the table keeps its limits,
    /// sorted.
    #[must_use]
    pub fn limiters(&self) -> Vec<(String, RateLimiter)> {
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
