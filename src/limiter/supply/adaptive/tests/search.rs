//! Servers that say nothing of their limits before they refuse, and little then.

use super::world::{Said, Server, World};
use super::{LIMIT, RATE, REQUESTS, SEEDS, limits};

/// What a server does, and what a run may come to at worst: refusals, and the time against the ideal.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) server: Server,
    /// What all charges are together.
    pub(super) total: f64,
    pub(super) ideal: f64,
    pub(super) refused: usize,
    pub(super) ratio: f64,
}

pub(super) fn cases() -> Vec<Case> {
    let saying = |said, burst| Server {
        said,
        ..Server::new(LIMIT, burst)
    };
    let gateway = |rate: f64, burst| Server {
        counts_requests: true,
        said: Said::Nothing,
        latency: 0.002,
        ..Server::new(rate, burst)
    };
    vec![
        Case {
            name: "words, a minute's bucket",
            server: saying(Said::Refusals, 60.0),
            total: 90.0 * RATE,
            ideal: 30.3,
            refused: 18,
            ratio: 1.15,
        },
        Case {
            name: "words, a minute's bucket, three times the guess",
            server: Server {
                said: Said::Refusals,
                ..Server::new(2_400_000.0, 60.0)
            },
            total: 90.0 * 40_000.0,
            ideal: 30.3,
            refused: 18,
            ratio: 1.15,
        },
        Case {
            name: "words, a second's bucket",
            server: saying(Said::Refusals, 1.0),
            total: 31.0 * RATE,
            ideal: 30.3,
            refused: 18,
            ratio: 1.15,
        },
        Case {
            name: "no words, a second's bucket",
            server: saying(Said::Nothing, 1.0),
            total: 31.0 * RATE,
            ideal: 30.3,
            refused: 18,
            ratio: 1.15,
        },
        Case {
            name: "no words, a minute's bucket",
            server: saying(Said::Nothing, 60.0),
            total: 90.0 * RATE,
            ideal: 30.3,
            refused: 18,
            ratio: 1.3,
        },
        Case {
            name: "a gateway of 600 that holds 20",
            server: gateway(600.0, 2.0),
            total: REQUESTS as f64 * 30.0,
            ideal: 58.0,
            refused: 18,
            ratio: 1.3,
        },
        Case {
            name: "a gateway of 1,500 that holds 25",
            server: gateway(1_500.0, 1.0),
            total: REQUESTS as f64 * 30.0,
            ideal: 23.0,
            refused: 18,
            ratio: 1.3,
        },
        Case {
            name: "a slow gateway of 120 that holds 4",
            server: Server {
                latency: 1.5,
                ..gateway(120.0, 2.0)
            },
            total: REQUESTS as f64 * 3_000.0,
            ideal: 298.0,
            refused: 30,
            ratio: 1.3,
        },
    ]
}

#[test]
fn a_limit_that_nobody_says_is_found() {
    let mut faults = Vec::new();
    for case in cases() {
        for seed in 0..SEEDS {
            let guess = limits(800_000.0).provisional();
            let outcome = World::new(case.server.clone(), &guess, REQUESTS, case.total, seed).run();
            let ratio = outcome.last / case.ideal;
            let name = format!("{}, seed {seed}: {ratio:.3} {outcome:?}", case.name);
            if outcome.refused > case.refused || ratio > case.ratio || outcome.most_refused > 12 {
                faults.push(name);
            }
        }
    }
    assert!(faults.is_empty(), "{} {}", faults.len(), faults.join("\n"));
}

#[test]
fn a_limit_that_one_refusal_names_and_nobody_repeats_holds_nobody_for_long() {
    // The sample of a guide, which one answer carries; then the server is open.
    let mut server = Server::new(1e9, 60.0);
    server.said = Said::Nothing;
    server.sample_at = Some(5);
    let guess = limits(800_000.0).provisional();
    for seed in 0..SEEDS {
        let outcome = World::new(server.clone(), &guess, 60, 1_800.0, seed).run();
        assert!(outcome.last < 20.0, "seed {seed}: {outcome:?}");
    }
}
