//! Quotas that a server reports and that are not stated, over a store: all processes hold them.

use std::time::Duration;

use super::limits;
use super::world::JITTER;
use crate::cost::Cost;
use crate::limiter::Priority;
use crate::limiter::bucket::Tick;
use crate::limiter::queue::{Answer, Asked, Grant, Rules, WaitQueue};
use crate::limiter::shared::{MemoryStore, account};
use crate::observation::{LimitStatus, Observation, Refusal};
use crate::quota::Limits;
use crate::unit::Unit;

const HORIZON: Duration = Duration::from_secs(1);
const SECOND: u64 = 1_000_000_000;

fn process(limits: &Limits) -> WaitQueue {
    let rules = Rules {
        jitter: Some(JITTER),
        ..Rules::default()
    };
    let mut queue = WaitQueue::new(limits, rules, Tick(0));
    queue.share(
        account(&limits.clone().allow_jitter(JITTER), HORIZON),
        Tick(0),
    );
    queue
}

/// Syncs until there is nothing more to say.
fn visit(queue: &mut WaitQueue, memory: &mut MemoryStore, now: u64) {
    for _ in 0..4 {
        queue.bring_up_to(Tick(now));
        let Some(sync) = queue.sync(Tick(now)) else {
            return;
        };
        let answer = memory.go(&sync.0, now / 1_000);
        queue.heard(&sync, &answer, |micros| Tick(micros * 1_000));
    }
}

/// Sends a request, at a time in seconds and the two seconds after that.
fn grant(queue: &mut WaitQueue, memory: &mut MemoryStore, from: u64, cost: Cost) -> Grant {
    let asked = Asked {
        cost,
        priority: Priority::Batch,
        place: None,
    };
    queue.join(asked, None, None, Tick(from * SECOND)).unwrap();
    for step in 0..200 {
        let now = from * SECOND + step * SECOND / 100;
        visit(queue, memory, now);
        queue.serve(Tick(now));
        if let Some(answered) = queue.take_answered() {
            let granted = answered.iter().find_map(|(_, answer)| match answer {
                Answer::Granted(grant) => Some(grant.clone()),
                _ => None,
            });
            return granted.unwrap();
        }
    }
    unreachable!("nothing was granted within two seconds")
}

#[test]
fn a_quota_that_one_process_hears_of_holds_for_all_of_any_unit_and_period() {
    let units = [
        Unit::Requests,
        Unit::Tokens,
        Unit::InputTokens,
        Unit::OutputTokens,
    ];
    let stated = [
        ("stated", limits(1_000_000.0)),
        ("a guess", limits(800_000.0).provisional()),
    ];
    for (name, known) in stated {
        for unit in units {
            for seconds in [1, 60, 3_600, 86_400] {
                for is_refused in [false, true] {
                    let period = Duration::from_secs(seconds);
                    let case = format!("{name}, {unit:?} per {seconds} s, refused: {is_refused}");
                    let mut memory = MemoryStore::new(HORIZON);
                    let mut first = process(&known);
                    let mut second = process(&known);
                    let cost = Cost::sized(10, 5);
                    let sent = grant(&mut first, &mut memory, 0, cost);
                    let report = LimitStatus {
                        limit: Some(5_000),
                        remaining: Some(4_000),
                        period: Some(period),
                        ..LimitStatus::of(unit)
                    };
                    let observation = match is_refused {
                        false => Observation::admitted().with(report),
                        true => Observation::refused(Refusal {
                            unit: Some(unit),
                            period: Some(period),
                            limit: Some(5_000),
                            wait: Some(Duration::from_millis(10)),
                            ..Refusal::default()
                        }),
                    };
                    let now = sent.at.0 + SECOND / 2;
                    first.observe(&sent, cost, &observation, Tick(now));
                    visit(&mut first, &mut memory, now);
                    visit(&mut first, &mut memory, now + 2 * SECOND);
                    let later = now / SECOND + 4;
                    grant(&mut second, &mut memory, later, cost);
                    for (process, queue) in [("first", &mut first), ("second", &mut second)] {
                        let shown = queue.snapshot(Tick((later + 2) * SECOND)).quotas;
                        let is_it = |quota: &crate::Quota| {
                            (quota.unit(), quota.period(), quota.amount()) == (unit, period, 5_000)
                        };
                        let has = shown.iter().any(|shown| is_it(&shown.quota));
                        assert!(has, "{case}: {process} shows {shown:?}");
                    }
                }
            }
        }
    }
}
