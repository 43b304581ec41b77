//! A step of rayon's parallel iterators that passes a limiter.
//!
//! A rayon worker that waits inside an operation of its own runs other jobs meanwhile, on top of
//! the same stack. If such a job waited for the limiter while a closure below it holds a permit,
//! and that permit is what the job waits for, it would never wake. So a thread whose stack
//! holds a permit of this step never waits for another one.

use std::cell::Cell;

use rayon::iter::plumbing::{Consumer, ProducerCallback, UnindexedConsumer};
use rayon::iter::{IndexedParallelIterator, ParallelIterator};

use crate::limiter::{AcquireOptions, Permit, RateLimiter};
use crate::{AcquireError, Cost};

thread_local! {
    /// Whether a closure further down this thread's stack holds a permit of this step.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// Adds [`map_limited`](LimitedParallelIterator::map_limited) to rayon's parallel iterators.
///
/// ```
/// use paceline::parallel::LimitedParallelIterator;
/// use paceline::{Cost, Limits, RateLimiter};
/// use rayon::prelude::*;
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// let doubled: Vec<u32> = vec![1, 2, 3]
///     .into_par_iter()
///     .map_limited(&limiter, |_| Cost::tokens(10), |item, _permit| paceline::Result::Ok(item * 2))
///     .collect::<Result<_, paceline::Error>>()?;
/// assert_eq!(doubled, [2, 4, 6]);
/// # Ok::<(), paceline::Error>(())
/// ```
pub trait LimitedParallelIterator: ParallelIterator {
    /// Calls `f` with each item and a permit of `limiter` for its `cost`, for closures that send
    /// requests of their own.
    ///
    /// Each worker acquires the permit, which may block it, and then calls `f`, which settles the
    /// permit or drops it. So as many requests are in flight as the pool has threads: run it in a
    /// pool with many more than there are cores. A deadline, a token and a priority are set by
    /// [`MapLimited::options`].
    ///
    /// ```
    /// use paceline::parallel::LimitedParallelIterator;
    /// use paceline::{Cost, Limits, RateLimiter};
    /// use rayon::prelude::*;
    ///
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(100_000)?);
    /// let titles = ["Call me Ishmael.", "It was the best of times."];
    /// let answers: Vec<String> = titles
    ///     .into_par_iter()
    ///     .map_limited(&limiter, |title| Cost::sized(title.len() as u64, 100), |title, permit| {
    ///         let answer = title.to_uppercase(); // … send the request …
    ///         permit.settle(Cost::sized(title.len() as u64, 20));
    ///         paceline::Result::Ok(answer)
    ///     })
    ///     .collect::<paceline::Result<_>>()?;
    /// assert_eq!(answers[0], "CALL ME ISHMAEL.");
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An item has the error of `f`, or that of the limiter, for which `f` is not called:
    ///
    /// - those of [`RateLimiter::acquire_with`];
    /// - [`AcquireError::Nested`] when `map_limited` is called inside `f` while `f` has its permit, whatever
    ///   the limiters: such a call could wait for the permit of its own caller. The same holds for an
    ///   item that would have to wait on a thread that rayon has put on top of such an `f`, which
    ///   happens where `f` itself runs rayon's operations. So those belong before or behind this
    ///   step.
    fn map_limited<'a, C, F, R, E>(
        self,
        limiter: &'a RateLimiter,
        cost: C,
        f: F,
    ) -> MapLimited<'a, Self, C, F>
    where
        C: Fn(&Self::Item) -> Cost + Sync + Send,
        F: Fn(Self::Item, Permit<'a>) -> Result<R, E> + Sync + Send,
        R: Send,
        E: From<AcquireError> + Send,
    {
        MapLimited {
            base: self,
            limiter,
            wait: AcquireOptions::new(),
            cost,
            f,
        }
    }
}

impl<I: ParallelIterator> LimitedParallelIterator for I {}

