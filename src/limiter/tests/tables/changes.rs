//! Limits, charges and pauses that change, with waiters and without.

use super::play::Do::{Cancel, Limits as Change, Pause, Refund, Resume, Settle, Take, Try, Within};
use super::play::End::{Cancelled, Granted, Late, TooLarge, Waits};
use super::play::{Case, TEN, play_all};
use super::*;

#[test]
fn limits_that_change_hold_for_those_who_wait_already() {
    play_all(&[
        Case {
            name: "a higher rate",
            amount: 5,
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Granted(300))), // it would have been 400
                (200, Change(10, 2)),
                (200, Try(1, Some(200))),
                (200, Take(1, Granted(400))),
            ],
            ..TEN
        },
        Case {
            name: "a lower rate",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Granted(300))), // it would have been 200
                (100, Change(5, 2)),
                (100, Try(1, Some(400))),
            ],
            ..TEN
        },
        Case {
            name: "a larger burst is there at once",
            amount: 5,
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Granted(300))),
                (300, Change(5, 4)),          // two more, so 3.5
                (300, Take(4, Granted(800))), // 1.5 are left
            ],
            ..TEN
        },
        Case {
            name: "a smaller burst leaves a debt of what is used",
            burst: 10,
            steps: &[
                (0, Take(8, Granted(0))),
                (0, Change(10, 4)), // −4
                (0, Try(0, Some(400))),
                (0, Take(4, Granted(800))),
            ],
            ..TEN
        },
        Case {
            name: "and back again: what is used stays used",
            burst: 10,
            steps: &[
                (0, Take(8, Granted(0))),
                (0, Change(10, 4)),
                (0, Change(5, 1)),
                (0, Change(10, 10)),
                (0, Try(3, Some(100))),
                (0, Take(2, Granted(0))),
            ],
            ..TEN
        },
        Case {
            name: "a deadline that a lower rate makes late",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Within(2, 250, Late(250, 200))),
                (0, Take(1, Granted(250))),
                (100, Change(5, 2)),
                (300, Take(1, Granted(300))),
            ],
            ..TEN
        },
        Case {
            name: "leaving after a change",
            amount: 5,
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Cancelled(200))),
                (200, Change(10, 2)),
                (200, Cancel(1)),
                (200, Take(2, Granted(300))),
            ],
            ..TEN
        },
        Case {
            name: "whom it can never serve goes, from the middle as well",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(1, Granted(1_000))),
                (0, Take(3, TooLarge(0))),
                (0, Take(1, Granted(2_000))),
                (0, Take(2, TooLarge(0))),
                (0, Change(1, 2)),
                (0, Take(2, TooLarge(0))),
            ],
            ..TEN
        },
        Case {
            name: "from next to nothing to ten a second",
            amount: 1,
            period: 24 * 60 * 60 * 1_000,
            burst: 1,
            steps: &[
                (0, Take(1, Granted(0))),
                (0, Take(1, Granted(100))),
                (0, Try(1, Some(2 * 24 * 60 * 60 * 1_000))),
                (0, Change(864_000, 1)),
                (0, Try(1, Some(200))),
            ],
            ..TEN
        },
        Case {
            name: "one at a time, doubled on the way",
            period: 10_000,
            burst: 1,
            steps: &[
                (0, Take(1, Granted(0))),
                (0, Take(1, Granted(1_000))),
                (1_000, Change(20, 1)),
                (1_000, Take(1, Granted(1_500))),
                (1_000, Take(2, Granted(2_000))),
                (1_000, Take(4, Granted(3_000))),
                (1_000, Take(1, Granted(5_000))),
            ],
            ..TEN
        },
        Case {
            name: "as good as no limit, and back",
            amount: 1_000_000_000_000,
            burst: 1_000_000_000_000,
            steps: &[
                (0, Take(250_000_000_000, Granted(0))),
                (0, Take(750_000_000_000, Granted(0))),
                (1_000, Change(2, 2)), // full
                (1_000, Take(2, Granted(1_000))),
                (1_000, Take(1, Granted(1_500))),
                (1_000, Take(1, Granted(2_250))), // it would have been 2,000
                (1_000, Take(1, Waits)),
                (1_750, Change(1, 2)), // half of one is there, and two are before the next
                (1_750, Try(1, Some(2_500))),
            ],
            ..TEN
        },
    ]);
}

#[test]
fn charges_that_change_serve_the_head_early_or_hold_it_back() {
    play_all(&[
        Case {
            name: "a refund is worth what was taken",
            steps: &[
                (0, Take(1, Granted(0))),
                (0, Take(1, Granted(0))),
                (0, Take(2, Granted(100))), // it would have been 200
                (50, Refund(0)),
                (100, Take(1, Granted(200))),
            ],
            ..TEN
        },
        Case {
            name: "a refund serves several",
            burst: 4,
            steps: &[
                (0, Take(4, Granted(0))),
                (0, Take(1, Granted(50))),
                (0, Take(2, Granted(50))),
                (0, Take(2, Granted(150))), // one and a half are left for it
                (50, Refund(0)),
            ],
            ..TEN
        },
        Case {
            name: "a refund of one above the burst brings what it took",
            burst: 1,
            steps: &[
                (0, Take(9, Granted(0))),
                (0, Take(1, Granted(200))), // it would have been 900
                (200, Refund(0)),
                (200, Take(1, Granted(300))),
            ],
            ..TEN
        },
        Case {
            name: "a charge that grows holds up the head",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(1, Granted(400))),
                (50, Settle(0, 5)),
                (50, Try(1, Some(450))),
            ],
            ..TEN
        },
        Case {
            name: "a debt is paid by time, and also by a refund",
            steps: &[
                (0, Take(1, Granted(0))),
                (0, Take(1, Granted(0))),
                (0, Settle(0, 7)), // −6
                (0, Take(1, Granted(600))),
                (100, Refund(1)), // −4
            ],
            ..TEN
        },
    ]);
}

