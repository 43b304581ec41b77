//! What comes of a run when client and server do not agree about the limits: by how much it is
//! longer than it had to be, and at the price of how many refusals. Against the simulator, which
//! judges by a ledger of its own.
//!
//! ```text
//! cargo bench --all-features --bench feedback
//! cargo bench --all-features --bench feedback -- neighbour          # those with the word in their name
//! cargo bench --all-features --bench feedback -- --only "nothing given"   # the one of this name
//! ```
//!
//! 600 mixed chat requests with a latency of 300 ms on average, lognormal. The time is from the
//! first request's arrival until the simulator's ledger admits the last one; the ideal is when it
//! would admit that from a client that knows everything: (charges − burst) ÷ rate, 30 s. A figure
//! that is above its bound has a `!` beside it, and the benchmark fails.

mod scenarios;
#[cfg(feature = "redis")]
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "it is of the tests, which use the rest"
)]
#[path = "../../tests/shared/server.rs"]
mod server;
#[path = "../work/mod.rs"]
mod work;

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use paceline::batch::{Input, Run, StopReason, Summary};
use paceline::sim::{SimConfig, SimLimits, SimReport, Simulator};
use paceline::{ClientBuilder, RateLimitedClient};
use scenarios::{Scenario, Store, per_minute, scenarios};
use serde_json::json;
use work::{MODEL, charges, requests};

/// How often it is looked at how many requests are in flight.
const LOOK: Duration = Duration::from_millis(5);
/// Answers by which a window has to have found its size.
const FIRST_ANSWERS: u64 = 50;
/// Runs at the same time: nearly all that they do is wait.
const AT_ONCE: usize = 4;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What came of a run: of all its processes, and what the simulator says.
struct Outcome {
    parts: Vec<Summary>,
    /// The most in flight after the first answers.
    most_in_flight: u64,
    ideal: f64,
    report: SimReport,
    /// Refusals while the limits were not known yet.
    early: u64,
}

impl Outcome {
    fn sum(&self, of: impl Fn(&Summary) -> u64) -> u64 {
        self.parts.iter().map(of).sum()
    }
}