/// A parallel iterator whose items pass a limiter: made by
/// [`map_limited`](LimitedParallelIterator::map_limited).
///
/// ```
/// use paceline::parallel::LimitedParallelIterator;
/// use paceline::{AcquireOptions, Cost, Limits, Priority, RateLimiter};
/// use rayon::prelude::*;
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// let count = vec![1, 2, 3]
///     .into_par_iter()
///     .map_limited(&limiter, |_| Cost::tokens(10), |item, _permit| Ok::<_, paceline::Error>(item))
///     .options(AcquireOptions::new().priority(Priority::Batch))
///     .count();
/// assert_eq!(count, 3);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "parallel iterators do nothing until they are driven"]
pub struct MapLimited<'a, I, C, F> {
    base: I,
    limiter: &'a RateLimiter,
    wait: AcquireOptions<'a>,
    cost: C,
    f: F,
}

impl<'a, I, C, F> MapLimited<'a, I, C, F> {
    /// Sets the deadline, the token and the priority of each item's wait. Default: none, and
    /// [`Priority::Interactive`](crate::Priority::Interactive).
    ///
    /// Once the deadline has passed or the token is cancelled, no further `f` is called: each item
    /// that is left gets an error at once.
    pub fn options(mut self, options: AcquireOptions<'a>) -> Self {
        self.wait = options;
        self
    }
}

impl<'a, I, C, F, R, E> MapLimited<'a, I, C, F>
where
    I: ParallelIterator,
    C: Fn(&I::Item) -> Cost + Sync + Send,
    F: Fn(I::Item, Permit<'a>) -> Result<R, E> + Sync + Send,
    R: Send,
    E: From<AcquireError> + Send,
{
    /// The iterator, and what is done with each of its items. To be called on the thread that
    /// drives it, which may hold a permit.
    fn parts(self) -> (I, impl Fn(I::Item) -> Result<R, E> + Sync + Send) {
        let Self {
            base,
            limiter,
            wait,
            cost,
            f,
        } = self;
        let is_nested = HOLDS.get();
        let step = move |item: I::Item| {
            let permit = match HOLDS.get() {
                _ if is_nested => Err(AcquireError::Nested),
                false => limiter.acquire_with(cost(&item), wait),
                true => limiter.try_acquire(cost(&item)).map_err(nested),
            };
            let permit = permit?;
            let _holds = Holds::until_dropped();
            f(item, permit)
        };
        (base, step)
    }
}

/// A wait that this thread must not do is an error of the program, not of the limit.
fn nested(error: AcquireError) -> AcquireError {
    match error {
        AcquireError::WouldBlock { .. } => AcquireError::Nested,
        other => other,
    }
}

/// Marks this thread as one whose stack holds a permit.
struct Holds {
    before: bool,
}

impl Holds {
    fn until_dropped() -> Self {
        Self {
            before: HOLDS.replace(true),
        }
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        HOLDS.set(self.before);
    }
}

impl<'a, I, C, F, R, E> ParallelIterator for MapLimited<'a, I, C, F>
where
    I: ParallelIterator,
    C: Fn(&I::Item) -> Cost + Sync + Send,
    F: Fn(I::Item, Permit<'a>) -> Result<R, E> + Sync + Send,
    R: Send,
    E: From<AcquireError> + Send,
{
    type Item = Result<R, E>;

    fn drive_unindexed<D: UnindexedConsumer<Self::Item>>(self, consumer: D) -> D::Result {
        let (base, step) = self.parts();
        base.map(step).drive_unindexed(consumer)
    }

    fn opt_len(&self) -> Option<usize> {
        self.base.opt_len()
    }
}

impl<'a, I, C, F, R, E> IndexedParallelIterator for MapLimited<'a, I, C, F>
where
    I: IndexedParallelIterator,
    C: Fn(&I::Item) -> Cost + Sync + Send,
    F: Fn(I::Item, Permit<'a>) -> Result<R, E> + Sync + Send,
    R: Send,
    E: From<AcquireError> + Send,
{
    fn len(&self) -> usize {
        self.base.len()
    }

    fn drive<D: Consumer<Self::Item>>(self, consumer: D) -> D::Result {
        let (base, step) = self.parts();
        base.map(step).drive(consumer)
    }

    fn with_producer<P: ProducerCallback<Self::Item>>(self, callback: P) -> P::Output {
        let (base, step) = self.parts();
        base.map(step).with_producer(callback)
    }
}
