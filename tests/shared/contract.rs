//! What holds for any limiter: by the same tests for one of this process and for one that is shared.

use std::thread;
use std::time::{Duration, Instant};

use paceline::{
    AcquireError, AcquireOptions, CancelToken, Cost, LimitStatus, Limits, Observation, Priority,
    Quota, RateLimiter, Refusal, Unit,
};

use super::server::Server;
use super::support::{SECOND, SOON, limiter, store, tokens, until};

/// Runs a test with a limiter of this process, and with one that is shared.
fn with_both(limits: &Limits, test: impl Fn(&RateLimiter)) {
    test(&RateLimiter::new(limits.clone()));
    if let Some(server) = Server::start() {
        test(&limiter(&server.url(), limits.clone()));
    }
}

/// Five tokens an hour, of which there is nothing yet: nothing is granted.
fn never() -> Limits {
    let quota = Quota::per_hour(Unit::Tokens, 5).unwrap();
    Limits::builder()
        .quota(quota.with_initial(0))
        .build()
        .unwrap()
}

#[test]
fn what_never_fits_is_refused_at_once() {
    with_both(&tokens(100), |limiter| {
        let refused = limiter.acquire(Cost::tokens(101)).map(drop);
        assert!(
            matches!(refused, Err(AcquireError::TooLarge { .. })),
            "{refused:?}"
        );
    });
}

#[test]
fn waits_end_by_deadlines_tokens_and_closing() {
    with_both(&never(), |limiter| {
        let start = Instant::now();
        let late = limiter.acquire_timeout(Cost::tokens(1), Duration::from_millis(200));
        assert!(
            matches!(late, Err(AcquireError::DeadlineExceeded { .. })),
            "{late:?}"
        );
        let tried = limiter.try_acquire(Cost::tokens(1)).map(drop);
        assert!(
            matches!(tried, Err(AcquireError::WouldBlock { .. })),
            "{tried:?}"
        );
        let token = CancelToken::new();
        thread::scope(|scope| {
            let cancelled = scope.spawn(|| {
                let wait = AcquireOptions::new().cancel(&token);
                limiter.acquire_with(Cost::tokens(1), wait).map(drop)
            });
            let closed = scope.spawn(|| limiter.acquire(Cost::tokens(1)).map(drop));
            until("both wait", || limiter.snapshot().waiters == 2);
            token.cancel();
            assert!(matches!(
                cancelled.join().unwrap(),
                Err(AcquireError::Cancelled)
            ));
            limiter.close();
            assert!(matches!(closed.join().unwrap(), Err(AcquireError::Closed)));
        });
        assert!(start.elapsed() < SOON);
    });
}

#[test]
fn a_deadline_that_cannot_be_met_ends_the_wait_at_once() {
    with_both(&never(), |limiter| {
        let start = Instant::now();
        let late = limiter.acquire_timeout(Cost::tokens(1), SECOND * 300);
        assert!(
            matches!(late, Err(AcquireError::DeadlineExceeded { .. })),
            "{late:?}"
        );
        assert!(start.elapsed() < SOON);
    });
}

#[test]
fn every_window_holds_the_limit_and_everything_is_granted_in_time() {
    let limits = tokens(400);
    with_both(&limits, |limiter| {
        let granted = std::sync::Mutex::new(Vec::new());
        thread::scope(|scope| {
            for thread in 1..=8 {
                let granted = &granted;
                scope.spawn(move || {
                    for step in 0..10 {
                        let cost = 1 + (thread * 7 + step * 3) % 19;
                        let permit = limiter.acquire(Cost::tokens(cost)).unwrap();
                        granted.lock().unwrap().push((Instant::now(), cost));
                        drop(permit);
                    }
                });
            }
        });
        let mut granted = granted.into_inner().unwrap();
        granted.sort();
        let first = granted[0].0;
        let seconds: Vec<_> = granted
            .iter()
            .map(|(at, cost)| ((*at - first).as_secs_f64(), *cost))
            .collect();
        let sum: u64 = granted.iter().map(|(_, cost)| cost).sum();
        let took = seconds[seconds.len() - 1].0;
        let least = (sum as f64 - 40.0 - 19.0) / 400.0;
        assert!(took >= least - 0.01, "{sum} in {took} s");
        assert!(took <= least * 1.5 + 2.0, "{sum} in {took} s");
        // The burst, and what may be late by a quarter of a second.
        let most = super::workers::ahead_of(400, &seconds);
        assert!(most <= 40.0 + 100.0, "{most}");
    });
}

