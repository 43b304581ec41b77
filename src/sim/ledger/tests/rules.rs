//! Windows, days, neighbours, changes, costly refusals and what is given back.

use super::super::super::config::NeighbourRule;
use super::super::super::fraction::WHOLE;
use super::super::super::rule::DAY;
use super::*;

fn one(counted: Counted, rule: Rule, neighbour: Option<NeighbourRule>) -> Ledger {
    Ledger {
        accounts: vec![Account::new(counted, rule, neighbour)],
        refusals_cost_requests: false,
    }
}

fn windows(limit: u64, seconds: u64) -> Rule {
    Rule {
        windows: true,
        ..rule(limit, Duration::from_secs(seconds))
    }
}

fn changing(steps: &[(u64, Option<u64>)], burst: Duration) -> Rule {
    let steps = steps.iter().map(|(at, limit)| (at * SECOND, *limit));
    Rule {
        steps: steps.collect(),
        ..rule(0, burst)
    }
}

fn neighbour(tenths: u64, every: Duration) -> NeighbourRule {
    NeighbourRule {
        share: tenths * WHOLE / 10,
        every,
    }
}

/// Each step: at which second, how many tokens, and how long to wait in ms if refused.
fn play(name: &str, ledger: &mut Ledger, table: &[(u64, u64, Option<u64>)]) {
    for (step, (at, tokens, expected)) in table.iter().enumerate() {
        let found = refusal(ledger.admit(*tokens, at * SECOND)).map(|(_, wait)| wait);
        let expected = expected.map(|millis| match millis {
            u64::MAX => Duration::MAX,
            _ => Duration::from_millis(millis),
        });
        assert_eq!(found, expected, "{name}, step {step}");
    }
    for account in &ledger.accounts {
        assert_eq!(
            audit::largest_excess(&account.rule, &account.log),
            None,
            "{name}"
        );
    }
}

#[test]
fn a_window_begins_with_nothing_used_and_refusals_name_its_end() {
    let mut minute = one(Counted::Tokens, windows(60, 60), None);
    let table = [
        (1, 40, None),
        (30, 30, Some(30_000)), // nothing leaks
        (59, 20, None),
        (59, 1, Some(1_000)),
        (59, 61, Some(u64::MAX)),
        (60, 60, None),
        (61, 1, Some(59_000)),
        (200, 60, None),
    ];
    play("a minute", &mut minute, &table);
    let [_, (_, standing)] = minute.standings(210 * SECOND);
    let standing = standing.unwrap();
    assert_eq!((standing.remaining, standing.used), (0, 60));
    assert_eq!(standing.reset, Duration::from_secs(30));

    let mut short = one(Counted::Tokens, windows(60, 10), None);
    let table = [
        (0, 10, None),
        (0, 1, Some(10_000)),
        (10, 1, None),
        (11, 30, Some(9_000)), // more than a window holds: only in an empty one
        (20, 30, None),
        (21, 1, Some(9_000)),
        (30, 1, None),
    ];
    play("ten seconds", &mut short, &table);
}

#[test]
fn daily_limits_let_all_through_at_once_and_refill_through_the_day() {
    let day = Rule {
        period: DAY,
        span: DAY,
        ..rule(10_000, BURST)
    };
    let mut ledger = ledger(None, Some(20_000), BURST);
    ledger
        .accounts
        .push(Account::new(Counted::DailyRequests, day, None));
    assert_eq!(ledger.admit(1, 0), Verdict::Admitted);
    let [(_, standing), _] = ledger.standings(0);
    let standing = standing.unwrap();
    let shown = (standing.limit, standing.remaining, standing.reset);
    assert_eq!(shown, (10_000, 9_999, Duration::from_millis(8_640)));
    for step in 1..10_000 {
        assert_eq!(ledger.admit(1, 0), Verdict::Admitted, "step {step}");
    }
    let expected = Some((Counted::DailyRequests, Duration::from_millis(8_640)));
    assert_eq!(refusal(ledger.admit(1, 0)), expected);
}

