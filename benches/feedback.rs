//! What comes of a run when client and server do not agree about the limits: by how much it is
//! longer than it had to be, and at the price of how many refusals. Against the simulator, which
//! judges by a ledger of its own.
//!
//! ```text
//! cargo bench --all-features --bench feedback
//! cargo bench --all-features --bench feedback -- neighbour   # those with the word in their name
//! ```
//!
//! 600 mixed chat requests with a latency of 300 ms on average, lognormal. The time is from the
//! first request's arrival until the simulator's ledger admits the last one; the ideal is when it
//! would admit that from a client that knows everything: (charges − burst) ÷ rate, 30 s. A figure
//! that is above its bound has a `!` beside it, and the benchmark fails.

mod work;

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use paceline::batch::{Ending, Input, Run, Summary};
use paceline::sim::{Fault, LimitHeaders, SimConfig, SimLimits, SimReport, Simulator};
use paceline::tokens::Encoding;
use paceline::{LimitTable, Limits, RateLimitedClient};
use work::{charges, requests};

const REQUESTS: usize = 600;
const LATENCY: Duration = Duration::from_millis(300);
const SPREAD: f64 = 0.4;
/// Runs at the same time: nearly all that they do is wait.
const AT_ONCE: usize = 4;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A server and a client.
struct Scenario {
    name: &'static str,
    /// What the server is like, given its limit a minute.
    server: fn(SimConfig, u64) -> SimConfig,
    /// The server's bucket, in seconds.
    burst: u64,
    /// What the client is told, given the server's limit.
    told: fn(u64) -> Result<LimitTable>,
    /// What all charges come to, in seconds of the rate.
    total: f64,
    /// When the last request could be admitted at the earliest, in seconds.
    ideal: f64,
    /// When the client begins, in seconds after the server.
    begin: u64,
    most_refused: u64,
    most_time: f64,
}

impl Scenario {
    /// The server keeps to one limit and says so, and the client is told it.
    const fn new(name: &'static str, most_refused: u64, most_time: f64) -> Self {
        Self {
            name,
            server: |config, _| config,
            burst: 60,
            told: given,
            total: 90.0,
            ideal: 30.0,
            begin: 0,
            most_refused,
            most_time,
        }
    }
}

fn given(limit: u64) -> Result<LimitTable> {
    Ok(LimitTable::empty(Limits::tokens_per_minute(limit)?))
}

fn scenarios() -> Vec<Scenario> {
    let new = Scenario::new;
    vec![
        new("limits given, server counts characters", 0, 1.01),
        Scenario {
            server: |config, _| {
                let encoding = Encoding::for_model("gpt-4o-mini");
                config.token_counter(Arc::new(move |text| encoding.count(text)))
            },
            ..new("limits given, server counts tokens", 0, 1.01)
        },
        Scenario {
            server: |config, _| config.charge_factor(1.3),
            ..new("limits given, server counts 1.3 of ours", 0, 1.03)
        },
        Scenario {
            told: |_| Ok(LimitTable::default()),
            ..new("nothing given", 1, 1.03)
        },
        Scenario {
            told: |limit| given(limit * 10),
            ..new("stated 10 times too high", 5, 1.03)
        },
        Scenario {
            told: |limit| {
                let guess = Limits::tokens_per_minute(limit / 10)?.provisional();
                Ok(LimitTable::empty(guess))
            },
            ..new("preset 10 times too low", 0, 1.05)
        },
        Scenario {
            burst: 1,
            total: 31.0,
            ..new("burst of 1 s at the server, not told", 5, 1.05)
        },
        Scenario {
            server: |config, _| config.neighbour(0.5),
            total: 75.0, // half of what comes in is the neighbour's
            ..new("a neighbour takes half, steadily", 5, 1.05)
        },
        Scenario {
            server: |config, _| config.bursty_neighbour(0.5, Duration::from_secs(5)),
            total: 75.0,
            ideal: 27.5, // 60 + 27.5, less five charges of 2.5
            ..new("a neighbour takes half, every 5 s", 20, 1.10)
        },
        Scenario {
            server: |config, _| config.fixed_windows(Duration::from_secs(60)),
            begin: 30, // a window's whole amount now, and the rest when the next begins
            ..new("fixed windows of a minute", 5, 1.10)
        },
        Scenario {
            server: |config, _| config.limit_headers(LimitHeaders::None),
            told: |limit| given(limit * 2),
            ..new("no headers, stated 2 times too high", 18, 1.15)
        },
        Scenario {
            server: |config, _| config.limit_headers(LimitHeaders::None),
            told: |_| Ok(LimitTable::default()),
            ..new("no headers, nothing given", 18, 1.15)
        },
        Scenario {
            server: |config, _| config.limit_headers(LimitHeaders::None),
            told: |_| Ok(LimitTable::default()),
            burst: 1,
            total: 31.0,
            ..new("no headers, nothing given, burst of 1 s", 18, 1.15)
        },
        Scenario {
            server: |config, limit| {
                let after = Duration::from_secs;
                let config = config.default_limits_after(after(10), per_minute(limit / 2));
                config.default_limits_after(after(20), per_minute(limit))
            },
            burst: 1,
            total: 26.0, // a second, ten at the whole rate twice, and ten at half of it
            ..new("the limit halves, then doubles", 5, 1.05)
        },
        Scenario {
            server: |config, _| {
                let faults = [
                    Fault::ServerError,
                    Fault::Overloaded,
                    Fault::Hang,
                    Fault::Drop,
                    Fault::TruncatedJson,
                ];
                let with = |config: SimConfig, fault| config.fault(fault, 0.05);
                faults.into_iter().fold(config, with)
            },
            ..new(
                "5 % each of 500, 503, hang, drop, truncated",
                0,
                f64::INFINITY,
            )
        },
        Scenario {
            server: |config, _| config.out_of_money_after(100),
            ..new("out of money after 100", u64::MAX, f64::INFINITY)
        },
    ]
}

