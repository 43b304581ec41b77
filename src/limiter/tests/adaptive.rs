//! What an adaptive limiter makes of what a server says.

use std::thread;

use super::*;
use crate::limiter::AcquireOptions;
use crate::observation::{LimitStatus, Observation, Refusal, Scope};
use crate::{AcquireError, Cost};

/// A report on tokens.
fn report(limit: u64, remaining: u64, reset: Duration) -> LimitStatus {
    let mut report = LimitStatus::of(Unit::Tokens);
    report.limit = Some(limit);
    report.remaining = Some(remaining);
    report.reset = Some(reset);
    report
}

fn refusal(requested: u64, wait: Duration) -> Refusal {
    Refusal {
        unit: Some(Unit::Tokens),
        period: Some(SECOND * 60),
        requested: Some(requested),
        wait: Some(wait),
        ..Refusal::default()
    }
}

fn listening(limits: Limits) -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(limits).clock(&clock);
    (limiter.adaptive(Duration::ZERO).build(), clock)
}

fn per_minute(tokens: u64) -> Limits {
    Limits::tokens_per_minute(tokens).unwrap()
}

#[test]
fn guesses_yield_both_ways_and_what_is_stated_is_a_ceiling() {
    // limits, what the server says, the quotas then
    let table = [
        (per_minute(800_000).provisional(), 30_000, vec![30_000]),
        (per_minute(9_000).provisional(), 30_000, vec![30_000]),
        (per_minute(300_000), 30_000, vec![30_000]),
        (per_minute(30_000), 30_000, vec![30_000]),
        (per_minute(9_000), 30_000, vec![30_000, 9_000]),
    ];
    for (step, (limits, limit, expected)) in table.into_iter().enumerate() {
        let (limiter, _clock) = listening(limits);
        let mut permit = limiter.acquire(Cost::tokens(890)).unwrap();
        let said = report(limit, limit - 890, MILLISECOND * 1_780);
        permit.observe(&Observation::admitted().with(said));
        let amounts: Vec<u64> = quotas(&limiter).into_iter().map(|it| it.0).collect();
        assert_eq!(amounts, expected, "step {step}");
        assert!(limiter.snapshot().quotas[0].reported, "step {step}");
    }
}

#[test]
fn a_ceiling_holds_whenever_the_server_s_limit_is_larger() {
    let (limiter, clock) = listening(per_minute(9_000));
    let said = [30_000_u32, 6_000, 30_000];
    let expected: [&[u64]; 3] = [&[30_000, 9_000], &[6_000], &[30_000, 9_000]];
    for (step, (limit, expected)) in said.into_iter().zip(expected).enumerate() {
        clock.advance(SECOND * 60);
        let mut permit = limiter.acquire(Cost::tokens(100)).unwrap();
        let reset = Duration::from_secs_f64(6_000.0 / f64::from(limit));
        permit.observe(&Observation::admitted().with(report(
            limit.into(),
            u64::from(limit) - 100,
            reset,
        )));
        let amounts: Vec<u64> = quotas(&limiter).into_iter().map(|it| it.0).collect();
        assert_eq!(amounts, expected, "step {step}");
    }
    limiter.set_limits(&per_minute(3_000));
    let amounts: Vec<u64> = quotas(&limiter).into_iter().map(|it| it.0).collect();
    assert_eq!(amounts, [30_000, 3_000]);
}

#[test]
fn a_limit_that_is_stated_no_longer_holds_nothing_until_the_server_says_it() {
    let both = Limits::builder()
        .tokens_per_minute(600)
        .requests_per_minute(60);
    let (limiter, clock) = listening(both.build().unwrap());
    let requests = Limits::builder()
        .requests_per_minute(60_000)
        .build()
        .unwrap();
    limiter.set_limits(&requests);
    clock.advance(SECOND);
    assert_eq!(quotas(&limiter).len(), 1, "tokens are shown no more");
    let mut permit = limiter.try_acquire(Cost::tokens(1_000_000)).unwrap();
    permit.observe(&Observation::admitted());
    drop(limiter.try_acquire(Cost::tokens(1_000_000)).unwrap());
    clock.advance(SECOND);
    let mut permit = limiter.try_acquire(Cost::tokens(10)).unwrap();
    permit.observe(&Observation::admitted().with(report(600, 0, SECOND * 60)));
    let (amount, level) = quotas(&limiter)[0];
    assert_eq!(amount, 600);
    assert!((-10..=0).contains(&level), "{level}");
}

