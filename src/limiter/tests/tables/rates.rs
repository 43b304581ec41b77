//! Odd rates, tiny ones, endless ones: exact in the long run.

use super::*;
use crate::limiter::bucket::{Bucket, Tick};
use crate::quota::{MAX_AMOUNT, MAX_PERIOD};

const MINUTE: u64 = 60_000_000_000;

fn ns(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// Tokens per `period` nanoseconds, with a burst of the amount.
fn per_nanos(amount: u64, period: u64) -> Quota {
    Quota::new(Unit::Tokens, amount, ns(period)).unwrap()
}

#[test]
fn rates_that_divide_nothing_evenly_do_not_drift() {
    // amount, nanoseconds of the period, steps
    let table = [
        (7, 1_000_000_000, 1_000_000),
        (900_000_000, MINUTE, 1_000_000), // 66 ⅔ ns each
        (7_000_000, MINUTE, 200_000),
        (10, 13_000_000_000, 200_000),
        (1_000_000_007, 1_000_000_000, 200_000), // more than one a nanosecond
        (3, 7, 200_000),
    ];
    for (step, (amount, period, takes)) in table.into_iter().enumerate() {
        let mut level = Bucket::full(per_nanos(amount, period), Tick(0));
        level.take(amount);
        let mut due = Tick(0);
        for take in 1..=takes {
            due = level.due(1);
            level.refill(due);
            level.take(1);
            // Now and then, since a comparison costs as much as the rest.
            if take % 1_000 == 1 {
                assert_eq!(due, Tick(nth_due(take, amount, period)), "step {step}");
            }
        }
        assert_eq!(due, Tick(nth_due(takes, amount, period)), "step {step}");
    }
}

/// When the nth of an empty bucket has come in, rounded up.
fn nth_due(nth: u64, amount: u64, period: u64) -> u64 {
    (nth * period).div_ceil(amount)
}

#[test]
fn a_wait_that_is_stated_is_right_to_the_nanosecond_on_the_whole_way() {
    // amount, nanoseconds of the period, cost, the stated wait
    let table = [
        (1, 1_000_000_000, 1, 1_000_000_000),
        (3, 1_000_000_000, 1, 333_333_334),
        (7, 1_000_000_000, 1, 142_857_143),
        (7, 1_000_000_000, 6, 857_142_858),
        (900_000_000, MINUTE, 1, 67),
        (900_000_000, MINUTE, 2, 134),
        (900_000_000, MINUTE, 3, 200),
        (10, 13_000_000_000, 1, 1_300_000_000),
        (1_000_000_001, 1_000_000_000, 2, 2),
        (9_973, MINUTE, 9_973, MINUTE),
    ];
    for (step, (amount, period, cost, stated)) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([per_nanos(amount, period)]);
        drop(limiter.try_acquire(Cost::tokens(amount)).unwrap());
        let mut left = stated;
        while left > 0 {
            let told = refused_for(&limiter, cost);
            assert_eq!(told, Some(ns(left)), "step {step}");
            let predicted = limiter.predicted_wait(Cost::tokens(cost)).unwrap();
            assert_eq!(predicted, ns(left), "step {step}");
            let part = if left < 5 { 1 } else { left / 5 };
            clock.advance(ns(part));
            left -= part;
        }
        assert_eq!(refused_for(&limiter, cost), None, "step {step}");
    }
}

#[test]
fn looking_often_loses_no_fraction() {
    // amount, nanoseconds of the period, of a look
    let table = [(3, 100, 1), (7, 1_000, 3), (1_000, 999, 1), (10, 1_003, 7)];
    for (step, (amount, period, look)) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([per_nanos(amount, period)]);
        drop(limiter.try_acquire(Cost::tokens(amount)).unwrap());
        for looks in 1..=period / look {
            clock.advance(ns(look));
            let came_in = looks * look * amount / period;
            assert_eq!(level(&limiter), came_in.cast_signed(), "step {step}");
            drop(limiter.try_acquire(Cost::tokens(amount)));
        }
    }
}

#[test]
fn a_long_run_passes_what_its_rate_allows_and_nearly_all_of_it() {
    // amount per second, burst, milliseconds between two offers, cost, seconds
    let table = [
        (100, 100, 2, 1, 5),
        (100, 1, 2, 1, 5),
        (7, 7, 10, 1, 60),
        (1_000, 100, 10, 30, 20),
        (1_000, 999, 1, 7, 3),
        (333, 10, 4, 2, 30),
    ];
    for (step, (amount, burst, every, cost, seconds)) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([tokens(amount, 1_000, burst)]);
        let offers = seconds * 1_000 / every;
        let mut granted = 0;
        for _ in 0..offers {
            if refused_for(&limiter, cost).is_none() {
                granted += cost;
            }
            clock.advance(ms(every));
        }
        // By the last offer.
        let ideal = burst + (offers - 1) * every * amount / 1_000;
        assert!(granted <= ideal, "step {step}: {granted} of {ideal}");
        assert!(granted + cost > ideal, "step {step}: {granted} of {ideal}");
    }
}