fn per_minute(tokens: u64) -> SimLimits {
    SimLimits {
        tokens_per_minute: Some(tokens),
        requests_per_minute: None,
    }
}

impl Scenario {
    fn run(&self) -> Result<(Summary, SimReport)> {
        let folder = tempfile::tempdir()?;
        let input = folder.path().join("requests.jsonl");
        let text = requests(REQUESTS, false).map_err(|error| error.to_string())?;
        fs::write(&input, text)?;
        let charging = match self.most_time.is_finite() {
            true => (self.server)(SimConfig::new(), u64::MAX),
            false => SimConfig::new(), // faults and money are no matter of charges
        };
        let free = charges(charging, &input).map_err(|error| error.to_string())?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of tokens"
        )]
        let limit = (free.tokens_charged as f64 * 60.0 / self.total) as u64;

        let config = SimConfig::new()
            .default_limits(per_minute(limit))
            .burst(Duration::from_secs(self.burst))
            .latency(LATENCY)
            .latency_spread(SPREAD);
        let simulator = Simulator::start((self.server)(config, limit))?;
        thread::park_timeout(Duration::from_secs(self.begin));
        let client = RateLimitedClient::builder()
            .api_key("simulated")
            .base_url(simulator.base_url())
            .limit_table((self.told)(limit)?)
            .max_retries(8) // as the command has it
            .timeout(Duration::from_secs(5))
            .build()?;
        let run = Run::new(client, Input::file(&input)?).fresh(true);
        let summary = run.run()?;
        let report = simulator.report();
        assert_eq!(report.violations(), [], "the judge is wrong");
        if summary.failed > 0 && summary.ending == Ending::Finished {
            let failures = fs::read_to_string(input.with_extension("errors.jsonl"))?;
            eprintln!(
                "{}: {}",
                self.name,
                failures.lines().next().unwrap_or_default()
            );
        }
        Ok((summary, report))
    }

    /// Prints the figures, and says whether they are within their bounds.
    fn print(&self, summary: &Summary, report: &SimReport) -> bool {
        let time = report.until_last_admission().unwrap_or_default();
        let ratio = time.as_secs_f64() / self.ideal;
        let mut holds = true;
        let mut mark = |within: bool| {
            holds &= within;
            if within { ' ' } else { '!' }
        };
        let refused = report.refused();
        let (failed, ratio_shown) = match &summary.ending {
            // Only what had been sent when the first refusal came was refused as well.
            Ending::AccountError(_) => {
                let within = report.out_of_money <= summary.max_in_flight;
                (
                    format!("{}{}", summary.failed, mark(within)),
                    "stopped".to_owned(),
                )
            }
            _ => (
                format!("{}{}", summary.failed, mark(summary.failed == 0)),
                format!("{ratio:.3}{}", mark(ratio <= self.most_time)),
            ),
        };
        let refused = format!("{refused}{}", mark(refused <= self.most_refused));
        println!(
            "{:<46}{failed:>8}{refused:>8}{ratio_shown:>9}{:>9}{:>11}",
            self.name, summary.retries, summary.max_in_flight
        );
        if let Ending::AccountError(reason) = &summary.ending {
            println!("    {reason}");
        }
        holds
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let named = |scenario: &Scenario| {
        words.is_empty() || words.iter().any(|word| scenario.name.contains(word))
    };
    let scenarios: Vec<Scenario> = scenarios().into_iter().filter(named).collect();
    println!(
        "{:<46}{:>8}{:>8}{:>9}{:>9}{:>11}",
        "scenario", "failed ", "429s ", "÷ ideal ", "retries", "in flight"
    );
    let mut holds = true;
    for group in scenarios.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let runs: Vec<_> = group.iter().map(|it| scope.spawn(|| it.run())).collect();
            for (scenario, run) in group.iter().zip(runs) {
                match run.join() {
                    Ok(Ok((summary, report))) => holds &= scenario.print(&summary, &report),
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
