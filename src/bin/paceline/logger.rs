//! The library's log, on standard error. A fact that repeats is one line with a count.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};
use paceline::Clock;
use parking_lot::Mutex;

use crate::say::{self, warning};

/// How long a fact that was logged is only counted when it comes again.
const QUIET: Duration = Duration::from_secs(60);
/// Facts that are remembered. While the memory is full, further facts are one: what others say, such as
/// messages of a server that are all different, fills no disk.
const MOST: usize = 256;
const FURTHER: &str = "";

struct Stderr {
    clock: OnceLock<Clock>,
    repeats: Mutex<Repeats>,
}

static STDERR: Stderr = Stderr {
    clock: OnceLock::new(),
    repeats: Mutex::new(Repeats { known: None }),
};

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The wire's own log can hold what was sent.
        metadata.target().starts_with("paceline") && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (level, kind) = match record.level() {
            Level::Error => (say::Level::Error, "error: "),
            Level::Warn => (say::Level::Warning, "warning: "),
            _ => (say::Level::Info, ""),
        };
        let text = format!("{kind}{}", record.args());
        let now = self.clock.get_or_init(Clock::real).now();
        let is_detail = record.level() > Level::Warn;
        let more = self.repeats.lock().more(&text, is_detail, now);
        match more {
            Some(0) => say::line(level, format_args!("paceline: {text}")),
            Some(more) => say::line(
                level,
                format_args!("paceline: {text} (and {more} such lines since the last one)"),
            ),
            None => {}
        }
    }

    fn flush(&self) {
        for (text, more) in self.repeats.lock().rest() {
            warning!("paceline: {text} (and {more} such lines since)");
        }
    }
}

/// What was logged, and how often since.
struct Repeats {
    known: Option<HashMap<String, Fact>>,
}

struct Fact {
    said: Instant,
    more: u64,
    last: String,
}

impl Repeats {
    /// Whether to log a text now, and how often the same fact came since it was logged last.
    fn more(&mut self, text: &str, is_detail: bool, now: Instant) -> Option<u64> {
        let known = self.known.get_or_insert_default();
        // Of warnings numbers change and the fact does not; details name requests by numbers.
        let fact = match is_detail {
            true => text.to_owned(),
            false => text.chars().filter(|char| !char.is_ascii_digit()).collect(),
        };
        let is_old = |it: &Fact| now.saturating_duration_since(it.said) >= QUIET;
        if known.len() >= MOST && !known.contains_key(&fact) {
            known.retain(|_, it| !is_old(it) || it.more > 0);
        }
        let fact = match known.len() >= MOST && !known.contains_key(&fact) {
            true => FURTHER.to_owned(),
            false => fact,
        };
        if let Some(fact) = known.get_mut(&fact) {
            if !is_old(fact) {
                fact.more += 1;
                text.clone_into(&mut fact.last);
                return None;
            }
            fact.said = now;
            return Some(std::mem::take(&mut fact.more));
        }
        let said = Fact {
            said: now,
            more: 0,
            last: String::new(),
        };
        known.insert(fact, said);
        Some(0)
    }

    /// What was counted and not logged, and how often.
    fn rest(&mut self) -> Vec<(String, u64)> {
        let known = self.known.take().unwrap_or_default();
        let rest = known.into_values().filter(|fact| fact.more > 0);
        rest.map(|fact| (fact.last, fact.more)).collect()
    }
}

/// Prints warnings, and with `verbose` also each retry and each file that is moved.
pub(crate) fn install(verbose: bool) {
    let level = if verbose {
        LevelFilter::Info
    } else {
        LevelFilter::Warn
    };
    if log::set_logger(&STDERR).is_ok() {
        log::set_max_level(level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_repeats_is_one_line_a_minute_with_a_count() {
        let mut repeats = Repeats { known: None };
        let start = Clock::real().now();
        let mut lines = Vec::new();
        for second in 0..150_u64 {
            let text = format!("no answer for {second} s");
            let now = start + Duration::from_secs(second);
            lines.extend(repeats.more(&text, false, now).map(|more| (second, more)));
        }
        assert_eq!(lines, [(0, 0), (60, 59), (120, 59)]);
        assert_eq!(repeats.rest(), [("no answer for 149 s".to_owned(), 29)]);
        assert_eq!(repeats.rest(), []);
    }

    #[test]
    fn details_that_differ_are_all_said_and_memory_is_bounded() {
        let mut repeats = Repeats { known: None };
        let now = Clock::real().now();
        assert_eq!(repeats.more("r1: refused", true, now), Some(0));
        assert_eq!(repeats.more("r2: refused", true, now), Some(0));
        assert_eq!(repeats.more("r2: refused", true, now), None);
        let letters = |number: u32| -> String {
            let digits = number.to_string();
            digits.bytes().map(|byte| char::from(byte + 49)).collect()
        };
        let said = (0..10_000).filter_map(|it| repeats.more(&letters(it), false, now));
        assert_eq!(
            said.collect::<Vec<_>>(),
            [0; MOST - 1],
            "254 facts, and one for the rest"
        );
        let later = now + QUIET;
        assert_eq!(
            repeats.more(&letters(10_000), false, later),
            Some(0),
            "there is room again"
        );
        assert!(repeats.rest().iter().map(|(_, more)| more).sum::<u64>() > 9_700);
    }
}
