//! A small harness for competitors that do the same thing: it measures them side by side in one
//! process, round by round (A B C, A B C, …).
//!
//! A machine's speed drifts, with its temperature and with what else runs on it. Interleaved
//! rounds spread the drift over all competitors, and a ratio is taken within each round, so it
//! compares neighbours in time; the median of those ratios is what the table shows.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the real clock"
)]

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds that count; one more warms up.
    pub(crate) rounds: usize,
    /// Divides every contest's number of operations.
    pub(crate) divisor: u32,
}

/// How often, and by how many threads at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contest {
    pub(crate) threads: u16,
    pub(crate) operations_per_thread: u32,
    pub(crate) aims: [Aim; 2],
}

/// The most that a competitor may take, as a multiple of the baseline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    pub(crate) name: &'static str,
    pub(crate) most: f64,
}

/// One thing to measure, under its name in the table.
pub(crate) struct Competitor {
    name: &'static str,
    round: Box<dyn Fn(Contest) -> Result<f64, String>>,
}

impl Competitor {
    /// `operation` is called by all threads of a contest at once. It says whether it succeeded:
    /// a refusal is cheaper than a grant, so a single one ends the benchmark.
    pub(crate) fn new(name: &'static str, operation: impl Fn() -> bool + Sync + 'static) -> Self {
        // The loop is compiled for this very operation; only a whole round is called by pointer.
        let round = Box::new(move |contest| measure(contest, &operation));
        Self { name, round }
    }
}

/// Nanoseconds per operation: the time from the first thread's start to the last one's end,
/// divided by the operations of all threads together.
fn measure(contest: Contest, operation: &(impl Fn() -> bool + Sync)) -> Result<f64, String> {
    let start = Barrier::new(usize::from(contest.threads));
    let run = || {
        start.wait();
        let begin = Instant::now();
        let granted = (0..contest.operations_per_thread).all(|_| operation());
        (begin, Instant::now(), granted)
    };
    let ended: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..contest.threads).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    let mut span: Option<(Instant, Instant)> = None;
    for result in ended {
        let (begin, end, granted) = result.map_err(|_| "a thread panicked".to_owned())?;
        if !granted {
            return Err("an operation was refused".to_owned());
        }
        span = Some(span.map_or((begin, end), |(b, e)| (b.min(begin), e.max(end))));
    }
    let whole = span.map_or(Duration::ZERO, |(begin, end)| end - begin);
    let operations = f64::from(contest.threads) * f64::from(contest.operations_per_thread);
    Ok(whole.as_secs_f64() * 1e9 / operations)
}

/// Measures all competitors and prints their table, each compared with the one named `baseline`.
/// Returns whether all are within their aims.
///
/// # Errors
///
/// When an operation failed, or no competitor has the baseline's name.
pub(crate) fn compare(
    competitors: &[Competitor],
    baseline: &str,
    contest: Contest,
    effort: Effort,
) -> Result<bool, String> {
    let base = competitors
        .iter()
        .position(|competitor| competitor.name == baseline)
        .ok_or_else(|| format!("no competitor is named {baseline}"))?;
    let contest = Contest {
        operations_per_thread: contest.operations_per_thread.div_ceil(effort.divisor),
        ..contest
    };
    let mut times = vec![Vec::with_capacity(effort.rounds); competitors.len()];
    for round in 0..=effort.rounds {
        for (times, competitor) in times.iter_mut().zip(competitors) {
            let time = (competitor.round)(contest)
                .map_err(|error| format!("{}: {error}", competitor.name))?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    println!(
        "\n{} thread(s), {} operations each, {} rounds",
        contest.threads, contest.operations_per_thread, effort.rounds
    );
    let (spread, ratio) = ("min–max", format!("× {baseline}"));
    println!("{:<26}{:>10}{spread:>20}{ratio:>14}", "", "ns/op");
    let mut all_within = true;
    for (own, competitor) in times.iter().zip(competitors) {
        let ratios = own.iter().zip(&times[base]).map(|(own, base)| own / base);
        let (low, median, high) = summary(own.iter().copied());
        let (_, ratio, _) = summary(ratios);
        let spread = format!("{low:.1}–{high:.1}");
        println!(
            "{:<26}{median:>10.1}{spread:>20}{ratio:>14.2}",
            competitor.name
        );
        for aim in contest
            .aims
            .iter()
            .filter(|aim| aim.name == competitor.name)
        {
            let is_within = ratio <= aim.most;
            let within = if is_within { "yes" } else { "NO" };
            println!("{:<26}aim: at most {:.2}: {within}", "", aim.most);
            all_within &= is_within;
        }
    }
    Ok(all_within)
}

/// Smallest, median (the upper one of two) and largest; NaN for none at all.
fn summary(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (
        at(0),
        at(sorted.len() / 2),
        at(sorted.len().saturating_sub(1)),
    )
}
