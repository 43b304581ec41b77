//! What each public method promises, one promise a test.

use std::sync::mpsc;
use std::thread;

use super::*;
use crate::limiter::{AcquireOptions, CancelToken, Priority};
use crate::{AcquireError, Cost};

#[test]
fn all_quotas_are_taken_or_none() {
    let requests = Quota::new(Unit::Requests, 1, SECOND).unwrap();
    let tokens = Quota::new(Unit::Tokens, 1_000, SECOND).unwrap();
    let (limiter, _clock) = on_manual_clock([tokens, requests]);
    drop(limiter.try_acquire(Cost::tokens(100)).unwrap());
    let refused = limiter.try_acquire(Cost::tokens(100));
    assert!(matches!(refused, Err(AcquireError::WouldBlock { wait }) if wait == SECOND));
    assert_eq!(
        limiter.snapshot().quotas[0].level,
        900,
        "tokens stay while requests are short"
    );
}

#[test]
fn a_cost_that_never_fits_is_refused_with_both_numbers() {
    let (limiter, _clock) = thousand_a_second();
    let error = limiter.acquire(Cost::tokens(1_001)).unwrap_err();
    let text = error.to_string();
    assert_eq!(
        text,
        "a request of 1001 tokens can never pass a limit of 1000 tokens per second"
    );
    assert!(!error.is_retryable());
}

#[test]
fn the_line_is_served_in_order_whatever_the_sizes() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    let (done, order) = mpsc::channel();
    thread::scope(|scope| {
        let costs = [900, 25, 1_000, 1, 500];
        for (place, cost) in costs.into_iter().enumerate() {
            let (limiter, done) = (&limiter, done.clone());
            scope.spawn(move || {
                let permit = limiter.acquire(Cost::tokens(cost)).unwrap();
                done.send((place, permit.waited())).unwrap();
            });
            until_waiting(limiter, place + 1);
        }
        let mut due = Duration::ZERO;
        for (place, cost) in costs.into_iter().enumerate() {
            let wait = MILLISECOND * u32::try_from(cost).unwrap();
            clock.advance(wait - Duration::from_nanos(1));
            assert!(order.try_recv().is_err(), "{place} was served early");
            clock.advance(Duration::from_nanos(1));
            due += wait;
            assert_eq!(order.recv().unwrap(), (place, due));
        }
    });
}

#[test]
fn whoever_goes_ahead_brings_the_turn_of_batch_work_at_once() {
    // what batch work waits for, and how long until that is there
    let table = [(100, Duration::ZERO), (600, MILLISECOND * 100)];
    for (tokens, due) in table {
        let (limiter, clock) = thousand_a_second();
        let first = [(); 3].map(|()| limiter.acquire(Cost::tokens(0)).unwrap());
        drop(limiter.acquire(Cost::tokens(500)).unwrap());
        thread::scope(|scope| {
            scope.spawn(|| limiter.acquire(Cost::tokens(1_000)).map(drop).unwrap());
            until_waiting(&limiter, 1);
            let batch = scope.spawn(|| {
                let wait = AcquireOptions::new().priority(Priority::Batch);
                limiter.acquire_with(Cost::tokens(tokens), wait)
            });
            until_waiting(&limiter, 2);
            for permit in first {
                let again = permit.keep_place();
                drop(
                    again
                        .acquire(Cost::tokens(0), AcquireOptions::new())
                        .unwrap(),
                );
            }
            // Three in a row went before it, so it does not wait for the large one.
            clock.advance(due);
            clock.advance(SECOND * 2);
            assert_eq!(batch.join().unwrap().unwrap().waited(), due);
        });
    }
}

#[test]
fn of_two_quotas_of_one_kind_each_keeps_what_is_used_of_it() {
    let quota = |amount| Quota::new(Unit::Tokens, amount, SECOND).unwrap();
    let quotas = [quota(1_000), quota(600).with_initial(200)];
    let (limiter, _clock) = on_manual_clock(quotas);
    let limits = quotas
        .into_iter()
        .fold(Limits::builder(), crate::LimitsBuilder::quota);
    limiter.set_limits(&limits.build().unwrap());
    let levels = limiter.snapshot().quotas;
    assert_eq!([levels[0].level, levels[1].level], [1_000, 200]);
}

