//! What the script books, gives back and forgets.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::sync::Left;
use super::*;
use crate::limiter::bucket::{Bucket, Tick};
use crate::unit::Unit;

/// The limits of the reference: a limiter's own levels, which know nothing of steps.
struct Reference {
    levels: Vec<Bucket>,
    time: u64,
    pause: u64,
}

impl Reference {
    fn new(quotas: &[Quota], now: u64) -> Self {
        let levels = quotas
            .iter()
            .map(|quota| Bucket::starting(*quota, Tick(now * 1_000)));
        Self {
            levels: levels.collect(),
            time: now,
            pause: 0,
        }
    }

    fn advance(&mut self, to: u64) {
        self.time = self.time.max(to);
        for level in &mut self.levels {
            level.refill(Tick(self.time * 1_000));
        }
    }

    /// Books a cost, and returns when it is due, rounded up to a microsecond.
    fn book(&mut self, cost: Cost) -> u64 {
        let dues = self
            .levels
            .iter()
            .map(|level| level.due(cost.amount(level.unit())));
        let due = dues.max().unwrap().0.div_ceil(1_000);
        let due = due.max(self.time).max(self.pause);
        self.advance(due);
        for level in &mut self.levels {
            level.take(cost.amount(level.unit()));
        }
        due
    }

    fn available(&self) -> Vec<i64> {
        self.levels.iter().map(Bucket::available).collect()
    }
}

#[derive(Debug, Clone)]
enum Do {
    Ask(Vec<(u64, u64)>),
    Give(u64),
    Take(u64),
    Pause(u64),
    Bucket(i64),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Do)>> {
    let step = prop_oneof![
        6 => prop::collection::vec((0..400_u64, 0..400_u64), 0..5).prop_map(Do::Ask),
        1 => (0..2_000_u64).prop_map(Do::Give),
        1 => (0..2_000_u64).prop_map(Do::Take),
        1 => (0..3_000_u64).prop_map(Do::Pause),
        1 => (-500..2_000_i64).prop_map(Do::Bucket),
    ];
    prop::collection::vec((0..3_usize, step), 1..25)
}

#[test]
fn it_books_what_a_limiter_of_one_process_would_grant() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut runner = TestRunner::new(Config::with_cases(150));
    let limiters = std::cell::Cell::new(0);
    let quotas = (
        1..5_000_u64,
        1..100_000_u64,
        1..2_000_u64,
        1..3_000_u64,
        1..30_000_u64,
    );
    let course = (quotas, steps());
    let result = runner.run(
        &course,
        |((amount, period, burst, requests, second), steps)| {
            let limiter = limiters.replace(limiters.get() + 1);
            let tokens =
                Quota::new(Unit::Tokens, amount, Duration::from_micros(period * 10)).unwrap();
            let requests = Quota::new(
                Unit::Requests,
                requests,
                Duration::from_micros(second * 100),
            )
            .unwrap();
            let quotas = [tokens.with_burst(burst), requests];
            let names = ["a", "b", "c"];
            let mut processes =
                names.map(|name| Process::new(&server, &format!("m{limiter}"), name, &quotas));
            let first = processes[0].ask(&[]);
            let mut reference = Reference::new(&quotas, first.now);
            for (step, (who, what)) in steps.into_iter().enumerate() {
                let told = &mut processes[who].sync.told;
                let mut costs = Vec::new();
                match &what {
                    Do::Ask(asked) => {
                        costs = asked
                            .iter()
                            .map(|(tokens, _)| Cost::tokens((*tokens).min(amount)))
                            .collect();
                    }
                    Do::Give(tokens) => told.given = [0, *tokens, 0, 0, 0],
                    Do::Take(tokens) => told.taken = [0, *tokens, 0, 0, 0],
                    Do::Pause(length) => told.orders.push(Order::Pause(Tick(*length * 1_000))),
                    Do::Bucket(left) => {
                        told.orders
                            .push(Order::SetLevel(Unit::Tokens, tokens.period(), *left));
                    }
                }
                let heard = processes[who].ask(&costs);
                reference.advance(heard.now);
                match what {
                    Do::Give(amount) => reference.levels[0].give(amount),
                    Do::Take(amount) => reference.levels[0].take(amount),
                    Do::Pause(length) => reference.pause = reference.pause.max(heard.now + length),
                    Do::Bucket(left) => reference.levels[0].set_available(left),
                    Do::Ask(_) => {}
                }
                for (cost, due) in costs.iter().zip(&heard.dues) {
                    prop_assert_eq!(reference.book(*cost), *due, "step {}", step);
                    prop_assert!(*due <= heard.now + 1_000_000, "step {}", step);
                }
                prop_assert_eq!(reference.time, heard.time, "step {}", step);
                prop_assert_eq!(reference.available(), heard.levels, "step {}", step);
            }
            Ok(())
        },
    );
    result.unwrap();
}

