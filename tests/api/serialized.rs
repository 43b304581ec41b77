//! What programs show of limiters, clients and runs, as JSON.

use paceline::batch::{Money, Progress};
use paceline::{AcquireOptions, Cost, Priority, RateLimiter, Unit, Usage};
use paceline::{Limits, ManualClock, Quota};
use serde_json::{json, to_value};

use crate::support::{SECOND, client, free_simulator};

#[test]
fn snapshots_costs_and_counters_serialize() {
    let clock = ManualClock::new();
    let limits = Limits::tokens_per_minute(60_000).unwrap();
    let limiter = RateLimiter::builder(limits).clock(&clock).build();
    drop(limiter.acquire(Cost::sized(59_000, 1_000)).unwrap());
    std::thread::scope(|scope| {
        let wait = AcquireOptions::new().priority(Priority::Batch);
        let limiter = &limiter;
        scope.spawn(move || drop(limiter.acquire_with(Cost::tokens(2_000), wait).unwrap()));
        clock.wait_for_waiters(1);
        let snapshot = to_value(limiter.snapshot()).unwrap();
        assert_eq!(snapshot["quotas"][0]["quota"]["unit"], "tokens");
        assert_eq!(snapshot["quotas"][0]["quota"]["period"], 60.0);
        assert_eq!(snapshot["quotas"][0]["level"], 0);
        assert_eq!(snapshot["quotas"][0]["origin"], "stated");
        assert_eq!(snapshot["head_due"], 2.0);
        assert_eq!(snapshot["head_cost"]["tokens"], 2_000);
        assert_eq!(snapshot["counters"]["grants"], 1);
        let waiter = &to_value(limiter.waiters()).unwrap()[0];
        assert_eq!(
            (&waiter["priority"], &waiter["due"]),
            (&json!("batch"), &json!(2.0))
        );
        clock.advance(2 * SECOND);
    });
    let quota = Quota::per_minute(Unit::InputTokens, 5).unwrap();
    assert_eq!(to_value(quota).unwrap()["unit"], "input_tokens");
    let used = to_value(Usage::new(2, 3).with_reasoning(1)).unwrap();
    assert_eq!(
        (&used["output_tokens"], &used["reasoning_tokens"]),
        (&json!(3), &json!(1))
    );
    let simulator = free_simulator();
    let client = client(simulator.base_url());
    client.chat("a").unwrap();
    assert_eq!(to_value(client.stats()).unwrap()["sent"], 1);
    assert_eq!(to_value(Progress::default()).unwrap()["succeeded"], 0);
    assert_eq!(
        to_value(Money::from_trillionths(1_500_000_000_000)).unwrap(),
        1.5
    );
}

#[test]
fn what_a_map_reports_serializes() {
    let summary = paceline::parallel::for_each_result(
        1..=3,
        |item: u32| Ok::<_, paceline::Error>(item),
        |_, _| {},
    );
    let shown = to_value(summary).unwrap();
    assert_eq!(
        (&shown["done"], &shown["skipped"]),
        (&json!(3), &json!(null))
    );
    let progress = paceline::parallel::Progress::default();
    assert_eq!(to_value(progress).unwrap()["done"], 0);
}
