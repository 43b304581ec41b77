//! The summary as a table, and the reasons of failures as bars.

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use super::escape::Text;
use super::words::{binding, counted, grouped, lasting, percent, trimmed};
use crate::batch::events::reasons::Reason;
use crate::batch::summary::Summary;

/// A charge that differs from our count by less is not worth a word.
pub(super) const NOTABLE: f64 = 0.02;

/// What people call what the summary's keys say. Keys that are not here are called by their own names.
const NAMES: [(&str, &str); 21] = [
    ("requests", "Requests dealt with"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
    ("cut_off", "Answers cut off at their cap"),
    ("refused", "Answers that refuse"),
    ("empty", "Answers without anything in them"),
    ("resumed", "Done in an earlier run"),
    ("retries", "Retries"),
    ("rate_limited", "429 answers that asked to wait"),
    ("tokens_reserved", "Tokens reserved"),
    ("tokens_used", "Tokens used"),
    ("abandoned", "Without an answer when the grace was over"),
    ("wall_seconds", "Time taken"),
    ("utilisation", "Used of the busiest limit"),
    ("binding", "The busiest limit"),
    ("max_in_flight", "Most in flight at once"),
    ("cost", "Cost of the answers"),
    ("currency", "Currency"),
    ("unpriced", "Answers without a price"),
    ("reasons", "Why requests failed"),
    ("ending", "How it ended"),
];

/// All that the summary says, by the keys of its JSON.
pub(super) fn summary(summary: &Summary) -> String {
    let mut out = String::from("<table>\n");
    if let Ok(Value::Object(fields)) = serde_json::to_value(summary) {
        for (key, value) in &fields {
            row(&mut out, key, value);
        }
    }
    let notable = |(_, ratio): &(&String, &f64)| (*ratio - 1.0).abs() >= NOTABLE;
    for (model, ratio) in summary.charge_ratios.iter().filter(notable) {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">Charged by the server for {}</th><td>{} × our count</td></tr>",
            Text(model),
            trimmed(*ratio, 3),
        );
    }
    out.push_str("</table>\n");
    out
}

fn row(out: &mut String, key: &str, value: &Value) {
    let name = NAMES.iter().find(|(known, _)| *known == key);
    let own = || {
        let words = key.replace('_', " ");
        let mut chars = words.chars();
        let first = chars.next().into_iter().flat_map(char::to_uppercase);
        first.chain(chars).collect()
    };
    let name = name.map_or_else(own, |(_, name)| (*name).to_owned());
    let raw = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\">{}</th><td><data id=\"{}\" value=\"{}\">{}</data></td></tr>",
        Text(&name),
        Text(key),
        Text(&raw),
        Text(&said(key, value)),
    );
}

/// A value as people read it.
fn said(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if key == "binding" => binding(text),
        Value::String(text) if key == "ending" => text.replace('_', " "),
        Value::String(text) => text.clone(),
        Value::Number(number) => match (key, number.as_u64(), number.as_f64()) {
            ("wall_seconds", _, Some(seconds)) => {
                lasting(Duration::try_from_secs_f64(seconds).unwrap_or_default())
            }
            ("utilisation", _, Some(share)) => percent(share),
            (_, Some(count), _) => grouped(count),
            (_, _, Some(number)) => trimmed(number, 6),
            _ => number.to_string(),
        },
        Value::Array(reasons) if key == "reasons" => match reasons.len() {
            0 => "nothing failed".to_owned(),
            count => counted(count as u64, "reason"),
        },
        other => other.to_string(),
    }
}

/// Failures and retries by reason. Nothing of nothing.
#[allow(clippy::cast_precision_loss, reason = "to be drawn")]
pub(super) fn reasons(summary: &Summary) -> Option<String> {
    let (by_count, others) = (summary.reasons.by_count(), summary.reasons.others());
    let all = |reason: &Reason| reason.failed + reason.retried;
    let most = by_count.iter().map(|reason| all(reason)).max()?;
    let most = most.max(all(others));
    let mut out = String::from(
        "<figure class=\"wide\">\n<figcaption><h3>Failures by reason</h3>\
         <p>With what one failure of each kind said.</p></figcaption>\n<table class=\"reasons\">\n",
    );
    let mut row = |kind: &str, said: &str, reason: &Reason| {
        let share = all(reason) as f64 / most.max(1) as f64 * 100.0;
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}<small>{}</small></th><td>{}</td>\
             <td class=\"bar\"><i style=\"width:{share:.2}%\"></i></td></tr>",
            Text(kind),
            Text(said),
            counts(reason),
        );
    };
    for reason in by_count {
        row(&reason.reason, &reason.message, reason);
    }
    if all(others) > 0 {
        row("other reasons", "", others);
    }
    out.push_str("</table>\n</figure>\n");
    Some(out)
}

/// `3 failed, 12 retried`, without what is none.
fn counts(reason: &Reason) -> String {
    let counts = [(reason.failed, "failed"), (reason.retried, "retried")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
    counts.join(", ")
}