#[test]
fn interactive_work_goes_first_and_batch_work_does_not_starve() {
    with_both(&tokens(50), |limiter| {
        limiter.acquire(Cost::tokens(5)).map(drop).unwrap();
        let order = std::sync::Mutex::new(Vec::new());
        thread::scope(|scope| {
            for (count, priority) in [(4, Priority::Batch), (8, Priority::Interactive)] {
                for _ in 0..count {
                    let (before, order) = (limiter.snapshot().waiters, &order);
                    scope.spawn(move || {
                        let wait = AcquireOptions::new().priority(priority);
                        limiter
                            .acquire_with(Cost::tokens(25), wait)
                            .map(drop)
                            .unwrap();
                        order.lock().unwrap().push(priority);
                    });
                    until("it stands in line", || {
                        limiter.snapshot().waiters > before || before == 0
                    });
                }
            }
        });
        let order = order.into_inner().unwrap();
        let batch = order[..8]
            .iter()
            .filter(|priority| **priority == Priority::Batch);
        let batch = batch.count();
        assert!((1..=4).contains(&batch), "{order:?}");
    });
}

#[test]
fn a_cost_above_the_burst_passes_and_leaves_a_debt() {
    with_both(&tokens(200), |limiter| {
        limiter.acquire(Cost::tokens(100)).map(drop).unwrap();
        let start = Instant::now();
        limiter.acquire(Cost::tokens(10)).map(drop).unwrap();
        // 80 of debt and 10 more come in, a shared one's time counted from its booking.
        assert!(
            start.elapsed() >= Duration::from_millis(300),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn what_was_reserved_too_much_serves_the_next() {
    let quota = Quota::per_hour(Unit::Tokens, 1_000).unwrap();
    let limits = Limits::builder().quota(quota).build().unwrap();
    let local = RateLimiter::new(limits.clone());
    let Some(server) = Server::start() else {
        return;
    };
    let full = paceline::SharedStore::builder(&server.url()).start_full(true);
    let shared = RateLimiter::builder(limits)
        .share(&full.build().unwrap(), "m")
        .build();
    for limiter in [local, shared] {
        let permit = limiter.acquire(Cost::tokens(900)).unwrap();
        thread::scope(|scope| {
            let next = scope.spawn(|| limiter.acquire(Cost::tokens(500)).map(drop));
            until("it waits", || limiter.snapshot().waiters == 1);
            permit.settle(Cost::tokens(100));
            next.join().unwrap().unwrap();
        });
    }
}

#[test]
fn many_threads_are_granted_the_limit_in_few_trips() {
    let Some(server) = Server::start() else {
        return;
    };
    let limiter = limiter(&server.url(), tokens(2_000));
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                for _ in 0..40 {
                    limiter.acquire(Cost::tokens(1)).map(drop).unwrap();
                }
            });
        }
    });
    let took = start.elapsed();
    // 4,000 at 2,000 a second.
    assert!(took >= SECOND * 19 / 10, "{took:?}");
    assert!(took < SECOND * 10, "{took:?}");
    let seen = limiter.snapshot().store.unwrap();
    eprintln!("{took:?} {seen:?}");
    assert_eq!(seen.booked, 4_000);
    assert!(seen.syncs < 400, "{seen:?}");
}

#[test]
fn one_process_s_refusal_holds_back_all_and_so_do_its_limits() {
    let Some(server) = Server::start() else {
        return;
    };
    let [one, two] = [0; 2].map(|_| limiter(&server.url(), tokens(1_000)));
    two.acquire(Cost::tokens(1)).map(drop).unwrap();
    let mut permit = one.acquire(Cost::tokens(1)).unwrap();
    let mut refusal = Refusal::default();
    refusal.wait = Some(SECOND * 2);
    let refused = Instant::now();
    permit.observe(&Observation::refused(refusal));
    drop(permit);
    until("the store knows", || {
        server.say(&["HGET", "paceline:{m}:state", "pause"]) != "0"
    });
    two.acquire(Cost::tokens(1)).map(drop).unwrap();
    assert!(
        refused.elapsed() >= SECOND * 19 / 10,
        "{:?}",
        refused.elapsed()
    );
    assert!(refused.elapsed() < SOON);

    one.set_limits(&tokens(70));
    until("the other knows", || {
        let _ = two.try_acquire(Cost::tokens(1));
        two.snapshot().quotas[0].quota.amount() == 70
    });
    let too_large = two.acquire(Cost::tokens(71)).map(drop);
    assert!(
        matches!(too_large, Err(AcquireError::TooLarge { .. })),
        "{too_large:?}"
    );
}

