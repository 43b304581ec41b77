//! Requests in flight, priorities, full queues and requests that overtake.

use std::sync::mpsc;
use std::thread;

use super::*;
use crate::limiter::{AcquireOptions, Priority};
use crate::{AcquireError, Cost};

/// No more than `most` in flight, and tokens enough.
fn capped(most: u64) -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limits = Limits::builder().tokens_per_minute(60_000).in_flight(most);
    let limiter = RateLimiter::builder(limits.build().unwrap()).clock(&clock);
    (limiter.build(), clock)
}

#[test]
fn a_permit_gives_its_place_in_flight_back_however_it_ends() {
    let (limiter, _clock) = capped(1);
    let cost = Cost::tokens(100);
    let endings: [fn(crate::Permit<'_>); 7] = [
        |permit| drop(permit),
        |permit| drop(permit.into_owned()),
        |permit| permit.settle(Cost::tokens(40)),
        |permit| permit.settle(Cost::tokens(100)),
        |permit| permit.refund(),
        |permit| permit.into_owned().refund(),
        |permit| drop(permit.keep_place()),
    ];
    for (step, end) in endings.into_iter().enumerate() {
        let permit = limiter.try_acquire(cost).unwrap();
        assert_eq!(limiter.snapshot().in_flight, 1, "step {step}");
        let refused = limiter.try_acquire(cost);
        assert!(
            matches!(refused, Err(AcquireError::WouldBlock { .. })),
            "step {step}"
        );
        end(permit);
        assert_eq!(limiter.snapshot().in_flight, 0, "step {step}");
    }
    assert_eq!(
        limiter.snapshot().quotas[0].level,
        60_000 - 100 - 100 - 40 - 100 - 100
    );
}

#[test]
fn the_end_of_a_permit_serves_the_head_and_no_more_than_fit() {
    let (limiter, clock) = capped(2);
    let first = limiter.acquire(Cost::tokens(1)).unwrap();
    let second = limiter.acquire(Cost::tokens(1)).unwrap();
    let (done, order) = mpsc::channel();
    thread::scope(|scope| {
        for place in 1..=3 {
            let (limiter, done) = (&limiter, done.clone());
            scope.spawn(move || drop(done.send((place, limiter.acquire(Cost::tokens(1))))));
            until_waiting(limiter, place);
        }
        let stands = limiter.snapshot();
        assert_eq!((stands.in_flight, stands.max_in_flight), (2, Some(2)));
        assert_eq!((stands.head_due, stands.binding), (None, None));
        // No time helps, and deadlines hold all the same.
        clock.advance(SECOND * 600);
        assert!(order.try_recv().is_err());
        let late = scope.spawn(|| limiter.acquire_timeout(Cost::tokens(1), SECOND));
        until_waiting(&limiter, 4);
        clock.advance(SECOND);
        assert!(matches!(
            late.join().unwrap(),
            Err(AcquireError::DeadlineExceeded { .. })
        ));

        drop(first);
        let (place, third) = order.recv().unwrap();
        assert_eq!((place, limiter.snapshot().waiters), (1, 2));
        second.refund();
        let (place, fourth) = order.recv().unwrap();
        assert_eq!(place, 2);
        drop((third, fourth));
        assert_eq!(order.recv().unwrap().0, 3);
    });
    assert_eq!(limiter.snapshot().in_flight, 0);
}

#[test]
fn a_cap_that_changes_lets_more_in_or_waits_until_fewer_are() {
    let limits = |most| {
        let limits = Limits::builder().tokens_per_minute(60_000);
        limits.in_flight(most).build().unwrap()
    };
    let (limiter, _clock) = capped(1);
    let first = limiter.acquire(Cost::tokens(1)).unwrap();
    thread::scope(|scope| {
        let next = scope.spawn(|| limiter.acquire(Cost::tokens(1)).unwrap());
        until_waiting(&limiter, 1);
        limiter.set_limits(&limits(2));
        let second = next.join().unwrap();
        limiter.set_limits(&limits(1));
        drop(first);
        assert!(
            limiter.try_acquire(Cost::tokens(1)).is_err(),
            "one is in flight"
        );
        drop(second);
        drop(limiter.try_acquire(Cost::tokens(1)).unwrap());
    });
}

#[test]
fn interactive_work_goes_first_and_batch_work_gets_every_fourth_turn() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    let (done, order) = mpsc::channel();
    thread::scope(|scope| {
        let mut waiting = 0;
        let mut ask = |name, priority| {
            let (limiter, done) = (&limiter, done.clone());
            let wait = AcquireOptions::new().priority(priority);
            scope.spawn(move || {
                drop(limiter.acquire_with(Cost::tokens(10), wait).unwrap());
                done.send(name).unwrap();
            });
            waiting += 1;
            until_waiting(limiter, waiting);
        };
        for name in ["b1", "b2", "b3"] {
            ask(name, Priority::Batch);
        }
        for name in ["i1", "i2", "i3", "i4", "i5"] {
            ask(name, Priority::Interactive);
        }
        let stands = limiter.snapshot();
        assert_eq!((stands.waiters, stands.batch_waiters), (8, 3));
        let expected = ["i1", "i2", "i3", "b1", "i4", "i5", "b2", "b3"];
        let seen = limiter.waiters();
        let dues: Vec<_> = seen.iter().map(|waiter| waiter.due.unwrap()).collect();
        for (step, name) in expected.into_iter().enumerate() {
            let due = MILLISECOND * 10 * u32::try_from(step + 1).unwrap();
            assert_eq!(dues[step], due, "step {step}");
            let is_batch = seen[step].priority == Priority::Batch;
            assert_eq!(is_batch, name.starts_with('b'), "step {step}");
            clock.advance(MILLISECOND * 10);
            assert_eq!(order.recv().unwrap(), name, "step {step}");
        }
    });
}

