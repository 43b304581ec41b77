//! Killed at any moment, and servers that go away: each request stands exactly once in the
//! results or the errors, and what is paid for twice is no more than what was under way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits, Simulator};

use crate::harness::{Cmd, Folder, chats};

/// A hundred; a thousand where there is time for it.
fn jobs() -> u64 {
    match std::env::var_os("PACELINE_LONG") {
        Some(_) => 1_000,
        None => 100,
    }
}

const REQUESTS: usize = 500;
const IN_FLIGHT: u64 = 8;

/// Chance from a seed (`SplitMix64`), the same on every machine.
struct Chance(u64);

impl Chance {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

/// An API whose answers take about a millisecond, so that some are always under way.
fn api(port: u16) -> SimConfig {
    SimConfig::new()
        .port(port)
        .default_limits(SimLimits::default())
        .latency(Duration::from_millis(1))
        .latency_spread(1.0)
}

/// Few at once, and counted as the simulator does, which needs no table of tokens.
fn run(folder: &Folder, api: &Simulator) -> Cmd {
    folder
        .run(&api.base_url())
        .args(["--max-in-flight", &IN_FLIGHT.to_string()])
        .args(["--prompt-rule", "characters"])
}

/// One job: killed up to three times, each after a number of requests that the API has let in.
fn job(seed: u64) {
    let mut chance = Chance(seed);
    let api = Simulator::start(api(0).seed(seed)).unwrap();
    let folder = Folder::with_input(chats(REQUESTS));
    let mut kills = 0;
    for _ in 0..=chance.below(3) {
        let before = api.report().admitted;
        let left = (REQUESTS as u64).saturating_sub(before);
        // Now and then later than the last: the kill then comes at the end, or too late.
        let target = before + chance.below(left + left / 8);
        let mut running = run(&folder, &api).start();
        let ended = loop {
            if let Some(status) = running.child.try_wait().unwrap() {
                break Some(status);
            }
            if api.report().admitted >= target {
                break None;
            }
            thread::sleep(Duration::from_millis(1));
        };
        if let Some(status) = ended {
            assert!(status.success(), "seed {seed}: {status}");
            break;
        }
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        kills += 1;
    }
    run(&folder, &api).ends_with(0);
    folder.assert_each_once(REQUESTS);
    let twice = api.report().admitted - REQUESTS as u64;
    // What was under way, and the one that was being written.
    let most = kills * (IN_FLIGHT + 1);
    assert!(
        twice <= most,
        "seed {seed}: {twice} were paid for twice in {kills} kills, not {most} at most"
    );
}

#[test]
fn a_hundred_jobs_that_are_killed_at_any_moment_end_with_each_request_once() {
    let next = AtomicU64::new(0);
    // Each waits for other processes half of the time.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= jobs() {
                        return;
                    }
                    let ended = thread::Builder::new()
                        .name(format!("job of seed {seed}"))
                        .spawn_scoped(scope, move || job(seed))
                        .unwrap()
                        .join();
                    assert!(ended.is_ok(), "the job of seed {seed} failed: see above");
                }
            });
        }
    });
}

#[test]
fn failures_that_are_tried_again_are_never_lost_to_a_kill() {
    let folder = Folder::with_input(chats(60));
    // Smaller than any request.
    let small = SimLimits::none().tokens_per_minute(1);
    let refusing = Simulator::start(api(0).default_limits(small)).unwrap();
    let paced = || {
        run(&folder, &refusing).args([
            "--rpm",
            "gpt-4o-mini=6000",
            "--burst-seconds",
            "1",
            "--keep-going",
        ])
    };
    paced().ends_with(1);
    assert_eq!(folder.lines("in.errors.jsonl").len(), 60);
    // Killed while some are tried again, and others are not yet.
    let mut running = paced().start();
    folder.wait_for_lines("in.errors.jsonl", 70);
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let kept = run(&folder, &refusing).args(["--keep-failed"]).ends_with(1);
    kept.says(&["60 failed"]);
    folder.assert_each_once(60);
    let good = Simulator::start(api(0)).unwrap();
    run(&folder, &good).ends_with(0);
    folder.assert_each_once(60);
    assert_eq!(folder.read("in.errors.jsonl"), "");
}

#[test]
fn a_server_that_is_started_again_in_the_middle_fails_no_request() {
    let first = Simulator::start(api(0)).unwrap();
    let folder = Folder::with_input(chats(REQUESTS));
    let running = run(&folder, &first).start();
    folder.wait_for_lines("in.results.jsonl", 50);
    let port = first.addr().port();
    drop(first);
    let second = Simulator::start(api(port)).unwrap();
    running.ends_with(0);
    folder.assert_each_once(REQUESTS);
    assert!(
        second.report().admitted > 0,
        "it ended before the server did"
    );
}
