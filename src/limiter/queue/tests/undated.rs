//! Grants without a look at the clock.

use super::steps::declare;
use super::*;

const SECOND: u64 = 1_000_000_000;

/// Of either unit a hundred may be taken undated.
fn declared() -> Limits {
    let requests = Quota::per_second(Unit::Requests, 10_000).unwrap();
    let tokens = Quota::per_second(Unit::Tokens, 10_000).unwrap();
    declare(&[requests, tokens], Some(3))
}

fn left(queue: &mut Queue, now: u64) -> Vec<i64> {
    let quotas = queue.snapshot(Tick(now)).quotas;
    quotas.into_iter().map(|quota| quota.level).collect()
}

#[test]
fn a_grant_without_a_date_takes_from_every_quota_and_has_the_last_one_known() {
    let mut queue = Queue::new(&declared(), Rules::default(), Tick(0));
    queue.bring_up_to(Tick(7));
    let grant = queue.take_undated(Cost::tokens(40), None).unwrap();
    assert_eq!((grant.at, grant.place, grant.in_flight), (Tick(7), 0, 1));
    let again = queue.take_undated(Cost::tokens(40), Some(0)).unwrap();
    assert_eq!(again.place, 0);
    assert_eq!(left(&mut queue, 7), [9_998, 9_920]);
    let counters = queue.snapshot(Tick(7)).counters;
    assert_eq!(counters.grants, 2);
}

#[test]
fn what_one_quota_refuses_is_put_back_into_the_others() {
    let mut queue = Queue::new(&declared(), Rules::default(), Tick(0));
    for _ in 0..200 {
        assert_eq!(queue.take_undated(Cost::tokens(101), None), None);
    }
    assert_eq!(left(&mut queue, 0), [10_000, 10_000]);
    assert!(queue.take_undated(Cost::tokens(100), None).is_some());
}

#[test]
fn whatever_stands_in_the_way_asks_for_a_date() {
    let cost = Cost::tokens(1);
    let rules = Rules::default();
    let mut closed = Queue::new(&declared(), rules, Tick(0));
    closed.close();
    assert_eq!(closed.take_undated(cost, None), None, "closed");

    let mut paused = Queue::new(&declared(), rules, Tick(0));
    paused.pause_until(Tick(SECOND));
    assert_eq!(paused.take_undated(cost, None), None, "paused");
    paused.bring_up_to(Tick(SECOND));
    assert!(paused.take_undated(cost, None).is_some(), "not any more");

    let mut joined = Queue::new(&declared(), rules, Tick(0));
    let asked = Asked {
        cost: Cost::tokens(10_000),
        priority: Priority::default(),
        place: None,
    };
    joined.join(asked, None, None, Tick(0)).unwrap();
    assert_eq!(joined.take_undated(cost, None), None, "somebody waits");

    let mut full = Queue::new(&declared(), rules, Tick(0));
    for nth in 0..4 {
        let taken = full.take_undated(cost, None).is_some();
        assert_eq!(taken, nth < 3, "{nth} in flight");
    }

    let listens = Rules {
        jitter: Some(Duration::ZERO),
        ..rules
    };
    let mut listening = Queue::new(&declared(), listens, Tick(0));
    assert_eq!(listening.take_undated(cost, None), None, "it listens");
}