impl Scenario {
    fn run(&self) -> Result<Outcome> {
        let folder = tempfile::tempdir()?;
        let input = folder.path().join("requests.jsonl");
        let text = match self.are_small {
            true => small_requests(self.requests),
            false => requests(self.requests, false).map_err(|error| error.to_string())?,
        };
        fs::write(&input, &text)?;
        let charging = match self.most_time.is_finite() && self.per_minute.is_none() {
            true => (self.server)(SimConfig::new(), u64::MAX),
            false => SimConfig::new(), // faults, money and slots are no matter of charges
        };
        let free = charges(charging, &input).map_err(|error| error.to_string())?;
        let tokens = free.tokens_charged as f64;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of tokens"
        )]
        let limit = (tokens * 60.0 / self.total) as u64;
        let (limits, ideal) = match self.per_minute {
            None => (per_minute(limit), self.ideal),
            Some((requests_per_minute, tokens_per_minute)) => {
                // What the bucket holds at once, and the rest as it comes in.
                let burst = self.burst as f64;
                let seconds = |amount: f64, limit: u64| amount / limit as f64 * 60.0 - burst;
                let requests = seconds(self.requests as f64, requests_per_minute);
                let bound = requests.max(seconds(tokens, tokens_per_minute));
                let limits = SimLimits::none()
                    .tokens_per_minute(tokens_per_minute)
                    .requests_per_minute(requests_per_minute);
                (limits, bound.max(self.ideal))
            }
        };

        let config = SimConfig::new()
            .default_limits(limits)
            .burst(Duration::from_secs(self.burst))
            .latency(self.latency)
            .latency_spread(self.spread);
        let simulator = Simulator::start((self.server)(config, limit))?;
        thread::park_timeout(Duration::from_secs(self.begin));
        let shared = Shared::new(self.store)?;
        let most = AtomicU64::new(0);
        let mut runs = Vec::new();
        for process in 0..self.processes {
            let input = folder.path().join(format!("part-{process}.jsonl"));
            let lines = text.lines().skip(process).step_by(self.processes);
            fs::write(&input, lines.collect::<Vec<_>>().join("\n"))?;
            let client = RateLimitedClient::builder()
                .api_key("simulated")
                .base_url(simulator.base_url())
                .limit_table((self.told)(limit)?)
                .max_retries(8) // as the command has it
                .timeout(Duration::from_secs(5));
            let client = shared.with(client)?.build()?;
            runs.push((Run::new(client, Input::file(&input)?).fresh(true), input));
        }
        let (parts, early) = thread::scope(|scope| {
            let early = scope.spawn(|| {
                thread::park_timeout(self.learns_for);
                match self.learns_for.is_zero() {
                    true => 0,
                    false => simulator.report().refused(),
                }
            });
            let begun: Vec<_> = runs
                .into_iter()
                .map(|(run, input)| {
                    let (watch, most) = (run.watch(), &most);
                    let run = scope.spawn(move || (run.run(), input));
                    while self.most_in_flight.is_some() && !run.is_finished() {
                        let progress = watch.progress();
                        if progress.done() >= FIRST_ANSWERS {
                            most.fetch_max(progress.in_flight, Ordering::Relaxed);
                        }
                        thread::park_timeout(LOOK);
                    }
                    run
                })
                .collect();
            let ended = begun.into_iter().map(|run| {
                let (summary, input) = run.join().map_err(|_| "a run panicked")?;
                let summary = summary?;
                if summary.failed > 0 && summary.ending == StopReason::Finished {
                    let failures = fs::read_to_string(input.with_extension("errors.jsonl"))?;
                    let first = failures.lines().next().unwrap_or_default();
                    eprintln!("{}: {first}", self.name);
                }
                Ok(summary)
            });
            let ended = ended.collect::<Result<Vec<_>>>()?;
            let early = early.join().map_err(|_| "a thread panicked")?;
            Result::Ok((ended, early))
        })?;
        let report = simulator.report();
        assert_eq!(report.violations(), [], "the judge is wrong");
        Ok(Outcome {
            parts,
            most_in_flight: most.into_inner(),
            ideal,
            report,
            early,
        })
    }

    /// Prints the figures, and says whether they are within their bounds.
    fn print(&self, outcome: &Outcome) -> bool {
        let report = &outcome.report;
        let time = report.until_last_admission().unwrap_or_default();
        let ratio = time.as_secs_f64() / outcome.ideal;
        let account_error = outcome.parts.iter().find_map(|part| match &part.ending {
            StopReason::AccountError(reason) => Some(reason),
            _ => None,
        });
        let failed = outcome.sum(|part| part.failed);
        let in_flight = outcome.sum(|part| part.max_in_flight);
        let mut holds = true;
        let mut mark = |within: bool| {
            holds &= within;
            if within { ' ' } else { '!' }
        };
        let refused = match self.refuses_itself {
            true => outcome.sum(|part| part.retries),
            false => report.refused() - outcome.early,
        };
        let (failed, ratio_shown) = match account_error {
            // Only what had been sent when the first refusal came was refused as well.
            Some(_) => {
                let within = report.out_of_money <= in_flight;
                (format!("{failed}{}", mark(within)), "stopped".to_owned())
            }
            None => (
                format!("{failed}{}", mark(failed == 0)),
                format!("{ratio:.3}{}", mark(ratio <= self.most_time)),
            ),
        };
        let refused = format!("{refused}{}", mark(refused <= self.most_refused));
        let in_flight = match self.most_in_flight {
            Some(most) => {
                let found = outcome.most_in_flight;
                format!("{in_flight}, then {found}{}", mark(found <= most))
            }
            None => in_flight.to_string(),
        };
        println!(
            "{:<46}{failed:>8}{refused:>8}{ratio_shown:>9}{:>9}  {in_flight:>13}",
            self.name,
            outcome.sum(|part| part.retries)
        );
        if let Some(reason) = account_error {
            println!("    {reason}");
        }
        if outcome.early > 0 {
            println!("    and {} within {:?}", outcome.early, self.learns_for);
        }
        if !self.learns_for.is_zero() {
            let times = outcome.parts.iter().map(|part| part.wall_seconds);
            let (least, most) = times.fold((f64::MAX, 0.0_f64), |(least, most), time| {
                (least.min(time), most.max(time))
            });
            println!("    the parts took {least:.1} to {most:.1} s");
            holds &= most <= least * 1.1;
        }
        holds
    }
}

