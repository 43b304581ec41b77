//! What passes at once, and when the next does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;
use crate::limiter::Priority;
use crate::limiter::bucket::Tick;
use crate::limiter::queue::{Answer, Asked, Rules, WaitQueue};

use Told::{Granted, Never, Wait};

/// The answer to a call that does not wait.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    Granted,
    /// This many milliseconds, exactly.
    Wait(u64),
    Never,
}

/// When (in milliseconds), what is left then, what is asked for, and the answer.
type Row = (u64, i64, u64, Told);

fn walk(quota: Quota, table: &[Row]) {
    let (limiter, clock) = on_manual_clock([quota]);
    let start = clock.now();
    for (step, &(at, left, cost, expected)) in table.iter().enumerate() {
        clock.advance((start + ms(at)).saturating_duration_since(clock.now()));
        assert_eq!(level(&limiter), left, "{quota}, step {step}: the level");
        let told = limiter.try_acquire(Cost::tokens(cost));
        match (told, expected) {
            (Ok(_), Granted) | (Err(AcquireError::TooLarge { .. }), Never) => {}
            (Err(AcquireError::WouldBlock { wait }), Wait(millis)) => {
                assert_eq!(wait, ms(millis), "{quota}, step {step}: the wait");
            }
            (told, expected) => panic!("{quota}, step {step}: {told:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_burst_of_one_passes_one_at_each_step_of_time() {
    walk(
        tokens(10, 1_000, 1),
        &[
            (0, 1, 1, Granted),
            (0, 0, 1, Wait(100)),
            (0, 0, 1, Wait(100)), // asking takes nothing
            (50, 0, 1, Wait(50)),
            (99, 0, 1, Wait(1)),
            (100, 1, 1, Granted),
            (100, 0, 1, Wait(100)),
            (200, 1, 11, Never),
            (200, 1, 1, Granted), // a refusal took nothing
            (900, 1, 1, Granted), // six that were not asked for are gone
            (900, 0, 1, Wait(100)),
        ],
    );
}

#[test]
fn a_burst_of_two_keeps_half_a_token_over() {
    walk(
        tokens(10, 1_000, 2),
        &[
            (0, 2, 1, Granted),
            (0, 1, 1, Granted),
            (0, 0, 1, Wait(100)),
            (150, 1, 2, Wait(50)),
            (150, 1, 1, Granted),
            (150, 0, 1, Wait(50)), // half of it is there
            (200, 1, 2, Wait(100)),
            (350, 2, 2, Granted), // full since 300
            (350, 0, 1, Wait(100)),
        ],
    );
}

#[test]
fn a_burst_of_three_fills_while_it_is_used_and_not_above_three() {
    walk(
        tokens(10, 1_000, 3),
        &[
            (0, 3, 2, Granted),
            (0, 1, 2, Wait(100)),
            (0, 1, 1, Granted),
            (0, 0, 1, Wait(100)),
            (100, 1, 11, Never),
            (200, 2, 1, Granted),
            (300, 2, 1, Granted),
            (400, 2, 1, Granted),
            (400, 1, 1, Granted),
            (400, 0, 1, Wait(100)),
            (900, 3, 3, Granted),
            (900, 0, 0, Granted),
        ],
    );
}

#[test]
fn a_second_s_worth_passes_in_milliseconds_and_again_a_second_later() {
    for burst in [2, 4] {
        let half = burst / 2; // one by one, and two at once
        walk(
            tokens(burst, 1_000, burst),
            &[
                (0, burst.cast_signed(), half, Granted),
                (1, half.cast_signed(), half, Granted),
                (2, 0, half, Wait(498)), // 2 ms of it came in since the first
                (1_002, burst.cast_signed(), half, Granted),
                (1_003, half.cast_signed(), half, Granted),
                (1_004, 0, half, Wait(498)),
            ],
        );
    }
}

#[test]
fn nothing_costs_nothing_but_pays_no_debt() {
    walk(
        tokens(10, 1_000, 2),
        &[
            (0, 2, 0, Granted),
            (0, 2, 2, Granted),
            (0, 0, 0, Granted),
            (100, 1, 0, Granted),
            (200, 2, 5, Granted), // oversize
            (200, -3, 0, Wait(300)),
            (499, -1, 0, Wait(1)), // rounded down: a hundredth is missing
            (500, 0, 0, Granted),
            (500, 0, 1, Wait(100)),
        ],
    );
}

#[test]
fn an_oversize_cost_is_paid_for_by_the_next() {
    walk(
        tokens(10, 10_000, 1),
        &[
            (0, 1, 1, Granted),
            (0, 0, 1, Wait(1_000)),
            (1_000, 1, 2, Granted),
            (1_000, -1, 4, Wait(2_000)), // a full bucket, whatever it asks for
            (2_999, 0, 4, Wait(1)),
            (3_000, 1, 4, Granted),
            (3_000, -3, 8, Wait(4_000)),
            (7_000, 1, 8, Granted),
            (7_000, -7, 10, Wait(8_000)),
            (7_000, -7, 11, Never),
            (15_000, 1, 10, Granted),
            (15_000, -9, 1, Wait(10_000)),
        ],
    );
}

#[test]
fn a_cost_above_the_whole_is_refused_with_the_numbers_whatever_the_burst() {
    for (step, burst) in [1, 2, 5, 20].into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([tokens(5, 1_000, burst)]);
        for asked in [6, 7, 15, u64::MAX] {
            clock.advance(SECOND * 3);
            let error = limiter.try_acquire(Cost::tokens(asked)).unwrap_err();
            let text = format!(
                "a request of {asked} tokens can never pass a limit of 5 tokens per second"
            );
            assert_eq!(error.to_string(), text, "step {step}");
            let waiting = limiter.acquire(Cost::tokens(asked)).unwrap_err();
            assert_eq!(
                waiting.to_string(),
                text,
                "step {step}: not even by waiting"
            );
        }
        assert_eq!(level(&limiter), burst.cast_signed(), "step {step}");
        let whole = limiter.try_acquire(Cost::tokens(5));
        assert!(whole.is_ok(), "step {step}: {whole:?}");
    }
}

#[test]
fn idle_time_beyond_a_full_bucket_brings_nothing() {
    const DAY: u64 = 24 * 60 * 60 * 1_000;
    // amount per second, burst, idle milliseconds
    let table = [
        (5, 5, 1_000),
        (5, 5, 1_200), // one more interval than it takes
        (5, 5, 2_000),
        (5, 3, 3_600_000),
        (1_000, 10, 31 * DAY),
        (7, 7, 365 * DAY),
        (1_000_000, 1, 36_500 * DAY),
    ];
    for (step, (amount, burst, idle)) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([tokens(amount, 1_000, burst)]);
        for round in 0..3 {
            let granted = (0..burst * 2).filter(|_| refused_for(&limiter, 1).is_none());
            let granted = u64::try_from(granted.count()).unwrap();
            assert_eq!(granted, burst, "step {step}, round {round}");
            clock.advance(ms(idle));
        }
    }
}

#[test]
fn threads_that_come_at_once_get_the_burst_and_no_more() {
    // amount per second, burst, threads
    let table = [(1, 5, 15), (20, 20, 20), (20, 1, 8)];
    for (step, (amount, burst, threads)) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([tokens(amount, 1_000, burst)]);
        for round in 0..2 {
            let granted = AtomicU64::new(0);
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        let refused = refused_for(&limiter, 1).is_some();
                        granted.fetch_add(u64::from(!refused), Ordering::SeqCst);
                    });
                }
            });
            assert_eq!(granted.into_inner(), burst, "step {step}, round {round}");
            clock.advance(SECOND * 5);
        }
    }
}