#[test]
fn limits_change_and_what_is_used_stays_used() {
    // 60 a minute, then 600, then 30, then none, then 60; burst 60 s
    let steps = [
        (0, Some(60)),
        (10, Some(600)),
        (20, Some(30)),
        (100, None),
        (110, Some(60)),
    ];
    let mut ledger = one(Counted::Tokens, changing(&steps, BURST), None);
    let table = [
        (0, 61, Some(u64::MAX)),
        (0, 60, None),
        (9, 10, Some(1_000)),
        (10, 550, None), // 10 have leaked: 50 are used, and the new limit is 600
        (10, 1, Some(100)),
        (20, 1, Some(942_000)), // 500 are used, 29 may be, and 1 leaks in 2 s
        (20, 31, Some(u64::MAX)),
        (100, 1_000_000, None),
        (110, 60, None), // as new
        (110, 1, Some(1_000)),
    ];
    play("changes", &mut ledger, &table);
}

#[test]
fn a_steady_neighbour_leaves_the_rest_of_the_rate() {
    // 600 a minute (10 a second), burst 1 s; half of it goes to the neighbour.
    let every = Duration::from_millis(250);
    let rule = rule(600, Duration::from_secs(1));
    let mut ledger = one(Counted::Tokens, rule, Some(neighbour(5, every)));
    let mut admitted = 0;
    for step in 0..60_000 {
        if ledger.admit(1, step * SECOND / 1_000) == Verdict::Admitted {
            admitted += 1;
        }
    }
    let log = &ledger.accounts[0].log;
    let theirs = log.iter().filter(|it| it.kind == Kind::Neighbour);
    let theirs: u64 = theirs.map(|it| it.amount).sum();
    assert_eq!(theirs, 298, "239 charges of 1.25");
    assert_eq!(
        admitted + theirs,
        609,
        "the burst, and what leaks in 59.999 s"
    );
    let account = &ledger.accounts[0];
    assert_eq!(audit::largest_excess(&account.rule, log), None);
}

#[test]
fn a_neighbour_in_bursts_goes_first_and_waits_for_room_like_everybody() {
    // 60 a minute, burst 60 s; at 20 s, 40 s, … the neighbour asks for 10.
    let every = Duration::from_secs(20);
    let with = |limit| {
        let rule = rule(limit, BURST);
        one(Counted::Tokens, rule, Some(neighbour(5, every)))
    };
    let table = [
        (19, 60, None),
        (20, 1, Some(1_000)), // 1 has leaked, and the neighbour has it
        (28, 1, Some(1_000)),
        (29, 1, Some(1_000)), // the tenth
        (30, 1, None),
        (30, 1, Some(1_000)),
    ];
    play("no room", &mut with(60), &table);
    let mut ledger = with(60);
    let table = [(40, 50, None), (40, 1, Some(1_000)), (41, 1, None)];
    play("room", &mut ledger, &table);
    let taken: Vec<_> = ledger.accounts[0]
        .log
        .iter()
        .map(|it| (it.at / SECOND, it.amount, it.kind))
        .collect();
    let expected = [
        (20, 10, Kind::Neighbour),
        (40, 10, Kind::Neighbour),
        (40, 50, Kind::Admitted),
        (41, 1, Kind::Admitted),
    ];
    assert_eq!(taken, expected);
}

#[test]
fn a_neighbour_falls_under_the_new_limit_at_the_time_of_a_change() {
    let burst = Duration::from_secs(4);
    let rule = changing(&[(0, Some(6_000)), (20, Some(60))], burst);
    let every = Duration::from_secs(10);
    let mut ledger = one(Counted::Tokens, rule, Some(neighbour(8, every)));
    // Of 800 that are due at 10 s, 400 fit; at 20 s there is room for 4.
    let table = [(10, 1, Some(10)), (20, 1, Some(1_000))];
    play("a cut", &mut ledger, &table);
    let taken = ledger.accounts[0].log.iter().map(|it| it.amount);
    assert_eq!(taken.collect::<Vec<_>>(), [400, 4]);
}

#[test]
fn a_refusal_costs_a_request_if_there_is_room_and_names_the_wait_after_it() {
    // 60 requests a minute, burst 2 s: two at once
    let mut ledger = ledger(Some(60), Some(60), Duration::from_secs(2));
    ledger.refusals_cost_requests = true;
    let at = |millis: u64| millis * SECOND / 1_000;
    // at (ms), tokens, the limit that refuses and its wait (ms)
    let table = [
        (0, 2, None),
        (0, 1, Some((Counted::Tokens, 1_000))), // takes the second request
        (0, 0, Some((Counted::Requests, 1_000))),
        (999, 0, Some((Counted::Requests, 1_000))), // 1 ms early costs a whole second more
        (1_998, 0, Some((Counted::Requests, 1_000))),
        (2_998, 0, None),
        (60_000, 61, Some((Counted::Tokens, u64::MAX))),
        (60_000, 0, None),
        (60_000, 0, Some((Counted::Requests, 1_000))),
    ];
    for (step, (millis, tokens, expected)) in table.into_iter().enumerate() {
        let expected = expected.map(|(by, wait)| match wait {
            u64::MAX => (by, Duration::MAX),
            _ => (by, Duration::from_millis(wait)),
        });
        let found = refusal(ledger.admit(tokens, at(millis)));
        assert_eq!(found, expected, "step {step}");
    }
}

