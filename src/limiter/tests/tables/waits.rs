//! Turns and deadlines: what becomes of threads that wait.

use super::play::Do::{Cancel, Pause, Settle, Take, Try, Within};
use super::play::End::{Cancelled, Granted, Late, TooLarge};
use super::play::{Case, TEN, play_all};
use super::*;

#[test]
fn turns_come_in_order_and_at_their_times() {
    play_all(&[
        Case {
            name: "each pays for itself",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Granted(200))),
                (300, Take(2, Granted(400))),
            ],
            ..TEN
        },
        Case {
            name: "an oversize one pays before the next",
            steps: &[
                (0, Take(11, TooLarge(0))),
                (0, Take(3, Granted(0))),
                (0, Try(1, Some(200))),
                (100, Take(2, Granted(300))),
                (100, Try(1, Some(300))), // behind that one
                (300, Try(1, Some(100))),
            ],
            ..TEN
        },
        Case {
            name: "five stand ready, and one each two seconds",
            amount: 5,
            period: 10_000,
            burst: 5,
            steps: &[
                (0, Take(4, Granted(0))),
                (0, Take(1, Granted(0))),
                (0, Take(1, Granted(2_000))),
                (0, Take(1, Granted(4_000))),
                (3_000, Take(1, Granted(6_000))),
                (7_000, Take(1, Granted(8_000))),
            ],
            ..TEN
        },
        Case {
            name: "time before the first one counts for nothing",
            amount: 1,
            period: 2_000,
            burst: 5,
            steps: &[
                (4_000, Take(1, Granted(4_000))),
                (4_000, Try(1, None)),
                (4_000, Try(1, None)),
                (4_000, Try(1, None)),
                (4_000, Try(1, None)),
                (4_000, Take(1, Granted(6_000))),
                (4_000, Take(1, Granted(8_000))),
            ],
            ..TEN
        },
        Case {
            name: "a small one does not pass a large one",
            amount: 3,
            period: 3_000,
            burst: 3,
            steps: &[
                (0, Take(1, Granted(0))),
                (0, Take(3, Granted(1_000))), // two are there
                (0, Take(1, Granted(2_000))),
                (0, Try(1, Some(3_000))),
                (0, Try(0, Some(2_000))), // not even for nothing
            ],
            ..TEN
        },
        Case {
            name: "nothing waits its turn, and is paid for with a debt",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(0, Granted(0))),
                (0, Take(1, Granted(100))),
                (0, Take(0, Granted(100))),
                (0, Take(5, Granted(300))),
                (0, Take(0, Granted(600))),
                (0, Take(0, Granted(600))),
            ],
            ..TEN
        },
        Case {
            name: "each pays for the one before it",
            period: 10_000,
            burst: 1,
            steps: &[
                (0, Take(1, Granted(0))),
                (0, Take(1, Granted(1_000))),
                (0, Take(2, Granted(2_000))),
                (0, Take(4, Granted(4_000))),
                (0, Take(8, Granted(8_000))),
                (0, Take(1, Granted(16_000))),
            ],
            ..TEN
        },
    ]);
}

