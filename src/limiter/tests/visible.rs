//! What a limiter shows and tells of itself, and what it takes from elsewhere.

use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::limiter::{AcquireOptions, CancelToken, Event};
use crate::{AcquireError, Cost};

#[test]
fn every_request_is_told_of_and_counted() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(Limits::tokens_per_minute(60_000).unwrap())
        .clock(&clock)
        .on_event(move |event| {
            let text = match event {
                Event::Waiting { cost } => format!("waits for {}", cost.tokens),
                Event::Granted { cost, waited } => format!("got {} after {waited:?}", cost.tokens),
                Event::Denied { cost, error } => format!("no {}: {error}", cost.tokens),
                Event::LimitFound { .. } => "found".to_owned(),
                Event::Settled { reserved, actual } => {
                    format!("{} became {}", reserved.tokens, actual.tokens)
                }
            };
            tell.lock().unwrap().push(text);
        })
        .build();
    let permit = limiter.acquire(Cost::tokens(60_000)).unwrap();
    drop(limiter.try_acquire(Cost::tokens(1)).unwrap_err());
    drop(
        limiter
            .acquire_timeout(Cost::tokens(5), MILLISECOND)
            .unwrap_err(),
    );
    let token = CancelToken::new();
    thread::scope(|scope| {
        let wait = AcquireOptions::new().cancel(&token);
        let limiter = &limiter;
        let waiting = scope.spawn(move || limiter.acquire_with(Cost::tokens(2), wait));
        while told.lock().unwrap().len() < 4 {
            thread::yield_now();
        }
        token.cancel();
        drop(waiting.join().unwrap().unwrap_err());
    });
    permit.settle(Cost::tokens(59_000));
    let expected = [
        "got 60000 after 0ns",
        "no 1: the limit is used up: 1.0 ms to wait",
        "no 5: the deadline comes first: 5.0 ms to wait",
        "waits for 2",
        "no 2: cancelled",
        "60000 became 59000",
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[test]
fn only_who_stands_in_line_is_told_to_wait() {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&waits);
    let clock = ManualClock::new();
    let limits = Limits::builder().tokens_per_minute(60_000);
    let limiter = RateLimiter::builder(limits.build().unwrap())
        .adaptive(Duration::ZERO)
        .max_waiters(1)
        .clock(&clock)
        .on_event(move |event| {
            if let Event::Waiting { cost } = event {
                told.lock().unwrap().push(cost.tokens);
            }
        })
        .build();
    for _ in 0..5 {
        // What a careful start lets go at once: half a second's worth.
        drop(limiter.acquire(Cost::tokens(100)).unwrap());
    }
    limiter.pause_until(clock.now() + SECOND);
    let in_vain = limiter.acquire_timeout(Cost::tokens(101), MILLISECOND);
    limiter.resume();
    assert!(matches!(
        in_vain,
        Err(AcquireError::DeadlineExceeded { .. })
    ));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| drop(limiter.acquire(Cost::tokens(102)).unwrap()));
        until_waiting(&limiter, 1);
        let turned_away = limiter.acquire(Cost::tokens(103));
        assert!(matches!(turned_away, Err(AcquireError::QueueFull { .. })));
        clock.advance(SECOND);
        waiting.join().unwrap();
    });
    limiter.close();
    drop(limiter.acquire(Cost::tokens(104)).unwrap_err());
    assert_eq!(*waits.lock().unwrap(), [102]);
}

#[test]
fn an_event_that_panics_loses_no_place_and_leaves_nobody_in_line() {
    let clock = ManualClock::new();
    let limits = Limits::builder().tokens_per_minute(60_000).in_flight(1);
    let limiter = RateLimiter::builder(limits.build().unwrap())
        .clock(&clock)
        .on_event(|event| match event {
            Event::Granted { cost, .. } if cost.tokens == 13 => panic!("of 13"),
            Event::Waiting { cost } if cost.tokens == 17 => panic!("of 17"),
            _ => {}
        })
        .build();
    let panics = |tokens| {
        let limiter = &limiter;
        thread::scope(|scope| {
            let asking = scope.spawn(move || limiter.acquire(Cost::tokens(tokens)).map(drop));
            asking.join().is_err()
        })
    };
    assert!(panics(13));
    assert_eq!(limiter.snapshot().in_flight, 0);
    assert_eq!(limiter.snapshot().quotas[0].level, 60_000 - 13);
    let permit = limiter.acquire(Cost::tokens(1)).unwrap();
    assert!(panics(17));
    assert_eq!(limiter.snapshot().waiters, 0);
    drop(permit);
    drop(limiter.try_acquire(Cost::tokens(1)).unwrap());
}

