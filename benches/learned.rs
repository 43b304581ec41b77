//! What a learned output reserve gains over reserving each request's whole cap, and what it risks.
//! Against the simulator, which judges by a ledger of its own.
//!
//! ```text
//! cargo bench --all-features --bench learned
//! cargo bench --all-features --bench learned -- steady   # those with the word in their name
//! ```
//!
//! 900 chat requests with a cap of 4,000 and a latency of 1 s on average, lognormal; the client is
//! told the limit, and that a bucket holds 12 s of it. (As good as a minute's bucket and a latency
//! of 5 s, five times as fast.) Each row is the same file run twice: with the caps reserved, and with
//! what 0.95 of the last answers needed.
//!
//! The time is from the first request's arrival until the ledger admits the last one. The ideal is
//! 20 s: (all that is used − burst) ÷ rate. What is used of the limit is all that is used ÷
//! (burst + rate · time). Debts are in seconds of the rate: how far the client's level and the
//! server's were below nothing. A figure of the learned run that is above its bound has a `!` beside
//! it, and the benchmark fails.
//!
//! More than 100 % of a limit is used where the last answers are a debt. A server that counts answers
//! when they are there says in its headers what is left before those under way are counted, and a client that
//! believes it sends more than fits: in both runs, and the more the more requests are under way.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use paceline::batch::{Input, Run};
use paceline::sim::{ChargeRule, LimitHeaders, SimConfig, SimLimits, Simulator};
use paceline::tokens::PromptRule;
use paceline::{Accounting, LimitTable, Limits, RateLimitedClient, Registry};
use serde_json::json;

const REQUESTS: u64 = 900;
const CAP: u64 = 4_000;
const QUANTILE: f64 = 0.95;
const MODEL: &str = "gpt-4o-mini";
const LATENCY: Duration = Duration::from_secs(1);
const SPREAD: f64 = 0.4;
const BURST: u64 = 12;
const IDEAL: u64 = 20;
/// Runs at the same time: nearly all that they do is wait.
const AT_ONCE: usize = 8;
/// How often the client's level is looked at.
const LOOK: Duration = Duration::from_millis(5);

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long answers are, by the number of the request.
struct Outputs {
    name: &'static str,
    of: fn(u64) -> u64,
}

const OUTPUTS: [Outputs; 4] = [
    Outputs {
        name: "steady: 40 to 120",
        of: |number| 40 + mixed(number) % 81,
    },
    Outputs {
        name: "bimodal: 80, each 20th at the cap",
        of: |number| match mixed(number) % 20 {
            0 => CAP,
            _ => 80,
        },
    },
    Outputs {
        name: "longer: 80, then 800",
        of: |number| match number < REQUESTS / 2 {
            true => 80,
            false => 800,
        },
    },
    Outputs {
        name: "shorter: 800, then 80",
        of: |number| match number < REQUESTS / 2 {
            true => 800,
            false => 80,
        },
    },
];

