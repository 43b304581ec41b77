//! What it costs to wait in line, and how exactly a turn is kept: wake-ups, idle processor time,
//! a drain, lateness, fairness. Each beside the plainest thing that could stand in its place, in
//! one run.
//!
//! ```text
//! cargo bench --no-default-features --bench line
//! cargo bench --no-default-features --bench line -- drain late   # only these
//! cargo bench --no-default-features --bench line -- --quick      # within seconds, no figures
//! ```
//!
//! Ratios are of things that ran by turns, so that a machine which drifts, or which others use
//! too, slows down both. A figure beyond its aim makes the benchmark fail, but not with
//! `--quick`: that looks whether everything runs, with too few samples for a verdict.
//!
//! It takes up to 10,000 threads at once. Wake-ups and processor time are read from `/proc`,
//! which only Linux has.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the real clock, and sleeps while others are measured"
)]

mod bare; //    threads that wait without a limiter
mod crowd; //   many threads that wait together
mod drain; //   everybody is due at once
mod effort; //  how much to measure
mod fair; //    a large request among small ones
mod idle; //    nothing is due
mod late; //    from a turn to its thread
mod line; //    a limiter as a place to wait in
mod notes; //   what each of them leaves behind
mod process; // what the kernel counts
mod shared; //  one Condvar for all
mod stats; //   medians and percentiles
mod table; //   what is printed
mod wakes; //   how often a waiting thread runs
mod watch; //   an end for what hangs

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::thread;

use effort::Effort;
use table::Row;
use watch::Watch;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;
/// Measures something, and tells it in rows of the table.
type Part = fn(Effort) -> Result<Vec<Row>>;

const PARTS: [(&str, Part); 5] = [
    ("wakes", wakes::rows),
    ("idle", idle::rows),
    ("drain", drain::rows),
    ("late", late::rows),
    ("fair", fair::rows),
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("line: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether everything is within its aim, as far as this run can judge.
fn run() -> Result<bool> {
    let (effort, chosen) = arguments(env::args().skip(1))?;
    println!("cores: {}", thread::available_parallelism()?);
    let mut rows = Vec::new();
    let mut failure = None;
    for (name, part) in PARTS {
        if !chosen.is_empty() && !chosen.iter().any(|word| word == name) {
            continue;
        }
        eprintln!("{name} …");
        let _watch = Watch::over(name)?;
        match part(effort) {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                failure = Some(format!("{name}: {error}"));
                break; // threads that are left over would disturb the others
            }
        }
    }
    table::print(&rows);
    if effort.quick && failure.is_none() {
        println!("too little was measured for a verdict");
    }
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(effort.quick || rows.iter().all(Row::holds)),
    }
}

/// How much to measure, and which parts: none named is all. Cargo itself passes `--bench`.
fn arguments(arguments: impl Iterator<Item = String>) -> Result<(Effort, Vec<String>)> {
    let mut effort = Effort::FULL;
    let mut chosen = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--bench" => {}
            "--quick" => effort = Effort::QUICK,
            name if PARTS.iter().any(|(part, _)| *part == name) => chosen.push(argument),
            other => {
                let names = PARTS.map(|(name, _)| name).join(", ");
                return Err(format!("{other}: there is --quick, and the parts {names}").into());
            }
        }
    }
    Ok((effort, chosen))
}