#[test]
fn what_a_server_says_is_left_is_the_most_there_is() {
    let Some(server) = Server::start() else {
        return;
    };
    let hour = Duration::from_secs(3_600);
    let quotas = [Quota::per_hour(Unit::Tokens, 3_600).unwrap()];
    let mut one = Process::new(&server, "m", "one", &quotas);
    one.ask(&[Cost::tokens(600)]);
    let most = |left| Order::Most(Unit::Tokens, hour, left);
    assert!(
        one.order(most(3_500)).levels[0] < 3_100,
        "it raises nothing"
    );
    assert!((-20..-10).contains(&one.order(most(-20)).levels[0]));
}

/// What an estimator takes to be left of a thousand a second.
fn left(left: i64, counted: i64, may_raise: bool, pace: i64) -> Order {
    Order::Left(Left {
        unit: Unit::Tokens,
        period: SECOND,
        left,
        counted,
        may_raise,
        is_refused: false,
        comes_in: pace,
        most: i64::MAX,
    })
}

#[test]
fn what_an_estimator_takes_to_be_left_is_booked_by_less_what_was_counted_since() {
    let Some(server) = Server::start() else {
        return;
    };
    let hour = Quota::new(Unit::Tokens, 1_000, SECOND * 3_600).unwrap();
    let mut process = Process::new(&server, "left", "a", &[hour]);
    process.ask(&[Cost::tokens(600)]);
    let told = |left: i64, counted: i64, may_raise: bool| {
        Order::Left(Left {
            unit: Unit::Tokens,
            period: SECOND * 3_600,
            left,
            counted,
            may_raise,
            is_refused: false,
            comes_in: 1_000_000,
            most: i64::MAX,
        })
    };
    let table = [
        // what was left, what had been counted, whether it may be more, and what is left then
        (500, 600, true, 500),
        (500, 550, true, 450),     // 50 since
        (900, 600, false, 450),    // of a larger limit
        (200, 600, false, 200),    // or less than that
        (9_000, 600, true, 1_000), // not above the burst
        (-50, 600, true, -50),
    ];
    for (step, (left, counted, may_raise, expected)) in table.into_iter().enumerate() {
        let heard = process.order(told(left, counted, may_raise));
        // A token comes in every 3.6 s.
        let is_near = (expected..=expected + 5).contains(&heard.levels[0]);
        assert!(is_near, "step {step}: {:?}", heard.levels);
    }
}

#[test]
fn at_half_the_pace_what_is_missing_comes_in_twice_the_time() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut process = Process::new(&server, "pace", "a", &a_thousand_a_second());
    process.ask(&[]);
    process.order(left(0, 0, true, 500_000));
    let heard = process.ask(&[Cost::tokens(100)]);
    let wait = heard.dues[0] - heard.now;
    // Something may have come in between the two syncs.
    assert!((1..=200_100).contains(&wait), "{wait} µs");
    let again = process.ask(&[Cost::tokens(100)]);
    let between = again.dues[0] - heard.dues[0];
    assert!((199_900..=200_100).contains(&between), "{between} µs");
}

fn a_thousand_a_second() -> [Quota; 1] {
    [Quota::per_second(Unit::Tokens, 1_000).unwrap()]
}

