//! The ledger, by worked numbers and by chance, with the times passed in.

mod rules; // windows, days, neighbours, changes

use proptest::prelude::*;

use super::super::audit;
use super::super::rule::{Entry, Kind, MINUTE, Rule};
use super::*;

const BURST: Duration = Duration::from_secs(60);
const SECOND: u64 = 1_000_000_000;

fn ledger(tokens: Option<u64>, requests: Option<u64>, burst: Duration) -> Ledger {
    let account =
        |counted, limit: Option<u64>| Some(Account::new(counted, rule(limit?, burst), None));
    let accounts = [
        account(Counted::Tokens, tokens),
        account(Counted::Requests, requests),
    ];
    Ledger {
        accounts: accounts.into_iter().flatten().collect(),
        refusals_cost_requests: false,
    }
}

fn rule(limit: u64, burst: Duration) -> Rule {
    Rule {
        steps: vec![(0, Some(limit))],
        period: MINUTE,
        span: u64::try_from(burst.as_nanos()).unwrap_or(u64::MAX),
        windows: false,
    }
}

/// The audit's opinion of what the test itself saw admitted.
fn largest_excess(
    limit: u64,
    burst: Duration,
    charges: impl Iterator<Item = (u64, u64)>,
) -> Option<audit::Excess> {
    let entry = |(at, amount)| Entry {
        at,
        amount,
        kind: Kind::Admitted,
    };
    let log: Vec<Entry> = charges.map(entry).collect();
    audit::largest_excess(&rule(limit, burst), &log)
}

/// Which limit refused, and with which wait; None when it was admitted.
fn refusal(verdict: Verdict) -> Option<(Counted, Duration)> {
    match verdict {
        Verdict::Admitted => None,
        Verdict::Refused { by, wait, .. } => Some((by, wait)),
        Verdict::TooLarge { by, .. } => Some((by, Duration::MAX)),
    }
}

#[test]
fn waits_are_those_of_captured_messages() {
    // limit, used, requested, the wait in nanoseconds
    let table = [
        (30_000, 30_000, 890, 1_780_000_000),
        (30_000, 30_000, 154, 308_000_000),
        (30_000, 30_000, 4_355, 8_710_000_000),
        (500_000, 436_092, 82_181, 2_192_760_000),
    ];
    for (step, (limit, used, requested, wait)) in table.into_iter().enumerate() {
        let mut ledger = ledger(Some(limit), None, BURST);
        assert_eq!(ledger.admit(used, 7), Verdict::Admitted, "step {step}");
        let Verdict::Refused {
            by,
            standing,
            requested: said,
            wait: found,
        } = ledger.admit(requested, 7)
        else {
            panic!("step {step}: not refused");
        };
        assert_eq!((by, said), (Counted::Tokens, requested), "step {step}");
        let shown = (standing.limit, standing.used, standing.remaining);
        assert_eq!(shown, (limit, used, limit - used), "step {step}");
        assert_eq!(found, Duration::from_nanos(wait), "step {step}");
    }
}

#[test]
fn a_request_limit_that_is_used_up_gives_one_back_every_120_ms() {
    let mut ledger = ledger(Some(1_000_000), Some(500), BURST);
    for step in 0..500 {
        assert_eq!(ledger.admit(1, 0), Verdict::Admitted, "step {step}");
    }
    let expected = Some((Counted::Requests, Duration::from_millis(120)));
    assert_eq!(refusal(ledger.admit(1, 0)), expected);
    assert_eq!(ledger.admit(1, 120_000_000), Verdict::Admitted);
}

