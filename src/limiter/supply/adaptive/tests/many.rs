//! The same runs over a store that counts, by one process and by four: the same estimator, fed with what
//! all have spent and observed.

use super::world::{Outcome, World};
use super::{RATE, REQUESTS, Scenario, scenarios, search};

/// What runs of one process and of four may come to at worst: refusals and time. Of servers that are not
/// named here it is [`REFUSED`] and [`RATIO`], or what a run without a store may come to.
const AT_WORST: [(&str, [(usize, f64); 2]); 19] = [
    ("given", [(0, 1.02), (4, 1.05)]),
    ("exact tokens", [(0, 1.02), (2, 1.05)]),
    ("1.3 of ours", [(0, 1.02), (2, 1.05)]),
    ("discovered", [(2, 1.02), (4, 1.05)]),
    ("stated 10 times too high", [(0, 1.02), (2, 1.05)]),
    ("preset 10 times too low", [(0, 1.05), (2, 1.05)]),
    ("burst of 1 s", [(0, 1.02), (4, 1.05)]),
    ("the same, discovered", [(6, 1.12), (4, 1.05)]),
    ("a steady neighbour", [(2, 1.03), (8, 1.12)]),
    ("a bursty neighbour", [(20, 1.10), (30, 1.10)]),
    ("fixed windows", [(2, 1.10), (6, 1.10)]),
    ("what remains, and nothing else", [(0, 1.03), (4, 1.05)]),
    ("refusals alone", [(18, 1.10), (18, 1.15)]),
    ("waits alone", [(18, 1.10), (18, 1.15)]),
    ("waits for no limit in particular", [(18, 1.10), (18, 1.15)]),
    ("windows of 10 s", [(6, 1.10), (12, 1.10)]),
    ("windows of 1 s", [(16, 1.16), (18, 1.15)]),
    (
        "answers that take longer than the bucket lasts",
        [(2, 1.10), (4, 1.10)],
    ),
    ("halved, then doubled", [(5, 1.02), (18, 1.15)]),
];

/// The same of four processes at servers that say nothing before they refuse.
const FOUR_AT_WORST: [(&str, usize, f64); 4] = [
    ("words, a minute's bucket", REFUSED, 1.2),
    (
        "words, a minute's bucket, three times the guess",
        REFUSED,
        1.2,
    ),
    // They learn of each other late, and search for two limits, of which one does not exist.
    ("no words, a minute's bucket", 24, 1.2),
    ("a slow gateway of 120 that holds 4", 30, 1.9),
];

/// Of 600 requests, 3 % refused.
const REFUSED: usize = 18;
/// How much longer than ideal a run takes at worst.
const RATIO: f64 = 1.15;

fn world(scenario: &Scenario, processes: usize, seed: u64) -> World {
    let total = scenario.total * RATE;
    let limits = &scenario.limits;
    let world = World::new(scenario.server.clone(), limits, REQUESTS, total, seed);
    world.shared(limits, processes)
}

/// All kinds of servers: those that say something and those that say nothing before they refuse.
fn all() -> Vec<Scenario> {
    let silent = search::cases().into_iter().map(|case| Scenario {
        name: case.name,
        server: case.server,
        limits: super::limits(800_000.0).provisional(),
        total: case.total / RATE,
        ideal: case.ideal,
        refused: case.refused,
        ratio: case.ratio,
    });
    scenarios().into_iter().chain(silent).collect()
}

/// The runs are long, and every seed of them is played without a store.
const FEW_SEEDS: u64 = 5;

fn seeds() -> u64 {
    match std::env::var_os("PACELINE_LONG") {
        Some(_) => 20,
        None => FEW_SEEDS,
    }
}

