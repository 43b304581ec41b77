//! How near a run comes to the shortest time that its limits allow, and at the price of how many
//! refusals. Against the simulator, which judges by a ledger of its own.
//!
//! ```text
//! cargo bench --all-features --bench pace
//! ```
//!
//! The ideal is (what the server charges − its burst) ÷ its rate + one latency: what a client
//! would take that knew everything and lost nothing. The time is that of the whole run, files
//! included.

mod work;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use paceline::batch::{Input, Run, Summary};
use paceline::sim::{SimConfig, SimLimits, SimReport, Simulator};
use paceline::{Limits, RateLimitedClient};

use work::{charges, requests};

struct Scenario {
    name: &'static str,
    requests: usize,
    /// What the limits are to make the ideal last, without latency.
    ideal: Duration,
    burst: Duration,
    latency: Duration,
    /// Whether tokens or requests are limited.
    by_tokens: bool,
    /// Whether texts in languages and code count, of which a token is fewer than four characters:
    /// there the client reserves more than this server charges, to be safe.
    all_texts: bool,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "600 mixed requests, burst 60 s",
        requests: 600,
        ideal: Duration::from_secs(30),
        burst: Duration::from_secs(60),
        latency: Duration::from_millis(300),
        by_tokens: true,
        all_texts: false,
    },
    Scenario {
        name: "600 mixed requests, burst 1 s",
        requests: 600,
        ideal: Duration::from_secs(30),
        burst: Duration::from_secs(1),
        latency: Duration::from_millis(300),
        by_tokens: true,
        all_texts: false,
    },
    Scenario {
        name: "2,000 requests of 1 s, 200 a second",
        requests: 2_000,
        ideal: Duration::from_secs(9),
        burst: Duration::from_secs(1),
        latency: Duration::from_secs(1),
        by_tokens: false,
        all_texts: false,
    },
    Scenario {
        name: "600 in five languages, burst 1 s",
        requests: 600,
        ideal: Duration::from_secs(30),
        burst: Duration::from_secs(1),
        latency: Duration::from_millis(300),
        by_tokens: true,
        all_texts: true,
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    println!(
        "scenario                               ideal      time   ratio   failed   429s   in flight"
    );
    for scenario in &SCENARIOS {
        let input = folder.path().join("requests.jsonl");
        fs::write(&input, requests(scenario.requests, scenario.all_texts)?)?;
        let report = charges(SimConfig::new(), &input)?;
        let total = if scenario.by_tokens {
            report.tokens_charged
        } else {
            report.admitted
        };
        // (total − burst · rate) ÷ rate = ideal, with the limit a minute's rate.
        let millis = (scenario.ideal + scenario.burst).as_millis();
        let per_minute = u64::try_from(u128::from(total) * 60_000 / millis)?;
        let (summary, report) = scenario.run(&input, per_minute)?;
        let rate = per_minute as f64 / 60.0;
        let ideal =
            total as f64 / rate - scenario.burst.as_secs_f64() + scenario.latency.as_secs_f64();
        assert_eq!(report.violations(), [], "the judge is wrong");
        println!(
            "{:<36} {:>6.2} s  {:>6.2} s  {:>6.3} {:>8} {:>6} {:>11}",
            scenario.name,
            ideal,
            summary.wall_seconds,
            summary.wall_seconds / ideal,
            summary.failed,
            report.refused(),
            summary.max_in_flight
        );
    }
    Ok(())
}

impl Scenario {
    fn run(&self, input: &Path, limit: u64) -> Result<(Summary, SimReport), Box<dyn Error>> {
        let (tokens, requests) = if self.by_tokens {
            (Some(limit), None)
        } else {
            (None, Some(limit))
        };
        let config = SimConfig::new()
            .default_limits(
                SimLimits::none()
                    .tokens_per_minute(tokens)
                    .requests_per_minute(requests),
            )
            .burst(self.burst)
            .latency(self.latency);
        let simulator = Simulator::start(config)?;
        let plenty = 1_000_000_000_000;
        let limits = Limits::builder()
            .tokens_per_minute(tokens.unwrap_or(plenty))
            .requests_per_minute(requests.unwrap_or(plenty))
            .with_burst_duration(self.burst)
            .build()?;
        let client = RateLimitedClient::builder()
            .api_key("simulated")
            .base_url(simulator.base_url())
            .limits(limits)
            .build()?;
        let summary = Run::new(client, Input::file(input)?).fresh(true).run()?;
        let report = simulator.report();
        Ok((summary, report))
    }
}
