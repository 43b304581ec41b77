//! Which limit refused a request, for how much and how long, as the message of a 429 tells.
//!
//! "Rate limit reached for M in organization O on tokens per min (TPM): Limit 30000, Used 29900,
//! Requested 890. Please try again in 1.78s." is the fullest of many forms, which have changed
//! over the years and from provider to provider. So it is read word by word: whatever is found
//! is taken, and nothing depends on the whole.

use std::time::Duration;

use serde_json::Value;

use super::durations;
use crate::error::ApiError;
use crate::observation::Refusal;
use crate::unit::Unit;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The words of a message that are read; a limit is named in its first sentences.
const MAX_WORDS: usize = 200;

const ABBREVIATIONS: [(&str, Unit, Duration); 9] = [
    ("RPS", Unit::Requests, SECOND),
    ("RPH", Unit::Requests, HOUR),
    ("TPH", Unit::Tokens, HOUR),
    ("RPM", Unit::Requests, MINUTE),
    ("TPM", Unit::Tokens, MINUTE),
    ("RPD", Unit::Requests, DAY),
    ("TPD", Unit::Tokens, DAY),
    ("ITPM", Unit::InputTokens, MINUTE),
    ("OTPM", Unit::OutputTokens, MINUTE),
];

/// What a 429 that waiting helps says of its limit. `is_exact` tells whether `retry_after` came
/// in milliseconds.
pub(super) fn refusal(error: &ApiError, is_exact: bool) -> Refusal {
    let words = words(&error.message);
    let limit = number_behind(&words, &["limit"]);
    let (unit, period) = match phrase(&words).or_else(|| abbreviation(&words)) {
        // A noun that is none of ours, such as images, is not overruled by a type.
        Some((unit, period)) => (unit, Some(period)),
        None => (unit_of_type(error), bare_period(&words)),
    };
    Refusal {
        unit,
        period,
        limit: limit
            .or_else(|| number_behind(&words, &["of"]))
            .filter(|limit| *limit > 0),
        requested: number_behind(&words, &["requested"]),
        wait: wait(error.retry_after, is_exact, named_wait(error, &words)),
        is_for_room: unit.is_none() && is_for_room(error),
    }
}

/// Whether it is for how many are in flight at once, by the words for that.
fn is_for_room(error: &ApiError) -> bool {
    const HINTS: [&str; 8] = [
        "concurren", // concurrency, concurrent requests
        "overloaded",
        "pending requests",
        "queue is full",
        "queue full",
        "server busy",
        "server is busy",
        "simultaneous",
    ];
    let message = error.message.to_lowercase();
    let code = error.code.as_deref().unwrap_or_default().to_lowercase();
    let typed = error.error_type.as_deref().unwrap_or_default();
    let says = |hint: &str| {
        [&*message, &*code, typed]
            .iter()
            .any(|it| it.contains(hint))
    };
    HINTS.into_iter().any(says)
}

/// The wait, of those that the headers and the message name.
///
/// Milliseconds are the server's own arithmetic, so nothing is better. `retry-after` is the same
/// wait rounded up to seconds: a message that names up to a second less is the exact form of it,
/// and saves what the rounding adds, which is much of a wait of 120 ms. One that differs by more
/// speaks of something else (of one limit of several, say, or from a cache), and the header is
/// what the server wants clients to obey.
fn wait(told: Option<Duration>, is_exact: bool, said: Option<Duration>) -> Option<Duration> {
    let (Some(header), Some(message)) = (told, said) else {
        return told.or(said);
    };
    let rounding = header.checked_sub(message);
    if !is_exact && rounding.is_some_and(|rounding| rounding <= SECOND) {
        Some(message)
    } else {
        Some(header)
    }
}

/// The words without the signs around them. A slash parts words, as in `30000 / min`.
fn words(message: &str) -> Vec<&str> {
    const BEFORE: [char; 4] = ['(', '`', '"', '\''];
    const BEHIND: [char; 8] = ['.', ',', ':', ';', ')', '`', '"', '\''];
    message
        .split(|char: char| char.is_whitespace() || char == '/')
        .map(|word| word.trim_start_matches(BEFORE).trim_end_matches(BEHIND))
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .collect()
}

