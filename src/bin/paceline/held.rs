//! What holds a run back, in words: now, and over the whole run.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use paceline::LimitOrigin;
use paceline::batch::{Bottleneck, Hold};

use crate::in_flight::cap;
use crate::numbers::{grouped, percent, quota};
use crate::utc::until;

/// How long a bottleneck stays on the screen after it is gone: between two waits for a limit nothing
/// is waited for, and words that come and go cannot be read.
const LINGERS: Duration = Duration::from_secs(1);
/// A wait that is worth a word: shorter ones change faster than they are read.
const LONG: Duration = Duration::from_secs(10);
/// A smaller part of the time is not listed, in percent.
const NOTABLE: u64 = 10;
/// A shorter run reports nothing: it has at most five samples of 200 ms.
const SHORTEST: Duration = Duration::from_secs(1);

/// What held a run back, and for how long.
#[derive(Debug, Default)]
pub(crate) struct Held {
    last_look: Option<Instant>,
    by_label: Vec<(String, Duration)>,
    shown: Option<(Instant, Bottleneck)>,
    /// The labels of the bottlenecks that had a line of their own.
    told: HashSet<String>,
}

impl Held {
    /// Takes what holds the run back from the last look on until now.
    pub(crate) fn look(&mut self, now: Instant, bottleneck: Bottleneck) {
        let since = self.last_look.replace(now).unwrap_or(now);
        let lasted = now.saturating_duration_since(since);
        let label = label(&bottleneck);
        match self.by_label.iter_mut().find(|(known, _)| *known == label) {
            Some((_, sum)) => *sum += lasted,
            None => self.by_label.push((label, lasted)),
        }
        let is_fresh = self
            .shown
            .as_ref()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) < LINGERS);
        if bottleneck != Bottleneck::Nothing || !is_fresh {
            self.shown = Some((now, bottleneck));
        }
    }

    /// The line for a bottleneck that deserves one at once, the first time: a long wait that the user would
    /// otherwise learn of only with the next line.
    pub(crate) fn news(&mut self, now: SystemTime) -> Option<String> {
        let (_, bottleneck) = self.shown.as_ref()?;
        let wait = match bottleneck {
            Bottleneck::Pause { left, .. } => *left,
            Bottleneck::Limit { wait, .. } => *wait,
            _ => return None,
        };
        let is_new = wait >= LONG && self.told.insert(label(bottleneck));
        is_new.then(|| words(bottleneck, now))
    }

    /// What is shown of it now.
    pub(crate) fn now(&self, now: SystemTime) -> String {
        let shown = self.shown.as_ref().map(|(_, bottleneck)| bottleneck);
        shown.map_or_else(String::new, |bottleneck| words(bottleneck, now))
    }

    /// `held back mostly by gpt-4o: 30,000 tokens per minute (83 % of the time), retries (12 %)`.
    pub(crate) fn in_all(&self) -> Option<String> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let total: Duration = self.by_label.iter().map(|(_, time)| *time).sum();
        if total < SHORTEST {
            return None;
        }
        let mut parts = self.by_label.clone();
        parts.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        let shares = parts
            .into_iter()
            .map(|(label, time)| (label, percent(millis(time), millis(total))));
        let notable = shares.filter(|(_, share)| *share >= NOTABLE).enumerate();
        let parts: Vec<_> = notable
            .map(|(index, (label, share))| match index {
                0 => format!("{label} ({share} % of the time)"),
                _ => format!("{label} ({share} %)"),
            })
            .collect();
        Some(format!("held back mostly by {}", parts.join(", ")))
    }
}

