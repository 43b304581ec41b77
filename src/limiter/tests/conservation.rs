//! Nothing is lost and nothing made up, whatever threads do to a limiter at once.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::limiter::{AcquireOptions, CancelToken};
use crate::{AcquireError, Cost};

const THREADS: u64 = 16;
const OPERATIONS: u64 = 2_000;
const BURST: i64 = 1_000_000_000;
const TAKEN_FIRST: u32 = 1_000_000_000 - 5;

/// A small generator, so that a failure names its seed.
fn next(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// One thread's share. Returns what it took in the end.
fn work(limiter: &RateLimiter, clock: &ManualClock, mut seed: u64) -> i64 {
    let mut net = 0;
    for _ in 0..OPERATIONS {
        let tokens = next(&mut seed) % 40;
        let cost = Cost::tokens(tokens);
        let charge = i64::try_from(tokens).unwrap();
        let token = CancelToken::new();
        let result = match next(&mut seed) % 8 {
            0..3 => limiter.acquire(cost),
            3 => limiter.try_acquire(cost),
            4 => limiter.acquire_timeout(cost, MILLISECOND * 20),
            5 => limiter.acquire_until(cost, clock.now()),
            6 => thread::scope(|scope| {
                scope.spawn(|| token.cancel());
                limiter.acquire_with(cost, AcquireOptions::new().cancel(&token))
            }),
            _ => {
                limiter.pause_until(clock.now() + MILLISECOND * 2);
                limiter.acquire(cost)
            }
        };
        net += match result {
            Ok(permit) => match next(&mut seed) % 4 {
                0 => {
                    permit.refund();
                    0
                }
                1 => {
                    let actual = next(&mut seed) % 60;
                    permit.settle(Cost::tokens(actual));
                    i64::try_from(actual).unwrap()
                }
                _ => charge,
            },
            Err(
                AcquireError::WouldBlock { .. }
                | AcquireError::DeadlineExceeded { .. }
                | AcquireError::Cancelled,
            ) => 0,
            Err(error) => panic!("{error}"),
        };
    }
    net
}

#[test]
fn granted_and_level_add_up_to_initial_and_refilled_to_the_last_token() {
    // A second brings in 1,000, so a millisecond brings in one token exactly.
    let quota = Quota::new(Unit::Tokens, 1_000, SECOND).unwrap();
    let (limiter, clock) = on_manual_clock([quota.with_burst(BURST.unsigned_abs())]);
    // Nearly empty, and too large to be filled again within the test: no refill is cut off.
    for _ in 0..TAKEN_FIRST / 1_000 {
        drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    }
    let taken_first = i64::from(TAKEN_FIRST / 1_000 * 1_000);
    let (net, running) = (AtomicI64::new(0), AtomicUsize::new(0));
    let mut elapsed: i64 = 0;
    thread::scope(|scope| {
        for seed in 0..THREADS {
            running.fetch_add(1, Ordering::SeqCst);
            let (limiter, clock, net, running) = (&limiter, &clock, &net, &running);
            scope.spawn(move || {
                net.fetch_add(work(limiter, clock, seed), Ordering::SeqCst);
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while running.load(Ordering::SeqCst) > 0 {
            clock.advance(MILLISECOND);
            elapsed += 1;
            thread::yield_now();
        }
    });
    let snapshot = limiter.snapshot();
    let level = snapshot.quotas[0].level;
    assert_eq!(level, BURST - taken_first - net.into_inner() + elapsed);
    assert_eq!(snapshot.waiters, 0);
}