#[test]
fn verdicts_follow_each_other_as_worked_out_by_hand() {
    use Counted::{Requests, Tokens};
    // 600 tokens a minute (10 a second), 6 requests a minute (one in 10 s), burst 30 s: 300 and 3.
    let mut ledger = ledger(Some(600), Some(6), Duration::from_secs(30));
    // at (s), tokens, the limit that refuses and its wait (ms)
    let table = [
        (0, 100, None),
        (0, 250, Some((Tokens, 5_000))),
        (0, 200, None), // the tokens are used up
        (0, 10, Some((Tokens, 1_000))),
        (10, 601, Some((Tokens, u64::MAX))), // above the limit itself
        (10, 101, Some((Tokens, 100))),
        (10, 100, None), // one request is left
        (10, 0, None),
        (11, 0, Some((Requests, 9_000))),
        (11, 5, Some((Requests, 9_000))),
        (11, 200, Some((Tokens, 19_000))), // both refuse, and the longer wait speaks
        (20, 0, None),
        (60, 300, None), // quiet for long, but no more than the burst has come in
        (60, 1, Some((Tokens, 100))),
    ];
    for (step, (at, tokens, expected)) in table.into_iter().enumerate() {
        let expected = expected.map(|(by, millis)| match millis {
            u64::MAX => (by, Duration::MAX),
            _ => (by, Duration::from_millis(millis)),
        });
        let found = refusal(ledger.admit(tokens, at * SECOND));
        assert_eq!(found, expected, "step {step}");
    }
}

#[test]
fn a_charge_above_the_burst_waits_for_an_empty_account_and_leaves_a_debt() {
    let mut ledger = ledger(Some(600), None, Duration::from_secs(1)); // capacity 10
    assert_eq!(ledger.admit(1, 0), Verdict::Admitted);
    let full = Some((Counted::Tokens, Duration::from_millis(100)));
    assert_eq!(refusal(ledger.admit(600, 0)), full);
    assert_eq!(ledger.admit(600, SECOND / 10), Verdict::Admitted);

    let [_, (_, tokens)] = ledger.standings(SECOND / 10);
    let standing = tokens.unwrap();
    assert_eq!(standing.remaining, 0, "a debt is not negative");
    assert_eq!(standing.reset, Duration::from_secs(60));
    let paid = Some((Counted::Tokens, Duration::from_millis(59_100)));
    assert_eq!(refusal(ledger.admit(1, SECOND / 10)), paid);
}

#[test]
fn what_a_refusal_names_explains_its_wait_also_with_a_short_burst() {
    for burst in [1, 7, 60, 90] {
        let mut ledger = ledger(Some(6_000), None, Duration::from_secs(burst));
        for step in 0..burst {
            let verdict = ledger.admit(100, 0);
            assert_eq!(verdict, Verdict::Admitted, "burst {burst}, step {step}");
        }
        let Verdict::Refused { standing, wait, .. } = ledger.admit(50, 0) else {
            panic!("burst {burst}: admitted");
        };
        let shown = (standing.used + 50 - standing.limit) * 60 * SECOND / 6_000;
        assert_eq!(wait, Duration::from_nanos(shown), "burst {burst}");
    }
}

#[test]
fn no_limit_admits_and_a_limit_of_nothing_does_not() {
    let mut none = ledger(None, None, BURST);
    assert_eq!(none.admit(u64::MAX, 0), Verdict::Admitted);
    assert_eq!(none.standings(0).map(|(_, it)| it), [None, None]);

    let mut zero = ledger(Some(0), None, BURST);
    assert!(matches!(zero.admit(1, 0), Verdict::TooLarge { .. }));
    let mut zero = ledger(None, Some(0), BURST);
    assert!(matches!(zero.admit(0, 0), Verdict::TooLarge { .. }));
    zero.standings(u64::MAX);
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let mut ledger = ledger(Some(u64::MAX), Some(u64::MAX), Duration::MAX);
    for at in [0, 1, u64::MAX, 5] {
        ledger.admit(u64::MAX, at);
        ledger.standings(at);
    }
}

/// Requests at random distances with random charges, up to a little above the limit.
fn arrivals() -> impl Strategy<Value = (u64, u64, u64, Vec<(u64, u64)>)> {
    (1..100_000_u64, 1..1_000_u64, 0..120_u64).prop_flat_map(|(tokens, requests, burst)| {
        let gap = prop_oneof![Just(0), 0..SECOND, 0..30 * SECOND];
        let charge = prop_oneof![0..=tokens, 0..=tokens / 20 + 1, Just(tokens)];
        let arrivals = prop::collection::vec((gap, charge), 1..200);
        (Just(tokens), Just(requests), Just(burst), arrivals)
    })
}