/// What it is, without figures that change from one moment to the next.
fn label(bottleneck: &Bottleneck) -> String {
    match bottleneck {
        Bottleneck::Nothing => "nothing".to_owned(),
        Bottleneck::Input => "the input, which is still being read".to_owned(),
        Bottleneck::Limit {
            model,
            quota: of,
            origin,
            ..
        } => format!("{model}: {}{}", quota(*of), mark(*origin)),
        Bottleneck::Pause { model, reason, .. } => match reason {
            Some(reason) => format!("pauses: {reason}"),
            None => format!("pauses of {model}"),
        },
        Bottleneck::CarefulStart { model } => {
            format!("the careful start of {model}, until responses show its limits")
        }
        Bottleneck::InFlight { model, most } => {
            format!("{model}: at most {} in flight", grouped(*most))
        }
        Bottleneck::MaxInFlight { most, cap: of } => cap(*of, *most),
        Bottleneck::Latency { .. } => "the server: all that is left is in flight".to_owned(),
        Bottleneck::Retries { .. } => "retries".to_owned(),
        Bottleneck::Budget => "the budget, which requests in flight may use up".to_owned(),
        Bottleneck::Disk => "the disk: results cannot be written".to_owned(),
        Bottleneck::Stopping { .. } => "shutdown, which waits for requests in flight".to_owned(),
        Bottleneck::Held(hold) => match hold {
            Hold::Unreachable { .. } => "a server that cannot be reached".to_owned(),
            Hold::Exhausted { reason, .. } => format!("this machine: {reason}"),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// What is said of it while it stands.
fn words(bottleneck: &Bottleneck, now: SystemTime) -> String {
    match bottleneck {
        Bottleneck::Pause {
            model,
            left,
            reason,
        } => {
            let until = until(now, *left);
            match reason {
                Some(reason) => format!("paused until {until}: {reason}"),
                None => format!("paused until {until}: {model}"),
            }
        }
        Bottleneck::Limit { wait, .. } if *wait >= LONG => {
            let until = until(now, *wait);
            let label = label(bottleneck);
            format!("held back by {label}; next request at {until}")
        }
        Bottleneck::Retries { retried, in_flight } => format!(
            "held back by retries: {} of {} requests in flight have failed before",
            grouped(*retried),
            grouped(*in_flight as u64)
        ),
        Bottleneck::Latency { in_flight } => {
            let count = grouped(*in_flight as u64);
            format!("waiting for the server: all that is left is in flight ({count})")
        }
        Bottleneck::Stopping { in_flight } => {
            let count = grouped(*in_flight as u64);
            format!("stopping once requests in flight finish ({count})")
        }
        Bottleneck::Held(hold) => hold.to_string(),
        Bottleneck::Nothing => "held back by nothing".to_owned(),
        other => format!("held back by {}", label(other)),
    }
}

/// ` (guess)` behind a limit that neither the user nor the server has stated.
pub(crate) fn mark(origin: LimitOrigin) -> &'static str {
    match origin {
        LimitOrigin::Provisional => " (guess)",
        LimitOrigin::Reported => " (reported)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use paceline::batch::InFlightCap;
    use paceline::{Quota, Unit};

    use super::*;

    fn limit(origin: LimitOrigin, seconds: u64) -> Bottleneck {
        Bottleneck::Limit {
            model: "m".to_owned(),
            quota: Quota::per_minute(Unit::Tokens, 30_000).unwrap(),
            origin,
            wait: Duration::from_secs(seconds),
            debt: 0,
        }
    }

    fn pause(seconds: u64, reason: Option<&str>) -> Bottleneck {
        Bottleneck::Pause {
            model: "m".to_owned(),
            left: Duration::from_secs(seconds),
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn each_bottleneck_is_named() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // 08:49:37
        let retries = Bottleneck::Retries {
            retried: 7,
            in_flight: 8,
        };
        let table = [
            (Bottleneck::Nothing, "held back by nothing"),
            (
                limit(LimitOrigin::Stated, 1),
                "held back by m: 30,000 tokens per minute",
            ),
            (
                limit(LimitOrigin::Provisional, 1),
                "held back by m: 30,000 tokens per minute (guess)",
            ),
            (
                limit(LimitOrigin::Reported, 660),
                "held back by m: 30,000 tokens per minute (reported); next request at 09:00:37Z",
            ),
            (
                pause(660, Some("rate limit of m, tokens per day (429)")),
                "paused until 09:00:37Z: rate limit of m, tokens per day (429)",
            ),
            (pause(1, None), "paused until 08:49:38Z: m"),
            (
                Bottleneck::MaxInFlight {
                    most: 4,
                    cap: InFlightCap::Stated,
                },
                "held back by --max-in-flight 4",
            ),
            (
                retries,
                "held back by retries: 7 of 8 requests in flight have failed before",
            ),
            (
                Bottleneck::Disk,
                "held back by the disk: results cannot be written",
            ),
        ];
        for (bottleneck, expected) in table {
            assert_eq!(words(&bottleneck, now), expected);
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any instant will do")]
    fn the_whole_run_is_told_by_fractions_of_its_time() {
        let start = Instant::now();
        let mut held = Held::default();
        let stated = limit(LimitOrigin::Stated, 1);
        held.look(start, Bottleneck::Nothing);
        assert_eq!(held.in_all(), None, "too short");
        let table = [
            (10, stated.clone()),
            (11, Bottleneck::Nothing),
            (80, stated),
            (
                91,
                Bottleneck::MaxInFlight {
                    most: 4,
                    cap: InFlightCap::Stated,
                },
            ),
            (99, Bottleneck::Nothing),
            (100, Bottleneck::Disk),
        ];
        for (second, bottleneck) in table {
            held.look(start + Duration::from_secs(second), bottleneck);
        }
        assert_eq!(
            held.in_all().unwrap(),
            "held back mostly by m: 30,000 tokens per minute (79 % of the time), \
             --max-in-flight 4 (11 %)"
        );
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any instant will do")]
    fn what_held_stays_on_the_screen_between_two_waits() {
        let (start, now) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let after = |millis| start + Duration::from_millis(millis);
        let mut held = Held::default();
        assert_eq!(held.now(now), "");
        held.look(start, Bottleneck::Disk);
        held.look(after(900), Bottleneck::Nothing);
        assert!(held.now(now).contains("disk"), "{}", held.now(now));
        held.look(after(1_000), Bottleneck::Nothing);
        assert_eq!(held.now(now), "held back by nothing");
        assert_eq!(held.news(now), None);
        held.look(after(1_000), pause(9, None));
        assert_eq!(held.news(now), None, "it is over soon");
        held.look(after(1_001), pause(660, None));
        assert_eq!(held.news(now).unwrap(), "paused until 00:11:00Z: m");
        assert_eq!(held.news(now), None, "told already");
        held.look(after(1_001), Bottleneck::Budget);
        assert!(held.now(now).contains("budget"), "{}", held.now(now));
    }
}
