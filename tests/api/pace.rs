//! Many threads, one limit: the simulator judges.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits, SimReport, Simulator};
use paceline::{ChatRequest, LimitTable, Limits, RateLimitedClient, Registry};
use rayon::prelude::*;

use super::scripted::{Scripted, Step};
use super::support::{SECOND, builder, client, simulator};

const THREADS: usize = 64;
/// How much of a rate may come at once.
const BURST: Duration = Duration::from_secs(2);
/// What requests may be late by on a machine that does other things as well. The client holds
/// back as much, so that its own burst is one second.
const JITTER: Duration = Duration::from_secs(1);
/// So many seconds' worth of requests: one in the burst, two that have to wait.
const SECONDS: u64 = 3;
/// What the client counts for [`ask`]: 8 for the prompt, and the output cap.
const TOKENS: u64 = 1_000;

/// A simulator and a client with the same limits, in requests and in [`ask`]s' tokens a second.
fn start(requests: u64, asks: u64) -> (Simulator, RateLimitedClient) {
    let (requests, tokens) = (requests * 60, asks * TOKENS * 60);
    let limits = SimLimits::none()
        .tokens_per_minute(tokens)
        .requests_per_minute(requests);
    let simulator = simulator(SimConfig::new().default_limits(limits).burst(BURST));
    let limits = Limits::builder()
        .tokens_per_minute(tokens)
        .requests_per_minute(requests)
        .with_burst_duration(BURST)
        .build()
        .unwrap();
    let registry = Registry::new(LimitTable::empty(limits)).jitter(JITTER);
    let client = builder(simulator.base_url()).registry(Arc::new(registry));
    (simulator, client.build().unwrap())
}

fn ask(client: &RateLimitedClient) {
    let request = ChatRequest::from("a").max_completion_tokens(TOKENS - 8);
    client.chat(request).unwrap();
}

fn assert_kept(report: &SimReport, client: &RateLimitedClient, requests: u64) {
    assert_eq!(report.refused(), 0);
    assert_eq!(report.violations(), []);
    assert_eq!((report.admitted, client.stats().sent), (requests, requests));
    // They had to wait, and did not wait for longer than they had to, on a machine of any speed.
    assert!(report.admitting > SECOND, "{:?}", report.admitting);
    assert!(report.admitting < 20 * SECOND, "{:?}", report.admitting);
}

#[test]
fn threads_of_one_client_keep_within_its_limit_on_requests() {
    let rate = THREADS as u64;
    let (simulator, client) = start(rate, 1_000);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..SECONDS).for_each(|_| ask(&client)));
        }
    });
    let report = simulator.report();
    assert_kept(&report, &client, rate * SECONDS);
    let most = report.most_connections;
    assert!(most <= rate, "{most} connections");
}

#[test]
fn rayon_keeps_within_its_limit_on_tokens() {
    // Few and large, so that the two threads of a small machine would be too fast as well.
    let rate = 8;
    let (simulator, client) = start(1_000, rate);
    (0..rate * SECONDS)
        .into_par_iter()
        .for_each(|_| ask(&client));
    assert_kept(&simulator.report(), &client, rate * SECONDS);
}

#[test]
fn every_thread_s_connection_is_used_again() {
    let Step::Answer(answer) = Step::chat(1, 1) else {
        panic!("an answer is an answer");
    };
    // Nobody is answered before all are on the way, so there are as many connections as threads.
    let rounds = [THREADS, 2 * THREADS, 3 * THREADS];
    let steps = rounds.map(|so_far| vec![Step::Together(so_far, answer.clone()); THREADS]);
    let server = Scripted::start(steps.into_iter().flatten());
    let client = client(server.base_url());
    for round in 1..=rounds.len() {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| ask(&client));
            }
        });
        assert_eq!(server.connections(), THREADS, "round {round}");
    }
}
