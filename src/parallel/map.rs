//! One map under way: what is next, and what came of it.
//!
//! Threads *serve* a map: each takes the next item, runs it, and comes back until there is none.
//! So one slow item keeps one thread and no item, and where an item stands does not matter.
//!
//! A thread that waits for an inner map runs whatever job of its pool it finds, and that may be
//! one that asks it to serve a map which it is serving already, further down its own stack. It
//! must not: it would wait for locks and permits that it holds itself, and put a whole list of
//! items before the end of the one it is busy with. Such a job is *turned away*, and put up
//! again for other threads as soon as its thread is back at that map.

use std::iter::Fuse;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use rayon::Scope;

use super::progress::{Outcome, Progress};

/// A map under way, shared by the threads that serve it.
pub(super) struct Map<'a, I: Iterator, R, F> {
    items: Mutex<Items<I>>,
    f: F,
    judge: fn(&R) -> Outcome,
    results: Mutex<Vec<(usize, R)>>,
    progress: Mutex<Progress>,
    report: &'a (dyn Fn(Progress) + Sync),
    /// Nothing more is begun.
    stopped: AtomicBool,
    /// The threads that serve this map, by their index in the pool.
    serving: Mutex<Vec<usize>>,
    turned_away: AtomicUsize,
}

struct Items<I: Iterator> {
    iter: Fuse<I>,
    begun: usize,
    /// Taken from the iterator, but too late to begin.
    too_late: usize,
}

impl<'a, I, R, F> Map<'a, I, R, F>
where
    I: Iterator + Send,
    R: Send,
    F: Fn(I::Item) -> R + Sync,
{
    pub(super) fn new(
        items: impl IntoIterator<IntoIter = I>,
        f: F,
        judge: fn(&R) -> Outcome,
        report: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        let iter = items.into_iter().fuse();
        let total = match iter.size_hint() {
            (least, Some(most)) if least == most => Some(most),
            _ => None,
        };
        Self {
            items: Mutex::new(Items {
                iter,
                begun: 0,
                too_late: 0,
            }),
            f,
            judge,
            results: Mutex::default(),
            progress: Mutex::new(Progress {
                total,
                ..Progress::default()
            }),
            report,
            stopped: AtomicBool::new(false),
            serving: Mutex::default(),
            turned_away: AtomicUsize::new(0),
        }
    }

    /// No more items than this are left.
    pub(super) fn most_items(&self) -> usize {
        self.items.lock().iter.size_hint().1.unwrap_or(usize::MAX)
    }

    /// Has this thread, a pool's, serve the map until nothing is left to begin.
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
            // For good: a thread that is done with the map leaves nothing to begin.
            serving.push(thread);
        }
        is_new
    }

    /// Takes items and runs them, until none is left or the map is stopped.
    pub(super) fn work(&self, before_each: impl Fn()) {
        let _guard = StopOnPanic(&self.stopped);
        while let Some((index, item)) = self.take() {
            before_each();
            let result = (self.f)(item);
            let outcome = (self.judge)(&result);
            if outcome == Outcome::Hopeless {
                self.stopped.store(true, Relaxed);
            }
            self.results.lock().push((index, result));
            let mut progress = self.progress.lock();
            progress.done += 1;
            progress.failed += usize::from(outcome != Outcome::Succeeded);
            (self.report)(*progress);
        }
    }

    fn take(&self) -> Option<(usize, I::Item)> {
        let mut items = self.items.lock();
        if self.stopped.load(Relaxed) {
            return None;
        }
        let item = items.iter.next()?;
        // The iterator may have waited for its next item, long enough for others to fail.
        if self.stopped.load(Relaxed) {
            items.too_late += 1;
            return None;
        }
        items.begun += 1;
        Some((items.begun - 1, item))
    }

    /// The results of what was begun, in order, and how many items were not: all of them behind
    /// those that were.
    pub(super) fn finish(self) -> (Vec<R>, usize) {
        let Items { iter, too_late, .. } = self.items.into_inner();
        let mut results = self.results.into_inner();
        results.sort_unstable_by_key(|(index, _)| *index);
        let results = results.into_iter().map(|(_, result)| result).collect();
        (results, too_late + iter.count())
    }
}

/// Stops the map when its thread leaves it by a panic.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        // A thread leaves without a panic only when nothing is left to begin. So it does no harm
        // that this is also true for a map inside a destructor, of a thread that panics anyway.
        if std::thread::panicking() {
            self.0.store(true, Relaxed);
        }
    }
}
