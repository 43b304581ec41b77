//! Waiters that are cancelled or refused, and what that means to others.

use super::*;

#[test]
fn cancel_meets_a_waiter() {
    check(|| {
        let (limiter, _clock) = empty();
        let token = CancelToken::new();
        let waiting = acquiring_until_cancelled(&limiter, 1, &token);
        token.cancel();
        assert!(matches!(
            waiting.join().unwrap(),
            Err(AcquireError::Cancelled)
        ));
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn cancel_meets_a_grant_and_one_of_them_wins() {
    check(|| {
        let (limiter, clock) = empty();
        let token = CancelToken::new();
        let waiting = acquiring_until_cancelled(&limiter, 5, &token);
        let cancelling = thread::spawn(move || token.cancel());
        clock.advance(MILLISECOND * 5);
        cancelling.join().unwrap();
        match waiting.join().unwrap() {
            Ok(_permit) => assert_at_rest(&limiter, 0),
            Err(AcquireError::Cancelled) => assert_at_rest(&limiter, 5),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn cancel_lets_the_next_one_pass() {
    check(|| {
        let (limiter, clock) = empty();
        let token = CancelToken::new();
        let head = acquiring_until_cancelled(&limiter, 900, &token);
        let next = acquiring(&limiter, 5);
        clock.advance(MILLISECOND * 5);
        token.cancel();
        assert!(matches!(head.join().unwrap(), Err(AcquireError::Cancelled)));
        drop(next.join().unwrap().unwrap());
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn cancel_brings_the_alarm_of_the_next_one_nearer() {
    check(|| {
        let (limiter, clock) = empty();
        let token = CancelToken::new();
        let head = acquiring_until_cancelled(&limiter, 900, &token);
        let next = acquiring(&limiter, 5);
        token.cancel();
        clock.advance(MILLISECOND * 5);
        assert!(matches!(head.join().unwrap(), Err(AcquireError::Cancelled)));
        drop(next.join().unwrap().unwrap());
        assert_at_rest(&limiter, 0);
    });
}

#[test]
fn two_tokens_call_back_their_own() {
    check_large(|| {
        let (limiter, clock) = empty();
        let tokens = [CancelToken::new(), CancelToken::new()];
        let first = acquiring_until_cancelled(&limiter, 900, &tokens[0]);
        let second = acquiring_until_cancelled(&limiter, 5, &tokens[1]);
        tokens[0].cancel();
        assert!(matches!(
            first.join().unwrap(),
            Err(AcquireError::Cancelled)
        ));
        clock.advance(MILLISECOND * 5);
        tokens[1].cancel();
        match second.join().unwrap() {
            Ok(_permit) => assert_at_rest(&limiter, 0),
            Err(AcquireError::Cancelled) => assert_at_rest(&limiter, 5),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn one_token_calls_back_from_two_lines() {
    check_large(|| {
        let ((one, _), (other, _)) = (empty(), empty());
        let token = CancelToken::new();
        let waiting = [&one, &other].map(|limiter| acquiring_until_cancelled(limiter, 5, &token));
        token.cancel();
        for waiting in waiting {
            assert!(matches!(
                waiting.join().unwrap(),
                Err(AcquireError::Cancelled)
            ));
        }
        assert_at_rest(&one, 0);
        assert_at_rest(&other, 0);
    });
}

#[test]
fn of_two_who_join_a_line_for_one_exactly_one_is_turned_away() {
    check(|| {
        let clock = ManualClock::new();
        let limits = Limits::tokens_per_minute(60_000).unwrap();
        let limiter = RateLimiter::builder(limits).clock(&clock).max_waiters(1);
        let limiter = limiter.build();
        drop(limiter.try_acquire(Cost::tokens(60_000)).unwrap());
        let joining = [(); 2].map(|()| {
            let (limiter, clock) = (limiter.clone(), clock.clone());
            thread::spawn(move || match limiter.acquire(Cost::tokens(5)) {
                Ok(_permit) => 0,
                Err(AcquireError::QueueFull { waiters: 1 }) => {
                    clock.advance(MILLISECOND * 5); // the other one's turn
                    1
                }
                Err(error) => panic!("{error}"),
            })
        });
        let turned_away: u64 = joining.map(|one| one.join().unwrap()).iter().sum();
        assert_eq!(turned_away, 1);
        assert_eq!(limiter.snapshot().counters.queue_full, 1);
        assert_at_rest(&limiter, 0);
    });
}
