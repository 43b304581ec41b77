//! The threads that maps run on.

use std::fmt;
use std::sync::OnceLock;

use parking_lot::Mutex;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::map::Map;
use super::{MapError, MapOptions, MapSummary, StopRule};
use crate::{ConfigError, Error};

/// How many threads the functions of [`parallel`](crate::parallel) share.
///
/// Many more than there are cores, since they wait and do not compute: with answers that take
/// 2 s, 64 requests in flight are 32 a second, about 1,900 a minute. An idle thread costs some
/// memory and no time.
pub const DEFAULT_THREADS: usize = 64;

/// Threads for maps, apart from those of any other pool. They end some time after this is
/// dropped.
///
/// For another number than [`DEFAULT_THREADS`], and for maps that must not wait for others: the
/// number of threads is the number of closures that run at the same time. A limiter paces
/// however many there are, so more than can be used do no harm.
///
/// ```
/// use paceline::parallel::Workers;
///
/// let workers = Workers::new(8)?;
/// let lengths = workers.map(["one", "three"], str::len);
/// assert_eq!(lengths, [3, 5]);
/// # Ok::<(), paceline::Error>(())
/// ```
pub struct Workers {
    /// `None` are no threads at all: everything runs in the caller's.
    pool: Option<ThreadPool>,
}

impl Workers {
    /// Starts `threads` threads.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when `threads` is 0; [`Error::Threads`] when it is more than a
    /// pool can have, or than the system allows.
    pub fn new(threads: usize) -> Result<Self, Error> {
        Self::build(threads, ThreadPoolBuilder::new())
    }

    pub(super) fn build(threads: usize, builder: ThreadPoolBuilder) -> Result<Self, Error> {
        if threads == 0 {
            let error = ConfigError::new("threads", "threads: at least 1 is needed");
            return Err(error.with_value(threads).into());
        }
        let most = rayon::max_num_threads();
        if threads > most {
            let reason = format!("a pool has at most {most}");
            return Err(Error::Threads { threads, reason });
        }
        let pool = builder
            .num_threads(threads)
            .thread_name(|index| format!("paceline-worker-{index}"))
            .build()
            .map_err(|error| Error::Threads {
                threads,
                reason: error.to_string(),
            })?;
        Ok(Self { pool: Some(pool) })
    }

    /// The process's own, started by the first call: [`DEFAULT_THREADS`] of them. When they
    /// cannot be started, the caller's thread does the work alone, and the log says so; the next
    /// call tries again.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Workers> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        // So that simultaneous first calls do not each start them.
        let _starting = SHARED.get().is_none().then(|| STARTING.lock());
        if let Some(shared) = SHARED.get() {
            return shared;
        }
        match Self::new(DEFAULT_THREADS) {
            Ok(workers) => SHARED.get_or_init(|| workers),
            Err(error) => {
                log::warn!("{error}; continuing in one thread");
                &Self::NONE
            }
        }
    }

    /// No threads but the caller's.
    pub(super) const NONE: Self = Self { pool: None };

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool
            .as_ref()
            .map_or(1, ThreadPool::current_num_threads)
    }

    /// Calls `f` with each item, each on the next thread that is free, and returns the results
    /// in the order of the items: see [`parallel::map`](super::map).
    ///
    /// # Panics
    ///
    /// When `f` or the iterator does.
    pub fn map<T, R: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> R + Sync,
    ) -> Vec<R> {
        // Without a deadline or a token nothing ends it early.
        self.options().map(items, f).unwrap_or_default()
    }

    /// Like [`map`](Workers::map), for an `f` that can fail; stops early when the account is
    /// refused: see [`parallel::try_map`](super::try_map).
    ///
    /// # Panics
    ///
    /// When `f` or the iterator does.
    pub fn try_map<T, R: Send, E: Send + 'static>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> Result<R, E> + Sync,
    ) -> Vec<Result<R, MapError<E>>> {
        self.options().try_map(items, f)
    }

    /// Like [`map`](Workers::map), for rayon's parallel iterators: see
    /// [`parallel::map_par`](super::map_par).
    ///
    /// # Panics
    ///
    /// When `f` or the iterator does.
    pub fn map_par<T: Send, R: Send>(
        &self,
        items: impl IntoParallelIterator<Item = T>,
        f: impl Fn(T) -> R + Sync,
    ) -> Vec<R> {
        self.map(self.collect(items), f)
    }

    /// Like [`try_map`](Workers::try_map), for rayon's parallel iterators: see
    /// [`parallel::map_par`](super::map_par).
    ///
    /// # Panics
    ///
    /// When `f` or the iterator does.
    pub fn try_map_par<T: Send, R: Send, E: Send + 'static>(
        &self,
        items: impl IntoParallelIterator<Item = T>,
        f: impl Fn(T) -> Result<R, E> + Sync,
    ) -> Vec<Result<R, MapError<E>>> {
        self.options().try_map_par(items, f)
    }

    /// Calls `f` with each item and hands out each result as soon as it is there: see
    /// [`parallel::for_each_result`](super::for_each_result).
    ///
    /// # Panics
    ///
    /// When `f`, `each` or the iterator does.
    pub fn for_each_result<T, R, E: 'static>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> Result<R, E> + Sync,
        each: impl FnMut(usize, Result<R, MapError<E>>) + Send,
    ) -> MapSummary {
        self.options().for_each_result(items, f, each)
    }

    /// Returns settings for maps on these threads: a deadline, a token, a rule when to stop, a
    /// progress report.
    ///
    /// ```
    /// use paceline::parallel::Workers;
    ///
    /// let workers = Workers::new(2)?;
    /// let squares = workers
    ///     .options()
    ///     .on_progress(|progress| println!("{} of {:?}", progress.done, progress.total))
    ///     .map(1..=3, |number| number * number);
    /// assert_eq!(squares, Ok(vec![1, 4, 9]));
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn options(&self) -> MapOptions<'_> {
        MapOptions::new(self)
    }

    /// Runs a map to its end.
    pub(super) fn run<I, F, R, E, S, D>(&self, map: &Map<'_, I, F, S, D>)
    where
        I: Iterator + Send,
        F: Fn(I::Item) -> Result<R, E> + Sync,
        S: StopRule<E>,
        D: Fn(usize, Result<R, MapError<E>>) + Sync,
    {
        let Some(pool) = &self.pool else {
            return map.work(|| {});
        };
        let servers = map.most_items().min(self.threads());
        if servers > 0 {
            // In place, so that the caller's thread spawns and waits, and nothing need be
            // `'static`. A caller that is a worker of some rayon pool serves it meanwhile.
            pool.in_place_scope(|scope| {
                for _ in 0..servers {
                    scope.spawn(|scope| map.serve(scope));
                }
            });
        }
    }

    /// The items of a parallel iterator, in their order.
    pub(super) fn collect<T: Send>(&self, items: impl IntoParallelIterator<Item = T>) -> Vec<T> {
        let items = items.into_par_iter();
        match &self.pool {
            Some(pool) => pool.install(|| items.collect()),
            // Only a rayon pool can run it; what is left is the caller's.
            None => items.collect(),
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}
