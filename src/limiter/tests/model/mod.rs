//! Every interleaving of a few threads, tried by loom: each waiter is answered, once, and nothing is
//! lost. A lost wake-up shows as a deadlock.
//!
//! `RUSTFLAGS="--cfg paceline_loom" cargo test --lib --no-default-features model::`
//!
//! What each of these would miss is shown by `ci/broken.sh`, which breaks one rule at a time.

mod alarms; //  the alarm clock thread: arming, ringing, ending
mod changes; // changes by other threads while one waits
mod leaving; // waiters that give up, are cancelled or are refused
mod passing; // which waiter goes first
mod places; //  a cap on requests in flight
mod time; //    turns and deadlines that come with the clock

use loom::thread;

use super::*;
use crate::limiter::{AcquireOptions, CancelToken, Priority};
use crate::sync::wake_for_nothing;
use crate::{AcquireError, Cost, LimitsBuilder, Permit, Result};

/// Explores with up to four forced switches between threads, where two or three are known to find
/// nearly all such faults. Once as it is, and once with the first wait of all ending for nothing.
fn check(model: fn()) {
    check_with(4, model);
}

/// The same with up to two forced switches, for four threads or long ways.
fn check_large(model: fn()) {
    check_with(2, model);
}

fn check_with(switches: usize, model: fn()) {
    for false_wakes in [0, 1] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(switches);
        builder.check(move || {
            wake_for_nothing(false_wakes);
            model();
        });
    }
}

/// A limiter of 1,000 tokens a second, of which none are left, and its clock.
fn empty() -> (RateLimiter, ManualClock) {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.try_acquire(Cost::tokens(1_000)).unwrap());
    (limiter, clock)
}

/// A limiter with an empty bucket that takes a minute to fill, and a clock that stands still.
fn empty_for_a_minute(most: u64) -> RateLimiter {
    let limits = Limits::tokens_per_minute(most).unwrap();
    let limiter = RateLimiter::builder(limits).clock(&ManualClock::new());
    let limiter = limiter.build();
    drop(limiter.try_acquire(Cost::tokens(most)).unwrap());
    limiter
}

/// Acquires in a thread of its own.
fn acquiring(
    limiter: &RateLimiter,
    tokens: u64,
) -> thread::JoinHandle<Result<Permit<'static>, AcquireError>> {
    let limiter = limiter.clone();
    thread::spawn(move || {
        limiter
            .acquire(Cost::tokens(tokens))
            .map(Permit::into_owned)
    })
}

/// Acquires in a thread of its own, until called back.
fn acquiring_until_cancelled(
    limiter: &RateLimiter,
    tokens: u64,
    token: &CancelToken,
) -> thread::JoinHandle<Result<Permit<'static>, AcquireError>> {
    let (limiter, token) = (limiter.clone(), token.clone());
    thread::spawn(move || {
        let wait = AcquireOptions::new().cancel(&token);
        limiter
            .acquire_with(Cost::tokens(tokens), wait)
            .map(Permit::into_owned)
    })
}

/// Nothing was lost or made, and no request waits or is in flight.
#[track_caller]
fn assert_at_rest(limiter: &RateLimiter, level: i64) {
    let now = limiter.snapshot();
    assert_eq!(now.quotas[0].level, level);
    assert_eq!((now.waiters, now.in_flight), (0, 0));
}