#[test]
fn what_is_given_back_can_be_taken_again_but_not_in_another_window() {
    let mut bucket = ledger(Some(60), None, BURST);
    play("bucket", &mut bucket, &[(0, 60, None), (0, 1, Some(1_000))]);
    bucket.give_back(20, 0, 10 * SECOND);
    let table = [(10, 30, None), (10, 1, Some(1_000))];
    play("bucket", &mut bucket, &table);
    bucket.give_back(1_000, 10 * SECOND, 11 * SECOND);
    let table = [(11, 60, None), (11, 1, Some(1_000))];
    play("no more than all", &mut bucket, &table);

    let mut window = one(Counted::Tokens, windows(60, 60), None);
    play("window", &mut window, &[(0, 60, None)]);
    window.give_back(20, 0, 59 * SECOND);
    play("window", &mut window, &[(59, 20, None), (60, 60, None)]);
    window.give_back(20, 59 * SECOND, 61 * SECOND);
    play("next window", &mut window, &[(61, 1, Some(59_000))]);

    let later = changing(&[(0, None), (10, Some(60))], BURST);
    let mut unlimited = one(Counted::Tokens, later, None);
    play(
        "no limit",
        &mut unlimited,
        &[(5, 100, None), (10, 60, None)],
    );
    unlimited.give_back(20, 5 * SECOND, 10 * SECOND);
    play("from before it", &mut unlimited, &[(10, 1, Some(1_000))]);
}

#[test]
fn the_largest_numbers_do_not_overflow_here_either() {
    let every = Duration::from_secs(u64::MAX);
    for windows in [false, true] {
        let rule = Rule {
            steps: vec![(0, Some(u64::MAX)), (u64::MAX, Some(0))],
            period: DAY,
            span: u64::MAX,
            windows,
        };
        let mut ledger = one(Counted::Requests, rule, Some(neighbour(10, every)));
        ledger.refusals_cost_requests = true;
        for at in [0, 1, u64::MAX - 1, u64::MAX, 5] {
            ledger.admit(u64::MAX, at);
            ledger.give_back(u64::MAX, 0, at);
            ledger.standings(at);
        }
    }
}

/// A limit that changes twice and a neighbour, in windows or not, with things given back.
fn lives() -> impl Strategy<Value = (Rule, NeighbourRule, Vec<(u64, u64, bool)>)> {
    let limit = || prop_oneof![1 => Just(None), 4 => (1..10_000_u64).prop_map(Some)];
    let steps = (limit(), 1..60_u64, limit(), 1..60_u64, limit());
    let rule = (steps, 1..90_u64, any::<bool>()).prop_map(|(steps, span, windows)| {
        let (first, after, second, later, third) = steps;
        let steps = [(0, first), (after, second), (after + later, third)];
        Rule {
            windows,
            ..changing(&steps, Duration::from_secs(span))
        }
    });
    let other = (0..=10_u64, 1..20_000_u64)
        .prop_map(|(tenths, millis)| neighbour(tenths, Duration::from_millis(millis * 10)));
    let gap = prop_oneof![Just(0), 0..SECOND, 0..5 * SECOND];
    let arrivals = prop::collection::vec((gap, 0..500_u64, any::<bool>()), 1..200);
    (rule, other, arrivals)
}

proptest! {
    #[test]
    fn the_audit_agrees_with_every_life((rule, other, arrivals) in lives()) {
        let mut ledger = one(Counted::Tokens, rule, Some(other));
        let mut now = 0;
        for (gap, charge, gives_back) in arrivals {
            now += gap;
            if ledger.admit(charge, now) == Verdict::Admitted && gives_back {
                let taken_at = now;
                now += gap;
                ledger.give_back(charge / 2, taken_at, now);
            }
        }
        let account = &ledger.accounts[0];
        prop_assert_eq!(audit::largest_excess(&account.rule, &account.log), None);
    }
}
