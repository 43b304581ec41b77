//! One map in progress: what is next, and what came of it.
//!
//! Threads *serve* a map: each takes the next item, runs it, and comes back until no item is left.
//! So one slow item keeps one thread and no item, and where an item stands does not matter.
//!
//! A thread that waits for an inner map runs whatever job of its pool it finds, and that may be
//! one that asks it to serve a map which it is serving already, further down its own stack. It
//! must not: it would wait for locks and permits that it holds itself, and put a whole list of
//! items before the end of the one it is busy with. Such a job is *turned away*, and put up
//! again for other threads as soon as its thread is back at that map.

use std::iter::Fuse;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use rayon::Scope;

use super::options::Report;
use super::progress::{MapSummary, Progress};
use super::stop::Bounds;
use super::{MapError, Skipped, StopRule};

/// A map in progress, shared by the threads that serve it.
pub(super) struct Map<'a, I: Iterator, F, S, D> {
    items: Mutex<Items<I>>,
    f: F,
    rule: &'a S,
    deliver: D,
    bounds: &'a Bounds,
    progress: Mutex<Progress>,
    report: Option<&'a Report<'a>>,
    /// Why nothing more is started, once that is so.
    ended: OnceLock<Skipped>,
    /// The threads that serve this map, by their index in the pool.
    serving: Mutex<Vec<usize>>,
    turned_away: AtomicUsize,
}

struct Items<I: Iterator> {
    iter: Fuse<I>,
    taken: usize,
}

impl<'a, I, R, E, F, S, D> Map<'a, I, F, S, D>
where
    I: Iterator + Send,
    F: Fn(I::Item) -> Result<R, E> + Sync,
    S: StopRule<E>,
    D: Fn(usize, Result<R, MapError<E>>) + Sync,
{
    pub(super) fn new(
        items: impl IntoIterator<IntoIter = I>,
        f: F,
        rule: &'a S,
        deliver: D,
        bounds: &'a Bounds,
        report: Option<&'a Report<'a>>,
    ) -> Self {
        let iter = items.into_iter().fuse();
        let total = match iter.size_hint() {
            (least, Some(most)) if least == most => Some(most),
            _ => None,
        };
        Self {
            items: Mutex::new(Items { iter, taken: 0 }),
            f,
            rule,
            deliver,
            bounds,
            progress: Mutex::new(Progress {
                total,
                ..Progress::default()
            }),
            report,
            ended: OnceLock::new(),
            serving: Mutex::default(),
            turned_away: AtomicUsize::new(0),
        }
    }

    /// No more items than this are left.
    pub(super) fn most_items(&self) -> usize {
        self.items.lock().iter.size_hint().1.unwrap_or(usize::MAX)
    }

    /// Has this thread, a pool's, serve the map until nothing is left to start.
    pub(super) fn serve<'scope>(&'scope self, scope: &Scope<'scope>) {
        if !self.enlist() {
            self.turned_away.fetch_add(1, Relaxed);
            return;
        }
        self.work(|| {
            for _ in 0..self.turned_away.swap(0, Relaxed) {
                scope.spawn(|scope| self.serve(scope));
            }
        });
    }

    /// False when this thread serves the map already.
    fn enlist(&self) -> bool {
        let Some(thread) = rayon::current_thread_index() else {
            return true;
        };
        let mut serving = self.serving.lock();
        let is_new = !serving.contains(&thread);
        if is_new {
            // For good: a thread that is done with the map leaves nothing to start.
            serving.push(thread);
        }
        is_new
    }

    /// Takes items and runs them, until none is left or the map has ended.
    pub(super) fn work(&self, before_each: impl Fn()) {
        let _guard = StopOnPanic(&self.ended);
        while let Some((index, item)) = self.take() {
            before_each();
            let result = (self.f)(item);
            let failed = match &result {
                Ok(_) => false,
                Err(error) => {
                    if self.rule.stops(error) {
                        // A reason that stands already came first.
                        let _ = self.ended.set(Skipped::Stopped);
                    }
                    true
                }
            };
            (self.deliver)(index, result.map_err(MapError::Failed));
            let mut progress = self.progress.lock();
            progress.done += 1;
            progress.failed += usize::from(failed);
            if let Some(report) = self.report {
                report(*progress);
            }
        }
    }

    fn take(&self) -> Option<(usize, I::Item)> {
        let mut items = self.items.lock();
        if self.ended().is_some() {
            return None;
        }
        let item = items.iter.next()?;
        let index = items.taken;
        items.taken += 1;
        // The iterator may have waited for its next item, long enough for others to fail.
        let Some(reason) = self.ended() else {
            return Some((index, item));
        };
        drop(items);
        (self.deliver)(index, Err(MapError::Skipped(reason)));
        None
    }

    /// Why nothing more is started, if that is so.
    fn ended(&self) -> Option<Skipped> {
        if let Some(reason) = self.ended.get() {
            return Some(*reason);
        }
        let reason = self.bounds.passed()?;
        Some(*self.ended.get_or_init(|| reason))
    }

    /// How it ended, and the items that no thread took: all of them behind those that were taken.
    pub(super) fn finish(self) -> (MapSummary, Fuse<I>) {
        let Progress { done, failed, .. } = self.progress.into_inner();
        let Items { iter, taken } = self.items.into_inner();
        // A deadline that passed behind the last item has skipped nothing.
        let is_whole = taken == done && iter.size_hint() == (0, Some(0));
        let summary = MapSummary {
            done,
            failed,
            skipped: self.ended.into_inner().filter(|_| !is_whole),
        };
        (summary, iter)
    }
}

/// Ends the map when its thread leaves it by a panic.
struct StopOnPanic<'a>(&'a OnceLock<Skipped>);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        // A thread leaves without a panic only when nothing is left to start. So it does no harm
        // that this is also true for a map inside a destructor, of a thread that panics anyway.
        if std::thread::panicking() {
            let _ = self.0.set(Skipped::Stopped);
        }
    }
}
