//! Which limit refused a request, for how much and how long, as the message of a 429 tells.
//!
//! "Rate limit reached for M in organization O on tokens per min (TPM): Limit 30000, Used 29900,
//! Requested 890. Please try again in 1.78s." is the fullest of many forms, which have changed
//! over the years and from provider to provider. So it is read word by word: whatever is found
//! is taken, and nothing depends on the whole.

use std::time::Duration;

use super::dialect::Words;
use super::durations;
use super::quotas::{self, Quota};
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
pub(super) fn refusal(error: &ApiError, is_exact: bool, known: &Words) -> Refusal {
    let words = words(&error.message);
    let limit = limit_in(&words);
    let quota = error.body.as_ref().and_then(quotas::binding);
    let (unit, period) = match phrase(&words).or_else(|| abbreviation(&words)) {
        // A noun of a unit that is not ours, such as images, is not overruled by a type.
        Some((unit, period)) => (unit, Some(period)),
        None => (unit_of_type(error), bare_period(&words)),
    };
    let (unit, period) = match quota {
        Some(Quota { unit, period, .. }) => (unit, period),
        None => (unit, period),
    };
    Refusal {
        unit,
        period,
        limit: quota
            .and_then(|quota| quota.limit)
            .or(limit)
            .or_else(|| number_behind(&words, &["of"]))
            .filter(|limit| *limit > 0),
        requested: number_behind(&words, &["requested"]),
        wait: wait(
            error.retry_after,
            is_exact,
            named_wait(error, &words, known),
        ),
        is_for_room: unit.is_none() && is_for_room(error, known),
    }
}

/// The limit that a message names.
pub(super) fn limit_named(message: &str) -> Option<u64> {
    limit_in(&words(message))
}

fn limit_in(words: &[&str]) -> Option<u64> {
    number_behind(words, &["limit"])
}

/// Whether it is for how many are in flight at once, by the words for that.
fn is_for_room(error: &ApiError, known: &Words) -> bool {
    let message = error.message.to_lowercase();
    let code = error.code.as_deref().unwrap_or_default().to_lowercase();
    let typed = error.error_type.as_deref().unwrap_or_default();
    let says = |hint: &String| {
        [&*message, &*code, typed]
            .iter()
            .any(|it| it.contains(hint))
    };
    known.concurrency.iter().any(says)
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
fn behind<'w, L: AsRef<str>>(words: &'w [&str], lead: &[L]) -> impl Iterator<Item = &'w [&'w str]> {
    (0..words.len()).filter_map(move |at| {
        let (head, rest) = words[at..].split_at_checked(lead.len())?;
        let is_lead = |(word, lead): (&&str, &L)| word.eq_ignore_ascii_case(lead.as_ref());
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
pub(super) fn wait_in_body(error: &ApiError, known: &Words) -> Option<Duration> {
    named_wait(error, &words(&error.message), known)
}

/// In its message, or among Google's details (`"retryDelay": "46s"`), where it is rounded.
fn named_wait(error: &ApiError, words: &[&str], known: &Words) -> Option<Duration> {
    let detailed = error.body.as_ref().and_then(quotas::retry_delay);
    said_wait(words, known).or(detailed)
}

/// "try again in 6m0s", "retry after 20 seconds", "retry in 31.44s".
fn said_wait(words: &[&str], known: &Words) -> Option<Duration> {
    let time = |rest: &[&str]| {
        let (first, second) = (rest.first()?, rest.get(1).unwrap_or(&""));
        let is_seconds = ["s", "second", "seconds"].contains(second);
        let seconds = || durations::seconds(first).filter(|_| is_seconds);
        durations::go_style(first).or_else(seconds)
    };
    let mut leads = known.before_wait.iter();
    leads.find_map(|lead| behind(words, lead).find_map(time))
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
mod tests;
