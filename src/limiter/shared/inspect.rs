//! The state of shared limiters, for inspection from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use super::connection::{Keys, StoreConnection, StoreError, word};
use super::scale;
use super::sync::Word;
use crate::quota::Quota;

/// How a limiter stands that processes share.
///
/// ```no_run
/// use paceline::SharedStore;
///
/// for limiter in SharedStore::new("redis://127.0.0.1:6379")?.limiters()? {
///     println!("{limiter:?}");
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoreLimiter {
    /// The name by which it is shared.
    pub name: String,
    /// Each quota, and what is left of it in whole units, below 0 if it is debt. What is booked
    /// ahead is not left.
    pub quotas: Vec<(Quota, i64)>,
    /// How far ahead it is booked.
    pub booked_ahead: Duration,
    /// How much of a pause is left.
    pub paused_for: Duration,
    /// Grants that have been booked since the store knows of it.
    pub grants: u64,
    /// Processes that share it, with late ones that the store has not dropped yet: those that wait
    /// first, in the order of their turns.
    pub processes: Vec<StoreProcess>,
}

/// A process that shares a limiter.
///
/// ```no_run
/// use paceline::{SharedStore, StoreProcess};
///
/// fn show(process: &StoreProcess) {
///     println!("{process:?}");
/// }
///
/// for limiter in SharedStore::new("redis://127.0.0.1:6379")?.limiters()? {
///     limiter.processes.iter().for_each(show);
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreProcess {
    /// What people know it by.
    pub label: String,
    /// Its threads in line.
    pub waiters: u64,
    /// For how long the first of them has waited that is not booked for. The first process that has
    /// one is the head.
    pub waited: Option<Duration>,
    /// Whether it is taken for dead unless it is heard of again.
    pub is_late: bool,
}

/// The names of all limiters that the store knows.
pub(super) fn names_key(prefix: &str) -> String {
    format!("{prefix}limiters")
}

pub(super) fn all(
    connection: &mut StoreConnection,
    prefix: &str,
) -> Result<Vec<StoreLimiter>, StoreError> {
    let mut command = redis::cmd("ZRANGE");
    command.arg(names_key(prefix)).arg(0).arg(-1);
    let names = words(one(connection, command)?)?;
    let mut limiters = Vec::new();
    for name in names {
        let Word::Text(name) = name else { continue };
        limiters.extend(one_limiter(connection, prefix, &name)?);
    }
    Ok(limiters)
}

fn one(connection: &mut StoreConnection, command: redis::Cmd) -> Result<Value, StoreError> {
    let value = connection.ask(&[command])?.pop().unwrap_or_default();
    match value {
        Value::ServerError(error) => Err(redis::RedisError::from(error).into()),
        value => Ok(value),
    }
}

fn words(value: Value) -> Result<Vec<Word>, StoreError> {
    let nonsense = || StoreError("its answer makes no sense".to_owned());
    match value {
        Value::Array(values) => {
            let absent = |value| match value {
                Value::Nil => Some(Word::Text(String::new())),
                value => word(value),
            };
            let words = values
                .into_iter()
                .map(absent)
                .collect::<Option<Vec<Word>>>();
            words.ok_or_else(nonsense)
        }
        _ => Err(nonsense()),
    }
}

/// A limiter, if the store still knows it.
fn one_limiter(
    connection: &mut StoreConnection,
    prefix: &str,
    name: &str,
) -> Result<Option<StoreLimiter>, StoreError> {
    let [state, line, alive, people] = Keys::new(prefix, name).all();
    let mut texts = Vec::new();
    let fields = ["limits", "levels", "time", "pause", "grants"];
    let mut command = redis::cmd("HMGET");
    command.arg(&state).arg(&fields);
    texts.push(words(one(connection, command)?)?);
    for key in [&line, &alive] {
        let mut command = redis::cmd("ZRANGE");
        command.arg(key).arg(0).arg(-1).arg("WITHSCORES");
        texts.push(words(one(connection, command)?)?);
    }
    let mut command = redis::cmd("HGETALL");
    command.arg(&people);
    texts.push(words(one(connection, command)?)?);
    // Of the node that keeps the limiter, by its key.
    let mut command = redis::cmd("EVAL");
    command.arg("return redis.call('TIME')").arg(1).arg(&state);
    texts.push(words(one(connection, command)?)?);
    let texts: Vec<Vec<String>> = texts
        .into_iter()
        .map(|words| words.into_iter().map(text).collect())
        .collect();
    let [state, line, alive, people, time] = &texts[..] else {
        return Ok(None);
    };
    let now = number(time.first()).saturating_mul(1_000_000);
    let now = now.saturating_add(number(time.get(1)));
    Ok(limiter(name, state, line, alive, people, now))
}

