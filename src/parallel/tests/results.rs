//! Results: one an item, in order, whatever the items are and however they come.

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use parking_lot::Mutex;
use rayon::prelude::*;

use super::{in_time, workers};
use crate::Error;
use crate::parallel::{self, MapError, Progress};

#[test]
fn every_item_is_run_once_and_its_result_stands_in_its_place() {
    for threads in [1, 2, 7] {
        let workers = workers(threads);
        for count in [0, 1, 2, 6, 500] {
            let step = format!("{count} items on {threads} threads");
            let expected: Vec<usize> = (0..count).map(|item| item * 3).collect();
            let runs = AtomicUsize::new(0);
            let triple = |item: usize| {
                runs.fetch_add(1, Ordering::Relaxed);
                item * 3
            };
            assert_eq!(workers.map(0..count, triple), expected, "{step}");
            assert_eq!(runs.load(Ordering::Relaxed), count, "{step}");

            let found = workers.map_par(0..count, triple);
            assert_eq!(found, expected, "{step}, map_par");

            let found = workers.try_map(0..count, |item| Ok::<_, Error>(triple(item)));
            let found: Result<Vec<_>, _> = found.into_iter().collect();
            assert_eq!(found.unwrap(), expected, "{step}, try_map");
        }
    }
}

#[test]
fn the_order_is_that_of_the_items_even_when_they_finish_in_the_opposite_one() {
    in_time(|| {
        const COUNT: usize = 8;
        // Each item waits for the one behind it.
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..COUNT).map(|_| mpsc::channel::<()>()).unzip();
        let mut before: Vec<_> = senders.into_iter().map(Some).collect();
        before.rotate_left(COUNT - 1); // item 1 releases item 0, and so on
        before[0] = None;
        let items: Vec<_> = before.into_iter().zip(receivers).enumerate().collect();
        let finished = Mutex::new(Vec::new());
        let found = workers(COUNT).map(items, |(index, (before, after))| {
            if index + 1 < COUNT {
                after.recv().unwrap();
            }
            finished.lock().push(index);
            before.inspect(|before| before.send(()).unwrap());
            index
        });
        assert!(finished.into_inner().into_iter().eq((0..COUNT).rev()));
        assert!(found.into_iter().eq(0..COUNT));
    });
}

#[test]
fn items_are_taken_when_a_thread_is_free_and_not_before() {
    const THREADS: usize = 3;
    let (taken, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let items = (0..100).inspect(|_| {
        taken.fetch_add(1, Ordering::SeqCst);
    });
    let ahead = workers(THREADS).map(items, |_| {
        // Read in this order, so that what happens between the two makes it smaller.
        let taken = taken.load(Ordering::SeqCst);
        let ahead = taken.saturating_sub(finished.load(Ordering::SeqCst));
        finished.fetch_add(1, Ordering::SeqCst);
        ahead
    });
    assert!(ahead.iter().all(|&ahead| ahead <= THREADS), "{ahead:?}");
}

#[test]
fn items_that_may_not_change_threads_are_made_where_they_are_used() {
    let names = ["one".to_owned(), "two".to_owned()]; // borrowed: nothing need be 'static
    let found = workers(2).map(names.iter().map(Rc::new), |name| name.len());
    assert_eq!(found, [3, 3]);
}

#[test]
fn parallel_iterators_of_unknown_length_keep_their_order_too() {
    let odd = (0..1_000).into_par_iter().filter(|item| item % 2 == 1);
    let found = workers(3).map_par(odd, |item| item);
    assert!(found.into_iter().eq((1..1_000).step_by(2)));
}

#[test]
fn progress_grows_by_one_and_counts_failures() {
    let workers = workers(4);
    let seen = Mutex::new(Vec::new());
    let reporting = AtomicUsize::new(0);
    let watched = workers.options().on_progress(|progress: Progress| {
        let before = reporting.fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "two reports at a time");
        std::thread::yield_now(); // gives a second one its chance
        seen.lock().push(progress);
        reporting.fetch_sub(1, Ordering::SeqCst);
    });
    let results = watched.try_map(0..50, |item| match item % 10 {
        0 => Err(Error::Closed),
        _ => Ok(item),
    });
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 5);
    let reports = std::mem::take(&mut *seen.lock());
    assert!(reports.iter().map(|report| report.done).eq(1..=50));
    assert!(reports.is_sorted_by_key(|report| report.failed));
    assert!(reports.iter().all(|report| report.total == Some(50)));
    assert_eq!(reports.last().unwrap().failed, 5);

    watched
        .map((0..4).filter(|item| *item > 2), |item| item)
        .unwrap();
    let unknown = seen.lock().pop().unwrap();
    assert_eq!((unknown.done, unknown.total), (1, None));
}

