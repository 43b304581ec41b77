//! The same runs over a store that counts, by one process and by four: the same estimator, fed with what
//! all have spent.

use super::world::{Outcome, World};
use super::{RATE, REQUESTS, Scenario, scenarios};

/// What runs of one process and of four may come to at worst, where that is more than without a store:
/// refusals and time. Each process meets the first refusals of a server by itself, and what an answer
/// says is the less exact the more others have sent about the same time.
const AT_WORST: [(&str, [(usize, f64); 2]); 19] = [
    ("given", [(0, 1.02), (4, 1.05)]),
    ("exact tokens", [(0, 1.02), (2, 1.05)]),
    ("1.3 of ours", [(0, 1.02), (2, 1.05)]),
    ("discovered", [(2, 1.02), (4, 1.05)]),
    ("stated 10 times too high", [(0, 1.02), (2, 1.05)]),
    ("preset 10 times too low", [(0, 1.05), (2, 1.05)]),
    ("burst of 1 s", [(0, 1.02), (4, 1.05)]),
    ("the same, discovered", [(6, 1.12), (16, 1.25)]),
    ("a steady neighbour", [(2, 1.03), (8, 1.12)]),
    ("a bursty neighbour", [(20, 1.10), (30, 1.10)]),
    ("fixed windows", [(2, 1.10), (6, 1.10)]),
    // The limit is not named, so the store goes by the user's, and none may go beyond that.
    ("what remains, and nothing else", [(0, 1.60), (4, 2.0)]),
    ("refusals alone", [(18, 1.20), (30, 1.80)]),
    ("waits alone", [(18, 1.10), (30, 1.80)]),
    ("waits for no limit in particular", [(18, 1.10), (36, 1.60)]),
    ("windows of 10 s", [(6, 1.10), (12, 1.10)]),
    ("windows of 1 s", [(90, 1.25), (110, 4.0)]),
    (
        "answers that take longer than the bucket lasts",
        [(2, 1.10), (4, 1.40)],
    ),
    ("halved, then doubled", [(5, 1.02), (30, 1.15)]),
];

fn run(scenario: &Scenario, processes: usize, seed: u64) -> Outcome {
    let total = scenario.total * RATE;
    let limits = &scenario.limits;
    let world = World::new(scenario.server.clone(), limits, REQUESTS, total, seed);
    world.shared(limits, processes).run()
}

/// The runs are long, and every seed of them is played without a store.
const FEW_SEEDS: u64 = 5;

#[test]
fn runs_over_a_store_come_near_their_ideal_by_one_process_and_by_four() {
    let mut faults = Vec::new();
    for scenario in scenarios() {
        let mut bounds = AT_WORST.iter();
        let bounds = bounds.find(|(name, _)| *name == scenario.name).unwrap().1;
        for (processes, (refused, ratio)) in [1, 4].into_iter().zip(bounds) {
            for seed in 0..FEW_SEEDS {
                let outcome = run(&scenario, processes, seed);
                let took = outcome.last / scenario.ideal;
                if outcome.refused > refused || took > ratio {
                    let name = scenario.name;
                    faults.push(format!(
                        "{name}, {processes} processes, seed {seed}: {took:.3}, {outcome:?}"
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_store_that_is_away_for_a_while_costs_time_and_no_refusals() {
    for seed in 0..FEW_SEEDS {
        let scenario = scenarios().into_iter().next().unwrap();
        let total = scenario.total * RATE;
        let world = World::new(
            scenario.server.clone(),
            &scenario.limits,
            REQUESTS,
            total,
            seed,
        );
        let outcome = world
            .shared(&scenario.limits, 4)
            .refusal_backoff(5.0, 12.0)
            .run();
        let took = outcome.last / scenario.ideal;
        assert!(
            outcome.refused <= 6 && took <= 1.5,
            "seed {seed}: {took:.3}, {outcome:?}"
        );
    }
}