fn limiter(
    name: &str,
    state: &[String],
    line: &[String],
    alive: &[String],
    people: &[String],
    now: i64,
) -> Option<StoreLimiter> {
    let [limits, levels, time, pause, grants] = state else {
        return None;
    };
    let quotas = scale::decode(limits).filter(|quotas| !quotas.is_empty())?;
    let levels: Vec<i64> = levels
        .split_ascii_whitespace()
        .map(|level| level.parse().ok())
        .collect::<Option<_>>()?;
    let left = levels.chunks(2).zip(&quotas).map(|(level, quota)| {
        let age = now.saturating_sub(number_of(level.get(1)));
        scale::left(*quota, number_of(level.first()), age)
    });
    let levels: Vec<i64> = left.collect();
    let pairs = |list: &[String]| -> BTreeMap<String, String> {
        let pairs = list.chunks_exact(2);
        pairs
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect()
    };
    let (waits, known, records) = (pairs(line), pairs(alive), pairs(people));
    let ahead =
        |until: i64| Duration::from_micros(u64::try_from(until.saturating_sub(now)).unwrap_or(0));
    let mut processes: Vec<(bool, i64, StoreProcess)> = known
        .iter()
        .map(|(process, until)| {
            let record = records.get(process).map(String::as_str).unwrap_or_default();
            let (numbers, label) = record.split_once('|').unwrap_or_default();
            let since = waits.get(process).map(|since| number(Some(since)));
            let waiters = numbers.split(' ').next_back().map(str::to_owned);
            let shown = StoreProcess {
                label: label.to_owned(),
                waiters: u64::try_from(number(waiters.as_ref())).unwrap_or(0),
                waited: since.map(|since| {
                    let waited = u64::try_from(now.saturating_sub(since)).unwrap_or(0);
                    Duration::from_micros(waited)
                }),
                is_late: number(Some(until)) < now,
            };
            (since.is_none(), since.unwrap_or(0), shown)
        })
        .collect();
    processes.sort_by(|(a, b, c), (d, e, f)| (a, b, &c.label).cmp(&(d, e, &f.label)));
    Some(StoreLimiter {
        name: name.to_owned(),
        quotas: quotas.into_iter().zip(levels).collect(),
        booked_ahead: ahead(number(Some(time))),
        paused_for: ahead(number(Some(pause))),
        grants: u64::try_from(number(Some(grants))).unwrap_or(0),
        processes: processes.into_iter().map(|(_, _, shown)| shown).collect(),
    })
}

fn text(word: Word) -> String {
    match word {
        Word::Int(number) => number.to_string(),
        Word::Text(text) => text,
    }
}

/// A whole number, be it written with a fraction.
#[allow(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, which is meant"
)]
fn number(text: Option<&String>) -> i64 {
    let text = text.map(String::as_str).unwrap_or_default();
    text.parse()
        .unwrap_or_else(|_| text.parse::<f64>().map_or(0, |number| number as i64))
}

fn number_of(number: Option<&i64>) -> i64 {
    number.copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Unit;

    #[test]
    fn who_waits_comes_first_in_the_order_of_turns() {
        let quota = Quota::per_minute(Unit::Tokens, 60_000).unwrap();
        let strings = |list: &[&str]| {
            list.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let limits = scale::encode(&[quota]);
        // Half a bucket as of two seconds ago: 60,000 steps a token, at one step a microsecond.
        let state = strings(&[&limits, "30000000 1000000", "3500000", "3000000", "17"]);
        let line = strings(&["b", "1000000", "a", "1.5e6"]);
        let alive = strings(&["a", "9000000", "b", "2000000", "c", "9000000"]);
        let people = strings(&[
            "a",
            "1 0 0 0 0 0 0 0 0 5 2|host 1",
            "b",
            "1 3|host 2",
            "c",
            "1 0|host 3",
        ]);
        let seen = limiter("m", &state, &line, &alive, &people, 3_000_000).unwrap();
        assert_eq!(seen.quotas, [(quota, 32_000)]);
        assert_eq!(
            (seen.booked_ahead, seen.grants),
            (Duration::from_millis(500), 17)
        );
        let shown: Vec<_> = seen
            .processes
            .iter()
            .map(|process| (process.label.as_str(), process.waiters, process.is_late))
            .collect();
        assert_eq!(
            shown,
            [
                ("host 2", 3, true),
                ("host 1", 2, false),
                ("host 3", 0, false)
            ]
        );
        assert_eq!(seen.processes[1].waited, Some(Duration::from_millis(1_500)));
        assert_eq!(limiter("m", &state[1..], &line, &alive, &people, 0), None);
    }
}
