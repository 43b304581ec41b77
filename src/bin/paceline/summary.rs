//! The end of a run, for people and for programs.

use std::path::Path;
use std::time::Duration;

use paceline::batch::{Bound, StopReason, Summary};
use paceline::{Error, Result};

use crate::args;
use crate::held::mark;
use crate::in_flight;
use crate::numbers::{grouped, lasting, money};
use crate::reasons;
use crate::say::{self, say, warning};

/// A count of the server that differs from ours by less than 2 % gets no line.
const NOTABLE: f64 = 0.02;

/// As JSON, to a file or to standard output.
pub(crate) fn write(summary: &Summary, path: &Path) -> Result<()> {
    if path != Path::new("-") {
        return summary.write(path);
    }
    let json = serde_json::to_string_pretty(summary).map_err(|error| Error::Io {
        path: path.to_owned(),
        source: error.into(),
    })?;
    say::data(&format!("{json}\n"))
}

/// As a few lines on standard error.
pub(crate) fn print(
    summary: &Summary,
    held: Option<String>,
    results: &Path,
    errors: &Path,
    arguments: &args::Run,
) {
    let keeps_failed = arguments.keep_failed;
    let wall = Duration::try_from_secs_f64(summary.wall_seconds).unwrap_or_default();
    let resumed = match summary.resumed {
        0 => String::new(),
        resumed => format!(", {} done before", grouped(resumed)),
    };
    say!(
        "{} {} in {}: {} succeeded, {} failed{resumed}",
        dealt_with(summary),
        if summary.requests == 1 && summary.total.is_none_or(|total| total <= 1) {
            "request"
        } else {
            "requests"
        },
        lasting(wall),
        grouped(summary.succeeded),
        grouped(summary.failed),
    );
    let capped = summary.in_flight_capped_by.map(in_flight::name);
    let capped = capped.map_or_else(String::new, |by| format!(" (capped by {by})"));
    say!(
        "{} retries, {} rate-limit answers (429), at most {} in flight{capped}",
        grouped(summary.retries),
        grouped(summary.rate_limited),
        grouped(summary.max_in_flight),
    );
    say!(
        "{} tokens reserved, {} used",
        grouped(summary.tokens_reserved),
        grouped(summary.tokens_used)
    );
    let (all, others) = (summary.reasons.by_count(), summary.reasons.others());
    if !all.is_empty() {
        say!("failed and retried attempts by reason:");
        for line in reasons::listed(&all, others, say::width()) {
            say!("{line}");
        }
    }
    if let (Some(cost), Some(currency)) = (summary.cost, &summary.currency) {
        let left_out = match summary.unpriced {
            None | Some(0) => String::new(),
            Some(count) => format!(
                "; {} answers have no price and are left out",
                grouped(count)
            ),
        };
        say!("{} {currency} spent{left_out}", money(cost));
    }
    if let Some(binding) = &summary.binding {
        let percent = summary.utilisation * 100.0;
        let (binding, mark) = (limit(binding), mark(summary.binding_origin));
        say!("busiest limit {binding}{mark}, {percent:.1} % of it used");
    }
    if let Some(held) = held {
        say!("{held}");
    }
    for (model, ratio) in &summary.charge_ratios {
        if (ratio - 1.0).abs() >= NOTABLE {
            say!(
                "the server counts {ratio:.2} × our tokens for {model}; reservations allow for it"
            );
        }
    }
    say!("results in {}", results.display());
    if let Some(line) = unusual(summary) {
        say!("{line}");
    }
    if summary.failed > 0 {
        let advice = reasons::advice(&all, others, summary.failed, keeps_failed);
        warning!("failures in {}; {advice}", errors.display());
    }
    if summary.abandoned > 0 {
        let abandoned = grouped(summary.abandoned);
        warning!(
            "paceline: {abandoned} requests were still in flight when the grace period ended; the \
             next run retries them"
        );
    }
    match &summary.ending {
        StopReason::AccountError(reason) => {
            warning!("paceline: stopped by an account error: {reason}");
            warning!(
                "paceline: nothing is lost; once that is corrected, the same command resumes the run"
            );
        }
        StopReason::Forbidden(reason) => {
            warning!("paceline: stopped: the server forbids request after request: {reason}");
            warning!(
                "paceline: nothing is lost; once that is corrected, the same command resumes the run"
            );
        }
        StopReason::SameFailure(reason) => {
            warning!(
                "paceline: stopped: nothing has succeeded, and 20 requests failed alike: {reason}"
            );
            warning!(
                "paceline: once that is corrected, the same command resumes the run; --keep-going sends the others in any case"
            );
        }
        StopReason::Unreachable(reason) => {
            warning!("paceline: stopped: cannot reach {reason}");
            warning!("paceline: no request failed by it; the same command resumes the run");
        }
        StopReason::Certificate(reason) => {
            warning!("paceline: stopped by a certificate: {reason}");
            warning!("paceline: no request failed by it; the same command resumes the run");
        }
        StopReason::LongWait(reason) => {
            warning!(
                "paceline: stopped: all that is left would wait for more than a day: {reason}"
            );
            warning!("paceline: nothing is lost; the same command resumes the run");
        }
        StopReason::Bound(bound) => {
            let currency = summary.currency.as_deref().unwrap_or_default();
            let done = dealt_with(summary);
            warning!("paceline: stopped at {}", said(bound, currency, arguments));
            let more = match flag(bound, arguments) {
                "--budget-tokens" | "--max-cost" => {
                    "with a larger bound the same command resumes the run"
                }
                _ => "the same command resumes the run, and its bound counts anew",
            };
            warning!("paceline: {done} lines are done; {more}");
        }
        StopReason::Interrupted => warning!(
            "paceline: interrupted: {} requests are done; the same command resumes the run",
            dealt_with(summary)
        ),
        _ => {}
    }
}