#[test]
fn a_deadline_that_cannot_be_met_is_refused_at_once_and_any_other_kept() {
    play_all(&[
        Case {
            name: "the near future, and one step too far",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Within(1, 100, Granted(100))),
                (0, Within(1, 199, Late(0, 200))),
                (0, Within(1, 200, Granted(200))),
                (0, Within(11, 10_000, TooLarge(0))),
            ],
            ..TEN
        },
        Case {
            name: "no patience at all",
            amount: 5,
            burst: 1,
            steps: &[
                (0, Within(1, 0, Granted(0))),
                (0, Within(1, 0, Late(0, 200))),
                (0, Within(1, 0, Late(0, 200))),
                (100, Within(1, 0, Late(100, 100))),
                (200, Within(1, 0, Granted(200))),
                (200, Within(0, 0, Granted(200))),
            ],
            ..TEN
        },
        Case {
            name: "some patience",
            amount: 5,
            burst: 1,
            steps: &[
                (0, Within(1, 0, Granted(0))),
                (0, Within(1, 200, Granted(200))),
                (0, Within(1, 100, Late(0, 400))),
                (100, Within(1, 299, Late(100, 300))),
                (100, Within(1, 300, Granted(400))),
            ],
            ..TEN
        },
        Case {
            name: "cancelled first: the deadline comes for nobody",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Within(2, 200, Cancelled(100))),
                (100, Cancel(1)),
                (100, Within(2, 100, Granted(200))),
                (300, Cancel(1)),
            ],
            level: 1,
            ..TEN
        },
        Case {
            name: "a pause ends at the deadline: the grant wins",
            steps: &[
                (0, Take(1, Granted(0))),
                (0, Pause(200)),
                (0, Within(2, 199, Late(0, 200))),
                (0, Within(2, 200, Granted(200))),
                (200, Take(1, Granted(300))),
            ],
            ..TEN
        },
        Case {
            name: "a later pause makes it late, and lets the next one go first",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Within(2, 200, Late(200, 200))),
                (0, Take(1, Granted(350))),
                (100, Pause(350)),
                (350, Take(2, Granted(450))), // one and a half are there
            ],
            ..TEN
        },
        Case {
            name: "a charge that grows makes it late",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Within(2, 200, Late(200, 200))),
                (0, Take(1, Granted(400))),
                (100, Settle(0, 5)),
            ],
            ..TEN
        },
        Case {
            name: "one that is late in the middle",
            steps: &[
                (0, Take(2, Granted(0))),
                (0, Take(2, Granted(300))),
                (0, Within(2, 400, Late(400, 400))),
                (0, Take(1, Granted(400))), // at once
                (50, Settle(0, 3)),
                (400, Take(1, Granted(500))),
            ],
            ..TEN
        },
    ]);
}

#[test]
fn a_timeout_beyond_the_end_of_time_is_none() {
    let table = [
        SECOND * 3_600 * 24 * 365 * 600, // 600 years: no tick is that late
        Duration::from_secs(u64::MAX / 2),
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ];
    for (step, timeout) in table.into_iter().enumerate() {
        let (limiter, clock) = on_manual_clock([tokens(10, 1_000, 2)]);
        clock.advance(ms(50));
        let waited = std::thread::scope(|scope| {
            drop(limiter.acquire_timeout(Cost::tokens(2), timeout).unwrap());
            let one = || limiter.acquire_timeout(Cost::tokens(1), timeout);
            let waiting = scope.spawn(one);
            // Not `until_waiting`: it might be refused.
            while limiter.snapshot().waiters == 0 && !waiting.is_finished() {
                std::thread::yield_now();
            }
            clock.advance(ms(100));
            waiting.join().unwrap().map(|permit| permit.waited())
        });
        assert!(
            matches!(waited, Ok(waited) if waited == ms(100)),
            "step {step}: {waited:?}"
        );
    }
}

#[test]
fn a_deadline_that_has_passed_refuses_and_on_a_tie_what_is_free_is_taken() {
    let (limiter, clock) = on_manual_clock([tokens(10, 1_000, 2)]);
    clock.advance(SECOND);
    let now = clock.now();
    // cost, how long before now the deadline is, and the wait that it is refused for
    let nanosecond = Duration::from_nanos(1);
    let table = [
        (1, nanosecond, Some(ms(0))),
        (0, nanosecond, Some(ms(0))),
        (1, SECOND, Some(ms(0))),
        (1, Duration::ZERO, None),
        (2, Duration::ZERO, Some(ms(100))),
        (1, Duration::ZERO, None),
        (0, Duration::ZERO, None),
    ];
    for (step, (cost, before, refused)) in table.into_iter().enumerate() {
        let told = match limiter.acquire_until(Cost::tokens(cost), now - before) {
            Ok(_) => None,
            Err(AcquireError::DeadlineExceeded { wait, .. }) => Some(wait),
            Err(error) => panic!("step {step}: {error}"),
        };
        assert_eq!(told, refused, "step {step}");
    }
    let counters = limiter.snapshot().counters;
    assert_eq!((counters.grants, counters.rejected), (3, 4));
}
