//! Observations that processes pass on: what each has observed of the server, the estimators of all
//! observe.
//!
//! The store keeps the last ones as text that it never looks into. One says when its request was granted,
//! what the store had counted by then, and what the answer was; so each reader knows what its author
//! knew, in whatever order they come.

use std::time::Duration;

use super::super::bucket::Tick;
use super::reservations::Counts;
use crate::cost::Cost;
use crate::observation::{LimitStatus, Observation, Outcome, Refusal, Scope};
use crate::unit::Unit;

/// What was observed of one granted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) struct Note {
    pub(in crate::limiter) cost: Cost,
    /// What the store had counted when it was granted, itself included.
    pub(in crate::limiter) counted: Counts,
    pub(in crate::limiter) observation: Observation,
}

/// A note with the time at which its request was granted, by the store's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) struct Noted {
    pub(in crate::limiter) at: u64,
    pub(in crate::limiter) text: String,
}

/// A note to be passed on, with that time by the process's own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) struct Outgoing {
    pub(in crate::limiter) at: Tick,
    pub(in crate::limiter) text: String,
}

impl Outgoing {
    pub(super) fn new(note: &Note, at: Tick) -> Self {
        Self {
            at,
            text: note.encode(),
        }
    }
}

/// How many notes a store keeps, as `script.lua` has it, and how many of refusals one sync passes on.
#[cfg(all(test, not(paceline_loom)))]
pub(super) const KEPT: usize = 64;
pub(super) const MOST_AT_ONCE: usize = 32;

impl Note {
    /// Words with blanks between them: what was counted, the cost, the outcome, the reports.
    pub(in crate::limiter) fn encode(&self) -> String {
        let mut words: Vec<String> = self.counted.iter().map(i64::to_string).collect();
        words.extend(self.cost.amounts().map(|amount| amount.to_string()));
        match &self.observation.outcome {
            Outcome::Unknown => words.push("u".to_owned()),
            Outcome::Admitted => words.push("a".to_owned()),
            Outcome::Overloaded => words.push("o".to_owned()),
            Outcome::Refused(refusal) => {
                words.push("r".to_owned());
                words.push(word(refusal.unit.map(|unit| unit.index() as u64)));
                words.push(word(refusal.period.map(micros)));
                words.push(word(refusal.limit));
                words.push(word(refusal.requested));
                words.push(word(refusal.wait.map(micros)));
                words.push(u8::from(refusal.is_for_room).to_string());
            }
        }
        for report in &self.observation.limits {
            words.push(report.unit.index().to_string());
            words.push(u8::from(report.scope == Scope::Project).to_string());
            words.push(word(report.limit));
            words.push(word(report.remaining));
            words.push(word(report.reset.map(micros)));
        }
        words.join(" ")
    }

    /// Reads a note. `None` if it is none of these.
    pub(in crate::limiter) fn decode(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let mut counted = Counts::default();
        for count in &mut counted {
            *count = words.next()?.parse().ok()?;
        }
        let mut amounts = [0; Unit::COUNT];
        for amount in &mut amounts {
            *amount = words.next()?.parse().ok()?;
        }
        let cost = Cost::of(amounts);
        let mut observation = match words.next()? {
            "u" => Observation::default(),
            "a" => Observation::admitted(),
            "o" => Observation::overloaded(),
            "r" => Observation::refused(Refusal {
                unit: known(number(words.next()?)?)?,
                period: number(words.next()?)?.map(Duration::from_micros),
                limit: number(words.next()?)?,
                requested: number(words.next()?)?,
                wait: number(words.next()?)?.map(Duration::from_micros),
                is_for_room: words.next()? == "1",
            }),
            _ => return None,
        };
        while let Some(first) = words.next() {
            let mut report = LimitStatus::of(unit(number(first)??)?);
            if words.next()? == "1" {
                report.scope = Scope::Project;
            }
            report.limit = number(words.next()?)?;
            report.remaining = number(words.next()?)?;
            report.reset = number(words.next()?)?.map(Duration::from_micros);
            observation = observation.with(report);
        }
        Some(Self {
            cost,
            counted,
            observation,
        })
    }
}

fn word(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// A number or none, as [`word`] writes it; `None` if it is neither.
#[allow(
    clippy::option_option,
    reason = "a word is nothing, a number or none of ours"
)]
fn number(word: &str) -> Option<Option<u64>> {
    match word {
        "-" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

#[allow(clippy::option_option, reason = "as above")]
fn known(number: Option<u64>) -> Option<Option<Unit>> {
    match number {
        None => Some(None),
        Some(number) => unit(number).map(Some),
    }
}

fn unit(number: u64) -> Option<Unit> {
    Unit::ALL.get(usize::try_from(number).ok()?).copied()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes() -> Vec<Note> {
        let report = LimitStatus {
            scope: Scope::Project,
            limit: Some(30_000),
            reset: Some(Duration::from_millis(1_780)),
            ..LimitStatus::of(Unit::OutputTokens)
        };
        let refusal = Refusal {
            unit: Some(Unit::Tokens),
            limit: Some(90_000),
            wait: Some(Duration::from_millis(3)),
            ..Refusal::default()
        };
        let feedbacks = [
            Observation::default(),
            Observation::admitted()
                .with(report)
                .with(LimitStatus::of(Unit::Requests)),
            Observation::overloaded(),
            Observation::refused(Refusal::default()),
            Observation::refused(refusal).with(report),
        ];
        let note = |observation| Note {
            cost: Cost::sized(10, 5),
            counted: [1, -2, 3, i64::MAX, 5],
            observation,
        };
        feedbacks.map(note).to_vec()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for note in notes() {
            assert_eq!(Note::decode(&note.encode()), Some(note));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for note in notes() {
            let text = note.encode();
            assert!(!text.contains('\n'), "a note is one line");
            let words: Vec<&str> = text.split(' ').collect();
            for count in 0..11 {
                assert_eq!(Note::decode(&words[..count].join(" ")), None, "{text}");
            }
            for end in ["x", "9 0 - - -", "1 0 -"] {
                assert_eq!(Note::decode(&format!("{text} {end}")), None, "{end}");
            }
        }
    }
}