/// Answers that are paid for and may be of no use, if there are some.
fn unusual(summary: &Summary) -> Option<String> {
    let counts = [
        (summary.cut_off, "cut off at the output cap"),
        (summary.refused, "refused"),
        (summary.empty, "empty"),
    ];
    let some = counts.into_iter().filter(|(count, _)| *count > 0);
    let some: Vec<_> = some
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
    (!some.is_empty()).then(|| format!("of the responses: {}", some.join(", ")))
}

/// `549 of 5,000`, as long as something is left to do.
fn dealt_with(summary: &Summary) -> String {
    let done = grouped(summary.requests);
    match summary.total {
        Some(total) if total > summary.requests => format!("{done} of {}", grouped(total)),
        _ => done,
    }
}

/// A limit as the summary has it, with thousands apart.
fn limit(text: &str) -> String {
    let parts = text.rsplit_once(": ").and_then(|(model, limit)| {
        let (amount, what) = limit.split_once(' ')?;
        Some(format!("{model}: {} {what}", grouped(amount.parse().ok()?)))
    });
    parts.unwrap_or_else(|| text.to_owned())
}

/// The flag of a bound.
fn flag(bound: &Bound, arguments: &args::Run) -> &'static str {
    match bound {
        Bound::Tokens { .. } if arguments.budget_tokens.is_none() => "--budget-tokens-this-run",
        Bound::Tokens { .. } => "--budget-tokens",
        Bound::Cost { .. } if arguments.max_cost.is_none() => "--max-cost-this-run",
        Bound::Cost { .. } => "--max-cost",
        Bound::Failures { .. } => "--max-failures",
        Bound::Deadline { .. } => "--deadline",
        _ => "",
    }
}

/// A bound by its flag, and how far the run got in it.
fn said(bound: &Bound, currency: &str, arguments: &args::Run) -> String {
    let flag = flag(bound, arguments);
    match *bound {
        Bound::Tokens {
            budget,
            used,
            needed,
        } => format!(
            "{flag} {}: {} are used, and the next request may take {}",
            grouped(budget),
            grouped(used),
            grouped(needed),
        ),
        Bound::Cost {
            budget,
            used,
            needed,
        } => format!(
            "{flag} {} {currency}: {} is spent, and the next request may cost {}",
            money(budget),
            money(used),
            money(needed),
        ),
        Bound::Failures { most } => format!("{flag} {}", grouped(most)),
        Bound::Deadline { after } => format!(
            "{flag} {}: what is left could not begin before it",
            lasting(after)
        ),
        ref other => other.to_string(),
    }
}