#[test]
fn a_limit_that_the_server_names_holds_for_all_and_a_guess_gives_way() {
    let Some(server) = Server::start() else {
        return;
    };
    let limiter = |limits: Limits| {
        let listens = RateLimiter::builder(limits).adaptive(Duration::ZERO);
        listens.share(&store(&server.url()), "m").build()
    };
    let minute = |amount| Limits::tokens_per_minute(amount).unwrap();
    let [one, two] = [0; 2].map(|_| limiter(minute(800_000).provisional()));
    let amount = |limiter: &RateLimiter| limiter.snapshot().quotas[0].quota.amount();
    let tell = |limiter: &RateLimiter, limit: u64| {
        let mut permit = limiter.acquire(Cost::tokens(1)).unwrap();
        let mut report = LimitStatus::of(Unit::Tokens);
        (report.limit, report.remaining) = (Some(limit), Some(limit - 1));
        permit.observe(&Observation::admitted().with(report));
    };
    tell(&one, 30_000);
    until("the other knows", || {
        two.acquire(Cost::tokens(1)).map(drop).unwrap();
        amount(&two) == 30_000
    });
    // What a user states is a ceiling, and holds for all.
    let stated = limiter(minute(20_000));
    stated.acquire(Cost::tokens(1)).map(drop).unwrap();
    assert_eq!(amount(&stated), 20_000);
    tell(&stated, 30_000);
    tell(&stated, 10_000);
    until("the other knows", || {
        two.acquire(Cost::tokens(1)).map(drop).unwrap();
        amount(&two) == 10_000
    });
}

#[test]
fn a_cap_in_flight_holds_for_each_process_and_books_nothing_that_it_keeps_waiting() {
    let Some(server) = Server::start() else {
        return;
    };
    let quota = Quota::per_second(Unit::Tokens, 100).unwrap();
    let limits = Limits::builder().quota(quota.with_burst(10)).in_flight(2);
    let one = limiter(&server.url(), limits.build().unwrap());
    let held = [0; 2].map(|_| one.acquire(Cost::tokens(1)).unwrap());
    let tried = one.try_acquire(Cost::tokens(1)).map(drop);
    assert!(
        matches!(tried, Err(AcquireError::WouldBlock { .. })),
        "{tried:?}"
    );
    thread::scope(|scope| {
        let waits: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| one.acquire(Cost::tokens(1)).map(drop)))
            .collect();
        until("they wait", || one.snapshot().waiters == 4);
        thread::sleep(SECOND * 3);
        let store = one.snapshot().store.unwrap();
        assert_eq!(store.booked, 2, "nobody can use more");
        drop(held);
        for waits in waits {
            waits.join().unwrap().unwrap();
        }
    });
}

#[test]
fn two_limiters_of_one_store_and_name_hold_one_limit() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = store(&server.url());
    let limiters = [0; 2].map(|_| RateLimiter::builder(tokens(100)).share(&store, "m").build());
    let start = Instant::now();
    thread::scope(|scope| {
        for limiter in &limiters {
            scope.spawn(|| {
                for _ in 0..20 {
                    limiter.acquire(Cost::tokens(5)).map(drop).unwrap();
                }
            });
        }
    });
    // 200 at 100 a second, with nothing in the bucket at first.
    assert!(start.elapsed() >= SECOND * 19 / 10, "{:?}", start.elapsed());
}

#[test]
fn a_pause_ends_before_its_time_for_all() {
    let Some(server) = Server::start() else {
        return;
    };
    let [one, two] = [0; 2].map(|_| limiter(&server.url(), tokens(1_000)));
    one.acquire(Cost::tokens(1)).map(drop).unwrap();
    one.pause_until(one.clock().now() + SECOND * 600);
    until("the store knows", || {
        server.say(&["HGET", "paceline:{m}:state", "pause"]) != "0"
    });
    thread::scope(|scope| {
        let waits = scope.spawn(|| two.acquire(Cost::tokens(1)).map(drop));
        until("it knows of the pause", || {
            two.snapshot().paused_for > SECOND
        });
        one.resume();
        waits.join().unwrap().unwrap();
    });
}

#[test]
fn nobody_waiting_means_no_trips_and_the_thread_ends_with_the_limiter() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = store(&server.url());
    let limiter = RateLimiter::builder(tokens(1_000))
        .share(&store, "m")
        .build();
    limiter.acquire(Cost::tokens(1)).map(drop).unwrap();
    thread::sleep(SECOND); // what is said with delay is said
    let commands = || {
        let info = server.say(&["INFO", "commandstats"]);
        let line = info
            .lines()
            .find(|line| line.contains("evalsha"))
            .map(str::to_owned);
        line.unwrap_or_default()
    };
    let before = commands();
    thread::sleep(SECOND * 2);
    assert_eq!(commands(), before);
    drop(limiter);
    drop(store); // joins it
    until("its connection is closed", || {
        server.say(&["CLIENT", "LIST"]).lines().count() == 1
    });
}
