//! An account error stops a map; nothing else does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};

use parking_lot::Mutex;

use super::{account_error, api_error, in_time, workers};
use crate::{Error, ErrorKind};

#[test]
fn no_item_is_begun_after_an_account_error_and_each_has_its_entry() {
    let begun = AtomicUsize::new(0);
    let taken = AtomicUsize::new(0);
    let items = (0..10).inspect(|_| {
        taken.fetch_add(1, Ordering::Relaxed);
    });
    let results = workers(1).try_map(items, |item| {
        begun.fetch_add(1, Ordering::Relaxed);
        if item == 3 {
            return Err(account_error());
        }
        Ok(item)
    });
    assert_eq!(begun.into_inner(), 4);
    assert_eq!(taken.into_inner(), 10, "the iterator is run to its end");
    assert_eq!(results.len(), 10);
    for (index, result) in results.iter().enumerate() {
        let expected = match index {
            0..3 => matches!(result, Ok(item) if *item == index),
            3 => matches!(result, Err(error) if error.is_account_error()),
            _ => matches!(result, Err(Error::Stopped)),
        };
        assert!(expected, "item {index}: {result:?}");
    }
}

#[test]
fn items_under_way_are_finished_and_no_thread_asks_for_more() {
    in_time(|| {
        let begun = AtomicUsize::new(0);
        let asked_for = AtomicUsize::new(0);
        let items = (0..100).inspect(|_| {
            // The caller, who counts what is left, is no thread of a pool.
            let by_a_worker = rayon::current_thread_index().is_some();
            asked_for.fetch_add(usize::from(by_a_worker), Ordering::Relaxed);
        });
        let all_begun = Barrier::new(4);
        let (report, failed) = mpsc::channel();
        let failed = Mutex::new(failed);
        let workers = workers(4);
        let watched = workers.on_progress(|progress| {
            if progress.failed == 1 && progress.done == 1 {
                (0..3).for_each(|_| report.send(()).unwrap());
            }
        });
        let results = watched.try_map(items, |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            all_begun.wait();
            if item == 2 {
                return Err(account_error());
            }
            failed.lock().recv().unwrap();
            Ok(item)
        });
        assert_eq!(begun.load(Ordering::Relaxed), 4);
        assert_eq!(asked_for.load(Ordering::Relaxed), 4);
        assert_eq!(results.len(), 100);
        assert!(matches!(results[..4], [Ok(0), Ok(1), Err(_), Ok(3)]));
        assert!((results[4..].iter()).all(|result| matches!(result, Err(Error::Stopped))));
    });
}

#[test]
fn an_item_that_arrives_after_the_stop_is_not_begun() {
    in_time(|| {
        let (items, arriving) = mpsc::channel();
        let (asked, second) = mpsc::channel();
        let (items, second) = (Mutex::new(Some(items)), Mutex::new(second));
        let mut place = 0;
        let arriving = std::iter::from_fn(move || {
            place += 1;
            if place == 2 {
                asked.send(()).unwrap();
            }
            arriving.recv().ok()
        });
        items.lock().as_ref().unwrap().send(0).unwrap();
        let workers = workers(2);
        // Called once the stop is in force: only now come the items that somebody waits for.
        let watched = workers.on_progress(|_| {
            let items = items.lock().take().unwrap();
            items.send(1).unwrap();
            items.send(2).unwrap();
        });
        let results = watched.try_map(arriving, |item: i32| {
            assert_eq!(item, 0, "begun after the stop");
            second.lock().recv().unwrap();
            Err::<(), _>(account_error())
        });
        assert_eq!(results.len(), 3);
        assert!(matches!(
            results[1..],
            [Err(Error::Stopped), Err(Error::Stopped)]
        ));
    });
}

#[test]
fn other_errors_stop_nothing() {
    let kinds = [
        ErrorKind::RateLimited,
        ErrorKind::TooLarge,
        ErrorKind::Forbidden,
        ErrorKind::Request,
        ErrorKind::Server,
    ];
    let results = workers(1).try_map(kinds, |kind| Err::<(), _>(api_error(kind)));
    for (kind, result) in kinds.iter().zip(results) {
        assert!(
            matches!(&result, Err(Error::Api(error)) if error.kind == *kind),
            "{kind:?}: {result:?}"
        );
    }
}