#[test]
fn a_pause_holds_all_and_keeps_what_comes_in() {
    play_all(&[
        Case {
            name: "those who wait, those who come, and those for nothing",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(1, Granted(300))),
                (50, Pause(300)),
                (50, Try(0, Some(250))),
                (50, Take(0, Granted(300))),
                (60, Pause(200)), // shortens nothing
                (60, Take(1, Granted(300))),
                (60, Take(1, Granted(400))), // two came in, and no third: the bucket was full
            ],
            ..TEN
        },
        Case {
            name: "lifted before its time",
            steps: &[
                (0, Pause(1_000)),
                (0, Take(1, Granted(150))),
                (0, Take(2, Granted(250))),
                (150, Resume),
                (150, Try(1, Some(200))),
            ],
            ..TEN
        },
        Case {
            name: "one that has passed holds nobody",
            steps: &[
                (100, Pause(100)),
                (100, Pause(50)),
                (100, Take(2, Granted(100))),
                (100, Take(1, Granted(200))),
            ],
            ..TEN
        },
        Case {
            name: "leaving during a pause",
            steps: &[
                (0, Pause(100)),
                (0, Take(2, Cancelled(50))),
                (0, Take(1, Granted(100))),
                (50, Cancel(1)),
                (100, Take(1, Granted(100))),
            ],
            ..TEN
        },
    ]);
}

#[test]
fn what_is_given_back_never_fills_above_the_burst() {
    // burst, taken, milliseconds until then, the real cost, and what is left
    let table = [
        (10, 4, 0, 0, 10),
        (10, 4, 200, 0, 10), // two have come in, and four come back
        (10, 10, 300, 8, 5),
        (10, 10, 300, 10, 3),
        (10, 10, 300, 15, -2),
        (10, 10, 0, 1_000, -990),
        (1, 10, 900, 0, 1), // a debt that has been paid, and the whole
        (1, 10, 500, 0, 1),
        (1, 10, 500, 6, 0),
        (10, 0, 0, 12, -2),
    ];
    for (step, (burst, taken, millis, actual, left)) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([tokens(10, 1_000, burst)]);
        let permit = limiter.try_acquire(Cost::tokens(taken)).unwrap();
        clock.advance(ms(millis));
        permit.settle(Cost::tokens(actual));
        assert_eq!(level(&limiter), left, "step {step}");
    }
}

#[test]
fn the_same_limits_again_and_again_move_nothing_at_all() {
    // amount, milliseconds of the period, burst, taken, nanoseconds until then
    let table = [
        (10, 1_000, 10, 4, 0),
        (7, 1_000, 7, 7, 333_333_333),
        (30_000, 60_000, 500, 30_000, 1_234_000_000),
        (900_000_000, 60_000, 900_000_000, 899_999_999, 1),
        (2, 60_000, 1, 2, 451_107_466),
        (2, 60_000, 2, 2, 451_107_466),
        (1, 24 * 60 * 60 * 1_000, 1, 1, 7),
    ];
    for (step, (amount, period, burst, taken, nanos)) in table.into_iter().enumerate() {
        let (before, after) = restated_often(tokens(amount, period, burst), taken, nanos);
        assert_eq!(before, after, "step {step}");
    }
}

/// The wait for a whole amount, `nanos` after `taken` was, and after a thousand changes of the
/// limits to what they are.
fn restated_often(quota: Quota, taken: u64, nanos: u64) -> (Duration, Duration) {
    let (limiter, clock) = on_manual_clock([quota]);
    drop(limiter.try_acquire(Cost::tokens(taken)).unwrap());
    clock.advance(Duration::from_nanos(nanos));
    let before = refused_for(&limiter, quota.amount()).unwrap();
    let limits = Limits::builder().quota(quota).build().unwrap();
    for _ in 0..1_000 {
        limiter.set_limits(&limits);
    }
    let after = refused_for(&limiter, quota.amount()).unwrap();
    (before, after)
}

#[test]
fn the_same_rate_in_another_period_is_no_new_burst() {
    // amounts, and the milliseconds of their periods: all are ten a second
    let table = [(600, 60_000), (10, 1_000), (36_000, 3_600_000)];
    let (limiter, _clock) = on_manual_clock([tokens(600, 60_000, 10)]);
    drop(limiter.try_acquire(Cost::tokens(10)).unwrap());
    for (step, (amount, period)) in table.into_iter().enumerate() {
        let limits = Limits::builder().quota(tokens(amount, period, 10));
        limiter.set_limits(&limits.build().unwrap());
        assert_eq!(level(&limiter), 0, "step {step}: what is used stays used");
    }
}