#[test]
fn offers_that_come_late_lose_only_what_the_bucket_cannot_hold() {
    // amount per second, burst, milliseconds between two offers: granted in 100 offers of one
    let table = [
        (10, 1, 150, 100), // half an interval is lost each time
        (10, 1, 100, 100),
        (10, 1, 99, 50),  // a hundredth is missing: every other one
        (10, 2, 99, 100), // the second one makes up for a hundred hundredths
        (10, 2, 50, 51),  // two stood ready, and then every other one
    ];
    for (step, (amount, burst, every, expected)) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([tokens(amount, 1_000, burst)]);
        let mut granted = 0;
        for _ in 0..100 {
            granted += u64::from(refused_for(&limiter, 1).is_none());
            clock.advance(ms(every));
        }
        assert_eq!(granted, expected, "step {step}");
    }
}

#[test]
fn waiting_as_told_each_time_grants_every_one_at_its_time() {
    let (limiter, clock) = on_manual_clock([tokens(5, 1_000, 5)]);
    let start = clock.now();
    for step in 0..40 {
        clock.advance(MILLISECOND);
        if let Some(wait) = refused_for(&limiter, 1) {
            clock.advance(wait);
            assert_eq!(refused_for(&limiter, 1), None, "step {step}");
        }
    }
    // Five at once and 35 at 200 ms, from the first one on.
    assert_eq!(clock.now() - start, MILLISECOND + ms(35 * 200));
}

#[test]
fn tiny_limits_grant_one_at_their_time_and_not_a_nanosecond_earlier() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let table = [
        (1, HOUR, HOUR),
        (1, HOUR * 24, HOUR * 24),
        (1, MAX_PERIOD, MAX_PERIOD),
        (2, MAX_PERIOD, MAX_PERIOD / 2),
        (7, HOUR * 24, Duration::new(12_342, 857_142_858)),
    ];
    for (step, (amount, period, interval)) in table.into_iter().enumerate() {
        let quota = Quota::new(Unit::Tokens, amount, period).unwrap();
        let (limiter, clock) = on_manual_clock([quota.with_burst(1)]);
        for round in 0..3 {
            assert_eq!(refused_for(&limiter, 1), None, "step {step}, round {round}");
            let wait = refused_for(&limiter, 1);
            assert_eq!(wait, Some(interval), "step {step}, round {round}");
            clock.advance(interval - ns(1));
            let wait = refused_for(&limiter, 1);
            assert_eq!(wait, Some(ns(1)), "step {step}, round {round}");
            clock.advance(ns(1));
        }
    }
}

#[test]
fn the_largest_limit_is_as_good_as_none_and_still_exact() {
    const ALL: u64 = MAX_AMOUNT;
    let month = u64::try_from(MAX_PERIOD.as_nanos()).unwrap();
    // nanoseconds of the period, cost, its wait at an empty bucket
    let table = [
        (1, 1, 1),
        (1, ALL, 1),
        (1_000_000_000, 1, 1),
        (1_000_000_000, 9_007_199, 1),
        (1_000_000_000, 9_007_200, 2),
        (1_000_000_000, ALL / 4, 250_000_000),
        (1_000_000_000, ALL, 1_000_000_000),
        (month, 1, 1),
        (month, 4, 2),
        (month, ALL / 2, 1_339_200_000_000_000),
        (month, ALL, month),
    ];
    for (step, (period, cost, wait)) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([per_nanos(ALL, period)]);
        for part in [ALL / 4, ALL / 2, ALL / 4, 2] {
            assert_eq!(refused_for(&limiter, part), None, "step {step}: {part}");
        }
        assert_eq!(level(&limiter), 0, "step {step}");
        assert_eq!(refused_for(&limiter, cost), Some(ns(wait)), "step {step}");
        clock.advance(ns(wait - 1));
        let early = refused_for(&limiter, cost);
        assert_eq!(early, Some(ns(1)), "step {step}: a nanosecond early");
        clock.advance(ns(1));
        assert_eq!(refused_for(&limiter, cost), None, "step {step}");
        let beyond = limiter.try_acquire(Cost::tokens(ALL + 1));
        assert!(
            matches!(beyond, Err(AcquireError::TooLarge { .. })),
            "step {step}"
        );
    }
}
