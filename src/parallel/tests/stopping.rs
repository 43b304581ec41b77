//! What ends a map early: an account error, a rule of the caller's, a deadline, a token.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

use super::{account_error, api_error, in_time, workers};
use crate::parallel::{MapError, Skipped};
use crate::{CancelToken, Error, ErrorKind, ManualClock};

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
            3 => matches!(result, Err(MapError::Failed(error)) if error.is_account_error()),
            _ => matches!(result, Err(MapError::Skipped(Skipped::Stopped))),
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
            // The caller's thread, which counts what is left, belongs to no pool.
            let by_a_worker = rayon::current_thread_index().is_some();
            asked_for.fetch_add(usize::from(by_a_worker), Ordering::Relaxed);
        });
        let all_begun = Barrier::new(4);
        let (report, failed) = mpsc::channel();
        let failed = Mutex::new(failed);
        let workers = workers(4);
        let watched = workers.options().on_progress(|progress| {
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
        assert!(
            (results[4..].iter())
                .all(|result| matches!(result, Err(MapError::Skipped(Skipped::Stopped))))
        );
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
        // Called once the stop is in force: only now come the items that threads wait for.
        let watched = workers.options().on_progress(|_| {
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
            [
                Err(MapError::Skipped(Skipped::Stopped)),
                Err(MapError::Skipped(Skipped::Stopped))
            ]
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
            matches!(&result, Err(MapError::Failed(Error::Api(error))) if error.kind == *kind),
            "{kind:?}: {result:?}"
        );
    }
}

#[test]
fn a_rule_of_the_caller_s_decides_on_errors_of_any_type() {
    let results = workers(1)
        .options()
        .stop_when(|error: &u32| *error >= 2)
        .try_map(
            0..6_u32,
            |item| if item == 3 { Ok(()) } else { Err(item / 2) },
        );
    let skipped = MapError::Skipped(Skipped::Stopped);
    let failed = |error| Err(MapError::Failed(error));
    let expected = [
        failed(0),
        failed(0),
        failed(1),
        Ok(()),
        failed(2),
        Err(skipped),
    ];
    assert_eq!(results, expected);
}

#[test]
fn an_account_error_is_seen_through_a_box() {
    type Boxed = Box<dyn std::error::Error + Send + Sync>;
    let results = workers(1).try_map(0..2, |_| Err::<(), Boxed>(account_error().into()));
    assert!(matches!(
        results[1],
        Err(MapError::Skipped(Skipped::Stopped))
    ));
}

#[test]
fn nothing_starts_after_the_deadline_and_a_tie_still_does() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let workers = workers(1);
    let options = workers
        .options()
        .clock(&clock)
        .deadline(clock.now() + second * 3);
    let run = |item: usize| {
        clock.advance(second);
        Ok::<_, Error>(item)
    };
    let results = options.try_map(0..6, run);
    for (index, result) in results.iter().enumerate() {
        let expected = match index {
            0..4 => matches!(result, Ok(item) if *item == index),
            _ => matches!(result, Err(MapError::Skipped(Skipped::DeadlineExceeded))),
        };
        assert!(expected, "item {index}: {result:?}");
    }
    assert_eq!(results.len(), 6);
    // An endless iterator ends too, and its items are not asked for.
    let summary = options.for_each_result(0.., run, |_, _| unreachable!("started"));
    assert_eq!(
        (summary.done, summary.skipped),
        (0, Some(Skipped::DeadlineExceeded))
    );
    assert_eq!(
        options.map(0..2, |item| item),
        Err(Skipped::DeadlineExceeded)
    );
}

#[test]
fn a_deadline_behind_the_last_item_has_skipped_nothing() {
    let clock = ManualClock::new();
    let options = workers(1);
    let options = options.options().clock(&clock).deadline(clock.now());
    let late = |item: u32| {
        clock.advance(Duration::from_secs(1));
        Ok::<_, Error>(item)
    };
    let summary = options.for_each_result([7], late, |_, _| {});
    assert_eq!((summary.done, summary.skipped), (1, None));
}

#[test]
fn nothing_starts_once_the_token_is_cancelled() {
    let token = CancelToken::new();
    let workers = workers(1);
    let results = workers.options().cancel(&token).try_map(0..4, |item| {
        if item == 1 {
            token.cancel();
        }
        Ok::<_, Error>(item)
    });
    let skipped = MapError::<Error>::Skipped(Skipped::Cancelled);
    assert!(matches!(results[..2], [Ok(0), Ok(1)]));
    assert!(
        matches!(&results[2..], [Err(a), Err(b)] if a.to_string() == skipped.to_string()
        && b.to_string() == "not started: cancelled")
    );
    let error = Error::from(results.into_iter().nth(3).unwrap().unwrap_err());
    assert!(matches!(error, Error::Cancelled));
}