#[test]
fn of_two_limits_on_one_unit_the_tighter_one_holds_at_each_time() {
    let (limiter, clock) = on_manual_clock([tokens(1_000, 60_000, 1_000), tokens(50, 1_000, 50)]);
    // seconds, and all that was granted until then
    let table = [
        (0, 50), // by the second
        (1, 100),
        (28, 1_450),
        (29, 1_483), // by the minute: 1,000 and 1,000 · 29 / 60
        (30, 1_500),
        (59, 1_983),
        (60, 2_000),
        (120, 3_000),
    ];
    let (mut second, mut granted) = (0, 0);
    for (step, (at, total)) in table.into_iter().enumerate() {
        while second <= at {
            if second > 0 {
                clock.advance(SECOND);
            }
            while refused_for(&limiter, 1).is_none() {
                granted += 1;
            }
            second += 1;
        }
        assert_eq!(granted, total, "step {step}");
    }
}

#[test]
fn a_time_that_steps_back_brings_nothing_in_twice() {
    let at = |millis: u64| Tick(millis * 1_000_000);
    let quota = tokens(10, 1_000, 3);
    let limits = Limits::builder().quota(quota).build().unwrap();
    let one = Asked {
        cost: Cost::tokens(1),
        priority: Priority::default(),
        place: None,
    };
    let mut queue = WaitQueue::new(&limits, Rules::default(), at(100));
    // when, what is left then, whether one is granted, and when the next one would be
    let table = [
        (100, 3, true, 100),
        (0, 2, true, 100),
        (0, 1, true, 200),
        (0, 0, false, 200),
        (100, 0, false, 200),
        (199, 0, false, 200),
        (50, 0, false, 200),
        (200, 1, true, 300),
        (100, 0, false, 300),
        (200, 0, false, 300),
        (300, 1, true, 400),
    ];
    for (step, (now, left, granted, next)) in table.into_iter().enumerate() {
        assert_eq!(queue.snapshot(at(now)).quotas[0].level, left, "step {step}");
        let grant = queue.take_at_once(one, at(now)).unwrap();
        assert_eq!(grant.is_some(), granted, "step {step}");
        let predicted = queue.predict(one, at(now));
        assert_eq!(predicted, at(next), "step {step}: the next one");
    }

    drop(queue.join(one, None, None, at(300)).unwrap());
    for (step, now) in [300, 0, 399, 100, 300].into_iter().enumerate() {
        queue.serve(at(now));
        assert!(queue.take_answered().is_none(), "step {step}: served early");
    }
    queue.serve(at(400));
    let answered = queue.take_answered().unwrap();
    let answers: Vec<_> = answered.iter().map(|(_, answer)| answer).collect();
    assert!(matches!(answers[..], [Answer::Granted(_)]));
}