/// What follows each place where `lead` stands, in any case of its letters.
fn behind<'w>(words: &'w [&str], lead: &[&str]) -> impl Iterator<Item = &'w [&'w str]> {
    (0..words.len()).filter_map(move |at| {
        let (head, rest) = words[at..].split_at_checked(lead.len())?;
        let is_lead = |(word, lead): (&&str, &&str)| word.eq_ignore_ascii_case(lead);
        head.iter().zip(lead).all(is_lead).then_some(rest)
    })
}

fn number_behind(words: &[&str], lead: &[&str]) -> Option<u64> {
    behind(words, lead).find_map(|rest| number(rest.first()?))
}

/// A whole number, perhaps with separators between its thousands.
fn number(word: &str) -> Option<u64> {
    word.replace([',', '_'], "").parse().ok()
}

/// The wait that an error names in its body, whatever it is.
pub(super) fn wait_in_body(error: &ApiError) -> Option<Duration> {
    named_wait(error, &words(&error.message))
}

/// In its message, or among Google's details: `"retryDelay": "46s"`.
fn named_wait(error: &ApiError, words: &[&str]) -> Option<Duration> {
    let detailed = || {
        let body = error.body.as_ref()?;
        let body = body.get(0).unwrap_or(body);
        let details = body.pointer("/error/details")?.as_array()?;
        let delay = |detail: &Value| durations::go_style(detail.get("retryDelay")?.as_str()?);
        details.iter().find_map(delay)
    };
    said_wait(words).or_else(detailed)
}

/// "try again in 6m0s", "retry after 20 seconds", "retry in 31.44s".
fn said_wait(words: &[&str]) -> Option<Duration> {
    let time = |rest: &[&str]| {
        let (first, second) = (rest.first()?, rest.get(1).unwrap_or(&""));
        let is_seconds = ["s", "second", "seconds"].contains(second);
        let seconds = || durations::seconds(first).filter(|_| is_seconds);
        durations::go_style(first).or_else(seconds)
    };
    let again = behind(words, &["again", "in"]).find_map(time);
    again
        .or_else(|| behind(words, &["retry", "after"]).find_map(time))
        .or_else(|| behind(words, &["retry", "in"]).find_map(time))
}

/// "tokens per min", with the unit of the noun if it is one of ours.
fn phrase(words: &[&str]) -> Option<(Option<Unit>, Duration)> {
    (0..words.len()).find_map(|at| {
        let period = match words.get(at..at + 2)? {
            [per, time] if per.eq_ignore_ascii_case("per") => period(time)?,
            _ => return None,
        };
        Some((unit(&words[..at]), period))
    })
}

fn abbreviation(words: &[&str]) -> Option<(Option<Unit>, Duration)> {
    words.iter().find_map(|word| {
        let known = |&(name, unit, period)| (name == *word).then_some((Some(unit), period));
        ABBREVIATIONS.iter().find_map(known)
    })
}

/// "Limit 3 / min", "your per-minute rate limit": a period without what it counts.
fn bare_period(words: &[&str]) -> Option<Duration> {
    let slash = behind(words, &["limit"]).find_map(|rest| match rest {
        [limit, time, ..] => number(limit).and_then(|_| period(time)),
        _ => None,
    });
    let hyphen = |word: &&str| period(word.strip_prefix("per-")?);
    slash.or_else(|| words.iter().find_map(hyphen))
}

fn period(word: &str) -> Option<Duration> {
    match word {
        "s" | "sec" | "second" => Some(SECOND),
        "min" | "minute" => Some(MINUTE),
        "h" | "hour" => Some(HOUR),
        "day" => Some(DAY),
        _ => None,
    }
}

/// The unit that the last words name.
fn unit(words: &[&str]) -> Option<Unit> {
    let (noun, adjective) = match words {
        [.., adjective, noun] => (*noun, *adjective),
        [noun] => (*noun, ""),
        [] => return None,
    };
    match (noun, adjective) {
        ("requests", _) => Some(Unit::Requests),
        ("tokens", "input" | "prompt") => Some(Unit::InputTokens),
        ("tokens", "output" | "completion") => Some(Unit::OutputTokens),
        // There is `tokens_usage_based`, too.
        _ if noun.starts_with("tokens") => Some(Unit::Tokens),
        _ => None,
    }
}