proptest! {
    #[test]
    fn no_window_is_ever_too_full((tokens, requests, burst, arrivals) in arrivals()) {
        let burst = Duration::from_secs(burst);
        let mut ledger = ledger(Some(tokens), Some(requests), burst);
        let mut now = 0;
        let mut admitted = Vec::new();
        for (gap, charge) in arrivals {
            now += gap;
            if ledger.admit(charge, now) == Verdict::Admitted {
                admitted.push((now, charge));
            }
        }
        prop_assert!(!admitted.is_empty(), "an empty ledger admits something");
        prop_assert_eq!(largest_excess(tokens, burst, admitted.iter().copied()), None);
        let requests_at = admitted.iter().map(|(at, _)| (*at, 1));
        prop_assert_eq!(largest_excess(requests, burst, requests_at), None);
    }

    #[test]
    fn the_wait_is_exact_and_a_refusal_takes_nothing(
        (tokens, requests, burst, arrivals) in arrivals()
    ) {
        let mut ledger = ledger(Some(tokens), Some(requests), Duration::from_secs(burst));
        let mut now = 0;
        let mut admitted = Vec::new();
        for (step, (gap, charge)) in arrivals.into_iter().enumerate() {
            now += gap;
            let before = ledger.standings(now);
            let wait = match ledger.admit(charge, now) {
                Verdict::Admitted => {
                    admitted.push((now, charge));
                    continue;
                }
                Verdict::TooLarge { requested, limit, .. } => {
                    prop_assert!(requested > limit, "step {}", step);
                    continue;
                }
                Verdict::Refused { wait, .. } => u64::try_from(wait.as_nanos()).unwrap(),
            };
            prop_assert_eq!(ledger.standings(now), before, "step {}", step);
            let early = ledger.clone().admit(charge, now + wait - 1);
            prop_assert!(early != Verdict::Admitted, "step {}: a nanosecond early", step);
            now += wait;
            prop_assert_eq!(ledger.admit(charge, now), Verdict::Admitted, "step {}", step);
            admitted.push((now, charge));
        }
        // A request that is sent as early as its wait allows arrives no earlier than the limit allows.
        let burst = Duration::from_secs(burst);
        prop_assert_eq!(largest_excess(tokens, burst, admitted.iter().copied()), None);
        let requests_at = admitted.iter().map(|(at, _)| (*at, 1));
        prop_assert_eq!(largest_excess(requests, burst, requests_at), None);
    }

    #[test]
    fn what_was_admitted_is_what_leaked_and_what_is_still_used(
        (tokens, _, _, arrivals) in arrivals()
    ) {
        // Busy all the time: after the first admission nothing leaks unused.
        let mut ledger = ledger(Some(tokens), None, BURST);
        let mut now = 0;
        prop_assert_eq!(ledger.admit(tokens, now), Verdict::Admitted);
        let minute = u128::from(MINUTE);
        let mut sum = u128::from(tokens) * minute;
        let mut waits = 0;
        for (_, charge) in arrivals {
            if let Verdict::Refused { wait, .. } = ledger.admit(charge, now) {
                now += u64::try_from(wait.as_nanos()).unwrap();
                waits += 1;
                prop_assert_eq!(ledger.admit(charge, now), Verdict::Admitted);
            } else if charge > tokens {
                continue;
            }
            sum += u128::from(charge) * minute;
            let account = ledger.accounts[0].meter.as_ref().unwrap();
            let leaked = u128::from(now) * u128::from(tokens);
            let (owed, used) = (sum.saturating_sub(leaked), account.used_at(now));
            // A wait that is rounded up to the nanosecond can leak a little from nothing.
            let unused = waits * u128::from(tokens);
            prop_assert!((owed..=owed + unused).contains(&used), "{} {}", owed, used);
        }
    }
}
