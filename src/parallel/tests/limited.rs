//! A limited step of rayon's iterators: it waits, and never for a permit of its own thread.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rayon::prelude::*;

use super::in_time;
use crate::parallel::LimitedParallelIterator;
use crate::{
    AcquireOptions, CancelToken, Cost, Error, Limits, ManualClock, Permit, RateLimiter, Result,
};

fn pool(threads: usize) -> rayon::ThreadPool {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
    builder.build().unwrap()
}

/// Lets one request at a time.
fn one_at_a_time() -> RateLimiter {
    RateLimiter::new(Limits::builder().in_flight(1).build().unwrap())
}

fn one<T>(_: &T) -> Cost {
    Cost::tokens(1)
}

#[test]
fn each_item_has_a_permit_of_its_cost_and_results_keep_their_order() {
    in_time(|| {
        let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000_000).unwrap());
        let double = |item: u32, permit: Permit<'_>| {
            assert_eq!(permit.cost().tokens, u64::from(item));
            permit.settle(Cost::tokens(1));
            Ok::<_, Error>(item * 2)
        };
        let items = (0..100_u32).into_par_iter();
        let step = items.map_limited(&limiter, |item| Cost::tokens(u64::from(*item)), double);
        assert_eq!(step.len(), 100);
        let found: Vec<u32> = step.collect::<Result<_>>().unwrap();
        assert!(found.into_iter().eq((0..100).map(|item| item * 2)));
        assert_eq!(limiter.snapshot().counters.grants, 100);
        // An iterator of unknown length too, and one that is driven from its producer.
        let odd = (0..100_u32).into_par_iter().filter(|item| item % 2 == 1);
        let odd = odd.map_limited(&limiter, |item| Cost::tokens(u64::from(*item)), double);
        assert_eq!(odd.filter_map(Result::ok).sum::<u32>(), 5_000);
        let zipped = (0..10_u32).into_par_iter();
        let zipped = zipped.map_limited(&limiter, |item| Cost::tokens(u64::from(*item)), double);
        assert_eq!(zipped.zip(0..10).count(), 10);
    });
}

#[test]
fn a_cap_in_flight_holds_between_all_threads() {
    in_time(|| {
        let (limiter, busy) = (one_at_a_time(), AtomicUsize::new(0));
        pool(8).install(|| {
            let step = (0..200)
                .into_par_iter()
                .map_limited(&limiter, one, |_, _permit| {
                    assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    busy.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Error>(())
                });
            assert_eq!(step.filter_map(Result::ok).count(), 200);
        });
    });
}

#[test]
fn a_nested_call_is_an_error_and_no_deadlock() {
    in_time(|| {
        for threads in [1, 2, 4] {
            let (outer, inner) = (one_at_a_time(), one_at_a_time());
            for inner in [&outer, &inner] {
                let found: Vec<Result<usize>> = pool(threads).install(|| {
                    let step = (0..8)
                        .into_par_iter()
                        .map_limited(&outer, one, |_, _permit| {
                            let items = (0..8).into_par_iter();
                            let nested = items.map_limited(inner, one, |_, _| Ok::<_, Error>(()));
                            let nested: Vec<Result<()>> = nested.collect();
                            assert!(nested.iter().all(|it| matches!(it, Err(Error::Nested))));
                            Ok(nested.len())
                        });
                    step.collect()
                });
                // Rayon may put other items on top of one that waits for its inner call. Those
                // fail rather than wait.
                let is_right = |it: &Result<usize>| matches!(it, Ok(8) | Err(Error::Nested));
                assert!(found.iter().all(is_right), "{threads} threads: {found:?}");
                assert!(
                    found.iter().any(Result::is_ok),
                    "{threads} threads: {found:?}"
                );
            }
        }
    });
}

#[test]
fn an_item_on_top_of_a_permit_takes_what_is_free_and_never_waits() {
    in_time(|| {
        let limiter = one_at_a_time();
        let outcomes = Mutex::new(Vec::new());
        // One thread: the inner scope puts the second item on top of the first.
        pool(1).install(|| {
            rayon::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|_| {
                        let step = [()]
                            .into_par_iter()
                            .map_limited(&limiter, one, |(), permit| {
                                while rayon::yield_now() == Some(rayon::Yield::Executed) {}
                                drop(permit);
                                Ok::<_, Error>(())
                            });
                        let outcome: Vec<Result<()>> = step.collect();
                        outcomes.lock().extend(outcome);
                    });
                }
            });
        });
        let outcomes = outcomes.into_inner();
        assert!(
            matches!(outcomes[..], [Err(Error::Nested), Ok(())]),
            "{outcomes:?}"
        );
    });
}

#[test]
fn a_permit_that_is_given_on_or_dropped_by_a_panic_marks_no_thread() {
    in_time(|| {
        let limiter = one_at_a_time();
        let pool = pool(1);
        let panics = || {
            let items = [()].into_par_iter();
            let step = items.map_limited(&limiter, one, |(), _| -> Result<()> { panic!("oh") });
            step.count()
        };
        let caught = std::panic::AssertUnwindSafe(|| pool.install(panics));
        assert!(std::panic::catch_unwind(caught).is_err());
        let again = pool.install(|| {
            let items = [()].into_par_iter();
            let step = items.map_limited(&limiter, one, |(), _| Ok::<_, Error>(()));
            step.collect::<Result<Vec<()>>>()
        });
        assert!(again.is_ok());
    });
}

#[test]
fn a_deadline_and_a_token_leave_an_error_for_each_item() {
    in_time(|| {
        let clock = ManualClock::new();
        let limits = Limits::tokens_per_minute(60).unwrap();
        let limiter = RateLimiter::builder(limits).clock(&clock).build();
        let token = CancelToken::new();
        let run = |options: AcquireOptions<'_>| -> Vec<Result<()>> {
            let items = (0..100).into_par_iter();
            let step = items.map_limited(&limiter, one, |_, _| Ok::<_, Error>(()));
            step.options(options).collect()
        };
        let found = run(AcquireOptions::new().deadline(clock.now()));
        let late = |it: &&Result<()>| matches!(it, Err(Error::DeadlineExceeded { .. }));
        assert_eq!(found.iter().filter(late).count(), 40, "{found:?}");
        token.cancel();
        let found = run(AcquireOptions::new().cancel(&token));
        assert!(found.iter().all(|it| matches!(it, Err(Error::Cancelled))));
    });
}
