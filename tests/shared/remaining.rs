//! What a server says is left, felt by all who share a limit: somebody else uses the account, or the
//! server charges more than is reserved. The simulator's ledger judges.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use paceline::sim::{ModelReport, SimConfig, SimLimits, Simulator};
use paceline::{ChatRequest, LimitTable, Limits, Quota, RateLimitedClient, Registry, Unit};

use super::server::Server;
use super::support::{SECOND, store};

/// Tokens a second, and of a request.
const RATE: u64 = 4_000;
const COST: u64 = 200;
const LENGTH: Duration = Duration::from_secs(9);
/// What the server's bucket holds.
const BURST: Duration = Duration::from_secs(2);

fn config() -> SimConfig {
    let limits = SimLimits::none().tokens_per_minute(RATE * 60);
    let config = SimConfig::new().default_limits(limits).burst(BURST);
    config.latency(Duration::from_millis(50))
}

/// A process: a store's handle and a client of its own.
fn client(store_url: &str, api: &str) -> RateLimitedClient {
    let quota = Quota::per_minute(Unit::Tokens, RATE * 60).unwrap();
    let limits = Limits::builder().quota(quota.with_burst_duration(BURST));
    let table = LimitTable::empty(limits.build().unwrap());
    let registry = Registry::new(table).jitter(SECOND / 2);
    let registry = Arc::new(registry.share(&store(store_url)));
    let client = RateLimitedClient::builder().api_key("k").base_url(api);
    client.registry(registry).model("m").build().unwrap()
}

/// Two processes that ask for as much as they get, and what the simulator says of it.
fn run(config: SimConfig) -> Option<(u64, ModelReport)> {
    let server = Server::start()?;
    let simulator = Simulator::start(config).unwrap();
    let clients = [0; 2].map(|_| client(&server.url(), &simulator.base_url()));
    let end = Instant::now() + LENGTH;
    thread::scope(|scope| {
        for client in clients.iter().cycle().take(24) {
            scope.spawn(move || {
                while Instant::now() < end {
                    let request = ChatRequest::from("a").max_completion_tokens(COST - 8);
                    client.chat(request).map(drop).unwrap();
                }
            });
        }
    });
    let report = simulator.report();
    assert_eq!(report.violations(), []);
    let model = report.models.values().next().unwrap().clone();
    eprintln!(
        "{} 429s, {} admitted, {} tokens, {} of the neighbour's",
        report.refused(),
        model.admitted,
        model.tokens_charged,
        model.neighbour_tokens
    );
    Some((report.refused(), model))
}

/// Of three runs side by side the middle one is judged: they go by the machine's clock, and one in ten meets more
/// refusals than the others, by the moments at which threads run.
fn judge_middle(config: &SimConfig) {
    let runs = thread::scope(|scope| {
        let runs = [0; 3].map(|_| scope.spawn(|| run(config.clone())));
        runs.map(|run| run.join().unwrap())
    });
    let mut runs: Vec<_> = runs.into_iter().flatten().collect();
    runs.sort_by_key(|(refused, _)| *refused);
    if let Some((refused, model)) = runs.get(1) {
        judge(*refused, model);
    }
}

/// Hardly a 429 in spite of it, and next to all that there was is used.
fn judge(refused: u64, model: &ModelReport) {
    assert!(refused <= model.admitted / 50, "{refused} 429s");
    let all = RATE * (LENGTH + BURST).as_secs();
    let used = model.tokens_charged + model.neighbour_tokens;
    assert!(used >= all * 85 / 100, "{used} of {all}");
}

#[test]
fn what_a_neighbour_uses_is_left_to_it_by_all() {
    judge_middle(&config().neighbour(0.5));
}

#[test]
fn a_server_that_charges_more_than_is_reserved_is_followed_by_all() {
    judge_middle(&config().charge_factor(1.3));
}
