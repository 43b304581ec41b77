//! Servers that limit how many are in flight at once, or serve a number and let the others wait.

#![allow(clippy::cast_sign_loss, reason = "counts of requests")]

use super::world::{Outcome, Room, Server, World};
use super::{SEEDS, limits};
use crate::observation::{Observation, Refusal};
use crate::quota::Limits;

/// Serves this many at once, each within this time in seconds.
fn serving(latency: f64, room: Room) -> Server {
    Server {
        latency,
        room: Some(room),
        ..Server::new(0.0, 60.0)
    }
}

/// Requests of 30 tokens.
fn run(server: &Server, limits: &Limits, requests: i32, seed: u64) -> Outcome {
    let total = f64::from(requests) * 30.0;
    World::new(server.clone(), limits, requests as usize, total, seed).run()
}

/// What a limiter assumes of a model of which it knows nothing.
fn guess() -> Limits {
    limits(800_000.0).provisional()
}

fn for_room() -> Observation {
    Observation::refused(Refusal {
        is_for_room: true,
        ..Refusal::default()
    })
}

#[test]
fn a_queue_that_gets_longer_is_not_filled() {
    for (slots, most) in [(4_usize, 16), (8, 18), (20, 60)] {
        for (known, limits) in [("a guess", guess()), ("stated", limits(1e9))] {
            let room = Room::new(slots, usize::MAX, Observation::default());
            for seed in 0..SEEDS {
                let outcome = run(&serving(0.1, room.clone()), &limits, 600, seed);
                // At twofold in two seconds a guess takes its time to meet 20.
                let late = if slots == 20 && known == "a guess" {
                    3.0
                } else {
                    0.0
                };
                let ratio = outcome.ended / (60.0 / slots as f64 + late);
                let name = format!("{slots} slots, {known}, seed {seed}: {ratio:.3}, {outcome:?}");
                assert!(ratio <= 1.15, "too slow: {name}");
                assert!(outcome.most_later <= most, "too many at once: {name}");
            }
        }
    }
}

#[test]
fn what_is_refused_for_want_of_room_is_not_sent_again_and_again() {
    let refusing = [
        ("2 slots", 0.2, Room::new(2, 0, for_room()), 60, 30, 1.1),
        (
            "a queue of 20",
            0.1,
            Room::new(1, 20, Observation::overloaded()),
            1_500,
            30,
            1.01,
        ),
        (
            "8 slots, overloaded",
            0.1,
            Room::new(8, 0, Observation::overloaded()),
            600,
            60,
            1.15,
        ),
    ];
    for (name, latency, room, requests, refused, ratio) in refusing {
        let ideal = latency * f64::from(requests) / room.slots as f64;
        for seed in 0..SEEDS {
            let server = serving(latency, room.clone());
            let outcome = run(&server, &guess(), requests, seed);
            let took = outcome.ended / ideal;
            let name = format!("{name}, seed {seed}: {took:.3}, {outcome:?}");
            assert!(took <= ratio, "too slow: {name}");
            assert!(outcome.refused <= refused, "too many refusals: {name}");
        }
    }
}

#[test]
fn answers_that_take_long_are_no_queue() {
    // Any number at once, and times that vary as much as the lengths of answers do.
    let mut room = Room::new(usize::MAX, 0, Observation::default());
    room.sigma = 0.8;
    for latency in [1.0, 8.0] {
        for seed in 0..SEEDS {
            let server = serving(latency, room.clone());
            // 40 requests a second, 1,200 in all.
            let outcome = run(&server, &limits(72_000.0), 1_200, seed);
            let name = format!("{latency} s, seed {seed}: {outcome:?}");
            assert!(outcome.last_sent <= 31.0, "held up: {name}");
        }
    }
}
