//! A cap on requests in flight: what ends a permit lets the next one in.

use super::*;

/// A limiter of 1,000 tokens a second of which `most` may be in flight, and its clock.
fn capped(most: u64) -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limits = with_cap(Limits::builder().in_flight(most));
    let limiter = RateLimiter::builder(limits).clock(&clock).build();
    (limiter, clock)
}

fn with_cap(limits: LimitsBuilder) -> Limits {
    limits.per_second(Unit::Tokens, 1_000).build().unwrap()
}

#[test]
fn the_end_of_a_permit_meets_a_waiter() {
    check(|| {
        let (limiter, _clock) = capped(1);
        let permit = limiter.try_acquire(Cost::tokens(5)).unwrap().into_owned();
        let ending = thread::spawn(move || drop(permit));
        drop(limiter.acquire(Cost::tokens(5)).unwrap());
        ending.join().unwrap();
        assert_at_rest(&limiter, 990);
    });
}

#[test]
fn two_permits_end_and_two_waiters_go() {
    check_large(|| {
        let (limiter, _clock) = capped(2);
        let [one, other] =
            [(); 2].map(|()| limiter.try_acquire(Cost::tokens(5)).unwrap().into_owned());
        let waiting = [acquiring(&limiter, 5), acquiring(&limiter, 5)];
        let ending = thread::spawn(move || drop(one));
        other.refund();
        ending.join().unwrap();
        let permits = waiting.map(|waiting| waiting.join().unwrap().unwrap());
        assert_eq!(limiter.snapshot().in_flight, 2);
        drop(permits);
        assert_at_rest(&limiter, 985);
    });
}

#[test]
fn a_place_is_handed_from_one_to_the_next() {
    check_large(|| {
        let (limiter, _clock) = capped(1);
        let one_after_the_other = [(); 3].map(|()| {
            let limiter = limiter.clone();
            thread::spawn(move || {
                let permit = limiter.acquire(Cost::tokens(5)).unwrap();
                assert_eq!(limiter.snapshot().in_flight, 1);
                drop(permit);
            })
        });
        for one in one_after_the_other {
            one.join().unwrap();
        }
        assert_at_rest(&limiter, 985);
    });
}

#[test]
fn the_end_of_a_permit_meets_the_clock() {
    check(|| {
        let (limiter, clock) = capped(1);
        let permit = limiter
            .try_acquire(Cost::tokens(1_000))
            .unwrap()
            .into_owned();
        let ending = thread::spawn(move || drop(permit));
        let waiting = acquiring(&limiter, 5);
        // With no place free no alarm is set; with one, the thread that frees it sets the alarm.
        clock.advance(MILLISECOND * 5);
        drop(waiting.join().unwrap().unwrap());
        ending.join().unwrap();
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn the_end_of_a_permit_meets_a_cancel() {
    check(|| {
        let (limiter, _clock) = capped(1);
        let permit = limiter.try_acquire(Cost::tokens(5)).unwrap().into_owned();
        let token = CancelToken::new();
        let waiting = acquiring_until_cancelled(&limiter, 5, &token);
        let ending = thread::spawn(move || drop(permit));
        token.cancel();
        ending.join().unwrap();
        match waiting.join().unwrap() {
            Ok(permit) => {
                assert_eq!(limiter.snapshot().in_flight, 1);
                drop(permit);
                assert_at_rest(&limiter, 990);
            }
            Err(AcquireError::Cancelled) => assert_at_rest(&limiter, 995),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn a_cap_that_is_lifted_meets_a_waiter() {
    check(|| {
        let (limiter, _clock) = capped(1);
        let permit = limiter.try_acquire(Cost::tokens(5)).unwrap().into_owned();
        let waiting = acquiring(&limiter, 5);
        limiter.set_limits(&with_cap(Limits::builder()));
        drop(waiting.join().unwrap().unwrap());
        drop(permit); // it has a place to give back, though they are not counted any more
        assert_at_rest(&limiter, 990);
    });
}
