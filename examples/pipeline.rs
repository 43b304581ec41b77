//! A rayon pipeline over a million rows that ends at its deadline, whether a limit binds or not, and
//! takes constant memory.
//!
//! `cargo run --example pipeline --release --all-features`

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use paceline::parallel::LimitedParallelIterator;
use paceline::{AcquireError, AcquireOptions, Clock, Cost, Limits, RateLimiter};
use rayon::prelude::*;

const ROWS: u64 = 1_000_000;
/// As many requests are in flight as there are threads.
const THREADS: usize = 64;
const TIME: Duration = Duration::from_millis(500);

fn main() -> Result<(), Box<dyn Error>> {
    // So wide that it never binds: only the deadline ends the run.
    let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000_000_000)?);
    let clock = Clock::real();
    let started = clock.now();
    let options = AcquireOptions::new().deadline(started + TIME);
    let (sent, late) = (AtomicU64::new(0), AtomicU64::new(0));

    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build()?;
    pool.install(|| {
        (0..ROWS)
            .into_par_iter()
            .map(|row| format!("Give a title to row {row}."))
            .map_limited(
                &limiter,
                |prompt| Cost::sized(prompt.len() as u64 / 4, 20),
                |prompt, permit| {
                    request(&prompt);
                    permit.settle(Cost::sized(prompt.len() as u64 / 4, 5));
                    Ok::<_, AcquireError>(())
                },
            )
            .options(options)
            // Counted and forgotten: nothing grows with the rows.
            .for_each(|result| match result {
                Ok(()) => _ = sent.fetch_add(1, Relaxed),
                Err(AcquireError::DeadlineExceeded { .. }) => _ = late.fetch_add(1, Relaxed),
                Err(error) => eprintln!("{error}"),
            });
    });

    let took = clock.now() - started;
    let (sent, late) = (sent.into_inner(), late.into_inner());
    println!("{sent} rows sent, {late} past the deadline of {TIME:?}, ended after {took:?}");
    if let Some(memory) = peak_memory() {
        println!("{memory} at most");
    }
    if sent + late != ROWS {
        return Err("rows are missing".into());
    }
    Ok(())
}

/// Stands in for a request that takes a millisecond.
#[allow(clippy::disallowed_methods, reason = "a server would take this time")]
fn request(prompt: &str) {
    assert!(!prompt.is_empty());
    std::thread::sleep(Duration::from_millis(1));
}

/// The most memory that the process has had, where the system says it.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}
