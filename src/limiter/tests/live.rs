//! What can change while others wait: limits, pauses, and places in line.

use std::sync::mpsc;
use std::thread;

use super::*;
use crate::limiter::AcquireOptions;
use crate::{AcquireError, Cost};

#[test]
fn a_turn_that_is_kept_goes_ahead_of_all_who_came_later() {
    let (limiter, clock) = thousand_a_second();
    let first = limiter.acquire(Cost::tokens(1_000)).unwrap();
    let (done, order) = mpsc::channel();
    thread::scope(|scope| {
        for (count, name) in [(1, "second"), (2, "third")] {
            let (limiter, done) = (&limiter, done.clone());
            scope.spawn(move || {
                let permit = limiter.acquire(Cost::tokens(10)).unwrap();
                done.send((name, permit.waited())).unwrap();
            });
            until_waiting(limiter, count);
        }
        let again = done.clone();
        scope.spawn(move || {
            let permit = first
                .keep_place()
                .acquire(Cost::tokens(900), AcquireOptions::new());
            again.send(("first", permit.unwrap().waited())).unwrap();
        });
        until_waiting(&limiter, 3);
        clock.advance(MILLISECOND * 899);
        assert!(order.try_recv().is_err(), "somebody overtook it");
        clock.advance(MILLISECOND);
        assert_eq!(order.recv().unwrap(), ("first", MILLISECOND * 900));
        clock.advance(MILLISECOND * 20);
        let mut rest = [order.recv().unwrap().0, order.recv().unwrap().0];
        rest.sort_unstable();
        assert_eq!(rest, ["second", "third"]);
    });
}

#[test]
fn a_turn_that_is_due_passes_those_who_wait_for_more() {
    let (limiter, _clock) = thousand_a_second();
    let small = limiter.acquire(Cost::tokens(100)).unwrap();
    thread::scope(|scope| {
        let large = scope.spawn(|| limiter.acquire(Cost::tokens(950)));
        until_waiting(&limiter, 1);
        let again = small
            .keep_place()
            .acquire(Cost::tokens(100), AcquireOptions::new());
        assert_eq!(again.unwrap().waited(), Duration::ZERO);
        limiter.close();
        assert!(matches!(large.join().unwrap(), Err(AcquireError::Closed)));
    });
}

#[test]
fn limits_that_change_serve_the_head_and_refuse_who_can_never_pass() {
    let (limiter, clock) = thousand_a_second();
    drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
    let second = |amount| {
        let quota = Quota::new(Unit::Tokens, amount, SECOND).unwrap();
        Limits::builder().quota(quota).build().unwrap()
    };
    thread::scope(|scope| {
        let head = scope.spawn(|| limiter.acquire(Cost::tokens(800)));
        until_waiting(&limiter, 1);
        let next = scope.spawn(|| limiter.acquire(Cost::tokens(300)));
        until_waiting(&limiter, 2);
        limiter.set_limits(&second(1_800)); // 1,000 of it used
        drop(head.join().unwrap().unwrap());
        limiter.set_limits(&second(200));
        let refused = next.join().unwrap();
        assert!(
            matches!(
                refused,
                Err(AcquireError::TooLarge {
                    amount: 200,
                    cost: 300,
                    ..
                })
            ),
            "{refused:?}"
        );
    });
    assert_eq!(quotas(&limiter), [(200, -1_600)], "what is used stays used");
    clock.advance(SECOND * 8);
    assert_eq!(quotas(&limiter), [(200, 0)]);
}

#[test]
fn a_pause_that_is_lifted_serves_who_waits() {
    let (limiter, clock) = thousand_a_second();
    limiter.pause_until(clock.now() + SECOND * 600);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| limiter.acquire(Cost::tokens(1)).unwrap().waited());
        until_waiting(&limiter, 1);
        limiter.resume();
        assert_eq!(waiting.join().unwrap(), Duration::ZERO);
    });
    assert_eq!(limiter.snapshot().paused_for, Duration::ZERO);
}
