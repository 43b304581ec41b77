//! Changes by other threads while one waits: each change serves the queue.

use super::*;
use crate::{Observation, Refusal};

#[test]
fn a_refund_meets_a_waiter() {
    check(|| {
        let limits = Limits::tokens_per_minute(10).unwrap();
        let limiter = RateLimiter::builder(limits).clock(&ManualClock::new());
        let limiter = limiter.build();
        let permit = limiter.try_acquire(Cost::tokens(10)).unwrap();
        let waiting = acquiring(&limiter, 4);
        permit.settle(Cost::tokens(6));
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn one_refund_serves_two_waiters() {
    check(|| {
        let limits = Limits::tokens_per_minute(10).unwrap();
        let limiter = RateLimiter::builder(limits).clock(&ManualClock::new());
        let limiter = limiter.build();
        let permit = limiter.try_acquire(Cost::tokens(10)).unwrap();
        let waiting = [acquiring(&limiter, 3), acquiring(&limiter, 7)];
        permit.refund();
        for waiting in waiting {
            drop(waiting.join().unwrap().unwrap());
        }
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn a_debt_meets_a_waiter_and_the_clock() {
    check(|| {
        let (limiter, clock) = thousand_a_second();
        let permit = limiter
            .try_acquire(Cost::tokens(1_000))
            .unwrap()
            .into_owned();
        let waiting = acquiring(&limiter, 5);
        // The waiter's alarm rings too early if the debt has come before it.
        let settling = thread::spawn(move || permit.settle(Cost::tokens(1_005)));
        clock.advance(MILLISECOND * 10);
        settling.join().unwrap();
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn a_refusal_that_is_heard_puts_a_waiter_off_and_no_longer() {
    check(|| {
        let (limiter, clock) = thousand_a_second();
        let mut permit = limiter
            .try_acquire(Cost::tokens(1_000))
            .unwrap()
            .into_owned();
        let waiting = acquiring(&limiter, 5);
        let hearing = thread::spawn(move || {
            let refusal = Refusal {
                wait: Some(MILLISECOND * 5),
                ..Refusal::default()
            };
            permit.observe(&Observation::refused(refusal));
        });
        clock.advance(MILLISECOND * 5);
        hearing.join().unwrap();
        clock.advance(MILLISECOND * 5);
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, 5);
    });
}

#[test]
fn other_limits_meet_a_waiter() {
    check(|| {
        let limiter = empty_for_a_minute(10);
        let waiting = acquiring(&limiter, 4);
        limiter.set_limits(&Limits::tokens_per_minute(14).unwrap());
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn limits_that_never_let_the_first_one_pass_serve_the_next() {
    check(|| {
        let limiter = empty_for_a_minute(10);
        limiter.set_level(Unit::Tokens, SECOND * 60, 5).unwrap();
        let first = acquiring(&limiter, 10);
        let next = acquiring(&limiter, 4);
        limiter.set_limits(&Limits::tokens_per_minute(9).unwrap());
        assert!(matches!(
            first.join().unwrap(),
            Err(AcquireError::TooLarge { .. })
        ));
        drop(next.join().unwrap().unwrap());
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn another_level_meets_a_waiter() {
    check(|| {
        let limiter = empty_for_a_minute(10);
        let waiting = acquiring(&limiter, 4);
        limiter.set_level(Unit::Tokens, SECOND * 60, 7).unwrap();
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, 3);
    });
}

#[test]
fn the_end_of_a_pause_meets_a_waiter() {
    check(|| {
        let (limiter, clock) = thousand_a_second();
        limiter.pause_until(clock.now() + SECOND);
        let waiting = acquiring(&limiter, 400);
        limiter.resume();
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, 600);
    });
}

#[test]
fn a_pause_meets_a_waiter_whose_turn_has_come() {
    check(|| {
        let (limiter, clock) = empty();
        let waiting = acquiring(&limiter, 5);
        let (paused, until) = (limiter.clone(), clock.now() + MILLISECOND * 8);
        let pausing = thread::spawn(move || paused.pause_until(until));
        clock.advance(MILLISECOND * 5);
        pausing.join().unwrap();
        clock.advance(MILLISECOND * 3);
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, 3);
    });
}

#[test]
fn close_meets_two_waiters() {
    check(|| {
        let (limiter, _clock) = empty();
        let waiting = [acquiring(&limiter, 1), acquiring(&limiter, 2)];
        limiter.close();
        for waiting in waiting {
            assert!(matches!(waiting.join().unwrap(), Err(AcquireError::Closed)));
        }
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn close_meets_a_grant_and_one_of_them_wins() {
    check(|| {
        let (limiter, clock) = empty();
        let waiting = acquiring(&limiter, 5);
        let closed = limiter.clone();
        let closing = thread::spawn(move || closed.close());
        clock.advance(MILLISECOND * 5);
        closing.join().unwrap();
        match waiting.join().unwrap() {
            Ok(_permit) => assert_at_rest(&limiter, 0),
            Err(AcquireError::Closed) => assert_at_rest(&limiter, 5),
            Err(error) => panic!("{error}"),
        }
    });
}
