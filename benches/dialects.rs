//! What comes of a run at each provider whose dialect the simulator speaks, when the client is told nothing.
//!
//! ```text
//! cargo bench --all-features --bench dialects
//! cargo bench --all-features --bench dialects -- mistral   # those with the word in their name
//! ```
//!
//! 600 mixed requests with a latency of 300 ms on average, a bucket of a minute (of a second where limits are told a
//! second), and limits that are scaled so that the
//! last request can be admitted after 30 s at the earliest. Where headers tell the limit the time is at most 1.03 of that,
//! with one 429; elsewhere the bounds are those of a limit that is found: 1.15, and 3 % of 429s. A figure that is
//! above its bound has a `!` beside it, and the benchmark fails.

mod work;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use paceline::batch::{Input, Run, Summary};
use paceline::sim::{ChargeRule, Dialect, SimConfig, SimLimits, SimReport, Simulator};
use paceline::{ClientBuilder, LimitTable, Limits, RateLimitedClient};
use serde_json::{Value, json};
use work::requests;

const REQUESTS: usize = 600;
const LATENCY: Duration = Duration::from_millis(300);
const SPREAD: f64 = 0.4;
const IDEAL: f64 = 30.0;
/// Runs at the same time: nearly all that they do is wait.
const AT_ONCE: usize = 4;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Whether responses tell the limit of tokens with what remains of it.
fn tells(dialect: Dialect) -> bool {
    !matches!(
        dialect,
        // Fireworks tells the limit of prompts, and the simulator counts all tokens.
        Dialect::Fireworks
            | Dialect::Gemini
            | Dialect::Moonshot
            | Dialect::OpenRouter
            | Dialect::Azure
    )
}

/// The server's bucket, in seconds: a limit that is told a second has one of a second.
fn burst(dialect: Dialect) -> u16 {
    if dialect == Dialect::Together { 1 } else { 60 }
}

/// Anthropic counts what a response has, and not its cap.
fn server(dialect: Dialect) -> SimConfig {
    let config = SimConfig::new().dialect(dialect);
    match dialect {
        Dialect::Anthropic => config.charge_rule(ChargeRule::Answered),
        _ => config,
    }
}

/// The requests in the form of a provider.
fn input(dialect: Dialect) -> Result<String> {
    let text = requests(REQUESTS, false).map_err(|error| error.to_string())?;
    match dialect {
        Dialect::Anthropic => {}
        // It refuses fields that it does not know, and a file of requests is sent as it stands.
        Dialect::Mistral => return Ok(text.replace("max_completion_tokens", "max_tokens")),
        _ => return Ok(text),
    }
    let mut lines = String::new();
    for line in text.lines() {
        let mut line: Value = serde_json::from_str(line)?;
        let messages = line["body"]["messages"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let (system, others): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| message["role"] == "system");
        line["url"] = json!("/v1/messages");
        line["body"] = json!({
            "model": "claude-sonnet-4-5",
            "max_tokens": line["body"]["max_completion_tokens"],
            "messages": others,
        });
        if let Some(system) = system.first() {
            line["body"]["system"] = system["content"].clone();
        }
        lines.push_str(&format!("{line}\n"));
    }
    Ok(lines)
}

fn client(name: &str, simulator: &Simulator) -> ClientBuilder {
    RateLimitedClient::builder()
        .provider(name)
        .api_key("simulated")
        .base_url(simulator.base_url())
}

/// What a server charges for all requests in all, found by asking one without limits.
fn charged(name: &str, dialect: Dialect, input: &Path) -> Result<u64> {
    let config = server(dialect);
    let simulator = Simulator::start(config.default_limits(SimLimits::default()))?;
    let plenty = Limits::tokens_per_minute(1_000_000_000_000)?;
    let client = client(name, &simulator).limits(plenty).build()?;
    Run::new(client, Input::file(input)?).fresh(true).run()?;
    Ok(simulator.report().tokens_charged)
}

fn run(name: &str, dialect: Dialect) -> Result<(Summary, SimReport)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("requests.jsonl");
    fs::write(&path, input(dialect)?)?;
    let total = f64::from(burst(dialect)) + IDEAL;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number of tokens"
    )]
    let limit = (charged(name, dialect, &path)? as f64 * 60.0 / total) as u64;
    let limits = SimLimits::none()
        .tokens_per_minute(limit)
        .requests_per_minute(100_000);
    let config = server(dialect)
        .default_limits(limits)
        .burst(Duration::from_secs(burst(dialect).into()))
        .latency(LATENCY)
        .latency_spread(SPREAD);
    let simulator = Simulator::start(config)?;
    let client = client(name, &simulator)
        .limit_table(LimitTable::default())
        .max_retries(8) // as the command has it
        .build()?;
    let summary = Run::new(client, Input::file(&path)?).fresh(true).run()?;
    let report = simulator.report();
    assert_eq!(report.violations(), [], "the judge is wrong");
    if summary.failed > 0 {
        let failures = fs::read_to_string(path.with_extension("errors.jsonl"))?;
        eprintln!("{name}: {}", failures.lines().next().unwrap_or_default());
    }
    Ok((summary, report))
}

/// Prints the figures, and says whether they are within their bounds.
fn print(name: &str, dialect: Dialect, summary: &Summary, report: &SimReport) -> bool {
    let (most_refused, most_time) = if tells(dialect) {
        (1, 1.03)
    } else {
        (18, 1.15)
    };
    let time = report.until_last_admission().unwrap_or_default();
    let ratio = time.as_secs_f64() / IDEAL;
    let mut holds = true;
    let mut mark = |within: bool| {
        holds &= within;
        if within { ' ' } else { '!' }
    };
    let failed = format!("{}{}", summary.failed, mark(summary.failed == 0));
    let refused = report.refused();
    let refused = format!("{refused}{}", mark(refused <= most_refused));
    let ratio = format!("{ratio:.3}{}", mark(ratio <= most_time));
    let tells = if tells(dialect) {
        "headers"
    } else {
        "refusals"
    };
    println!(
        "{name:<16}{tells:<10}{failed:>8}{refused:>8}{ratio:>9}{:>9}{:>11}",
        summary.retries, summary.max_in_flight
    );
    holds
}

fn main() -> ExitCode {
    let words = std::env::args().skip(1);
    let words: Vec<String> = words.filter(|word| !word.starts_with('-')).collect();
    let named = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let all = Dialect::ALL.into_iter();
    let dialects: Vec<_> = all.filter(|(name, _)| named(name)).collect();
    println!(
        "{:<16}{:<10}{:>8}{:>8}{:>9}{:>9}{:>11}",
        "provider", "told by", "failed ", "429s ", "÷ ideal ", "retries", "in flight"
    );
    let mut holds = true;
    for group in dialects.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let runs = group
                .iter()
                .map(|(name, dialect)| scope.spawn(|| run(name, *dialect)));
            let runs: Vec<_> = runs.collect();
            for ((name, dialect), run) in group.iter().zip(runs) {
                match run.join() {
                    Ok(Ok((summary, report))) => holds &= print(name, *dialect, &summary, &report),
                    Ok(Err(error)) => {
                        println!("{name:<16}{error}");
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
