//! What a run costs beside a bare loop that sends the same requests with the same client for HTTP:
//! processor time of a request, and time in all, where there is no limit and no latency.
//!
//! ```text
//! cargo bench --all-features --bench batch
//! cargo bench --all-features --bench batch -- --quick   # within seconds, no figures
//! ```
//!
//! Both read the file, send with as many threads, and keep what they get; the loop counts nothing,
//! waits for nothing, checks nothing and writes each answer as it is. They run by turns, and the
//! server is a process of its own, so that what it takes is not theirs. Processor time is read from
//! `/proc`, which only Linux has.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the real clock"
)]

mod bare; //    the loop
mod process; // what the kernel counts
mod serve; //   the server, in a process of its own

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use paceline::batch::{Input, Run, StopReason};
use paceline::{Limits, RateLimitedClient};
use serde_json::json;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const MODEL: &str = "gpt-4o-mini";
/// Requests under way at once.
const THREADS: usize = 16;
/// No limit, as far as this goes.
const PLENTY: u64 = 1_000_000_000_000;
/// The most of the loop's that a run may take.
const AIM_PROCESSOR: f64 = 2.0;
const AIM_TIME: f64 = 1.3;

fn main() -> Result<ExitCode> {
    let mut quick = false;
    for argument in env::args().skip(1) {
        match argument.as_str() {
            serve::FLAG => return serve::serve(),
            "--bench" => {}
            "--quick" => quick = true,
            other => return Err(format!("unknown argument {other}; there is only --quick").into()),
        }
    }
    let (requests, rounds) = if quick { (500, 1) } else { (20_000, 7) };
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("requests.jsonl");
    fs::write(&input, tiny(requests))?;
    let server = serve::Server::start()?;

    let mut ratios = Vec::new();
    for round in 0..=rounds {
        let bare =
            measured(|| bare::run(server.url(), &input, &folder.path().join("bare"), THREADS))?;
        let run = measured(|| run(server.url(), &input, requests))?;
        // The first one warms up: connections, caches, the encoding's tables.
        if round > 0 || quick {
            ratios.push((bare, run));
        }
    }
    let processor = median(&ratios, |used| used.processor.as_secs_f64());
    let time = median(&ratios, |used| used.time.as_secs_f64());
    let (bare, _) = ratios[ratios.len() / 2];
    println!(
        "{requests} tiny requests, {THREADS} at once, medians of {} rounds",
        ratios.len()
    );
    println!(
        "the loop: {:.0} µs of processor time a request, {:.0} requests a second",
        bare.processor.as_secs_f64() * 1e6 / requests as f64,
        requests as f64 / bare.time.as_secs_f64()
    );
    println!("                    × the loop    at most");
    println!("processor time {processor:>15.2} {AIM_PROCESSOR:>10.1}");
    println!("time           {time:>15.2} {AIM_TIME:>10.1}");
    let is_within = quick || (processor <= AIM_PROCESSOR && time <= AIM_TIME);
    Ok(if is_within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What something took.
#[derive(Clone, Copy)]
struct Used {
    processor: Duration,
    time: Duration,
}

fn measured(work: impl FnOnce() -> Result<()>) -> Result<Used> {
    let (processor, started) = (process::processor_time()?, Instant::now());
    work()?;
    Ok(Used {
        processor: process::processor_time()? - processor,
        time: started.elapsed(),
    })
}

/// The median of how many times the loop's a run takes.
fn median(rounds: &[(Used, Used)], what: impl Fn(&Used) -> f64) -> f64 {
    let mut ratios: Vec<f64> = rounds
        .iter()
        .map(|(bare, run)| what(run) / what(bare))
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn tiny(requests: usize) -> String {
    let line = |number| {
        let body = json!({
            "model": MODEL,
            "max_completion_tokens": 16,
            "messages": [{"role": "user", "content": format!("Say {number}.")}],
        });
        let id = format!("request-{number}");
        let line =
            json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body});
        format!("{line}\n")
    };
    (0..requests).map(line).collect()
}

fn run(url: &str, input: &Path, requests: usize) -> Result<()> {
    let limits = Limits::builder()
        .tokens_per_minute(PLENTY)
        .requests_per_minute(PLENTY);
    let client = RateLimitedClient::builder()
        .api_key("simulated")
        .base_url(url)
        .limits(limits.build()?)
        .max_idle_connections(THREADS)
        .build()?;
    let run = Run::new(client, Input::file(input)?)
        .fresh(true)
        .max_in_flight(THREADS);
    let files = [run.output_path().to_owned(), run.errors_path().to_owned()];
    let summary = run.run()?;
    assert_eq!(summary.ending, StopReason::Finished);
    assert_eq!(summary.succeeded, requests as u64, "some failed");
    for file in files {
        fs::remove_file(file)?; // or each round would leave one aside
    }
    Ok(())
}
