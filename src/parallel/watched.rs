//! Maps with a progress report; one without has a report that does nothing.

use std::fmt;

use rayon::iter::IntoParallelIterator;

use super::map::Map;
use super::progress::{Outcome, Progress};
use super::workers::Workers;
use crate::{Error, Result};

/// [`Workers`] whose maps report their progress: made by [`Workers::on_progress`].
#[must_use = "it does nothing until it maps"]
pub struct Watched<'w, P> {
    workers: &'w Workers,
    report: P,
}

impl<'w, P: Fn(Progress) + Sync> Watched<'w, P> {
    pub(super) fn new(workers: &'w Workers, report: P) -> Self {
        Self { workers, report }
    }

    /// Like [`Workers::map`].
    ///
    /// # Panics
    ///
    /// When `f`, the iterator or the report does.
    pub fn map<T, R: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> R + Sync,
    ) -> Vec<R> {
        let map = Map::new(items, f, |_| Outcome::Succeeded, &self.report);
        self.workers.run(&map);
        map.finish().0
    }

    /// Like [`Workers::try_map`].
    ///
    /// # Panics
    ///
    /// When `f`, the iterator or the report does.
    pub fn try_map<T, R: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> Result<R> + Sync,
    ) -> Vec<Result<R>> {
        let map = Map::new(items, f, Outcome::of, &self.report);
        self.workers.run(&map);
        let (mut results, not_begun) = map.finish();
        results.extend((0..not_begun).map(|_| Err(Error::Stopped)));
        results
    }

    /// Like [`Workers::map_par`].
    ///
    /// # Panics
    ///
    /// When `f`, the iterator or the report does.
    pub fn map_par<T: Send, R: Send>(
        &self,
        items: impl IntoParallelIterator<Item = T>,
        f: impl Fn(T) -> R + Sync,
    ) -> Vec<R> {
        self.map(self.workers.collect(items), f)
    }

    /// Like [`Workers::try_map_par`].
    ///
    /// # Panics
    ///
    /// When `f`, the iterator or the report does.
    pub fn try_map_par<T: Send, R: Send>(
        &self,
        items: impl IntoParallelIterator<Item = T>,
        f: impl Fn(T) -> Result<R> + Sync,
    ) -> Vec<Result<R>> {
        self.try_map(self.workers.collect(items), f)
    }
}

impl<P> fmt::Debug for Watched<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("workers", self.workers)
            .finish_non_exhaustive()
    }
}
