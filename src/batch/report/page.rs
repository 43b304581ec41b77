//! The page from top to bottom.

use std::fmt::Write;
use std::time::Duration;

use super::escape::Text;
use super::words::{self, counted, date, grouped, lasting, percent, trimmed};
use super::{Report, flow, limits, spread, table};
use crate::batch::events::history::Recording;
use crate::batch::summary::{StopReason, Summary};

const STYLE: &str = include_str!("style.css");

/// The whole page. It is XML as well as HTML.
pub(super) fn page(report: &Report) -> String {
    let Report {
        recording,
        summary,
        note,
    } = report;
    let name = Text(&recording.input);
    let version = env!("CARGO_PKG_VERSION");
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta name=\"generator\" content=\"paceline {version}\"/>\n\
         <title>{name} · paceline</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    heading(&mut out, recording, summary, note.as_deref());
    tiles(&mut out, summary);
    let (limits, others) = limits::plots(recording);
    let more = match others {
        0 => String::new(),
        _ if limits.len() == 1 => {
            format!("{} had more room.", counted(others as u64, "other limit"))
        }
        _ => format!(
            "{} held up less or nothing.",
            counted(others as u64, "other limit")
        ),
    };
    let hint = "What was granted in the last period at each moment, beside the limit.";
    section(&mut out, "The pace", &format!("{hint} {more}"), limits);
    let flow = [flow::in_flight(recording), flow::finished(recording)];
    let hint =
        "Many in flight with a slow rate point to a slow server; few, to limits or a short input.";
    section(&mut out, "The flow", hint, flow.into_iter().flatten());
    let spreads = [
        spread::plot(
            "Waiting in line",
            "For the limits, before each try.",
            "request",
            &recording.waits,
        ),
        spread::plot(
            "Answers",
            "From sending until the whole answer was there.",
            "answer",
            &recording.latencies,
        ),
    ];
    let hint = "Each bar holds durations of about the same size; the scale is logarithmic.";
    section(
        &mut out,
        "How long it took",
        hint,
        spreads.into_iter().flatten(),
    );
    let troubles = [
        flow::refusals(recording),
        flow::retries(recording),
        table::reasons(summary),
    ];
    let hint = "A 429 costs nothing but time. What fails for good stands in the errors file.";
    section(
        &mut out,
        "What went wrong",
        hint,
        troubles.into_iter().flatten(),
    );
    let _ = write!(
        out,
        "<section>\n<h2>The summary</h2>\n{}</section>\n</main>\n\
         <footer>Made by paceline {version}. This page needs no network and runs no scripts.</footer>\n</body>\n</html>\n",
        table::summary(summary)
    );
    out
}

/// Nothing without figures.
fn section(out: &mut String, title: &str, hint: &str, figures: impl IntoIterator<Item = String>) {
    let figures: String = figures.into_iter().collect();
    if !figures.is_empty() {
        // Writing to a string does not fail, here and below.
        let _ = write!(
            out,
            "<section>\n<h2>{}</h2>\n<p>{}</p>\n<div class=\"figures\">\n{figures}</div>\n</section>\n",
            Text(title),
            Text(hint.trim()),
        );
    }
}

fn heading(out: &mut String, recording: &Recording, summary: &Summary, note: Option<&str>) {
    let (class, word) = badge(summary);
    let mut facts = Vec::new();
    facts.extend(recording.began.map(date));
    facts.push(lasting(wall(summary)));
    facts.extend(note.map(str::to_owned));
    let facts: Vec<_> = facts
        .iter()
        .map(|fact| format!("<span>{}</span>", Text(fact)))
        .collect();
    let _ = write!(
        out,
        "<header>\n<h1><small>A run of</small> {}</h1>\n\
         <p class=\"facts\"><strong class=\"badge {class}\">{}</strong> {}</p>\n<p class=\"verdict\">{}</p>\n",
        Text(&recording.input),
        Text(word),
        facts.join(" "),
        Text(&verdict(summary)),
    );
    let reason = match &summary.ending {
        StopReason::Bound(bound) => Some(format!("It had {bound}.")),
        ending => ending.reason().map(str::to_owned),
    };
    if let Some(reason) = reason {
        let _ = writeln!(out, "<p class=\"reason {class}\">{}</p>", Text(&reason));
    }
    out.push_str("</header>\n");
}

/// How it ended, as a class and in a few words.
fn badge(summary: &Summary) -> (&'static str, &'static str) {
    match &summary.ending {
        StopReason::AccountError(_) => ("bad", "✕ stopped by an account error"),
        StopReason::Forbidden(_) => ("bad", "✕ stopped: every request is forbidden"),
        StopReason::SameFailure(_) => ("bad", "✕ stopped: every request fails alike"),
        StopReason::Unreachable(_) => ("bad", "✕ stopped: the server cannot be reached"),
        StopReason::Certificate(_) => ("bad", "✕ stopped: the server's certificate is not valid"),
        StopReason::LongWait(_) => ("warn", "◼ stopped before a wait of more than a day"),
        StopReason::Bound(_) => ("warn", "◼ stopped at a bound"),
        StopReason::Interrupted => ("warn", "◼ interrupted"),
        StopReason::Finished if summary.failed == 0 => ("good", "✓ finished"),
        StopReason::Finished if summary.succeeded + summary.resumed == 0 => {
            ("bad", "✕ finished, all failed")
        }
        StopReason::Finished => ("warn", "▲ finished, some failed"),
    }
}