#[test]
fn a_slice_at_a_time_is_booked_and_nothing_beyond_the_horizon() {
    let Some(server) = Server::start() else {
        return;
    };
    let quotas = [a_thousand_a_second()[0].with_initial(0)];
    let mut one = Process::new(&server, "m", "one", &quotas);
    let heard = one.ask(&[Cost::tokens(10); 10]);
    assert_eq!(heard.dues.len(), 1, "it has just come: {heard:?}");
    let heard = one.ask(&[Cost::tokens(100); 10]);
    // Alone, its slice is a quarter of a second after the first.
    assert_eq!(heard.people, 1);
    assert_eq!(heard.dues.len(), 2, "{heard:?}");
    assert!(heard.come.is_some_and(|come| come <= heard.now + 500_000));
    let heard = one.ask(&[Cost::tokens(1_000)]);
    assert_eq!(heard.dues, [] as [u64; 0], "1.2 s ahead: {heard:?}");
    let come = heard.come.unwrap() - heard.now;
    assert!(
        (300_000..500_000).contains(&come),
        "three quarters before it is due: {come}"
    );
}

#[test]
fn whoever_waits_longer_is_booked_first_unless_it_is_late() {
    let Some(server) = Server::start() else {
        return;
    };
    let quotas = [a_thousand_a_second()[0].with_initial(0)];
    let mut old = Process::new(&server, "m", "old", &quotas);
    let mut new = Process::new(&server, "m", "new", &quotas);
    let large = Cost::tokens(1_000);
    new.ask(&[Cost::tokens(900)]); // so that nothing is left for a while
    let heard = old.go(&[(large, SECOND * 10)]);
    assert_eq!(heard.dues.len(), 0, "it does not fit");
    let heard = new.go(&[(Cost::tokens(1), SECOND)]);
    assert_eq!(heard.dues.len(), 0, "somebody has waited for longer");
    // It should have come, and has not.
    std::thread::sleep(Duration::from_millis(2_100));
    let heard = new.go(&[(Cost::tokens(1), SECOND * 3)]);
    assert_eq!(heard.dues.len(), 1, "nobody is held up by the dead");
}

#[test]
fn a_unit_of_ones_own_is_booked_taken_and_given_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let quotas = [Quota::per_hour(Unit::Custom("images"), 60).unwrap()];
    let mut one = Process::new(&server, "m", "one", &quotas);
    assert_eq!(one.ask(&[Cost::default().with_custom(40)]).levels, [20]);
    one.sync.told.taken = [0, 0, 0, 0, 15];
    assert_eq!(one.ask(&[]).levels, [5]);
    one.sync.told.taken = [0; 5];
    one.sync.told.given = [0, 0, 0, 0, 30];
    assert_eq!(one.ask(&[]).levels, [35]);
}

#[test]
fn the_dead_give_back_what_they_cannot_have_used_and_no_more() {
    let Some(server) = Server::start() else {
        return;
    };
    // One a second, so that little comes in meanwhile.
    let quotas = [Quota::per_hour(Unit::Tokens, 3_600).unwrap()];
    let mut dead = Process::new(&server, "m", "dead", &quotas);
    assert_eq!(dead.ask(&[Cost::tokens(1_000)]).levels, [2_600]);
    dead.sync.late = [1, 250, 250, 0, 0];
    dead.ask(&[]);
    let mut heir = Process::new(&server, "m", "heir", &quotas);
    let heard = heir.ask(&[]);
    assert_eq!(
        (heard.levels[0], heard.people),
        (2_600, 1),
        "it may still come"
    );
    std::thread::sleep(Duration::from_millis(3_100));
    let left = heir.ask(&[]).levels[0];
    assert!(
        (2_853..2_870).contains(&left),
        "of 1,000 it gives 250 back: {left}"
    );
    assert_eq!(server.say(&["HGET", "t:{m}:people", "dead"]), "");
    let left = heir.ask(&[]).levels[0];
    assert!(left < 2_880, "and only once: {left}");
}

#[test]
fn a_visit_that_is_repeated_is_told_once_and_its_bookings_come_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let quotas = [a_thousand_a_second()[0]];
    let mut one = Process::new(&server, "m", "one", &quotas);
    one.ask(&[]);
    one.sync.told.taken = [0, 100, 0, 0, 0];
    one.sync.asks = vec![Ask {
        amounts: reservations::amounts(Cost::tokens(300)),
        waited: Duration::ZERO,
    }];
    let left = |answer: StoreReply| match answer {
        StoreReply::Synced(heard) => heard.levels[0],
        StoreReply::Forgotten => panic!("it was forgotten"),
    };
    let first = left(one.send());
    assert!((600..650).contains(&first), "{first}");
    let again = left(one.send());
    assert!(
        (600..700).contains(&again),
        "told and booked twice: {again}"
    );
}