#[test]
fn a_late_alarm_serves_everyone_whose_turn_has_come() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    thread::scope(|scope| {
        for count in 1..=5 {
            scope.spawn(|| limiter.acquire(Cost::tokens(200)).map(drop).unwrap());
            until_waiting(&limiter, count);
        }
        clock.advance(SECOND * 60);
    });
    assert_eq!(limiter.snapshot().waiters, 0);
}

#[test]
fn a_deadline_that_cannot_be_met_is_refused_at_once_with_the_prediction() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    let wait = MILLISECOND * 500;
    thread::scope(|scope| {
        scope.spawn(|| drop(limiter.acquire(Cost::tokens(300)).unwrap()));
        until_waiting(&limiter, 1);
        // 300 are before it, so 200 more come in after 500 ms.
        let refused = limiter.acquire_timeout(Cost::tokens(200), MILLISECOND * 499);
        assert!(
            matches!(refused, Err(AcquireError::DeadlineExceeded { wait: w, .. }) if w == wait)
        );
        assert_eq!(limiter.predicted_wait(Cost::tokens(200)).unwrap(), wait);
        // To the nanosecond, the grant wins.
        let granted = scope.spawn(|| limiter.acquire_timeout(Cost::tokens(200), wait));
        until_waiting(&limiter, 2);
        clock.advance(wait);
        assert_eq!(granted.join().unwrap().unwrap().waited(), wait);
    });
}

#[test]
fn a_wait_that_gets_longer_ends_at_its_deadline_and_lets_the_next_one_pass() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    thread::scope(|scope| {
        let head = scope.spawn(|| limiter.acquire_timeout(Cost::tokens(500), MILLISECOND * 500));
        until_waiting(&limiter, 1);
        let next = scope.spawn(|| limiter.acquire(Cost::tokens(100)));
        until_waiting(&limiter, 2);
        limiter.pause_until(clock.now() + MILLISECOND * 600);
        clock.advance(MILLISECOND * 500);
        assert!(matches!(
            head.join().unwrap(),
            Err(AcquireError::DeadlineExceeded { .. })
        ));
        clock.advance(MILLISECOND * 100);
        assert_eq!(next.join().unwrap().unwrap().waited(), MILLISECOND * 600);
    });
    // Nothing was taken for the one that left: 600 came in, 100 went out.
    assert_eq!(limiter.snapshot().quotas[0].level, 500);
}

#[test]
fn an_oversize_cost_passes_at_a_full_bucket_and_the_next_one_pays_for_it() {
    let quota = Quota::new(Unit::Tokens, 1_000, SECOND).unwrap();
    let (limiter, _clock) = on_manual_clock([quota.with_burst(100)]);
    drop(limiter.try_acquire(Cost::tokens(1_000)).unwrap());
    assert_eq!(limiter.snapshot().quotas[0].level, -900);
    assert_eq!(
        limiter.predicted_wait(Cost::tokens(1)).unwrap(),
        MILLISECOND * 901
    );
}

#[test]
fn a_refund_serves_the_head_early_and_a_debt_delays_it() {
    let (limiter, clock) = thousand_a_second();
    let refunded = limiter.acquire(Cost::tokens(400)).unwrap();
    let settled = limiter.acquire(Cost::tokens(600)).unwrap();
    thread::scope(|scope| {
        let head = scope.spawn(|| limiter.acquire(Cost::tokens(300)).unwrap());
        until_waiting(&limiter, 1);
        settled.settle(Cost::tokens(800)); // 200 of debt
        assert_eq!(limiter.snapshot().head_due, Some(MILLISECOND * 500));
        refunded.refund(); // 400 back: 100 still missing
        assert_eq!(limiter.snapshot().head_due, Some(MILLISECOND * 100));
        clock.advance(MILLISECOND * 100);
        assert_eq!(head.join().unwrap().waited(), MILLISECOND * 100);

        let last = limiter.try_acquire(Cost::tokens(0)).unwrap();
        let head = scope.spawn(|| limiter.acquire(Cost::tokens(1)).unwrap());
        until_waiting(&limiter, 1);
        last.settle(Cost::default());
        assert_eq!(limiter.snapshot().waiters, 1);
        clock.advance(MILLISECOND);
        head.join().unwrap().settle(Cost::default());
    });
    assert_eq!(
        limiter.snapshot().quotas[0].level,
        1,
        "what was settled to nothing came back"
    );
}

