//! Every interleaving of a few threads, tried by loom: whoever waits is answered, once, and
//! nothing is lost. A lost wake-up shows as a deadlock.
//!
//! `RUSTFLAGS="--cfg paceline_loom" cargo test --lib --no-default-features model`

use loom::thread;

use super::*;
use crate::limiter::{CancelToken, Wait};
use crate::{Cost, Error};

/// Explores with up to three forced switches, which is known to find nearly all such faults.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn empty() -> (RateLimiter, ManualClock) {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.try_acquire(Cost::tokens(1_000)).unwrap());
    (limiter, clock)
}

fn level(limiter: &RateLimiter) -> i64 {
    limiter.snapshot().quotas[0].level
}

#[test]
fn time_serves_whoever_waits_in_any_order() {
    check(|| {
        let (limiter, clock) = empty();
        let other = limiter.clone();
        let waiting = thread::spawn(move || drop(other.acquire(Cost::tokens(10)).unwrap()));
        clock.advance(MILLISECOND * 10);
        // The other one may come after the clock has moved, or stand before this one.
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.advance(MILLISECOND * 10));
        drop(limiter.acquire(Cost::tokens(10)).unwrap());
        waiting.join().unwrap();
        mover.join().unwrap();
        assert_eq!(level(&limiter), 0);
    });
}

#[test]
fn a_refund_meets_a_waiter() {
    check(|| {
        let clock = ManualClock::new();
        let limits = Limits::tokens_per_minute(10).unwrap();
        let limiter = RateLimiter::builder(limits).clock(&clock).build();
        let permit = limiter.try_acquire(Cost::tokens(10)).unwrap();
        let other = limiter.clone();
        let waiting = thread::spawn(move || drop(other.acquire(Cost::tokens(4)).unwrap()));
        permit.settle(Cost::tokens(6));
        waiting.join().unwrap();
        assert_eq!(level(&limiter), 0);
    });
}

#[test]
fn close_meets_a_waiter() {
    check(|| {
        let (limiter, _clock) = empty();
        let other = limiter.clone();
        let waiting = thread::spawn(move || other.acquire(Cost::tokens(1)));
        limiter.close();
        assert!(matches!(waiting.join().unwrap(), Err(Error::Closed)));
    });
}

#[test]
fn cancel_meets_a_waiter() {
    check(|| {
        let (limiter, _clock) = empty();
        let (other, token) = (limiter.clone(), CancelToken::new());
        let watched = token.clone();
        let waiting = thread::spawn(move || {
            other.acquire_with(Cost::tokens(1), Wait::new().cancel(&watched))
        });
        token.cancel();
        assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
    });
}

#[test]
fn a_grant_meets_a_timeout() {
    check(|| {
        let (limiter, clock) = empty();
        let (other, deadline) = (limiter.clone(), clock.now() + MILLISECOND);
        let waiting = thread::spawn(move || other.acquire_until(Cost::tokens(1), deadline));
        limiter.pause_until(clock.now() + MILLISECOND * 2);
        clock.advance(MILLISECOND);
        // A clock that stops before the waiter has joined still ends its wait.
        clock.advance(MILLISECOND);
        match waiting.join().unwrap() {
            Ok(_permit) => assert_eq!(level(&limiter), 1),
            Err(Error::DeadlineExceeded { .. }) => assert_eq!(level(&limiter), 2),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn cancel_lets_the_next_one_pass() {
    check(|| {
        let (limiter, clock) = empty();
        let (head, next, token) = (limiter.clone(), limiter.clone(), CancelToken::new());
        let watched = token.clone();
        let head = thread::spawn(move || {
            head.acquire_with(Cost::tokens(900), Wait::new().cancel(&watched))
        });
        let next = thread::spawn(move || next.acquire(Cost::tokens(5)).map(drop));
        clock.advance(MILLISECOND * 5);
        token.cancel();
        assert!(matches!(head.join().unwrap(), Err(Error::Cancelled)));
        next.join().unwrap().unwrap();
    });
}

#[test]
fn other_limits_meet_a_waiter() {
    check(|| {
        let limits = |amount| Limits::tokens_per_minute(amount).unwrap();
        let limiter = RateLimiter::builder(limits(10)).clock(&ManualClock::new());
        let limiter = limiter.build();
        drop(limiter.try_acquire(Cost::tokens(10)).unwrap());
        let other = limiter.clone();
        let waiting = thread::spawn(move || other.acquire(Cost::tokens(4)).map(drop));
        limiter.set_limits(&limits(14));
        waiting.join().unwrap().unwrap();
        assert_eq!(level(&limiter), 0);
    });
}

#[test]
fn a_turn_that_comes_again_meets_a_waiter_and_both_are_served() {
    check(|| {
        let (limiter, clock) = thousand_a_second();
        let first = limiter.try_acquire(Cost::tokens(1_000)).unwrap();
        let other = limiter.clone();
        let waiting = thread::spawn(move || other.acquire(Cost::tokens(5)).map(drop));
        let again = thread::spawn(move || {
            let turn = first.keep_turn();
            turn.acquire(Cost::tokens(5), Wait::new()).map(drop)
        });
        clock.advance(MILLISECOND * 10);
        waiting.join().unwrap().unwrap();
        again.join().unwrap().unwrap();
        assert_eq!(level(&limiter), 0);
    });
}