fn shown(name: &str, ideal: f64, outcomes: &[Outcome]) -> String {
    let mut ratios: Vec<f64> = outcomes.iter().map(|it| it.last / ideal).collect();
    ratios.sort_by(f64::total_cmp);
    let refused: Vec<usize> = outcomes.iter().map(|it| it.refused).collect();
    let (median, most) = (ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    format!("{name:60} {median:.3} to {most:.3}, refused {refused:?}")
}

/// `PACELINE_ONLY` names those to look at.
fn is_left_out(name: &str) -> bool {
    std::env::var("PACELINE_ONLY").is_ok_and(|only| !name.contains(&only))
}

#[test]
fn runs_over_a_store_come_near_their_ideal_by_one_process_and_by_four() {
    let mut faults = Vec::new();
    for scenario in all() {
        if is_left_out(scenario.name) {
            continue;
        }
        let usual = (REFUSED.max(scenario.refused), RATIO.max(scenario.ratio));
        let worst = AT_WORST.iter().find(|(name, _)| *name == scenario.name);
        let four = FOUR_AT_WORST
            .iter()
            .find(|(name, ..)| *name == scenario.name);
        let four = four.map_or(usual, |(_, refused, ratio)| (*refused, *ratio));
        // Bounds of a name are those of these seeds.
        let seeds = worst.map_or_else(seeds, |_| FEW_SEEDS);
        let worst = worst.map_or([usual, four], |(_, worst)| *worst);
        for (processes, (refused, ratio)) in [1, 4].into_iter().zip(worst) {
            let run = |seed| world(&scenario, processes, seed).run();
            let outcomes: Vec<Outcome> = (0..seeds).map(run).collect();
            let name = format!("{}, {processes} processes", scenario.name);
            let line = shown(&name, scenario.ideal, &outcomes);
            println!("{line}");
            let is_fault = |it: &Outcome| it.refused > refused || it.last / scenario.ideal > ratio;
            if outcomes.iter().any(is_fault) {
                faults.push(line);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_store_that_is_far_or_away_and_a_process_that_dies_cost_time_and_few_refusals() {
    let mut faults = Vec::new();
    let names = [
        "given",
        "burst of 1 s",
        "waits alone",
        "words, a second's bucket",
        "no words, a second's bucket",
    ];
    type StoreError = fn(World) -> World;
    let troubles: [(&str, StoreError, f64); 3] = [
        ("far", |world| world.far(0.05), 1.35),
        // Seven seconds without it, in which each goes by its part of limits that are not known well.
        ("away", |world| world.refusal_backoff(5.0, 12.0), 2.1),
        ("one dies", |world| world.dying(1, 8.0), 1.5),
    ];
    let are_meant = |scenario: &Scenario| names.contains(&scenario.name);
    for scenario in all().into_iter().filter(are_meant) {
        for (trouble, make, ratio) in troubles {
            let name = format!("{}, {trouble}", scenario.name);
            if is_left_out(&name) {
                continue;
            }
            let run = |seed| make(world(&scenario, 4, seed)).run();
            let outcomes: Vec<Outcome> = (0..seeds()).map(run).collect();
            let line = shown(&name, scenario.ideal, &outcomes);
            println!("{line}");
            let (refused, ratio) = match (scenario.name, trouble) {
                ("given", _) => (6, ratio.min(1.5)),
                // A part of so small a bucket holds two requests, and what is left is found slowly afterwards.
                ("burst of 1 s", "away") => (24, 2.8),
                _ => (24, ratio),
            };
            let is_fault = |it: &Outcome| it.refused > refused || it.last / scenario.ideal > ratio;
            if outcomes.iter().any(is_fault) {
                faults.push(line);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Where limits are stated and the server does not say that they are all there is, a process that has
/// never reached its store begins with nothing: others may have used it.
const NEVER_REACHED: [(&str, f64); 5] = [
    ("what remains, and nothing else", 3.05),
    ("refusals alone", 1.55),
    ("waits alone", 1.55),
    ("waits for no limit in particular", 1.55),
    // Two a second, of which the first refusals take their time to show the rate.
    ("a slow gateway of 120 that holds 4", 1.4),
];

#[test]
fn a_store_that_was_never_reached_is_as_none() {
    let mut faults = Vec::new();
    for scenario in all().into_iter().filter(|it| !is_left_out(it.name)) {
        let run = |seed| {
            let world = world(&scenario, 1, seed).refusal_backoff(0.0, 1e6);
            world.run()
        };
        let outcomes: Vec<Outcome> = (0..seeds()).map(run).collect();
        let line = shown(scenario.name, scenario.ideal, &outcomes);
        println!("{line}");
        let worst = NEVER_REACHED
            .iter()
            .find(|(name, _)| *name == scenario.name);
        let ratio = worst.map_or(scenario.ratio.max(RATIO), |(_, ratio)| *ratio);
        let is_fault = |it: &Outcome| {
            it.refused > REFUSED.max(scenario.refused) || it.last / scenario.ideal > ratio
        };
        if outcomes.iter().any(is_fault) {
            faults.push(line);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
