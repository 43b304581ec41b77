//! The closed loop of limiter and server, in virtual time.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[cfg(feature = "redis")]
mod added; //  quotas that a server names, for all processes
#[cfg(feature = "redis")]
mod many; //  many processes
mod room; //  how many at once
mod search; // limits that are not reported
mod words; // one answer at a time
mod world;

use world::{Outcome, Said, Server, World};

use crate::quota::Limits;

/// Tokens a minute.
const LIMIT: f64 = 90_000.0;
/// Tokens a second.
const RATE: f64 = LIMIT / 60.0;
const REQUESTS: usize = 600;
const SEEDS: u64 = 20;

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a limit"
)]
fn limits(tokens_per_minute: f64) -> Limits {
    Limits::tokens_per_minute(tokens_per_minute as u64).unwrap()
}

/// A run, and what it may come to at worst.
struct Scenario {
    name: &'static str,
    server: Server,
    limits: Limits,
    /// What all charges are together, in seconds of the rate.
    total: f64,
    /// When a client that knows everything would be done, in seconds.
    ideal: f64,
    /// The most refusals.
    refused: usize,
    /// The most time, against the ideal.
    ratio: f64,
}

impl Scenario {
    fn new(name: &'static str, server: Server, limits: Limits) -> Self {
        Self {
            name,
            total: server.burst + 30.0,
            ideal: 30.0,
            server,
            limits,
            refused: 0,
            ratio: 1.01,
        }
    }

    fn at_worst(self, refused: usize, ratio: f64) -> Self {
        Self {
            refused,
            ratio,
            ..self
        }
    }

    fn run(&self, seed: u64) -> Outcome {
        let total = self.total * RATE;
        World::new(self.server.clone(), &self.limits, REQUESTS, total, seed).run()
    }
}

fn scenarios() -> Vec<Scenario> {
    let given = || limits(LIMIT);
    let plain = || Server::new(LIMIT, 60.0);
    let second = || Server::new(LIMIT, 1.0);
    let charging = |factor| Server { factor, ..plain() };
    let saying = |said| Server { said, ..plain() };
    let with_neighbour = |every| Server {
        neighbour: Some((0.5, every)),
        ..plain()
    };
    let windows_of = |seconds| Server {
        window: Some(seconds),
        ..plain()
    };
    let changing = Server {
        changes: vec![(10.0, LIMIT / 2.0), (20.0, LIMIT)],
        ..second()
    };
    vec![
        Scenario::new("given", plain(), given()),
        Scenario::new("exact tokens", charging(0.87), given()),
        Scenario::new("1.3 of ours", charging(1.3), given()),
        Scenario::new("discovered", plain(), limits(800_000.0).provisional()),
        Scenario::new("stated 10 times too high", plain(), limits(LIMIT * 10.0)),
        Scenario::new(
            "preset 10 times too low",
            plain(),
            limits(LIMIT / 10.0).provisional(),
        )
        .at_worst(0, 1.05),
        Scenario::new("burst of 1 s", second(), given()),
        Scenario::new(
            "the same, discovered",
            second(),
            limits(800_000.0).provisional(),
        ),
        Scenario {
            total: 75.0, // half of what comes in is the neighbour's
            ..Scenario::new("a steady neighbour", with_neighbour(0.25), given()).at_worst(2, 1.02)
        },
        Scenario {
            total: 17.0,
            ..Scenario::new(
                "a steady neighbour, burst of 2 s",
                Server {
                    neighbour: Some((0.5, 0.25)),
                    ..Server::new(LIMIT, 2.0)
                },
                given(),
            )
            .at_worst(8, 1.05)
        },
        Scenario {
            total: 75.0,
            ideal: 27.5, // 60 + 27.5 less five charges of 2.5
            ..Scenario::new("a bursty neighbour", with_neighbour(5.0), given()).at_worst(20, 1.10)
        },
        Scenario {
            ideal: 60.0, // when the second window begins
            ..Scenario::new("fixed windows", windows_of(60.0), given()).at_worst(2, 1.10)
        },
        Scenario::new(
            "what remains, and nothing else",
            saying(Said::Remaining),
            given(),
        )
        .at_worst(0, 1.03), // the user's limit holds beside what the server says
        Scenario::new(
            "refusals alone",
            saying(Said::Refusals),
            limits(LIMIT * 2.0),
        )
        .at_worst(18, 1.10),
        Scenario::new("waits alone", saying(Said::Wait), limits(LIMIT * 2.0)).at_worst(18, 1.10),
        Scenario::new(
            "waits for no limit in particular",
            Server {
                names_unit: false,
                ..saying(Said::Wait)
            },
            limits(LIMIT * 2.0),
        )
        .at_worst(18, 1.10),
        Scenario {
            total: 30.0,
            ..Scenario::new("windows of 10 s", windows_of(10.0), given()).at_worst(6, 1.10)
        },
        Scenario {
            total: 30.0, // where a window ends is not known, so requests leave evenly
            ..Scenario::new("windows of 1 s", windows_of(1.0), given()).at_worst(16, 1.16)
        },
        Scenario::new(
            "answers that take longer than the bucket lasts",
            Server {
                latency: 20.0,
                ..second()
            },
            given(),
        )
        .at_worst(2, 1.10),
        Scenario {
            total: 26.0, // a second, ten at the whole rate twice, and ten at half of it
            ..Scenario::new("halved, then doubled", changing, given()).at_worst(5, 1.02)
        },
    ]
}

