//! Why requests fail or are sent again, in words.

use paceline::batch::{Reason, Reasons};

use crate::numbers::grouped;
use crate::plain::{cut, line};

/// Reasons that a line lists.
const IN_A_LINE: usize = 3;
/// Reasons that the summary lists.
const IN_THE_SUMMARY: usize = 5;
/// The most of an example that the summary shows.
const WIDEST: usize = 200;

/// `500 server_error: 3 failed, 12 retried; cannot connect: 5 retried`, as far as the width allows,
/// at least the first. `None` if nothing has failed.
pub(crate) fn top(all: &[&Reason], width: usize) -> Option<String> {
    let mut text = String::new();
    for (index, reason) in all.iter().enumerate() {
        let part = format!("{}: {}", line(&reason.reason), counts(reason));
        let separator = if index == 0 { "" } else { "; " };
        let rest = all.len() - index;
        let more = format!("; {} more", counted(rest, "reason"));
        let is_last = rest == 1;
        let used = text.chars().count() + separator.len() + part.chars().count();
        let room = if is_last {
            width
        } else {
            width.saturating_sub(more.len())
        };
        if index > 0 && (index == IN_A_LINE || used > room) {
            text.push_str(&more);
            break;
        }
        text.push_str(separator);
        text.push_str(&part);
    }
    (!all.is_empty()).then(|| cut(&text, width).into_owned())
}

/// `last: 500 server_error (r17): the server had an error`, with what was said by the last kind of
/// failure.
pub(crate) fn last(reasons: &Reasons) -> Option<String> {
    reasons
        .latest()
        .map(|reason| format!("last: {}", example(reason)))
}

/// The lines of the summary: each reason with its counts, and one example of it.
pub(crate) fn listed(all: &[&Reason], others: &Reason, width: Option<usize>) -> Vec<String> {
    let width = width.unwrap_or(WIDEST).min(WIDEST);
    let mut lines = Vec::new();
    for reason in all.iter().take(IN_THE_SUMMARY) {
        let counts = counts(reason);
        lines.push(cut(&format!("  {counts}: {}", example(reason)), width).into_owned());
    }
    let rest = all.len().saturating_sub(IN_THE_SUMMARY);
    let sum = |count: fn(&Reason) -> u64| {
        let rest = all.iter().skip(IN_THE_SUMMARY).map(|reason| count(reason));
        rest.sum::<u64>() + count(others)
    };
    let (failed, retried) = (sum(|it| it.failed), sum(|it| it.retried));
    if failed + retried > 0 {
        let more = match others.failed + others.retried {
            0 => counted(rest, "more reason"),
            _ => "other reasons".to_owned(),
        };
        lines.push(format!("  {}: {more}", said(failed, retried)));
    }
    lines
}

/// `500 server_error (r17): the server had an error`.
pub(crate) fn example(reason: &Reason) -> String {
    let id = reason.custom_id.as_deref();
    let id = id.map_or_else(String::new, |id| format!(" ({})", line(id)));
    let message = line(&reason.message);
    match message.is_empty() {
        true => format!("{}{id}", line(&reason.reason)),
        false => format!("{}{id}: {message}", line(&reason.reason)),
    }
}

/// `3 failed, 12 retried`, without counts of 0.
fn counts(reason: &Reason) -> String {
    said(reason.failed, reason.retried)
}