fn unit_of_type(error: &ApiError) -> Option<Unit> {
    match error.error_type.as_deref() {
        Some("requests") => Some(Unit::Requests),
        Some("tokens") => Some(Unit::Tokens),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn error(error_type: &str, message: &str, retry_after: Option<Duration>) -> ApiError {
        ApiError {
            kind: ErrorKind::RateLimited,
            status: 429,
            effective_status: None,
            message: message.to_owned(),
            error_type: Some(error_type.to_owned()),
            code: None,
            request_id: None,
            retry_after,
            body: None,
        }
    }

    /// Unit, period, limit, requested, wait in milliseconds.
    type Said = (
        Option<Unit>,
        Option<Duration>,
        Option<u64>,
        Option<u64>,
        Option<u32>,
    );

    fn check(table: &[(&str, &str, Said)]) {
        for (step, (error_type, message, said)) in table.iter().enumerate() {
            let (unit, period, limit, requested, wait) = *said;
            let expected = Refusal {
                unit,
                period,
                limit,
                requested,
                wait: wait.map(|wait| MILLISECOND * wait),
                is_for_room: false,
            };
            let found = refusal(&error(error_type, message, None), false);
            assert_eq!(found, expected, "step {step}: {message}");
        }
    }

    #[test]
    fn seconds_and_hours_are_periods_too() {
        let table = [
            (
                "Rate limit reached on requests per second: Limit 5",
                Some(Unit::Requests),
                SECOND,
            ),
            ("Limit 2000 tokens per hour", Some(Unit::Tokens), HOUR),
            ("Limit 20 / h", None, HOUR),
            ("over your RPS: Limit 5", Some(Unit::Requests), SECOND),
        ];
        for (step, (message, unit, period)) in table.into_iter().enumerate() {
            let found = refusal(&error("", message, None), false);
            assert_eq!(
                (found.unit, found.period),
                (unit, Some(period)),
                "step {step}"
            );
        }
    }

    #[test]
    fn a_refusal_for_want_of_room_is_known_by_its_words() {
        let table = [
            (
                "rate_limit_reached_error",
                "request reached max organization concurrency: 2, please try again after 1 seconds",
                true,
            ),
            ("overloaded", "Model is overloaded", true),
            (
                "",
                "server busy, please try again.  maximum pending requests exceeded",
                true,
            ),
            ("", "Too many concurrent requests", true),
            ("tokens", "Rate limit reached for concurrent tokens", false),
            (
                "",
                "Rate limit reached on requests per min: the model is overloaded",
                false,
            ),
            ("", "Too Many Requests", false),
        ];
        for (step, (error_type, message, expected)) in table.into_iter().enumerate() {
            let found = refusal(&error(error_type, message, None), false);
            assert_eq!(found.is_for_room, expected, "step {step}: {message}");
        }
    }

    #[test]
    fn every_form_of_the_message_is_understood() {
        use Unit::{Requests, Tokens};
        let (minute, day) = (Some(MINUTE), Some(DAY));
        check(&[
            (
                "tokens",
                "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): \
                 Limit 30000, Used 29900, Requested 890. Please try again in 1.58s. Visit \
                 https://platform.openai.com/account/rate-limits to learn more.",
                (Some(Tokens), minute, Some(30_000), Some(890), Some(1_580)),
            ),
            (
                "requests",
                "Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): \
                 Limit 500, Used 500, Requested 1. Please try again in 120ms.",
                (Some(Requests), minute, Some(500), Some(1), Some(120)),
            ),
            (
                "requests",
                "Rate limit reached for x in organization y on requests per day (RPD): Limit 200, \
                 Used 200, Requested 1. Please try again in 7m12s.",
                (Some(Requests), day, Some(200), Some(1), Some(432_000)),
            ),
            (
                "tokens",
                "Rate limit reached for x on tokens per day (TPD): Limit 1,500,000, Used \
                 1,499,990, Requested 1,024. Please try again in 1h2m3.5s",
                (
                    Some(Tokens),
                    day,
                    Some(1_500_000),
                    Some(1_024),
                    Some(3_723_500),
                ),
            ),
            (
                "",
                "Rate limit reached for default-x in organization y on requests per min. \
                 Limit: 3 / min. Please try again in 20s. Contact us at \
                 https://help.openai.com if you continue to have issues.",
                (Some(Requests), minute, Some(3), None, Some(20_000)),
            ),
            (
                "tokens",
                "Rate limit reached for x. Limit: 30000 / min. Current: 30500 / min. Please \
                 try again in 6m0s.",
                (Some(Tokens), minute, Some(30_000), None, Some(360_000)),
            ),
            (
                "",
                "Rate limit reached for 10KTPM-200RPM on tokens_usage_based per min. \
                 Limit: 10000/min.",
                (Some(Tokens), minute, Some(10_000), None, None),
            ),
            // The abbreviation alone; the type alone; nothing at all.
            (
                "",
                "Over TPD: limit 5.",
                (Some(Tokens), day, Some(5), None, None),
            ),
            (
                "requests",
                "Slower.",
                (Some(Requests), None, None, None, None),
            ),
            ("", "Too many requests", (None, None, None, None, None)),
            ("", "", (None, None, None, None, None)),
        ]);
    }

    #[test]
    fn other_providers_and_other_limits_are_understood_as_far_as_they_go() {
        let minute = Some(MINUTE);
        check(&[
            (
                "rate_limit_error",
                "This request would exceed your organization's rate limit of 40,000 input tokens \
                 per minute.",
                (Some(Unit::InputTokens), minute, Some(40_000), None, None),
            ),
            (
                "rate_limit_error",
                "This request would exceed the limit for your organization (a-b) of 8,000 output \
                 tokens per minute.",
                (Some(Unit::OutputTokens), minute, Some(8_000), None, None),
            ),
            (
                "rate_limit_error",
                "Number of requests has exceeded your per-minute rate limit",
                (None, minute, None, None, None),
            ),
            (
                "429",
                "Requests have exceeded the token rate limit. Please retry after 26 seconds.",
                (None, None, None, None, Some(26_000)),
            ),
            // Not a unit of ours, whatever the type says.
            (
                "requests",
                "Rate limit reached on images per min: Limit 5, Used 5, Requested 1.",
                (None, minute, Some(5), Some(1), None),
            ),
            // Nonsense is not said.
            (
                "tokens",
                "on tokens per min: Limit -1, Requested x. Please try again in -3s.",
                (Some(Unit::Tokens), minute, None, None, None),
            ),
            (
                "",
                "Limit 0. Try again in 2 minutes",
                (None, None, None, None, None),
            ),
        ]);
    }

    #[test]
    fn google_s_waits_are_read_in_the_message_and_among_the_details() {
        let details = serde_json::json!({"error": {"details": [
            {"@type": "QuotaFailure"}, {"@type": "RetryInfo", "retryDelay": "46s"},
        ]}});
        let table = [
            ("Quota exceeded. Please retry in 31.44s.", 31_440),
            ("Please retry in 10h17m5.7s.", 37_025_700),
            ("Quota exceeded.", 46_000),
        ];
        for (step, (message, wait)) in table.into_iter().enumerate() {
            for body in [details.clone(), serde_json::json!([details])] {
                let mut error = error("", message, None);
                error.body = Some(body);
                let expected = Some(MILLISECOND * wait);
                assert_eq!(refusal(&error, false).wait, expected, "step {step}");
                assert_eq!(wait_in_body(&error), expected, "step {step}");
            }
        }
    }

    #[test]
    fn the_most_exact_wait_is_taken_that_the_header_bears_out() {
        // header, in milliseconds?, message; all in milliseconds
        let table = [
            (None, false, None, None),
            (None, false, Some(1_780), Some(1_780)),
            (Some(2_000), false, None, Some(2_000)),
            (Some(2_000), false, Some(1_780), Some(1_780)),
            (Some(2_000), false, Some(2_000), Some(2_000)),
            (Some(2_000), false, Some(1_000), Some(1_000)),
            (Some(2_000), false, Some(999), Some(2_000)),
            (Some(2_000), false, Some(2_001), Some(2_000)),
            (Some(2_000), true, Some(1_780), Some(2_000)),
            (Some(0), false, Some(5), Some(0)),
        ];
        for (step, (header, is_exact, message, expected)) in table.into_iter().enumerate() {
            let [header, message, expected] =
                [header, message, expected].map(|time| time.map(|time: u32| MILLISECOND * time));
            let text = message.map(|time| format!("Try again in {}ms", time.as_millis()));
            let error = error("", &text.unwrap_or_default(), header);
            assert_eq!(refusal(&error, is_exact).wait, expected, "step {step}");
        }
    }
}