/// Requests of a word, and answers of a few.
fn small_requests(count: usize) -> String {
    let line = |number| {
        let message = json!([{"role": "user", "content": "Hello"}]);
        let body = json!({"model": MODEL, "messages": message, "max_completion_tokens": 20});
        let line = json!({"custom_id": format!("request-{number}"), "method": "POST",
            "url": "/v1/chat/completions", "body": body});
        line.to_string()
    };
    let lines: Vec<String> = (0..count).map(line).collect();
    lines.join("\n")
}

/// The store of a run, and the server that it runs on.
struct Shared {
    url: Option<String>,
    #[cfg(feature = "redis")]
    _server: Option<server::Server>,
}

impl Shared {
    #[cfg(feature = "redis")]
    fn new(store: Store) -> Result<Self> {
        let server = match store {
            Store::Real => Some(server::Server::start().ok_or("there is no redis-server")?),
            Store::None | Store::Unreachable => None,
        };
        let url = match store {
            Store::None => None,
            Store::Real => server.as_ref().map(server::Server::url),
            Store::Unreachable => Some("redis://127.0.0.1:1".to_owned()),
        };
        Ok(Self {
            url,
            _server: server,
        })
    }

    #[cfg(not(feature = "redis"))]
    fn new(store: Store) -> Result<Self> {
        match store {
            Store::None => Ok(Self { url: None }),
            Store::Real | Store::Unreachable => Err("this needs the feature redis".into()),
        }
    }

    /// A client that shares the store, by a connection of its own.
    fn with(&self, client: ClientBuilder) -> Result<ClientBuilder> {
        match &self.url {
            #[cfg(feature = "redis")]
            Some(url) => Ok(client.share(&paceline::SharedStore::new(url)?)),
            _ => Ok(client),
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let (mut words, mut only) = (Vec::new(), Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only.extend(arguments.next()),
            _ if argument.starts_with('-') => {} // of cargo's
            _ => words.push(argument),
        }
    }
    let named = |scenario: &Scenario| {
        let is_any = words.is_empty() && only.is_empty();
        let is_named = words
            .iter()
            .any(|word| scenario.name.contains(word.as_str()));
        is_any || is_named || only.iter().any(|name| scenario.name == name)
    };
    let scenarios: Vec<Scenario> = scenarios().into_iter().filter(named).collect();
    println!(
        "{:<46}{:>8}{:>8}{:>9}{:>9}  {:>13}",
        "scenario", "failed ", "429s ", "÷ ideal ", "retries", "in flight"
    );
    let mut holds = true;
    for group in scenarios.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let runs: Vec<_> = group.iter().map(|it| scope.spawn(|| it.run())).collect();
            for (scenario, run) in group.iter().zip(runs) {
                match run.join() {
                    Ok(Ok(outcome)) => holds &= scenario.print(&outcome),
                    Ok(Err(error)) => {
                        println!("{:<46}{error}", scenario.name);
                        holds = false;
                    }
                    Err(_) => holds = false, // it has said why
                }
            }
        });
    }
    match holds {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