/// Numbers in no order, the same in each run (Knuth's multiplicative hash).
fn mixed(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

/// How the server counts an answer.
struct Server {
    name: &'static str,
    rule: ChargeRule,
    headers: LimitHeaders,
    /// By how many seconds less than the server's the bucket is that the client is told.
    less_burst: u64,
    /// By how much the learned run may be longer than the other one, and what it may be refused.
    most_time: f64,
    most_refused: u64,
}

const SERVERS: [Server; 4] = [
    Server {
        name: "counts answers when they are there, no headers",
        rule: ChargeRule::Answered,
        headers: LimitHeaders::None,
        less_burst: 0,
        most_time: 1.15,
        most_refused: 45,
    },
    Server {
        name: "the same, and the bucket is told 4 s smaller",
        rule: ChargeRule::Answered,
        headers: LimitHeaders::None,
        less_burst: 4,
        most_time: 1.15,
        most_refused: 20,
    },
    Server {
        name: "counts answers when they are there",
        rule: ChargeRule::Answered,
        headers: LimitHeaders::All,
        less_burst: 0,
        most_time: 1.15,
        most_refused: 60,
    },
    Server {
        name: "holds the cap until the answer is there",
        rule: ChargeRule::Usage,
        headers: LimitHeaders::All,
        less_burst: 0,
        most_time: 1.15,
        most_refused: 60,
    },
];

/// What came of a run.
struct Figures {
    failed: u64,
    time: f64,
    used: f64,
    refused: u64,
    /// In seconds of the rate.
    debt: f64,
    servers_debt: f64,
    reserved: u64,
}

fn run(outputs: &Outputs, server: &Server, quantile: Option<f64>) -> Result<Figures> {
    let (mut text, mut total) = (String::new(), 0);
    for number in 0..REQUESTS {
        let answer = (outputs.of)(number);
        let line = json!({
            "custom_id": format!("request-{number}"), "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": MODEL, "max_completion_tokens": CAP,
                // 19 tokens and one for the role, by the simulator's count
                "messages": [{"role": "user", "content": "a".repeat(19 * 4)}],
                "metadata": {"simulated_output_tokens": answer.to_string()},
            },
        });
        writeln!(text, "{line}")?;
        total += 20 + answer;
    }
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("requests.jsonl");
    fs::write(&input, text)?;
    let limit = total * 60 / (BURST + IDEAL);
    let rate = limit as f64 / 60.0;

    let config = SimConfig::new()
        .default_limits(SimLimits::none().tokens_per_minute(limit))
        .burst(Duration::from_secs(BURST))
        .latency(LATENCY)
        .latency_spread(SPREAD)
        .charge_rule(server.rule)
        .limit_headers(server.headers);
    let simulator = Simulator::start(config)?;
    let limits = Limits::builder()
        .tokens_per_minute(limit)
        .with_burst_duration(Duration::from_secs(BURST - server.less_burst))
        .build()?;
    let registry = Arc::new(Registry::new(LimitTable::empty(limits)));
    let mut client = RateLimitedClient::builder()
        .api_key("simulated")
        .base_url(simulator.base_url())
        .registry(Arc::clone(&registry))
        .accounting(Accounting::Actual)
        .prompt_rule(PromptRule::Characters)
        .max_retries(8);
    if let Some(quantile) = quantile {
        client = client.learned_output(quantile);
    }
    let run = Run::new(client.build()?, Input::file(&input)?).fresh(true);
    let (has_ended, limiter) = (AtomicBool::new(false), registry.limiter_for(MODEL));
    let (summary, lowest) = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut lowest = 0;
            while !has_ended.load(Ordering::Relaxed) {
                let levels = limiter.snapshot().quotas.into_iter().map(|it| it.level);
                lowest = levels.fold(lowest, i64::min);
                thread::park_timeout(LOOK);
            }
            lowest
        });
        let summary = run.run();
        has_ended.store(true, Ordering::Relaxed);
        (summary, looking.join())
    });
    let (summary, lowest) = (summary?, lowest.map_err(|_| "it has said why")?);
    let report = simulator.report();
    assert_eq!(report.violations(), [], "the judge is wrong");
    let time = report.until_last_admission().unwrap_or_default();
    let time = time.as_secs_f64();
    Ok(Figures {
        failed: summary.failed,
        time: time / IDEAL as f64,
        used: total as f64 / (rate * (BURST as f64 + time)),
        refused: report.refused(),
        debt: lowest.unsigned_abs() as f64 / rate,
        servers_debt: report.most_debt as f64 / rate,
        reserved: summary.tokens_reserved / REQUESTS,
    })
}

/// Prints both runs, and says whether the learned one is within its bounds.
fn print(outputs: &Outputs, server: &Server, cap: &Figures, learned: &Figures) -> bool {
    let ratio = learned.time / cap.time;
    let mut holds = true;
    let mut mark = |within: bool| {
        holds &= within;
        if within { ' ' } else { '!' }
    };
    let failed = mark(cap.failed + learned.failed == 0);
    let (slow, refused) = (
        mark(ratio <= server.most_time),
        mark(learned.refused <= server.most_refused),
    );
    println!(
        "  {:<34}{:>6.2} {:>5.2}{failed}{:>6.2}{slow}{:>6.0} {:>4.0}{:>7} {:>4}{refused}{:>7.1} {:>4.1}{:>7.1} {:>4.1}{:>7} {:>5}",
        outputs.name,
        cap.time,
        learned.time,
        ratio,
        cap.used * 100.0,
        learned.used * 100.0,
        cap.refused,
        learned.refused,
        cap.debt,
        learned.debt,
        cap.servers_debt,
        learned.servers_debt,
        cap.reserved,
        learned.reserved,
    );
    holds
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let named = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    println!(
        "each pair: the cap reserved, {QUANTILE} of the last answers reserved\n{:<36}{:>12}{:>8}{:>12}{:>12}{:>13}{:>12}{:>13}",
        "the server, and its answers",
        "÷ ideal",
        "ratio",
        "% of limit",
        "429s",
        "debt, s",
        "server's, s",
        "reserved",
    );
    let all: Vec<_> = SERVERS
        .iter()
        .flat_map(|server| OUTPUTS.iter().map(move |outputs| (server, outputs)))
        .filter(|(_, outputs)| named(outputs.name))
        .collect();
    let mut holds = true;
    let mut shown = "";
    for group in all.chunks(AT_ONCE / 2) {
        thread::scope(|scope| {
            let runs: Vec<_> = group
                .iter()
                .map(|(server, outputs)| {
                    [None, Some(QUANTILE)]
                        .map(|quantile| scope.spawn(move || run(outputs, server, quantile)))
                })
                .collect();
            for ((server, outputs), runs) in group.iter().zip(runs) {
                if shown != server.name {
                    shown = server.name;
                    println!("{shown}");
                }
                match runs.map(thread::ScopedJoinHandle::join) {
                    [Ok(Ok(cap)), Ok(Ok(learned))] => {
                        holds &= print(outputs, server, &cap, &learned);
                    }
                    [Ok(Err(error)), _] | [_, Ok(Err(error))] => {
                        println!("  {:<34}{error}", outputs.name);
                        holds = false;
                    }
                    _ => holds = false, // it has said why
                }
            }
        });
    }
    match holds {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