fn said(failed: u64, retried: u64) -> String {
    let counts = [(failed, "failed"), (retried, "retried")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
    counts.join(", ")
}

fn counted(count: usize, thing: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{end}")
}

/// What to do about the failures of a run: `failed` of them, of which `keeps` says that a later run
/// would not send them.
pub(crate) fn advice(all: &[&Reason], others: &Reason, failed: u64, keeps: bool) -> String {
    let all = || all.iter().chain([&others]);
    let helped = all().filter(|reason| reason.retryable);
    let helped: u64 = helped.map(|reason| reason.failed).sum();
    let known: u64 = all().map(|reason| reason.failed).sum();
    // Failures of an earlier run that were left alone have no reason here.
    let kept = failed.saturating_sub(known);
    let hopeless = known - helped;
    let mut parts = Vec::new();
    let them = |count: u64| match count == failed {
        true => "them".to_owned(),
        false => format!("{} of them", grouped(count)),
    };
    if kept > 0 || (keeps && helped > 0) {
        let count = if keeps { kept + helped } else { kept };
        parts.push(format!(
            "without --keep-failed, the same command tries {} again",
            them(count)
        ));
    } else if helped > 0 {
        parts.push(format!("the same command tries {} again", them(helped)));
    }
    if hopeless > 0 {
        let which = match (hopeless == failed, hopeless) {
            (true, 1) => "it fails".to_owned(),
            (true, _) => "they fail".to_owned(),
            (false, 1) => "1 fails".to_owned(),
            (false, _) => format!("{} fail", grouped(hopeless)),
        };
        parts.push(format!("{which} again until the cause is corrected"));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(kind: &str, failed: u64, retried: u64, retryable: bool) -> Reason {
        let mut reason = Reason::default();
        reason.reason = kind.to_owned();
        (reason.failed, reason.retried, reason.retryable) = (failed, retried, retryable);
        reason.message = format!("what {kind} says");
        reason.custom_id = Some("r17".to_owned());
        reason
    }

    #[test]
    fn the_top_reasons_fit_into_every_width() {
        let reasons = [
            reason("500 server_error", 1_234, 5, true),
            reason("cannot connect", 0, 12, true),
            reason("400 \u{1b}[2Jbad", 2, 0, false),
            reason("timeout", 1, 0, true),
        ];
        let all: Vec<_> = reasons.iter().collect();
        assert_eq!(top(&[], 80), None);
        let table = [
            (1, 80, "500 server_error: 1,234 failed, 5 retried"),
            (
                2,
                80,
                "500 server_error: 1,234 failed, 5 retried; cannot connect: 12 retried",
            ),
            (
                2,
                60,
                "500 server_error: 1,234 failed, 5 retried; 1 reason more",
            ),
            (
                4,
                200,
                "500 server_error: 1,234 failed, 5 retried; cannot connect: 12 retried; \
                 400 \u{fffd}[2Jbad: 2 failed; 1 reason more",
            ),
        ];
        for (step, (count, width, expected)) in table.into_iter().enumerate() {
            assert_eq!(top(&all[..count], width).unwrap(), expected, "step {step}");
        }
        for width in 40..=200 {
            let text = top(&all, width).unwrap();
            assert!(text.chars().count() <= width, "{text} at {width}");
            assert!(text.starts_with("500 server_error: 1,234 failed"), "{text}");
        }
    }

    #[test]
    fn the_summary_lists_five_reasons_with_an_example_each() {
        let reasons: Vec<_> = (0..7)
            .map(|it| reason(&it.to_string(), 9 - it, 0, true))
            .collect();
        let all: Vec<_> = reasons.iter().collect();
        let (none, some) = (Reason::default(), reason("", 3, 1, true));
        let lines = listed(&all[..1], &none, None);
        assert_eq!(lines, ["  9 failed: 0 (r17): what 0 says"]);
        assert_eq!(listed(&all, &none, None)[5], "  7 failed: 2 more reasons");
        assert_eq!(
            listed(&all, &some, None)[5],
            "  10 failed, 1 retried: other reasons"
        );
        assert_eq!(listed(&all, &some, Some(20))[0], "  9 failed: 0 (r17)…");
    }

    #[test]
    fn only_what_a_retry_can_help_is_said_to_be_tried_again() {
        let (passing, hopeless) = (reason("500", 3, 9, true), reason("400", 2, 0, false));
        let none = Reason::default();
        // reasons, failures in all, whether failed requests are kept, what is said
        let table: [(&[&Reason], u64, bool, &str); 7] = [
            (&[&passing], 3, false, "the same command tries them again"),
            (
                &[&hopeless],
                2,
                false,
                "they fail again until the cause is corrected",
            ),
            (
                &[&passing, &hopeless],
                5,
                false,
                "the same command tries 3 of them again; 2 fail again until the cause is corrected",
            ),
            (
                &[],
                4,
                true,
                "without --keep-failed, the same command tries them again",
            ),
            (
                &[&passing],
                7,
                true,
                "without --keep-failed, the same command tries them again",
            ),
            (
                &[&hopeless],
                6,
                true,
                "without --keep-failed, the same command tries 4 of them again; \
                 2 fail again until the cause is corrected",
            ),
            (&[], 0, false, ""),
        ];
        for (step, (all, failed, keeps, expected)) in table.into_iter().enumerate() {
            assert_eq!(advice(all, &none, failed, keeps), expected, "step {step}");
        }
    }
}
