//! Cases that the test suites of other limiters are known for, by our rules and as tables:
//! x/time/rate, governor, Guava, bucket4j, resilience4j, aiolimiter, leaky-bucket.
//!
//! Where ours decides otherwise, the row says what ours does: the queue is strict, so no request
//! overtakes a larger cost; a waiter holds nothing, so one that leaves moves all others up; and a
//! change of limits holds for existing waiters.

mod bursts; //  what passes at once, and when the next does
mod changes; // limits, charges and pauses that change while others wait
mod leaving; // threads that are called back
mod play; //    a script of threads in line
mod rates; //   odd rates, tiny ones, endless ones: exact in the long run
mod waits; //   turns and deadlines

use super::*;
use crate::{AcquireError, Cost};

/// Milliseconds.
fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Tokens per `period` milliseconds.
fn tokens(amount: u64, period: u64, burst: u64) -> Quota {
    let quota = Quota::new(Unit::Tokens, amount, ms(period)).unwrap();
    quota.with_burst(burst)
}

fn level(limiter: &RateLimiter) -> i64 {
    limiter.snapshot().quotas[0].level
}

/// The wait that `try_acquire` states when it refuses.
fn refused_for(limiter: &RateLimiter, cost: u64) -> Option<Duration> {
    match limiter.try_acquire(Cost::tokens(cost)) {
        Ok(_) => None,
        Err(AcquireError::WouldBlock { wait }) => Some(wait),
        Err(error) => panic!("{error}"),
    }
}
