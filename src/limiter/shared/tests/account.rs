//! When a line syncs the store, and what it says: no store is needed for that.

use super::super::account::Account;
use super::super::sync::SyncReply;
use super::super::{OnStoreOutage, Order};
use super::*;
use crate::limiter::bucket::Tick;
use crate::unit::Unit;

const MILLI: u64 = 1_000_000;

fn account() -> Account {
    let quotas = vec![Quota::per_second(Unit::Tokens, 1_000).unwrap()];
    let joins = Joins {
        limits: scale::encode(&quotas),
        stated: String::new(),
        start_full: false,
    };
    Account::new(quotas, joins, SECOND)
}

fn at(millis: u64) -> Tick {
    Tick(millis * MILLI)
}

/// What a store answers at a time that books these, and says to come again then.
fn heard(now: u64, dues: &[u64], come: Option<u64>) -> SyncReply {
    let micros = |millis: &u64| millis * 1_000;
    SyncReply {
        incarnation: "1-a".to_owned(),
        now: micros(&now),
        epoch: 1,
        time: micros(dues.last().unwrap_or(&now)),
        paused_until: 0,
        people: 2,
        come: come.as_ref().map(micros),
        dues: dues.iter().map(micros).collect(),
        levels: vec![0],
        booked: [0; 5],
        moved: [0; 5],
        limits: None,
        noted: 0,
        notes: Vec::new(),
    }
}

struct Core {
    account: Account,
    room: usize,
    costs: Vec<Cost>,
}

impl Core {
    fn new() -> Self {
        Self {
            account: account(),
            room: usize::MAX,
            costs: Vec::new(),
        }
    }

    fn join(&mut self, tokens: u64) {
        self.costs.push(Cost::tokens(tokens));
        self.account.joined(Cost::tokens(tokens));
    }

    fn leave(&mut self, index: usize) {
        let cost = self.costs.remove(index);
        self.account.left(cost);
    }

    fn sync(&mut self, now: u64) -> Option<SyncRequest> {
        let line = self.costs.iter().map(|cost| (*cost, Duration::ZERO));
        self.account
            .sync(line, self.costs.len(), self.room, None, [], at(now))
    }

    fn observe(&mut self, sync: &SyncRequest, now: u64, dues: &[u64], come: Option<u64>) {
        let heard = heard(now, dues, come);
        self.account
            .heard(sync, &heard, |micros| Tick(micros * 1_000));
    }

    fn wish(&mut self, now: u64) -> Option<u64> {
        self.account
            .wish(self.room, at(now))
            .map(|tick| tick.0 / MILLI)
    }
}

#[test]
fn whoever_waits_for_nothing_that_is_booked_brings_a_visit_and_nobody_else() {
    let mut line = Core::new();
    assert_eq!(line.wish(0), None, "nobody waits");
    line.join(10);
    assert_eq!(line.wish(5), Some(5));
    let sync = line.sync(5).unwrap();
    assert_eq!(line.wish(6), None, "somebody is on the way");
    line.observe(&sync, 7, &[100], None);
    assert_eq!(line.wish(8), None, "it is booked");
    // It is not booked for before the last that is, so until half of the way others may come.
    line.join(20);
    assert_eq!(line.wish(20), Some(60));
    line.join(30);
    assert_eq!(line.wish(50), Some(60), "and not put off again");
    assert!(line.sync(59).is_none());
    let sync = line.sync(60).unwrap();
    let asked: Vec<u64> = sync.asks.iter().map(|ask| ask.amounts[1]).collect();
    assert_eq!(asked, [20, 30]);
    line.observe(&sync, 61, &[120], Some(400));
    assert_eq!(line.wish(62), Some(400), "when the store says");
}

#[test]
fn no_more_than_an_eighth_of_a_horizon_is_waited_for_company() {
    let mut line = Core::new();
    line.join(1);
    let sync = line.sync(0).unwrap();
    line.observe(&sync, 0, &[490], None);
    line.join(1);
    assert_eq!(line.wish(10), Some(10 + 125));
}

