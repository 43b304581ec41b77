//! The arithmetic of one quota: exact from above and below.

use proptest::prelude::*;

use super::*;
use crate::quota::{MAX_AMOUNT, MAX_PERIOD};

const SECOND: u64 = 1_000_000_000;

fn tokens_per_minute(amount: u64, burst: u64) -> Bucket {
    let quota = Quota::per_minute(Unit::Tokens, amount).unwrap();
    Bucket::full(quota.with_burst(burst), Tick(0))
}

#[test]
fn waits_are_those_that_the_api_itself_states() {
    // limit, used, requested, the server's "try again in": see its 429 messages
    let table = [
        (30_000, 30_000, 890, 1_780),
        (30_000, 30_000, 154, 308),
        (30_000, 30_000, 4_355, 8_710),
    ];
    for (step, (limit, used, requested, millis)) in table.into_iter().enumerate() {
        let mut level = tokens_per_minute(limit, limit);
        level.take(used);
        let due = level.due(requested);
        assert_eq!(due, Tick(millis * 1_000_000), "step {step}");
    }
    let quota = Quota::per_minute(Unit::Requests, 500).unwrap();
    let mut level = Bucket::full(quota, Tick(0));
    level.take(500);
    assert_eq!(level.due(1), Tick(120_000_000));
}

#[test]
fn an_oversize_cost_waits_for_a_full_bucket_and_leaves_a_debt() {
    let mut level = tokens_per_minute(60_000, 1_000);
    level.take(1);
    assert!(!level.covers(5_000));
    assert_eq!(level.due(5_000), Tick(SECOND / 1_000));
    level.refill(Tick(SECOND / 1_000));
    assert!(level.covers(5_000));
    level.take(5_000);
    assert_eq!(level.available(), -4_000);
    assert_eq!(level.due(1), Tick(SECOND / 1_000 + 4_001 * SECOND / 1_000));
}

#[test]
fn what_is_given_back_above_the_burst_is_lost() {
    let mut level = tokens_per_minute(60_000, 1_000);
    level.take(10);
    level.give(11);
    assert_eq!(level.available(), 1_000);
}

#[test]
fn a_clock_that_steps_back_brings_in_nothing() {
    let mut level = tokens_per_minute(60_000, 1_000);
    level.take(1_000);
    level.refill(Tick(SECOND / 2));
    level.refill(Tick(0));
    level.refill(Tick(SECOND / 2));
    assert_eq!(level.available(), 500);
}

#[test]
fn the_largest_values_do_not_overflow() {
    let quota = Quota::new(Unit::Tokens, MAX_AMOUNT, MAX_PERIOD).unwrap();
    let mut level = Bucket::full(quota, Tick(0));
    for _ in 0..5_000 {
        level.take(u64::MAX);
    }
    assert!(!level.take_freely(1, Tick(0)));
    assert_eq!(level.due(1), Tick::NEVER);
    assert_eq!(level.available(), i64::MIN);
    level.refill(Tick::NEVER);
    for _ in 0..5_000 {
        level.give(u64::MAX);
    }
    level.give(u64::MAX);
    assert!(level.covers(MAX_AMOUNT));

    let slow = Quota::new(Unit::Requests, 1, MAX_PERIOD).unwrap();
    let mut level = Bucket::full(slow.with_burst(MAX_AMOUNT), Tick(0));
    level.take(MAX_AMOUNT);
    assert_eq!(level.due(MAX_AMOUNT), Tick::NEVER);
}

proptest! {
    /// Exact from above and below: covered at the due time, and not a nanosecond earlier.
    #[test]
    fn due_is_the_first_time_that_covers(
        amount in 1..=MAX_AMOUNT,
        period in 1..=60 * 60 * SECOND,
        burst in 1..=MAX_AMOUNT,
        taken in 0..=MAX_AMOUNT,
        wanted in 0..=MAX_AMOUNT,
    ) {
        let quota = Quota::new(Unit::Tokens, amount, Duration::from_nanos(period)).unwrap();
        let mut level = Bucket::full(quota.with_burst(burst), Tick(7));
        level.take(taken);
        let due = level.due(wanted);
        prop_assume!(due != Tick::NEVER);
        let mut early = level.clone();
        if due > Tick(7) {
            early.refill(Tick(due.0 - 1));
            prop_assert!(!early.covers(wanted));
        }
        level.refill(due);
        prop_assert!(level.covers(wanted));
        prop_assert_eq!(level.due(wanted), due);
    }

    /// Refilling in many small steps brings in exactly what one large step does.
    #[test]
    fn refills_do_not_drift(
        amount in 1..=MAX_AMOUNT,
        steps in prop::collection::vec(0..10_000u64, 1..200),
    ) {
        let quota = Quota::per_minute(Unit::Tokens, amount).unwrap();
        let mut small = Bucket::full(quota.with_burst(MAX_AMOUNT), Tick(0));
        small.take(MAX_AMOUNT);
        let mut large = small.clone();
        let mut now = 0;
        for step in steps {
            now += step;
            small.refill(Tick(now));
        }
        large.refill(Tick(now));
        prop_assert_eq!(small.level, large.level);
    }
}