/// The run in a sentence or two.
fn verdict(summary: &Summary) -> String {
    let Summary {
        requests,
        succeeded,
        failed,
        resumed,
        rate_limited,
        ..
    } = *summary;
    let sent = succeeded + failed;
    let all_done = matches!(summary.ending, StopReason::Finished);
    if sent == 0 {
        return match resumed {
            0 => "Nothing was finished.".to_owned(),
            _ if all_done => format!(
                "Nothing was left to do: all {} were done before.",
                counted(resumed, "request")
            ),
            _ => format!(
                "Nothing was finished; {} had been done before.",
                counted(resumed, "request")
            ),
        };
    }
    let mut text = match failed {
        0 => format!("{} succeeded", counted(succeeded, "request")),
        _ if succeeded == 0 => format!("{} failed, and none succeeded", counted(failed, "request")),
        _ => format!(
            "{} of {} succeeded",
            grouped(succeeded),
            counted(sent, "request")
        ),
    };
    text.push_str(&format!(" in {}", lasting(wall(summary))));
    if resumed > 0 {
        text.push_str(&format!(
            "; {} of {} had been done before",
            grouped(resumed),
            grouped(requests)
        ));
    }
    text.push('.');
    if let Some(binding) = summary.binding.as_deref().map(words::binding) {
        text.push_str(&format!(
            " Of the busiest limit ({binding}) {} was used",
            percent(summary.utilisation)
        ));
        text.push_str(&match rate_limited {
            0 => ", and no try was refused with a 429.".to_owned(),
            1 => ", and one try was refused with a 429.".to_owned(),
            count => format!(", and {} tries were refused with a 429.", grouped(count)),
        });
    }
    if summary.abandoned > 0 {
        let count = counted(summary.abandoned, "request");
        text.push_str(&format!(" When its grace was over {count} had no answer."));
    }
    if !all_done {
        let go_on = "the same command resumes the run from here.";
        text.push_str(&match summary.total {
            Some(total) => {
                let (done, total) = (grouped(requests), counted(total, "line"));
                format!(" {done} of {total} are done; {go_on}")
            }
            None => format!(" Not all is done; {go_on}"),
        });
    }
    text
}

fn wall(summary: &Summary) -> Duration {
    Duration::try_from_secs_f64(summary.wall_seconds).unwrap_or_default()
}

fn tiles(out: &mut String, summary: &Summary) {
    out.push_str("<div class=\"tiles\">\n");
    let mut tile = |class: &str, value: &str, name: &str, more: &str| {
        let _ = write!(
            out,
            "<div class=\"tile {class}\"><b>{}</b><span>{}</span>",
            Text(value),
            Text(name)
        );
        if !more.is_empty() {
            let _ = write!(out, "<small>{}</small>", Text(more));
        }
        out.push_str("</div>\n");
    };
    let class = |class, count| if count > 0 { class } else { "" };
    tile("", &grouped(summary.requests), "requests", "");
    tile(
        class("good", summary.succeeded),
        &grouped(summary.succeeded),
        "succeeded",
        "",
    );
    tile(
        class("bad", summary.failed),
        &grouped(summary.failed),
        "failed",
        "",
    );
    if summary.resumed > 0 {
        tile("", &grouped(summary.resumed), "done before", "");
    }
    if summary.succeeded + summary.failed == 0 {
        out.push_str("</div>\n");
        return;
    }
    let seconds = summary.wall_seconds.max(0.001);
    #[allow(clippy::cast_precision_loss, reason = "for a person to read")]
    let rate = summary.succeeded as f64 / seconds;
    let rate = match rate {
        _ if summary.succeeded == 0 => String::new(),
        rate if rate >= 1.0 => format!("{} succeeded a second", trimmed(rate, 1)),
        rate => format!("{} succeeded a minute", trimmed(rate * 60.0, 1)),
    };
    tile("", &lasting(wall(summary)), "time taken", &rate);
    if let Some(binding) = summary.binding.as_deref().map(words::binding) {
        tile(
            "",
            &percent(summary.utilisation),
            "of the busiest limit",
            &binding,
        );
    }
    let used = format!("{} used", grouped(summary.tokens_used));
    tile(
        "",
        &grouped(summary.tokens_reserved),
        "tokens reserved",
        &used,
    );
    tile(
        class("warn", summary.rate_limited),
        &grouped(summary.rate_limited),
        "429 answers",
        "",
    );
    tile("", &grouped(summary.retries), "retries", "");
    tile("", &grouped(summary.max_in_flight), "most in flight", "");
    if let Some(cost) = summary.cost {
        let currency = summary.currency.as_deref().unwrap_or_default();
        let left_out = match summary.unpriced {
            None | Some(0) => String::new(),
            Some(count) => format!("{} without a price left out", counted(count, "answer")),
        };
        tile("", &format!("{cost} {currency}"), "cost", &left_out);
    }
    out.push_str("</div>\n");
}