#[test]
fn a_day_s_limit_stands_beside_the_minute_s() {
    let (limiter, clock) = listening(per_minute(30_000));
    let mut permit = limiter.acquire(Cost::tokens(10)).unwrap();
    let mut said = LimitStatus::of(Unit::Requests);
    (said.limit, said.remaining) = (Some(10_000), Some(9_990));
    said.reset = Some(MILLISECOND * 86_400);
    permit.observe(&Observation::admitted().with(said));
    let day = limiter.snapshot().quotas[1];
    assert_eq!(day.quota.to_string(), "10000 requests per day");
    assert_eq!(day.level, 9_990);
    clock.advance(SECOND * 9);
    assert_eq!(limiter.snapshot().quotas[1].level, 9_991);
}

#[test]
fn a_project_s_limit_stands_beside_the_account_s() {
    let (limiter, _clock) = listening(per_minute(30_000).provisional());
    let mut permit = limiter.acquire(Cost::tokens(300)).unwrap();
    let account = report(60_000, 59_700, MILLISECOND * 300);
    let mut project = report(6_000, 5_700, SECOND * 3);
    project.scope = Scope::Project;
    permit.observe(&Observation::admitted().with(account).with(project));
    let amounts: Vec<u64> = quotas(&limiter).into_iter().map(|it| it.0).collect();
    assert_eq!(amounts, [60_000, 6_000]);
}

#[test]
fn an_older_answer_takes_back_no_newer_limit() {
    let (limiter, clock) = listening(per_minute(60_000));
    let mut old = limiter.acquire(Cost::tokens(100)).unwrap();
    clock.advance(SECOND);
    let mut new = limiter.acquire(Cost::tokens(100)).unwrap();
    // Both of a bucket of one second.
    new.observe(&Observation::admitted().with(report(30_000, 400, MILLISECOND * 200)));
    old.observe(&Observation::admitted().with(report(60_000, 900, MILLISECOND * 100)));
    assert_eq!(quotas(&limiter), [(30_000, 400)]);
    assert_eq!(limiter.snapshot().quotas[0].quota.burst(), 499);
}

#[test]
fn a_refusal_pauses_all_and_gives_back_what_was_not_charged() {
    let (limiter, clock) = listening(per_minute(60_000)); // 1,000 a second
    let mut refused = limiter.acquire(Cost::tokens(300)).unwrap();
    thread::scope(|scope| {
        refused.observe(&Observation::refused(refusal(300, SECOND * 2)));
        assert_eq!(refused.cost(), Cost::default(), "it was not charged");
        assert_eq!(limiter.snapshot().paused_for, SECOND * 2);
        let other = scope.spawn(|| limiter.acquire(Cost::tokens(1)).unwrap().waited());
        until_waiting(&limiter, 1);
        let turn = refused.keep_place();
        let again = scope.spawn(|| {
            turn.acquire(Cost::tokens(300), AcquireOptions::new())
                .unwrap()
                .waited()
        });
        until_waiting(&limiter, 2);
        clock.advance(SECOND * 2);
        assert_eq!(again.join().unwrap(), SECOND * 2, "as told, and first");
        // What was left then is what the server said: nothing more than the request.
        clock.advance(MILLISECOND);
        assert_eq!(other.join().unwrap(), SECOND * 2 + MILLISECOND);
    });
}

#[test]
fn a_refusal_that_says_nothing_keeps_its_charge() {
    let (limiter, _clock) = listening(per_minute(60_000));
    let mut refused = limiter.acquire(Cost::tokens(300)).unwrap();
    refused.observe(&Observation::refused(Refusal::default()));
    assert_eq!(refused.cost(), Cost::tokens(300));
    // One is held back for rounding.
    assert_eq!(quotas(&limiter), [(60_000, 59_699)]);
}

#[test]
fn a_limiter_that_does_not_listen_still_obeys_a_pause() {
    let (limiter, _clock) = thousand_a_second();
    let mut permit = limiter.acquire(Cost::tokens(300)).unwrap();
    permit.observe(&Observation::refused(refusal(300, SECOND * 2)));
    permit.observe(&Observation::admitted().with(report(7, 7, SECOND)));
    assert_eq!(limiter.snapshot().paused_for, SECOND * 2);
    assert_eq!(quotas(&limiter), [(1_000, 700)]);
    assert_eq!(permit.cost(), Cost::tokens(300));
}