#[test]
fn runs_come_near_their_ideal_whatever_the_server_is_like() {
    let mut faults = Vec::new();
    for scenario in scenarios() {
        for seed in 0..SEEDS {
            let outcome = scenario.run(seed);
            let ratio = outcome.last / scenario.ideal;
            let name = format!(
                "{}, seed {seed}: {outcome:?}, ratio {ratio:.3}",
                scenario.name
            );
            let checks = [
                ("too many refusals", outcome.refused <= scenario.refused),
                ("one was refused too often", outcome.most_refused <= 6),
                ("too slow", ratio <= scenario.ratio),
                // The server may be faster than its nominal ideal by rounding alone.
                ("the server let too much in", ratio >= 0.99),
            ];
            let broken = checks.into_iter().filter(|(_, holds)| !holds);
            faults.extend(broken.map(|(what, _)| format!("{what}: {name}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_the_server_charges_and_who_else_is_there_is_seen() {
    let find = |name: &str| {
        let mut all = scenarios().into_iter();
        let scenario = all.find(|scenario| scenario.name == name).unwrap();
        let known = scenario.run(7).known.unwrap();
        assert!(known.reported, "{name}");
        (known.count_ratio.unwrap(), known.others)
    };
    let table = [
        ("given", 1.0, 0.0),
        ("exact tokens", 0.87, 0.0),
        ("1.3 of ours", 1.3, 0.0),
        ("a steady neighbour", 1.0, 0.5),
    ];
    for (step, (name, charge, others)) in table.into_iter().enumerate() {
        let (ratio, share) = find(name);
        assert!(
            (ratio - charge).abs() < 0.05,
            "step {step}: {name} charges {ratio}"
        );
        assert!(
            (share - others).abs() < 0.15,
            "step {step}: {name} takes {share}"
        );
    }
}

#[test]
fn an_error_of_the_level_is_not_overshot_and_dies_out() {
    // No ratchet and no swing: on a server whose neighbour comes and goes once, the second half
    // of the run is as fast as without.
    let mut server = Server::new(LIMIT, 60.0);
    server.owed = 30.0 * RATE; // takes half of the bucket before any request
    let scenario = Scenario {
        total: 60.0,
        ..Scenario::new("a neighbour that has gone", server, limits(LIMIT))
    };
    for seed in 0..SEEDS {
        let outcome = scenario.run(seed);
        let ratio = outcome.last / scenario.ideal;
        assert!(
            ratio <= 1.02 && outcome.refused <= 1,
            "seed {seed}: {outcome:?}, {ratio:.3}"
        );
    }
}
