//! `paceline status`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use paceline::batch::{RunStatus, count_requests, errors_beside};
use paceline::{Clock, Result};
use serde_json::json;

use crate::args;
use crate::exit::Exit;
use crate::extract::format_of;
use crate::numbers::{grouped, lasting, money};
use crate::run::prices;
use crate::say;

/// How long a run is watched for its pace.
const WATCHED: Duration = Duration::from_secs(2);

pub(crate) fn status(arguments: &args::Status) -> Result<Exit> {
    let prices = prices(&arguments.prices)?;
    let results = arguments.output.clone();
    let results = results.unwrap_or_else(|| beside(&arguments.input));
    let errors = arguments.errors.clone();
    let errors = errors
        .or_else(|| errors_beside(&results))
        .unwrap_or_default();
    let format = match arguments.rows {
        Some(rows) => Some(rows.into()),
        None => format_of(&arguments.input)?,
    };
    let total = count_requests(&arguments.input, format)?;
    let read = || RunStatus::read(&results, &errors, prices.as_ref());
    let clock = Clock::real();
    let began = clock.now();
    let mut status = read()?;
    let mut per_second = None;
    if status.is_running {
        let before = status.succeeded + status.failed;
        // Nothing tells when lines come; the pace is that of the time in between.
        let (_never, time) = mpsc::channel::<()>();
        let _ = time.recv_timeout(WATCHED);
        status = read()?;
        let more = (status.succeeded + status.failed).saturating_sub(before);
        let seconds = clock.now().saturating_duration_since(began).as_secs_f64();
        per_second = (more > 0).then(|| as_f64(more) / seconds);
    }
    let done = status.succeeded + status.failed;
    let left = total.saturating_sub(done);
    let remaining =
        per_second.and_then(|pace| Duration::try_from_secs_f64(as_f64(left) / pace).ok());
    if arguments.json {
        let cost = status.cost.map(paceline::batch::Money::as_f64);
        let object = json!({
            "total": total,
            "succeeded": status.succeeded,
            "failed": status.failed,
            "tokens_used": status.tokens_used,
            "cost": cost,
            "is_running": status.is_running,
            "seconds_since_last_line": status.last_written.map(|age| age.as_secs()),
            "requests_per_second": per_second,
            "seconds_left": remaining.map(|time| time.as_secs()),
        });
        say::data(&format!("{object}\n"))?;
        return Ok(Exit::Success);
    }
    let mut text = format!(
        "{}: {} of {} done, {} failed, {} tokens used",
        arguments.input.display(),
        grouped(done),
        grouped(total),
        grouped(status.failed),
        grouped(status.tokens_used)
    );
    if let Some((cost, prices)) = status.cost.zip(prices) {
        text.push_str(&format!(", {} {} spent", money(cost), prices.currency()));
    }
    text.push('\n');
    let last = match status.last_written {
        Some(age) => format!("the last line {} ago", lasting(age)),
        None => "no results yet".to_owned(),
    };
    text.push_str(&match (status.is_running, left) {
        (true, _) => format!("running; {last}"),
        (false, 0) => format!("finished; {last}"),
        (false, _) => format!("not running; {last}; the same command resumes it"),
    });
    if let (Some(pace), Some(remaining)) = (per_second, remaining) {
        let pace = format!("{:.0} requests a minute", pace * 60.0);
        text.push_str(&format!("; {pace}, {} left", lasting(remaining)));
    }
    text.push('\n');
    say::result(&text)?;
    Ok(Exit::Success)
}

/// Where a run puts its results unless it is told.
fn beside(input: &Path) -> PathBuf {
    let packed = ["gz", "gzip", "zst", "zstd"];
    let ending = input.extension().unwrap_or_default().to_string_lossy();
    let base = match packed
        .iter()
        .any(|packed| ending.eq_ignore_ascii_case(packed))
    {
        true => input.with_extension(""),
        false => input.to_owned(),
    };
    let results = base.with_extension("results.jsonl");
    let simulated = base.with_extension("simulated.results.jsonl");
    match !results.exists() && fs::exists(&simulated).unwrap_or_default() {
        true => simulated,
        false => results,
    }
}

#[allow(clippy::cast_precision_loss, reason = "for a pace")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