#[test]
fn an_overloaded_server_is_met_again_at_half_speed() {
    let (limiter, clock) = listening(per_minute(60_000));
    let mut permit = limiter.acquire(Cost::tokens(1)).unwrap();
    permit.observe(&Observation::overloaded());
    drop(limiter.acquire(Cost::tokens(250)).unwrap()); // what goes at once: half of a half second
    let refused = limiter.try_acquire(Cost::tokens(250));
    assert!(
        matches!(refused, Err(AcquireError::WouldBlock { wait }) if wait >= MILLISECOND * 500),
        "{refused:?}"
    );
    clock.advance(MILLISECOND * 502);
    let mut later = limiter.try_acquire(Cost::tokens(250)).unwrap();
    later.observe(&Observation::admitted());
    drop(limiter.try_acquire(Cost::tokens(250)).unwrap_err());
    clock.advance(MILLISECOND * 334); // at 0.75 of the rate
    drop(limiter.try_acquire(Cost::tokens(250)).unwrap());
}

#[test]
fn a_large_first_request_holds_up_nobody_once_its_answer_is_there() {
    let (limiter, clock) = listening(per_minute(30_000).provisional());
    let mut first = limiter.acquire(Cost::tokens(16_000)).unwrap();
    let refused = limiter.try_acquire(Cost::tokens(1_000));
    assert!(refused.is_err(), "a guess is not spent at once");
    let predicted = limiter.predicted_wait(Cost::tokens(1_000)).unwrap();
    assert_eq!(
        predicted,
        Duration::ZERO,
        "the first answer ends the careful start"
    );
    first.observe(&Observation::admitted().with(report(30_000, 14_000, SECOND * 32)));
    clock.advance(MILLISECOND * 10);
    drop(limiter.try_acquire(Cost::tokens(100)).unwrap());
}

#[test]
fn a_limit_that_an_answer_names_is_confirmed_by_it() {
    let (limiter, _clock) = listening(per_minute(30_000));
    let mut first = limiter.acquire(Cost::tokens(10)).unwrap();
    let mut said = LimitStatus::of(Unit::Requests);
    (said.limit, said.remaining) = (Some(600), Some(599));
    said.reset = Some(MILLISECOND * 100);
    first.observe(&Observation::admitted().with(said));
    for count in 0..4 {
        let granted = limiter.try_acquire(Cost::tokens(10));
        assert!(granted.is_ok(), "request {count}: {granted:?}");
    }
}

#[test]
fn a_project_s_refusal_is_the_project_s() {
    let (limiter, clock) = listening(per_minute(30_000).provisional());
    let account = report(30_000, 29_000, SECOND * 2);
    let mut project = report(6_000, 5_000, SECOND * 10);
    project.scope = Scope::Project;
    let mut first = limiter.acquire(Cost::tokens(1_000)).unwrap();
    first.observe(&Observation::admitted().with(account).with(project));
    clock.advance(SECOND);

    let mut refused = limiter.acquire(Cost::tokens(300)).unwrap();
    project.remaining = Some(100);
    let mut why = refusal(300, SECOND * 2);
    why.limit = Some(6_000);
    refused.observe(&Observation::refused(why).with(account).with(project));
    let levels = quotas(&limiter);
    assert_eq!([levels[0].0, levels[1].0], [30_000, 6_000]);
    assert!(
        levels[0].1 > 28_000,
        "the account's is as it was: {levels:?}"
    );
    assert!(
        (98..=100).contains(&levels[1].1),
        "the project's is what it said: {levels:?}"
    );
}

#[test]
fn a_minute_s_limit_that_looked_like_a_day_s_is_found_out() {
    let (limiter, clock) = listening(per_minute(2_000_000).provisional());
    let mut first = limiter.acquire(Cost::tokens(1_000)).unwrap();
    // A window, 43 s before its end: 43.2 s is also the part of a day that was used.
    first.observe(&Observation::admitted().with(report(2_000_000, 1_999_000, SECOND * 43)));
    assert_eq!(quotas(&limiter).len(), 2);
    clock.advance(SECOND * 10);
    let mut next = limiter.acquire(Cost::tokens(1_000)).unwrap();
    next.observe(&Observation::admitted().with(report(2_000_000, 1_998_000, SECOND * 33)));
    let shown = limiter.snapshot().quotas;
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(shown[0].quota.period(), SECOND * 60);
}

