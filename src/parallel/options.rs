//! A map's options: everything beside its items and its closure.

use std::convert::Infallible;
use std::fmt;
use std::time::Instant;

use parking_lot::Mutex;
use rayon::iter::IntoParallelIterator;

use super::map::Map;
use super::stop::Bounds;
use super::{AccountErrors, MapError, MapSummary, Progress, Skipped, StopRule, Workers};
use crate::limiter::{CancelToken, Clock};

/// Settings of a map: a deadline, a token that cancels it, a rule when to stop, a progress report.
///
/// Made by [`parallel::options`](super::options) or [`Workers::options`]; one set of options serves
/// any number of maps.
///
/// A deadline and a token keep further items from being started, also while no limit binds. The
/// closures that are running finish; give the same deadline and token to the calls in them.
///
/// ```
/// use std::time::Duration;
/// use paceline::{CancelToken, Clock, parallel};
///
/// let stop = CancelToken::new(); // for a signal handler to cancel
/// let options = parallel::options()
///     .deadline(Clock::real().now() + Duration::from_secs(30))
///     .cancel(&stop)
///     .stop_when(|error: &std::num::ParseIntError| !error.to_string().contains("empty"));
/// let numbers = options.try_map(["1", "", "3"], |text| text.parse::<u32>());
/// assert!(matches!(numbers[..], [Ok(1), Err(_), Ok(3)]));
/// ```
#[must_use = "options do nothing until they map"]
pub struct MapOptions<'a, S = AccountErrors> {
    workers: &'a Workers,
    bounds: Bounds,
    report: Option<Report<'a>>,
    rule: S,
}

pub(super) type Report<'a> = Box<dyn Fn(Progress) + Sync + 'a>;

impl<'a> MapOptions<'a> {
    pub(super) fn new(workers: &'a Workers) -> Self {
        Self {
            workers,
            bounds: Bounds::default(),
            report: None,
            rule: AccountErrors,
        }
    }
}

impl<'a, S> MapOptions<'a, S> {
    /// Starts no item after `deadline`. Default: none.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.bounds.deadline = Some(deadline);
        self
    }

    /// Starts no item once `token` is cancelled. Default: none.
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.bounds.cancel = Some(token.clone());
        self
    }

    /// Sets the clock of the deadline. Default: the real one.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.bounds.clock = clock.into();
        self
    }

    /// Starts no item once a closure has returned an error for which `rule` says `true`.
    /// Default: [`AccountErrors`].
    pub fn stop_when<R>(self, rule: R) -> MapOptions<'a, R> {
        MapOptions {
            workers: self.workers,
            bounds: self.bounds,
            report: self.report,
            rule,
        }
    }

    /// Calls `report` after each item, one call at a time, on the thread that ran the item. It
    /// should be quick, and not map in its turn. Default: none.
    pub fn on_progress(mut self, report: impl Fn(Progress) + Sync + 'a) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// Calls `f` with each item and returns all results in the order of the items, like
    /// [`parallel::map`](super::map).
    ///
    /// # Errors
    ///
    /// [`Skipped`] when the deadline or the token ended the map before its last item. The results
    /// are lost then; [`try_map`](Self::try_map) keeps those that there are.
    ///
    /// # Panics
    ///
    /// When `f`, the iterator or the report does.
    pub fn map<T, R: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> R + Sync,
    ) -> Result<Vec<R>, Skipped> {
        let never = |_: &Infallible| false;
        let results = self.collect(items, |item| Ok(f(item)), &never);
        let whole = results.into_iter().map(|result| match result {
            Ok(result) => Ok(result),
            Err(MapError::Failed(never)) => match never {},
            Err(MapError::Skipped(reason)) => Err(reason),
        });
        whole.collect()
    }

    /// Like [`map`](Self::map), for rayon's parallel iterators: see
    /// [`parallel::map_par`](super::map_par).
    ///
    /// # Errors
    ///
    /// Those of [`map`](Self::map).
    ///
    /// # Panics
    ///
    /// When `f`, the iterator or the report does.
    pub fn map_par<T: Send, R: Send>(
        &self,
        items: impl IntoParallelIterator<Item = T>,
        f: impl Fn(T) -> R + Sync,
    ) -> Result<Vec<R>, Skipped> {
        self.map(self.workers.collect(items), f)
    }

    /// Calls `f` with each item and returns one entry for each in the order of the items, like
    /// [`parallel::try_map`](super::try_map).
    ///
    /// When the map ends early, the iterator is run to its end to count the items that are left.
    /// For an endless one there is [`for_each_result`](Self::for_each_result).
    ///
    /// # Panics
    ///
    /// When `f`, the iterator, the report or the rule does.
    pub fn try_map<T, R: Send, E: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> Result<R, E> + Sync,
    ) -> Vec<Result<R, MapError<E>>>
    where
        S: StopRule<E>,
    {
        self.collect(items, f, &self.rule)
    }

    /// Like [`try_map`](Self::try_map), for rayon's parallel iterators: see
    /// [`parallel::map_par`](super::map_par).
    ///
    /// # Panics
    ///
    /// When `f`, the iterator, the report or the rule does.
    pub fn try_map_par<T: Send, R: Send, E: Send>(
        &self,
        items: impl IntoParallelIterator<Item = T>,
        f: impl Fn(T) -> Result<R, E> + Sync,
    ) -> Vec<Result<R, MapError<E>>>
    where
        S: StopRule<E>,
    {
        self.try_map(self.workers.collect(items), f)
    }

    /// Calls `f` with each item and hands out each result as soon as it is there, like
    /// [`parallel::for_each_result`](super::for_each_result).
    ///
    /// # Panics
    ///
    /// When `f`, `each`, the iterator, the report or the rule does.
    pub fn for_each_result<T, R, E>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> Result<R, E> + Sync,
        each: impl FnMut(usize, Result<R, MapError<E>>) + Send,
    ) -> MapSummary
    where
        S: StopRule<E>,
    {
        let each = Mutex::new(each);
        let deliver = |index, result| (*each.lock())(index, result);
        let map = Map::new(items, f, &self.rule, deliver, &self.bounds, self.report());
        self.workers.run(&map);
        map.finish().0
    }

    fn collect<T, R: Send, E: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> Result<R, E> + Sync,
        rule: &impl StopRule<E>,
    ) -> Vec<Result<R, MapError<E>>> {
        let results = Mutex::new(Vec::new());
        let deliver = |index, result| results.lock().push((index, result));
        let map = Map::new(items, f, rule, deliver, &self.bounds, self.report());
        self.workers.run(&map);
        let (summary, rest) = map.finish();
        let mut results: Vec<(usize, _)> = results.into_inner();
        results.sort_unstable_by_key(|(index, _)| *index);
        let mut results: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
        if let Some(reason) = summary.skipped {
            results.extend(rest.map(|_| Err(MapError::Skipped(reason))));
        }
        results
    }

    fn report(&self) -> Option<&Report<'a>> {
        self.report.as_ref()
    }
}

impl<S> fmt::Debug for MapOptions<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workers,
            bounds,
            report,
            rule: _,
        } = self;
        f.debug_struct("MapOptions")
            .field("workers", workers)
            .field("bounds", bounds)
            .field("on_progress", &report.is_some())
            .finish_non_exhaustive()
    }
}
