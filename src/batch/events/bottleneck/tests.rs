//! Each bottleneck alone, and which of two is named.

use super::*;
use crate::{AcquireOptions, Cost, Limits, ManualClock, RateLimiter, Unit};

const SECOND: Duration = Duration::from_secs(1);

/// A limiter at which a request waits, and what it shows then.
fn held(limits: Limits, cost: Cost, before: impl FnOnce(&RateLimiter, &ManualClock)) -> Snapshot {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(limits).clock(&clock).build();
    before(&limiter, &clock);
    std::thread::scope(|scope| {
        let stop = crate::CancelToken::new();
        let waiting = scope.spawn({
            let (limiter, stop) = (limiter.clone(), stop.clone());
            move || {
                limiter
                    .acquire_with(cost, AcquireOptions::new().cancel(&stop))
                    .map(drop)
            }
        });
        while limiter.snapshot().waiters == 0 {
            std::thread::yield_now();
        }
        let snapshot = limiter.snapshot();
        stop.cancel();
        let _ = waiting.join();
        snapshot
    })
}

fn of(model: &str, waiting: u64, snapshot: Snapshot) -> LimiterFacts {
    LimiterFacts {
        model: model.to_owned(),
        waiting,
        snapshot,
        pause: Some("rate limit of m (429)".to_owned()),
    }
}

fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = Facts {
        most: (InFlightCap::Memory, 8),
        ..Facts::default()
    };
    change(&mut facts);
    facts
}

fn used_up() -> Snapshot {
    let limits = Limits::tokens_per_minute(6_000).unwrap();
    held(limits, Cost::tokens(100), |limiter, _| {
        drop(limiter.acquire(Cost::tokens(6_000)));
    })
}

#[test]
fn what_stops_everything_is_named_before_what_requests_wait_for() {
    let hold = Hold::Suspicion("alike".to_owned());
    let all = |facts: &mut Facts| {
        (facts.is_stopped, facts.has_backpressure) = (true, true);
        facts.hold = Some(hold.clone());
        facts.limiters = vec![of("m", 5, used_up())];
        (facts.claiming, facts.sending, facts.retried, facts.ready) = (1, 8, 8, 1);
        (facts.waiting, facts.is_open) = (5, true);
        facts.capped_by = Some((InFlightCap::Memory, 8));
    };
    let limit = Bottleneck::Limit {
        model: "m".to_owned(),
        quota: Quota::per_minute(Unit::Tokens, 6_000).unwrap(),
        origin: LimitOrigin::Stated,
        wait: SECOND,
        debt: 0,
    };
    let retries = Bottleneck::Retries {
        retried: 8,
        in_flight: 8,
    };
    // Each step takes away what the one before named.
    type Change = fn(&mut Facts);
    let steps: [(Change, Bottleneck); 9] = [
        (|_| {}, Bottleneck::Stopping { in_flight: 8 }),
        (|it| it.is_stopped = false, Bottleneck::Disk),
        (
            |it| it.has_backpressure = false,
            Bottleneck::Held(hold.clone()),
        ),
        (|it| it.hold = None, limit),
        (|it| it.limiters.clear(), Bottleneck::Budget),
        (|it| it.claiming = 0, retries),
        (
            |it| it.retried = 3,
            Bottleneck::MaxInFlight {
                most: 8,
                cap: InFlightCap::Memory,
            },
        ),
        (|it| (it.ready, it.waiting) = (0, 0), Bottleneck::Input),
        (
            |it| it.is_open = false,
            Bottleneck::Latency { in_flight: 8 },
        ),
    ];
    let mut facts = facts(all);
    for (step, (change, expected)) in steps.into_iter().enumerate() {
        change(&mut facts);
        assert_eq!(facts.bottleneck(), expected, "step {step}");
    }
    facts.sending = 0;
    assert_eq!(facts.bottleneck(), Bottleneck::Nothing, "all is done");
}

#[test]
fn one_that_waits_for_a_free_place_is_held_by_the_cap() {
    let table = [(0, true, true), (1, false, true), (0, false, false)];
    for (step, (ready, is_full, is_capped)) in table.into_iter().enumerate() {
        let facts = facts(|it| {
            (it.waiting, it.sending) = (100, 7);
            it.ready = ready;
            it.capped_by = is_full.then_some((InFlightCap::Memory, 8));
        });
        let expected = match is_capped {
            true => Bottleneck::MaxInFlight {
                most: 8,
                cap: InFlightCap::Memory,
            },
            false => Bottleneck::Nothing,
        };
        assert_eq!(facts.bottleneck(), expected, "step {step}");
    }
}

#[test]
fn what_the_first_in_the_queue_waits_for_is_named() {
    let tokens = Limits::tokens_per_minute(6_000).unwrap();
    let cost = Cost::tokens(100);
    let pause = held(tokens.clone(), cost, |limiter, clock| {
        limiter.pause_until(clock.now() + 660 * SECOND);
    });
    let expected = Bottleneck::Pause {
        model: "m".to_owned(),
        left: 660 * SECOND,
        reason: Some("rate limit of m (429)".to_owned()),
    };
    assert_eq!(of("m", 1, pause).bottleneck(), expected);

    let capped = Limits::builder().tokens_per_minute(6_000).in_flight(1);
    let place = held(capped.build().unwrap(), cost, |limiter, _| {
        let taken = limiter.acquire(cost).unwrap();
        std::mem::forget(taken.into_owned());
    });
    let expected = Bottleneck::InFlight {
        model: "m".to_owned(),
        most: 1,
    };
    assert_eq!(of("m", 1, place).bottleneck(), expected);

    // Far more is left than it costs, and still it is not due: a careful start lets it go later.
    let mut careful = used_up();
    careful.quotas[0].level = 5_000;
    let expected = Bottleneck::CarefulStart {
        model: "m".to_owned(),
    };
    assert_eq!(of("m", 1, careful).bottleneck(), expected);
}

#[test]
fn of_several_models_the_one_is_named_that_most_requests_wait_for() {
    let limiters = [("a", 3), ("b", 40), ("c", 0)];
    let facts = facts(|it| {
        let limiters = limiters.into_iter();
        it.limiters = limiters
            .map(|(model, waiting)| of(model, waiting, used_up()))
            .collect();
    });
    let Bottleneck::Limit { model, .. } = facts.bottleneck() else {
        panic!("{:?}", facts.bottleneck());
    };
    assert_eq!(model, "b");
}