#[test]
fn refusals_in_spite_of_waiting_make_the_wait_longer() {
    let (limiter, clock) = listening(per_minute(60_000));
    let mut permit = limiter.acquire(Cost::tokens(10)).unwrap();
    let mut waits = Vec::new();
    for _ in 0..4 {
        permit.observe(&Observation::refused(refusal(10, MILLISECOND * 10)));
        waits.push(limiter.snapshot().paused_for);
        clock.advance(SECOND * 5);
        let again = permit
            .keep_place()
            .acquire(Cost::tokens(10), AcquireOptions::new());
        permit = again.unwrap();
    }
    assert_eq!(waits, [10, 150, 300, 600].map(|wait| MILLISECOND * wait));
}

#[test]
fn what_is_stated_is_a_ceiling_even_where_only_what_remains_is_said() {
    let (limiter, clock) = listening(per_minute(6_000)); // 100 a second
    let mut granted = 0;
    for _ in 0..300 {
        if let Ok(mut permit) = limiter.try_acquire(Cost::tokens(100)) {
            granted += 100;
            let mut said = LimitStatus::of(Unit::Tokens);
            said.remaining = Some(5_000); // whatever is taken: it has far more
            permit.observe(&Observation::admitted().with(said));
        }
        clock.advance(MILLISECOND * 200);
    }
    // A minute and a full bucket, and what a learned charge is off by.
    assert!((11_000..=12_400).contains(&granted), "{granted}");
}

#[test]
fn a_limit_that_one_response_reports_refuses_nothing_before_a_second_one_does() {
    for is_true in [true, false] {
        let (limiter, clock) = listening(per_minute(60_000));
        let mut first = limiter.acquire(Cost::tokens(100)).unwrap();
        first.observe(&Observation::admitted().with(report(1_000, 900, SECOND * 6)));
        let mut probe = limiter.try_acquire(Cost::tokens(2_000)).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| limiter.acquire(Cost::tokens(2_000)).map(drop));
            until_waiting(&limiter, 1);
            let predicted = limiter.predicted_wait(Cost::tokens(10)).unwrap();
            assert!(
                predicted > SECOND,
                "others wait for the probe: {predicted:?}"
            );
            let second = match is_true {
                true => report(1_000, 0, SECOND * 60),
                false => report(60_000, 57_900, MILLISECOND * 2_100),
            };
            probe.observe(&Observation::admitted().with(second));
            clock.advance(SECOND * 5);
            let then = waiting.join().unwrap();
            match is_true {
                true => assert!(
                    matches!(then, Err(AcquireError::TooLarge { amount: 1_000, .. })),
                    "{then:?}"
                ),
                false => then.unwrap(),
            }
        });
        let refused = limiter.try_acquire(Cost::tokens(1_001)).err();
        let is_too_large = matches!(refused, Some(AcquireError::TooLarge { .. }));
        assert_eq!(is_too_large, is_true, "{refused:?}");
    }
}

#[test]
fn a_response_that_reports_a_limit_twice_counts_once_and_one_that_is_stated_is_known() {
    let (limiter, _clock) = listening(per_minute(60_000));
    let mut first = limiter.acquire(Cost::tokens(100)).unwrap();
    let mut both = refusal(100, SECOND);
    both.limit = Some(1_000);
    let said = report(1_000, 0, SECOND * 60);
    first.observe(&Observation::refused(both).with(said));
    let refused = limiter.try_acquire(Cost::tokens(2_000)).err();
    assert!(
        matches!(refused, Some(AcquireError::WouldBlock { .. })),
        "{refused:?}"
    );

    let (limiter, _clock) = listening(per_minute(1_000));
    let mut first = limiter.acquire(Cost::tokens(100)).unwrap();
    first.observe(&Observation::admitted().with(report(1_000, 900, SECOND * 6)));
    let refused = limiter.try_acquire(Cost::tokens(2_000)).err();
    assert!(
        matches!(refused, Some(AcquireError::TooLarge { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_limit_that_one_response_alone_reports_holds_no_run_up() {
    let (limiter, clock) = listening(per_minute(60_000));
    let mut first = limiter.acquire(Cost::tokens(15)).unwrap();
    first.observe(&Observation::admitted().with(report(20, 5, SECOND * 45)));
    for request in 0..20 {
        let probe = limiter.try_acquire(Cost::tokens(450));
        let mut probe = probe.unwrap_or_else(|error| panic!("request {request}: {error}"));
        let next = limiter.try_acquire(Cost::tokens(450)).err();
        assert!(
            matches!(next, Some(AcquireError::WouldBlock { .. })),
            "{request}: {next:?}"
        );
        probe.observe(&Observation::admitted());
        clock.advance(SECOND); // the debt alone would take 22 minutes
    }
}