#[test]
fn the_nth_batch_request_lets_at_most_three_n_go_ahead_whatever_comes() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    let (done, order) = mpsc::channel();
    thread::scope(|scope| {
        let ask = |name: &'static str, priority, count| {
            let (limiter, done) = (&limiter, done.clone());
            let wait = AcquireOptions::new().priority(priority);
            scope.spawn(move || {
                drop(limiter.acquire_with(Cost::tokens(10), wait).unwrap());
                done.send(name).unwrap();
            });
            until_waiting(limiter, count);
        };
        ask("first", Priority::Batch, 1);
        ask("second", Priority::Batch, 2);
        ask("other", Priority::Interactive, 3);
        let mut overtaken = 0;
        // A new one comes for each that goes, and always before the next turn.
        loop {
            clock.advance(MILLISECOND * 10);
            match order.recv().unwrap() {
                "other" => {
                    overtaken += 1;
                    assert!(overtaken <= 6);
                    ask("other", Priority::Interactive, 3 - overtaken / 4);
                }
                "first" => assert_eq!(overtaken, 3),
                _ => break assert_eq!(overtaken, 6),
            }
        }
        clock.advance(MILLISECOND * 10);
    });
}

#[test]
fn a_full_line_turns_newcomers_away_and_not_those_who_come_again() {
    let clock = ManualClock::new();
    let limits = Limits::tokens_per_minute(60_000).unwrap();
    let limiter = RateLimiter::builder(limits).clock(&clock).max_waiters(1);
    let limiter = limiter.build();
    let first = limiter.acquire(Cost::tokens(60_000)).unwrap();
    thread::scope(|scope| {
        let head = scope.spawn(|| limiter.acquire(Cost::tokens(1)));
        until_waiting(&limiter, 1);
        let refused = limiter.acquire(Cost::tokens(1));
        assert!(
            matches!(refused, Err(AcquireError::QueueFull { waiters: 1 })),
            "{refused:?}"
        );
        let turn = first.keep_place();
        let again = scope.spawn(|| turn.acquire(Cost::tokens(1), AcquireOptions::new()));
        until_waiting(&limiter, 2);
        clock.advance(MILLISECOND * 2);
        assert!(head.join().unwrap().is_ok());
        assert!(again.join().unwrap().is_ok());
    });
    let counters = limiter.snapshot().counters;
    assert_eq!((counters.queue_full, counters.waited), (1, 2));
}

#[test]
fn whoever_delays_the_head_by_nothing_may_pass_and_nobody_else() {
    let output = Quota::per_second(Unit::OutputTokens, 1_000).unwrap();
    let requests = Quota::per_second(Unit::Requests, 10).unwrap();
    // whether they may, requests left when the head waits, and how many overtake then
    let table = [(true, 8, 7), (false, 8, 0)];
    for (step, (bypass, left, passes)) in table.into_iter().enumerate() {
        let clock = ManualClock::new();
        let limits = Limits::builder().quota(output).quota(requests);
        let limiter = RateLimiter::builder(limits.in_flight(50).build().unwrap());
        let limiter = limiter.clock(&clock).bypass(bypass).build();
        let _first = limiter.acquire(Cost::sized(0, 500)).unwrap();
        let _second = limiter.acquire(Cost::sized(0, 500)).unwrap();
        thread::scope(|scope| {
            let head = scope.spawn(|| limiter.acquire(Cost::sized(0, 50)).unwrap().waited());
            until_waiting(&limiter, 1);
            let level = limiter.snapshot().quotas[1].level;
            assert_eq!(level, left, "step {step}");
            let with_output = limiter.try_acquire(Cost::sized(9, 1));
            assert!(
                with_output.is_err(),
                "step {step}: it would take what the head waits for"
            );
            let passed = (0..20).filter(|_| limiter.try_acquire(Cost::sized(9, 0)).is_ok());
            // One request has to be left for the head.
            assert_eq!(passed.count(), passes, "step {step}");
            clock.advance(MILLISECOND * 50);
            assert_eq!(head.join().unwrap(), MILLISECOND * 50, "step {step}");
        });
        let bypassed = limiter.snapshot().counters.overtaken;
        assert_eq!(bypassed, u64::try_from(passes).unwrap(), "step {step}");
    }
}