#[test]
fn a_dropped_permit_keeps_its_charge() {
    let (limiter, _clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(700)).unwrap());
    assert_eq!(limiter.snapshot().quotas[0].level, 300);
}

#[test]
fn close_answers_everyone() {
    let (limiter, _clock) = thousand_a_second();
    let permit = limiter.acquire(Cost::tokens(1_000)).unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> = (1..=4)
            .map(|count| {
                let waiting = scope.spawn(|| limiter.acquire(Cost::tokens(500)));
                until_waiting(&limiter, count);
                waiting
            })
            .collect();
        limiter.close();
        for thread in waiting {
            assert!(matches!(thread.join().unwrap(), Err(AcquireError::Closed)));
        }
    });
    assert!(matches!(
        limiter.try_acquire(Cost::tokens(1)),
        Err(AcquireError::Closed)
    ));
    permit.refund(); // stays good
    assert_eq!(limiter.snapshot().quotas[0].level, 1_000);
}

#[test]
fn cancel_calls_back_the_token_s_waiters_and_no_others() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    let token = CancelToken::new();
    let wait = AcquireOptions::new().cancel(&token);
    thread::scope(|scope| {
        let leaves = scope.spawn(|| limiter.acquire_with(Cost::tokens(500), wait));
        until_waiting(&limiter, 1);
        let stays = scope.spawn(|| limiter.acquire(Cost::tokens(100)));
        until_waiting(&limiter, 2);
        token.cancel();
        assert!(matches!(
            leaves.join().unwrap(),
            Err(AcquireError::Cancelled)
        ));
        clock.advance(MILLISECOND * 100);
        assert_eq!(stays.join().unwrap().unwrap().waited(), MILLISECOND * 100);
        let late = limiter.acquire_with(Cost::tokens(0), wait);
        assert!(
            matches!(late, Err(AcquireError::Cancelled)),
            "a token stays cancelled"
        );
    });
}

#[test]
fn a_pause_holds_everyone_and_buckets_fill_meanwhile() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    limiter.pause_until(clock.now() + SECOND * 2);
    limiter.pause_until(clock.now() + SECOND); // does not shorten it
    let predicted = limiter.predicted_wait(Cost::tokens(1)).unwrap();
    assert_eq!(predicted, SECOND * 2);
    clock.advance(SECOND * 2);
    drop(limiter.try_acquire(Cost::tokens(1_000)).unwrap());
}

#[test]
fn the_binding_quota_is_the_one_that_the_head_waits_for_longest() {
    let requests = Quota::new(Unit::Requests, 1, SECOND).unwrap();
    let tokens = Quota::new(Unit::Tokens, 1_000, SECOND).unwrap();
    let (limiter, clock) = on_manual_clock([tokens, requests]);
    drop(limiter.acquire(Cost::tokens(600)).unwrap());
    assert_eq!(limiter.snapshot().binding, None, "nobody waits");
    thread::scope(|scope| {
        scope.spawn(|| drop(limiter.acquire(Cost::tokens(500)).unwrap()));
        until_waiting(&limiter, 1);
        assert_eq!(limiter.snapshot().binding, Some(requests));
        clock.advance(SECOND);
    });
}

#[test]
#[cfg(not(paceline_loom))]
fn on_the_real_clock_the_scheduler_wakes_the_line_and_never_early() {
    let quota = Quota::new(Unit::Tokens, 10_000, SECOND).unwrap();
    let limits = Limits::builder()
        .quota(quota.with_burst(100))
        .build()
        .unwrap();
    let limiter = RateLimiter::new(limits);
    let start = std::time::Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    drop(limiter.acquire(Cost::tokens(25)).unwrap());
                }
            });
        }
    });
    // 80 × 25 tokens, of which 100 stood ready.
    assert!(
        start.elapsed() >= MILLISECOND * 190,
        "{:?}",
        start.elapsed()
    );
    assert_eq!(limiter.snapshot().counters.grants, 80);
}
