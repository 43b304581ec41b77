//! Many threads, one limit: the simulator judges.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits, SimReport, Simulator};
use paceline::{ChatRequest, LimitTable, Limits, RateLimitedClient, Registry};
use rayon::prelude::*;

use super::support::{SECOND, builder, simulator};

const THREADS: usize = 64;
/// Requests a second, of which a burst of two seconds may come at once.
const RATE: u64 = 64;
/// Three seconds' worth: one in the burst that the client allows itself, two that have to wait.
const REQUESTS: u64 = 3 * RATE;
const BURST: Duration = Duration::from_secs(2);
/// What requests may be late by on a machine that does other things as well.
const JITTER: Duration = Duration::from_secs(1);

fn start(tokens_per_second: u64) -> (Simulator, RateLimitedClient) {
    let (tokens, requests) = (tokens_per_second * 60, RATE * 60);
    let limits = SimLimits {
        tokens_per_minute: Some(tokens),
        requests_per_minute: Some(requests),
    };
    let config = SimConfig::new()
        .default_limits(limits)
        .burst(BURST)
        .latency(Duration::from_millis(20));
    let simulator = simulator(config);
    let limits = Limits::builder()
        .tokens_per_minute(tokens)
        .requests_per_minute(requests)
        .burst_lasting(BURST)
        .build()
        .unwrap();
    let registry = Registry::new(LimitTable::empty(limits)).jitter(JITTER);
    let client = builder(simulator.base_url()).registry(Arc::new(registry));
    (simulator, client.build().unwrap())
}

/// Each is 8 tokens of prompt by the client's count and 40 of answer.
fn ask(client: &RateLimitedClient) {
    let request = ChatRequest::from("a").max_completion_tokens(40);
    client.chat(request).unwrap();
}

fn assert_kept(report: &SimReport, client: &RateLimitedClient) {
    assert_eq!(report.admitted, REQUESTS);
    assert_eq!(report.refused(), 0);
    assert_eq!(report.violations(), []);
    assert_eq!(client.stats().sent, REQUESTS);
    // They had to wait, and did not wait for longer than they had to, on a machine of any speed.
    assert!(report.admitting > SECOND, "{:?}", report.admitting);
    assert!(report.admitting < 20 * SECOND, "{:?}", report.admitting);
}

#[test]
fn threads_of_one_client_keep_within_its_limit_on_requests() {
    let (simulator, client) = start(1_000_000);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..REQUESTS / THREADS as u64).for_each(|_| ask(&client)));
        }
    });
    let report = simulator.report();
    assert_kept(&report, &client);
    // As many connections as threads, because each is used again.
    let most = report.most_connections;
    assert!(most <= THREADS as u64, "{most} connections");
}

#[test]
fn rayon_keeps_within_its_limit_on_tokens() {
    let (simulator, client) = start(RATE * 48);
    (0..REQUESTS).into_par_iter().for_each(|_| ask(&client));
    assert_kept(&simulator.report(), &client);
}
