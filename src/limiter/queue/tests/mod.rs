//! The line against a naive reference, and what of it no public method shows.
//!
//! The reference knows no bucket. It keeps the list of everything that was ever taken or given
//! back, and grants at the first nanosecond at which *no window* of that list passes the limit:
//! the contract itself, computed the slow way. Random courses of events are played on both, and
//! every answer has to be the same, to the nanosecond.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod alarm; //     which alarms are set
mod audit; //     what is promised, summed up from the answers
mod course; //    a course, played on the line and the reference
mod driven; //    the line, driven by alarms
mod reference; // the line by its definition
mod steps; //     what may happen
mod tally; //     how much was played
mod windows; //   a quota by its definition

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult};

use super::super::Priority;
use super::super::snapshot::{QuotaSnapshot, Snapshot, Waiter};
use super::*;
use crate::quota::Quota;
use crate::unit::Unit;

/// What became of a request, and when.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    place: u64,
    cost: Cost,
    priority: Priority,
    answer: Answer,
    at: u64,
    /// Whether it went past others that wait.
    overtaken: bool,
}

/// A new request.
#[derive(Debug, Clone, Copy)]
struct Coming {
    asked: Asked,
    deadline: Option<u64>,
    /// Whether it goes away at once if its deadline cannot be met.
    asks_first: bool,
    /// Whether it goes away if it would have to wait.
    only_tries: bool,
    /// Whether an alarm is about to ring that should have rung. It sees to a deadline that is over.
    alarm_is_late: bool,
    /// Whether its own deadline was over before that alarm's time: then it does not wait for it.
    is_over: bool,
}

/// What a new request learns at once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Granted,
    Waits(u64),
    WouldBlock,
    Hopeless,
    QueueFull,
    TooLarge(Unit, u64, Duration),
    Closed,
}

impl From<AcquireError> for Outcome {
    fn from(error: AcquireError) -> Self {
        match error {
            AcquireError::QueueFull { .. } => Self::QueueFull,
            AcquireError::TooLarge {
                unit,
                amount,
                period,
                ..
            } => Self::TooLarge(unit, amount, period),
            AcquireError::Closed => Self::Closed,
            other => panic!("{other}"),
        }
    }
}

/// With about 40 steps each, more than a million.
const CASES: u32 = 27_000;
/// The same courses on every machine, so that it is a change that fails and not the day.
/// `PROPTEST_RNG_SEED` names others, and `PROPTEST_CASES` more of them.
const SEED: u64 = 1;

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let is_reported = |name| std::env::var_os(name).is_some();
    ProptestConfig {
        cases: match is_reported("PROPTEST_CASES") {
            true => default.cases,
            false => CASES,
        },
        rng_seed: match default.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            named => named,
        },
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    fn answers_are_those_of_the_definition(course in steps::course()) {
        course::play(&course)?;
    }
}

#[test]
fn a_million_steps_are_answered_as_the_definition_says() {
    answers_are_those_of_the_definition();
    if config().cases >= CASES {
        tally::total().is_enough();
    }
}
