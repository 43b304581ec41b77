//! Which alarms are set.

use super::*;

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

fn asked(tokens: u64) -> Asked {
    Asked {
        cost: Cost::tokens(tokens),
        priority: Priority::Interactive,
        place: None,
    }
}

fn thousand_a_second() -> WaitQueue {
    let quota = Quota::per_second(Unit::Tokens, 1_000).unwrap();
    WaitQueue::new(&steps::declare(&[quota], None), Rules::default(), Tick(0))
}

#[test]
fn one_is_set_only_when_it_is_earlier_than_the_one_that_is_set() {
    let mut queue = thousand_a_second();
    assert_eq!(queue.alarm_needed(), None, "nobody waits");
    queue.take_at_once(asked(1_000), Tick(0)).unwrap().unwrap();
    queue.join(asked(500), None, None, Tick(0)).unwrap();
    assert_eq!(queue.alarm_needed(), Some(Tick(SECOND / 2)));
    queue.join(asked(1), None, None, Tick(0)).unwrap();
    assert_eq!(queue.alarm_needed(), None, "the head's will do");
    let deadline = Tick(SECOND / 4);
    queue.join(asked(1), Some(deadline), None, Tick(0)).unwrap();
    assert_eq!(
        queue.alarm_needed(),
        Some(deadline),
        "a deadline comes before it"
    );
    queue.settle(Cost::default(), Cost::tokens(100), Tick(0));
    assert_eq!(
        queue.alarm_needed(),
        None,
        "one that is too early is set again when it rings"
    );
}

#[test]
fn one_that_is_overtaken_rings_for_nothing_and_is_not_set_again() {
    let mut queue = thousand_a_second();
    queue.take_at_once(asked(1_000), Tick(0)).unwrap().unwrap();
    queue.join(asked(500), None, None, Tick(0)).unwrap();
    let overtaken = queue.alarm_needed().unwrap();
    queue.pause_until(Tick(SECOND), Tick(0));
    let deadline = Tick(SECOND / 4);
    queue.join(asked(1), Some(deadline), None, Tick(0)).unwrap();
    assert_eq!(queue.alarm_needed(), Some(deadline));
    queue.alarm_rang(overtaken);
    assert_eq!(queue.alarm_needed(), None, "the nearer one still stands");
    queue.alarm_rang(deadline);
    queue.serve(deadline);
    assert_eq!(queue.alarm_needed(), Some(Tick(SECOND)), "the pause's end");
}