#[test]
fn nobody_is_booked_for_who_has_no_place_in_flight() {
    let mut line = Core::new();
    for _ in 0..3 {
        line.join(10);
    }
    line.room = 0;
    assert_eq!(line.wish(0), None);
    line.room = 2;
    let sync = line.sync(0).unwrap();
    assert_eq!(sync.asks.len(), 2);
    line.observe(&sync, 0, &[1, 2], None);
    assert_eq!(line.wish(5), Some(1_000), "the third waits for a place");
    line.account.made_room();
    assert_eq!(
        line.wish(6),
        Some(6),
        "and is asked for as soon as it has one"
    );
}

#[test]
fn what_nobody_wants_any_more_is_handed_back_the_last_to_come_first() {
    let mut line = Core::new();
    line.join(10);
    line.join(20);
    let sync = line.sync(0).unwrap();
    line.observe(&sync, 0, &[100, 200], None);
    line.leave(0);
    assert_eq!(
        line.wish(10),
        Some(10 + 250),
        "with what else there may be to say"
    );
    let sync = line.sync(260);
    // By then both have come: what is in excess is 10 of 30.
    let given = sync.unwrap().told.given;
    assert_eq!(given, [1, 10, 10, 0, 0]);
}

#[test]
fn what_was_told_in_vain_is_told_again_word_for_word() {
    let mut line = Core::new();
    line.account.settle(Cost::tokens(100), Cost::tokens(40));
    line.account.order(Order::Resume);
    let first = line.sync(0).unwrap();
    assert_eq!(first.told.given, [0, 60, 60, 0, 0]);
    line.account.unanswered();
    line.account.settle(Cost::tokens(5), Cost::tokens(9));
    let again = line.sync(1).unwrap();
    assert_eq!(
        (again.turn, again.told.given),
        (first.turn, [0, 60, 60, 0, 0])
    );
    assert_eq!(
        (again.told.taken, again.told.orders.clone()),
        ([0; 5], vec![Order::Resume])
    );
    line.observe(&again, 2, &[], None);
    assert_eq!(line.wish(2), Some(2 + 250));
    let next = line.sync(2 + 250).unwrap();
    assert_eq!(
        (next.turn, next.told.taken),
        (first.turn + 1, [0, 4, 4, 0, 0])
    );
}

#[test]
fn what_is_booked_for_late_is_confirmed_in_half_a_horizon() {
    let mut line = Core::new();
    line.join(10);
    line.join(10);
    let sync = line.sync(0).unwrap();
    line.observe(&sync, 0, &[450, 900], None);
    assert_eq!(line.wish(1), Some(500));
    let sync = line.sync(500).unwrap();
    assert_eq!(sync.late, [0; 5], "within half a horizon from then");
    assert!(sync.asks.is_empty());
}

#[test]
fn a_store_that_has_forgotten_is_told_everything_but_what_would_come_back() {
    let mut line = Core::new();
    line.join(10);
    let sync = line.sync(0).unwrap();
    line.observe(&sync, 0, &[450], None);
    line.account.settle(Cost::tokens(100), Cost::tokens(40));
    line.account.settle(Cost::tokens(40), Cost::tokens(47));
    assert_eq!(line.wish(0), Some(250));
    let sync = line.sync(250).unwrap();
    assert!(sync.joins.is_none());
    line.account.forgotten();
    let sync = line.sync(251).unwrap();
    assert!(sync.joins.is_some() && sync.incarnation == "1-a");
    assert_eq!(
        (sync.told.given, sync.told.taken),
        ([0; 5], [0, 7, 7, 0, 0])
    );
    assert_eq!(sync.asks.len(), 1, "what was booked there is gone");
}