#[test]
fn counters_tell_what_became_of_everyone() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    drop(
        limiter
            .acquire_timeout(Cost::tokens(5), MILLISECOND)
            .unwrap_err(),
    );
    let token = CancelToken::new();
    let wait = AcquireOptions::new().cancel(&token);
    thread::scope(|scope| {
        let cancelled = scope.spawn(|| limiter.acquire_with(Cost::tokens(2), wait));
        until_waiting(&limiter, 1);
        token.cancel();
        drop(cancelled.join().unwrap());
        let late = scope.spawn(|| limiter.acquire_timeout(Cost::tokens(2), MILLISECOND * 2));
        until_waiting(&limiter, 1);
        limiter.pause_until(clock.now() + MILLISECOND * 5);
        clock.advance(MILLISECOND * 5);
        drop(late.join().unwrap());
        for (count, cost) in [(1, 7), (2, 2)] {
            let limiter = &limiter;
            scope.spawn(move || limiter.acquire(Cost::tokens(cost)).map(drop));
            until_waiting(limiter, count);
        }
        clock.advance(MILLISECOND * 10);
    });
    let counters = limiter.snapshot().counters;
    assert_eq!((counters.grants, counters.waited), (3, 2));
    // 5 had come in meanwhile: 2 ms for the first one, and 2 more for the second.
    assert_eq!(counters.total_wait, MILLISECOND * 6);
    assert_eq!(counters.longest_wait, MILLISECOND * 4);
    let ends = (counters.rejected, counters.cancelled, counters.timed_out);
    assert_eq!(ends, (1, 1, 1));
}

#[test]
fn a_debugging_user_sees_who_waits_for_what_and_how_long_yet() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    thread::scope(|scope| {
        let head = thread::Builder::new().name("nightly".to_owned());
        let limiter = &limiter;
        let head = head.spawn_scoped(scope, || drop(limiter.acquire(Cost::tokens(100))));
        until_waiting(limiter, 1);
        clock.advance(MILLISECOND * 30);
        scope.spawn(|| drop(limiter.acquire_timeout(Cost::tokens(50), SECOND)));
        until_waiting(limiter, 2);
        let seen = limiter.waiters();
        assert_eq!(seen[0].thread.as_deref(), Some("nightly"));
        assert_eq!(seen[1].thread, None);
        assert_eq!([seen[0].cost.tokens, seen[1].cost.tokens], [100, 50]);
        assert_eq!(
            [seen[0].waited, seen[1].waited],
            [MILLISECOND * 30, Duration::ZERO]
        );
        let dues = [70, 120].map(|millis| Some(MILLISECOND * millis));
        assert_eq!([seen[0].due, seen[1].due], dues);
        assert_eq!([seen[0].deadline, seen[1].deadline], [None, Some(SECOND)]);
        clock.advance(MILLISECOND * 120);
        head.unwrap().join().unwrap();
    });
    assert!(limiter.waiters().is_empty());
}

#[test]
fn a_level_from_elsewhere_serves_the_head_or_holds_it_back() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    thread::scope(|scope| {
        let head = scope.spawn(|| limiter.acquire(Cost::tokens(500)).unwrap().waited());
        until_waiting(&limiter, 1);
        limiter.set_level(Unit::Tokens, SECOND, -100).unwrap();
        assert_eq!(limiter.snapshot().head_due, Some(MILLISECOND * 600));
        clock.advance(MILLISECOND * 10);
        limiter.set_level(Unit::Tokens, SECOND, 5_000).unwrap();
        assert_eq!(head.join().unwrap(), MILLISECOND * 10);
    });
    assert_eq!(
        limiter.snapshot().quotas[0].level,
        500,
        "the burst is the most there can be"
    );
    let error = limiter.set_level(Unit::Requests, SECOND, 1).unwrap_err();
    assert!(matches!(error, crate::Error::Config(_)), "{error}");
    assert!(
        error.to_string().contains("level of requests per second"),
        "{error}"
    );
}

#[test]
fn a_bucket_starts_as_it_is_told_to() {
    let quota = Quota::per_second(Unit::Tokens, 1_000).unwrap();
    for (step, (start, level)) in [(0, 0), (300, 300), (5_000, 1_000)].into_iter().enumerate() {
        let (limiter, _clock) = on_manual_clock([quota.with_initial(start)]);
        assert_eq!(limiter.snapshot().quotas[0].level, level, "step {step}");
    }
}

#[test]
fn a_machine_that_slept_for_an_hour_wakes_up_without_a_flood() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    thread::scope(|scope| {
        for count in 1..=100 {
            let limiter = &limiter;
            scope.spawn(move || drop(limiter.acquire(Cost::tokens(100)).unwrap()));
            until_waiting(limiter, count);
        }
        clock.jump(SECOND * 3_600);
        let woken = limiter.snapshot();
        assert_eq!(woken.waiters, 90, "a full bucket, and no more");
        assert_eq!(woken.quotas[0].level, 0);
        clock.advance(MILLISECOND * 8_999);
        assert_eq!(
            limiter.snapshot().waiters,
            1,
            "and from then on at its pace"
        );
        clock.advance(MILLISECOND);
    });
    assert_eq!(limiter.snapshot().counters.grants, 101);
}