#[test]
fn an_iterator_may_promise_more_items_than_memory_holds() {
    // Its size hint is exact and huge; the error stops it long before.
    let endless = std::iter::repeat_n((), usize::MAX);
    let caught = std::panic::catch_unwind(|| {
        workers(2).map(endless, |()| panic!("enough"));
    });
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"enough"));
}

#[test]
fn slow_neighbours_run_at_the_same_time_wherever_they_stand() {
    // A plain `par_iter().map()` on the same threads hangs here: one thread gets several of
    // the slow items as its share, and blocks in the first.
    in_time(|| {
        const SLOW: usize = 8;
        let workers = workers(SLOW);
        for first in [0, 1, 60, 123, 200 - SLOW] {
            let barrier = Arc::new(Barrier::new(SLOW));
            let run = |item: usize| {
                if (first..first + SLOW).contains(&item) {
                    barrier.wait();
                }
                item
            };
            assert!(workers.map(0..200, run).into_iter().eq(0..200), "{first}");
            let found = workers.map_par((0..200).into_par_iter(), run);
            assert!(found.into_iter().eq(0..200), "{first}, map_par");
        }
    });
}

#[test]
fn the_functions_run_on_shared_threads_apart_from_rayon_s_own() {
    in_time(|| {
        let barrier = Barrier::new(parallel::DEFAULT_THREADS);
        let names = parallel::map(0..parallel::DEFAULT_THREADS, |_| {
            barrier.wait();
            let thread = std::thread::current();
            thread.name().unwrap_or_default().to_owned()
        });
        for name in names {
            assert!(name.starts_with("paceline-worker-"), "{name:?}");
        }
        let squares = parallel::try_map_par(1..4, |number| Ok::<_, Error>(number * number));
        assert!(matches!(squares[..], [Ok(1), Ok(4), Ok(9)]));
    });
}

#[test]
fn results_come_one_by_one_and_none_is_kept() {
    in_time(|| {
        // The third item cannot start before the result of the first is out: nothing is collected.
        let (delivered, first) = mpsc::channel();
        let first = Mutex::new(first);
        let mut seen = vec![0; 100];
        let summary = workers(2).for_each_result(
            0..100_usize,
            |item| {
                if item == 2 {
                    first.lock().recv().unwrap();
                }
                if item % 10 == 3 { Err(item) } else { Ok(item) }
            },
            |index, result| {
                let item = result.unwrap_or_else(|error| error.failed().unwrap());
                assert_eq!(item, index);
                seen[index] += 1;
                let _ = delivered.send(()); // only item 2 listens
            },
        );
        assert_eq!(seen, [1; 100]);
        assert_eq!(
            (summary.done, summary.failed, summary.skipped),
            (100, 10, None)
        );
    });
}

#[test]
fn an_error_of_any_type_is_carried() {
    let found = workers(2).try_map(["1", "x"], str::parse::<u8>);
    assert!(matches!(&found[..], [Ok(1), Err(MapError::Failed(_))]));
    let boxed = || -> Result<(), Box<dyn std::error::Error>> {
        for number in workers(2).try_map(["x"], str::parse::<u8>) {
            number?;
        }
        Ok(())
    };
    assert_eq!(
        boxed().unwrap_err().to_string(),
        "invalid digit found in string"
    );
}
