//! How limits stand, in the headers of a response.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::clock::Clock;
use super::file::LimitHeaders;
use crate::observation::{LimitStatus, Scope};
use crate::unit::Unit;

/// What the parts of a limit are called, in place of the `{}` in its names.
const PARTS: [&str; 3] = ["limit", "remaining", "reset"];

/// Parts of the names of headers that report limits.
const HINTS: [&str; 3] = ["ratelimit", "rate-limit", "tokenlimit"];

/// The headers that a server may send, looked up by their lower-case names.
#[derive(Debug, Clone, Default)]
pub(super) struct LimitMap {
    limits: Vec<Limit>,
    /// Of each name, the limits and the parts of them that it tells.
    places: HashMap<String, Vec<(usize, usize)>>,
}

/// One limit that has headers.
#[derive(Debug, Clone, Copy)]
struct Limit {
    unit: Unit,
    scope: Scope,
    period: Option<Duration>,
    clock: Clock,
}

/// What the headers of a response say of limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Limits {
    pub(super) reports: Vec<LimitStatus>,
    /// The names of limits that are 0 or less.
    pub(super) zeros: Vec<String>,
    /// The names that seem to report limits and are not known.
    pub(super) unknown: Vec<String>,
}

impl LimitMap {
    /// Of several lists, the earlier ones first: a name belongs to the first list that has it.
    pub(super) fn of<'a>(lists: impl IntoIterator<Item = &'a [LimitHeaders]>) -> Self {
        let mut map = Self::default();
        for list in lists {
            let first = map.limits.len();
            for headers in list {
                map.add(headers, first);
            }
        }
        map
    }

    /// Adds a limit of a list whose first one has the number `first`.
    fn add(&mut self, headers: &LimitHeaders, first: usize) {
        let mut names = PARTS.map(|part| headers.names.replace("{}", part).to_ascii_lowercase());
        if let Some(reset) = &headers.reset {
            names[2] = reset.to_ascii_lowercase();
        }
        // One whose limit or remainder means something else here is another provider's.
        let is_taken = |name: &String| {
            let places = self.places.get(name);
            places.is_some_and(|places| places.iter().any(|(limit, _)| *limit < first))
        };
        if names[..2].iter().any(is_taken) {
            return;
        }
        self.limits.push(Limit {
            unit: headers.unit.into(),
            scope: headers.scope.into(),
            period: headers.period.map(|it| Duration::from_secs(it.seconds())),
            clock: headers.clock,
        });
        for (part, name) in names.into_iter().enumerate() {
            let place = (self.limits.len() - 1, part);
            self.places.entry(name).or_default().push(place);
        }
    }

    /// Reads headers by lower-case names. `now` is what instants count from.
    pub(super) fn read<'a>(
        &self,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        silent: &[String],
        now: SystemTime,
    ) -> Limits {
        let mut found = Limits::default();
        let mut values: Vec<[Option<&str>; 3]> = Vec::new();
        for (name, value) in headers {
            match self.places.get(name) {
                Some(places) => {
                    values.resize(self.limits.len(), [None; 3]);
                    for &(limit, part) in places {
                        values[limit][part] = values[limit][part].or(Some(value));
                    }
                    if places.iter().any(|(_, part)| *part == 0) && is_zero(value) {
                        found.zeros.push(name.to_owned());
                    }
                }
                None => {
                    let is_silent = || silent.iter().any(|pattern| fits(pattern, name));
                    if HINTS.iter().any(|hint| name.contains(hint)) && !is_silent() {
                        found.unknown.push(name.to_owned());
                    }
                }
            }
        }
        for (limit, values) in self.limits.iter().zip(values) {
            if let Some(report) = limit.report(values, now) {
                keep(&mut found.reports, report);
            }
        }
        found
    }
}

impl Limit {
    /// None where nothing is said of it.
    fn report(
        &self,
        [limit, remaining, reset]: [Option<&str>; 3],
        now: SystemTime,
    ) -> Option<LimitStatus> {
        // Azure says -1 or 0 where it has no limit to tell. What remains of that is not an amount either.
        if limit.is_some_and(is_zero) {
            return None;
        }
        let limit = limit.and_then(count).filter(|limit| *limit > 0);
        let remaining = remaining.and_then(count);
        let reset = reset.and_then(|text| self.clock.read(text, now));
        let is_instant = matches!(self.clock, Clock::UnixSeconds | Clock::UnixMilliseconds);
        if is_instant && reset.is_none() {
            return None; // another's limit of the same name
        }
        let is_silent = limit.is_none() && remaining.is_none();
        // A reset alone may be shared by several limits, of which this one is not there.
        if is_silent && (reset.is_none() || self.period.is_some()) {
            return None;
        }
        let mut report = LimitStatus::of(self.unit);
        report.scope = self.scope;
        report.period = self.period;
        report.limit = limit;
        report.remaining = remaining;
        report.reset = reset;
        Some(report)
    }
}

/// Adds a report. Of two that count alike the one of the smaller limit stays.
fn keep(reports: &mut Vec<LimitStatus>, new: LimitStatus) {
    let key = |report: &LimitStatus| (report.unit, report.scope, report.period);
    let size = |report: &LimitStatus| {
        let amounts = [report.limit, report.remaining];
        amounts.map(|amount| amount.unwrap_or(u64::MAX))
    };
    let is_alike = |report: &&mut LimitStatus| report.period.is_some() && key(report) == key(&new);
    match reports.iter_mut().find(is_alike) {
        Some(old) if size(old) <= size(&new) => {}
        Some(old) => *old = new,
        None => reports.push(new),
    }
}

/// Whether a pattern, with at most one `*` for any text, fits all of a name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, behind)) => {
            name.len() >= before.len() + behind.len()
                && name.starts_with(before)
                && name.ends_with(behind)
        }
    }
}

/// Whether a header has 0 or less in place of a limit, which means no limit.
fn is_zero(limit: &str) -> bool {
    limit.trim().parse().is_ok_and(|limit: f64| limit <= 0.0)
}

/// A whole number; a fraction is rounded down. None when it is negative or anything else.
fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, decimals)) if decimals.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        _ => text,
    };
    whole.parse().ok()
}

#[cfg(test)]
mod tests;