#[test]
fn what_is_used_while_the_store_is_down_is_told_before_anything_is_booked() {
    let mut line = Core::new();
    line.join(10);
    let sync = line.sync(0).unwrap();
    line.observe(&sync, 0, &[450], None);
    line.account.cut(OnStoreOutage::Divide, at(100));
    assert_eq!(line.wish(100), None, "its thread knocks by itself");
    assert!(
        !line.account.covers(Cost::tokens(10)),
        "what was booked is left"
    );
    line.account.spent(Cost::tokens(10));
    line.account.settle(Cost::tokens(10), Cost::tokens(4));
    line.account.back(at(200));
    let sync = line.sync(200).unwrap();
    assert_eq!(sync.told.taken, [1, 4, 4, 0, 0]);
    assert_eq!(sync.told.given, [0; 5]);
    assert_eq!(sync.told.orders, [Order::Quiesce]);
}

#[test]
fn the_last_lease_is_kept_and_refunds_that_may_be_known_already_are_not() {
    let mut line = Core::new();
    line.join(10);
    let sync = line.sync(0).unwrap();
    line.observe(&sync, 0, &[50], None);
    line.account.cut(OnStoreOutage::Wait, at(10));
    line.account.take_in(at(50));
    assert!(line.account.covers(Cost::tokens(10)));
    line.account.settle(Cost::tokens(100), Cost::tokens(0));
    line.account.back(at(2_011));
    line.account.order(Order::Resume);
    assert_eq!(
        line.sync(2_011).unwrap().told.given[1],
        0,
        "after two horizons"
    );
}

/// What an account has been booked: 10 and 20 of what is 1,000 in all then, and 5 came
/// back.
fn booked() -> Core {
    let mut line = Core::new();
    line.join(10);
    line.join(20);
    let sync = line.sync(0).unwrap();
    let mut answer = heard(0, &[100, 200], None);
    (answer.booked, answer.moved) = ([9, 1_000, 0, 0, 0], [0, -5, 0, 0, 0]);
    line.account
        .heard(&sync, &answer, |micros| Tick(micros * 1_000));
    line
}

#[test]
fn a_grant_takes_along_what_was_counted_when_it_left_and_no_more() {
    let mut line = booked();
    let counted = |line: &Core| Some(line.account.counted()?.amount(Unit::Tokens));
    let begun = 1_000 - 10 - 20 - 5;
    assert_eq!(counted(&line), Some(begun), "what others had booked");
    line.account.take_in(at(100));
    line.account.take(Cost::tokens(10));
    assert_eq!(counted(&line), Some(1_000 - 20 - 5));
    line.account.take_in(at(200));
    assert_eq!(counted(&line), Some(1_000 - 20 - 5), "it is not used");
    line.account.take(Cost::tokens(20));
    assert_eq!(counted(&line), Some(1_000 - 5));
    line.account.settle(Cost::tokens(20), Cost::tokens(8));
    assert_eq!(counted(&line), Some(1_000 - 5 - 12), "not told yet");
    line.account.forgotten();
    line.join(1);
    let sync = line.sync(300).unwrap();
    let mut answer = heard(300, &[], None);
    answer.incarnation = "2-b".to_owned();
    line.account
        .heard(&sync, &answer, |micros| Tick(micros * 1_000));
    assert_eq!(counted(&line), Some(0), "another store's count");
}

#[test]
fn who_is_held_is_not_asked_for_and_looked_at_again_when_its_turn_is_near() {
    let mut line = Core::new();
    line.join(10);
    let mut sync = |held, now| {
        let none = std::iter::empty();
        line.account
            .sync(none, 1, usize::MAX, Some(at(held)), [], at(now))
    };
    assert!(sync(60, 0).is_none(), "there is nothing to say");
    assert_eq!(line.wish(0), Some(60));
    line.account.order(Order::Resume);
    let sync = line
        .account
        .sync(std::iter::empty(), 1, 1, Some(at(60)), [], at(1));
    assert_eq!(sync.unwrap().asks, [], "something else is to be told");
}
