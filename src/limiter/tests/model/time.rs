//! Turns and deadlines that come with the clock.

use super::*;
use crate::Event;

#[test]
fn time_serves_whoever_waits_in_any_order() {
    check(|| {
        let (limiter, clock) = empty();
        let waiting = acquiring(&limiter, 10);
        clock.advance(MILLISECOND * 10);
        // The other one may come after the clock has moved, or stand before this one.
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.advance(MILLISECOND * 10));
        drop(limiter.acquire(Cost::tokens(10)).unwrap());
        drop(waiting.join().unwrap().unwrap());
        mover.join().unwrap();
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn a_clock_that_jumps_meets_one_who_joins() {
    check(|| {
        let (limiter, clock) = empty();
        let waiting = acquiring(&limiter, 10);
        // An alarm that is set between the jump and the ringing is late already.
        clock.jump(SECOND / 2);
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, 490);
    });
}

#[test]
fn two_clocks_hands_at_once_ring_every_alarm() {
    check(|| {
        let (limiter, clock) = empty();
        let waiting = acquiring(&limiter, 10);
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.jump(MILLISECOND * 10));
        clock.advance(MILLISECOND * 10);
        drop(waiting.join().unwrap().unwrap());
        mover.join().unwrap();
        // Both set out from where it stood, so they may end where one of them would.
        assert!([0, 10].contains(&limiter.snapshot().quotas[0].level));
    });
}

#[test]
fn whoever_comes_upon_a_late_alarm_serves_the_line_and_need_not_wait() {
    check(|| {
        let (limiter, clock) = empty();
        let start = clock.now();
        let waiting = acquiring(&limiter, 5);
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.jump(MILLISECOND * 10));
        // There is enough for both once the clock has moved, whichever of them waits.
        let is_late = clock.now() > start;
        let taken = limiter.try_acquire(Cost::tokens(5));
        assert!(!is_late || taken.is_ok());
        mover.join().unwrap();
        drop(waiting.join().unwrap().unwrap());
        assert_at_rest(&limiter, if taken.is_ok() { 0 } else { 5 });
    });
}

#[test]
fn an_answer_that_comes_before_its_thread_has_begun_to_wait_is_found() {
    check(|| {
        let clock = ManualClock::new();
        let (moved, limits) = (clock.clone(), Limits::tokens_per_minute(60_000).unwrap());
        let limiter = RateLimiter::builder(limits).clock(&clock);
        let limiter = limiter.on_event(move |event| {
            // It stands in line by now, and has yet to look for its answer.
            if let Event::Waiting { .. } = event {
                moved.advance(MILLISECOND * 4);
            }
        });
        let limiter = limiter.build();
        drop(limiter.try_acquire(Cost::tokens(60_000)).unwrap());
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.advance(MILLISECOND * 4));
        drop(limiter.acquire(Cost::tokens(4)).unwrap());
        mover.join().unwrap();
        assert!([0, 4].contains(&limiter.snapshot().quotas[0].level));
    });
}

#[test]
fn a_grant_meets_a_timeout() {
    check(|| {
        let (limiter, clock) = empty();
        let (other, deadline) = (limiter.clone(), clock.now() + MILLISECOND);
        let waiting = thread::spawn(move || {
            other
                .acquire_until(Cost::tokens(1), deadline)
                .map(Permit::into_owned)
        });
        limiter.pause_until(clock.now() + MILLISECOND * 2);
        clock.advance(MILLISECOND);
        // A clock that stops before the waiter has joined still ends its wait.
        clock.advance(MILLISECOND);
        match waiting.join().unwrap() {
            Ok(_permit) => assert_at_rest(&limiter, 1),
            Err(AcquireError::DeadlineExceeded { .. }) => assert_at_rest(&limiter, 2),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn a_deadline_that_comes_first_lets_the_next_one_pass() {
    check_large(|| {
        let (limiter, clock) = empty();
        let (first, deadline) = (limiter.clone(), clock.now() + SECOND);
        let first = thread::spawn(move || {
            first
                .acquire_until(Cost::tokens(900), deadline)
                .map(Permit::into_owned)
        });
        let next = acquiring(&limiter, 5);
        // The first one is let in, and then has its turn put off beyond its deadline.
        limiter.pause_until(clock.now() + SECOND);
        clock.advance(SECOND);
        clock.advance(SECOND);
        let late = match first.join().unwrap() {
            Ok(_permit) => 0,
            Err(AcquireError::DeadlineExceeded { .. }) => 900,
            Err(error) => panic!("{error}"),
        };
        drop(next.join().unwrap().unwrap());
        let level = limiter.snapshot().quotas[0].level;
        assert!(level >= late, "{level}");
        assert_eq!(limiter.snapshot().waiters, 0);
    });
}

#[test]
fn a_limiter_is_gone_when_its_alarm_rings() {
    check(|| {
        let (limiter, clock) = empty();
        let (waiting, token) = (limiter.clone(), CancelToken::new());
        let called_back = token.clone();
        let waiting = thread::spawn(move || {
            let wait = AcquireOptions::new().cancel(&called_back);
            waiting.acquire_with(Cost::tokens(5), wait).map(drop)
            // Its clone of the limiter may be the last one.
        });
        token.cancel();
        drop(limiter);
        // An alarm may have been set for it.
        clock.advance(MILLISECOND * 5);
        match waiting.join().unwrap() {
            Ok(()) | Err(AcquireError::Cancelled) => {}
            Err(error) => panic!("{error}"),
        }
    });
}
