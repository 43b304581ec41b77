//! Which waiter goes first.

use super::*;

#[test]
fn a_turn_that_comes_again_meets_a_waiter_and_both_are_served() {
    check(|| {
        let (limiter, clock) = thousand_a_second();
        let first = limiter
            .try_acquire(Cost::tokens(1_000))
            .unwrap()
            .into_owned();
        let waiting = acquiring(&limiter, 5);
        let again = thread::spawn(move || {
            let turn = first.keep_place();
            turn.acquire(Cost::tokens(5), AcquireOptions::new())
                .map(drop)
        });
        clock.advance(MILLISECOND * 10);
        drop(waiting.join().unwrap().unwrap());
        again.join().unwrap().unwrap();
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn whoever_delays_nobody_goes_past_without_waiting() {
    check(|| {
        let clock = ManualClock::new();
        let limits = Limits::builder()
            .per_second(Unit::OutputTokens, 1_000)
            .per_second(Unit::InputTokens, 1_000)
            .build();
        let limiter = RateLimiter::builder(limits.unwrap()).clock(&clock);
        let limiter = limiter.bypass(true).build();
        drop(limiter.try_acquire(Cost::sized(0, 1_000)).unwrap());
        let other = limiter.clone();
        let waiting = thread::spawn(move || other.acquire(Cost::sized(100, 5)).map(drop));
        // The head waits for output alone, if it has come yet.
        drop(limiter.try_acquire(Cost::sized(900, 0)).unwrap());
        clock.advance(MILLISECOND * 5);
        waiting.join().unwrap().unwrap();
        assert_at_rest(&limiter, 0);
        assert_eq!(limiter.snapshot().quotas[1].level, 5);
    });
}

#[test]
fn both_lanes_move_up_when_the_head_is_called_back() {
    check_large(|| {
        let (limiter, clock) = empty();
        let token = CancelToken::new();
        let head = acquiring_until_cancelled(&limiter, 900, &token);
        let next = acquiring(&limiter, 5);
        let batch = limiter.clone();
        let batch = thread::spawn(move || {
            let wait = AcquireOptions::new().priority(Priority::Batch);
            batch
                .acquire_with(Cost::tokens(7), wait)
                .map(Permit::into_owned)
        });
        token.cancel();
        clock.advance(MILLISECOND * 12);
        assert!(matches!(head.join().unwrap(), Err(AcquireError::Cancelled)));
        drop(next.join().unwrap().unwrap());
        drop(batch.join().unwrap().unwrap());
        assert_at_rest(&limiter, 0);
    });
}