#[test]
fn a_store_that_has_forgotten_begins_empty_and_a_horizon_later() {
    let Some(server) = Server::start() else {
        return;
    };
    let quotas = a_thousand_a_second();
    let mut one = Process::new(&server, "m", "one", &quotas);
    assert_eq!(
        one.ask(&[]).levels,
        [1_000],
        "it starts full where that is wanted"
    );
    server.say(&["FLUSHALL"]);
    assert_eq!(one.send(), StoreReply::Forgotten);
    let joins = Process::new(&server, "m", "one", &quotas).sync.joins;
    one.sync.joins = joins;
    let heard = one.ask(&[Cost::tokens(1)]);
    assert_eq!(heard.levels, [0]);
    assert!(heard.time >= heard.now + 1_000_000, "{heard:?}");
}

#[test]
fn a_store_that_has_forgotten_the_last_bookings_begins_empty_too() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut one = Process::new(&server, "m", "one", &a_thousand_a_second());
    one.ask(&[]);
    server.say(&["COPY", "t:{m}:state", "t:{m}:saved"]);
    assert_eq!(one.ask(&[Cost::tokens(900)]).dues.len(), 1);
    server.say(&["COPY", "t:{m}:saved", "t:{m}:state", "REPLACE"]);
    let heard = one.ask(&[]);
    assert_eq!(heard.levels, [0], "it has 1,000 by what it remembers");
    assert!(heard.time >= heard.now + 1_000_000, "{heard:?}");
    let again = one.ask(&[]);
    assert_eq!(again.time, heard.time, "and only once");
}

#[test]
fn other_limits_hold_for_all_and_what_is_used_stays_used() {
    let Some(server) = Server::start() else {
        return;
    };
    let minute = |amount| Quota::per_minute(Unit::Tokens, amount).unwrap();
    let mut one = Process::new(&server, "m", "one", &[minute(6_000)]);
    let mut two = Process::new(&server, "m", "two", &[minute(6_000)]);
    two.ask(&[]);
    assert_eq!(one.ask(&[Cost::tokens(1_000)]).dues.len(), 1);
    let heard = one.order(Order::Hold(vec![minute(60_000)], 0));
    assert_eq!(heard.limits, Some(vec![minute(60_000)]));
    let heard = two.ask(&[]);
    assert_eq!(heard.limits, Some(vec![minute(60_000)]));
    let left = heard.levels[0];
    assert!((58_999..59_900).contains(&left), "{left}");
    // Of an epoch that is over, another process's discovery says nothing.
    let heard = two.order(Order::Hold(vec![minute(1)], heard.epoch - 1));
    assert_eq!(heard.limits, None);
    // A process that comes with other stated limits sets them for all; a guess does not.
    let mut guess = Process::new(&server, "m", "guess", &[minute(5).provisional()]);
    assert_eq!(guess.ask(&[]).limits, Some(vec![minute(60_000)]));
    let mut last = Process::new(&server, "m", "last", &[minute(12_000)]);
    assert_eq!(last.ask(&[]).limits, Some(vec![minute(12_000)]));
    assert_eq!(two.ask(&[]).limits, Some(vec![minute(12_000)]));
}

#[test]
fn every_key_expires_and_a_leave_leaves_nothing_behind() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut one = Process::new(&server, "m", "one", &a_thousand_a_second());
    one.ask(&[Cost::tokens(900), Cost::tokens(900), Cost::tokens(900)]);
    let keys = server.say(&["KEYS", "t:*"]);
    assert_eq!(keys.lines().count(), 5, "{keys}");
    for key in keys.lines() {
        let left: i64 = server.say(&["TTL", key]).parse().unwrap();
        assert!(left > 31 * 24 * 3_600, "{key}: {left}");
    }
    one.sync.waiters = None;
    one.sync.asks.clear();
    one.send();
    assert_eq!(server.say(&["KEYS", "t:{*"]), "t:{m}:state");
}
