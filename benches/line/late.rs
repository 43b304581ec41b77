//! How long after its turn a thread runs, beside a thread that sleeps until the same time by
//! itself: on a quiet machine, and on one whose every core is busy.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use paceline::{Cost, Limits, Quota, RateLimiter, Unit};

use crate::Result;
use crate::bare::sleep_until;
use crate::effort::Effort;
use crate::stats::{Sorted, median};
use crate::table::{Row, micros};

const MOST: f64 = 1.5;
/// The first ones start threads and find nothing in caches.
const WARM_UP: usize = 20;
/// How exactly the time is known from which a turn counts.
const SHARP: Duration = Duration::from_micros(2);

/// What is shown of all.
const NAMES: [(usize, &str); 2] = [(50, "p50"), (99, "p99")];

pub(crate) fn rows(effort: Effort) -> Result<Vec<Row>> {
    let ms = Duration::from_millis;
    let quiet = Lateness::measure("lateness", effort, ms(2)..ms(5))?;
    let short = Duration::from_micros(200)..ms(1);
    let busy = under_load(|| Lateness::measure("lateness, all cores busy", effort, short))?;

    let mut rows = Vec::new();
    for percent in NAMES {
        let (row, ratio) = quiet.row(percent);
        rows.push(row.judged(ratio, MOST, ""));
    }
    for percent in NAMES {
        let (row, ratio) = busy.row(percent);
        rows.push(row.with_ratio(ratio));
    }
    rows.push(busy.longest());
    Ok(rows)
}

/// How late turns were, and sleeps as long as each.
struct Lateness {
    name: &'static str,
    rounds: Vec<(Sorted, Sorted)>,
}

impl Lateness {
    /// Looks at turns that come within such times, by turns with sleeps.
    fn measure(name: &'static str, effort: Effort, ahead: Range<Duration>) -> Result<Self> {
        let span = u64::try_from((ahead.end - ahead.start).as_micros())?;
        // Whole microseconds all over the span, in no order: the prime has no factor with it.
        let steps = (0..).map(|turn: u64| Duration::from_micros(turn * 7_919 % span));
        let mut waits = steps.map(|step| ahead.start + step);
        for wait in waits.by_ref().take(WARM_UP) {
            own_lateness(wait)?;
            bare_lateness(wait);
        }
        let mut rounds = Vec::new();
        for _ in 0..effort.rounds {
            let (mut own, mut granted, mut bare) = (Vec::new(), Vec::new(), Vec::new());
            for wait in waits.by_ref().take(effort.turns) {
                let (late, until_granted) = own_lateness(wait)?;
                own.push(late);
                granted.push(until_granted);
                bare.push(bare_lateness(wait));
            }
            let [own, granted, bare] = [own, granted, bare].map(Sorted::new);
            let of = |times: &Sorted| NAMES.map(|(percent, _)| times.percentile(percent));
            eprintln!(
                "  {name}: p50 and p99 {:.0?}, of which to the grant {:.0?}; bare {:.0?}",
                of(&own),
                of(&granted),
                of(&bare)
            );
            rounds.push((own, bare));
        }
        Ok(Self { name, rounds })
    }

    /// The median over rounds, also of the ratio. What else runs on a machine comes in bursts, and
    /// a single one decides about the slowest hundredth of the round that it falls into.
    fn row(&self, (percent, percent_name): (usize, &str)) -> (Row, f64) {
        let pairs = self.rounds.iter().map(|(own, bare)| {
            let (own, bare) = (own.percentile(percent), bare.percentile(percent));
            (own.as_secs_f64(), bare.as_secs_f64())
        });
        let own = median(pairs.clone().map(|(own, _)| own));
        let bare = median(pairs.clone().map(|(_, bare)| bare));
        let ratio = median(pairs.map(|(own, bare)| own / bare));
        let what = format!("{}, {percent_name}", self.name);
        (Row::shown(what, micros(own), micros(bare)), ratio)
    }

    /// Without a ratio, which would be one of two accidents.
    fn longest(&self) -> Row {
        let of = |side: fn(&(Sorted, Sorted)) -> &Sorted| {
            let all = self.rounds.iter().map(side);
            let longest = all.map(|times| times.percentile(100)).max();
            micros(longest.unwrap_or_default().as_secs_f64())
        };
        let what = format!("{}, longest", self.name);
        Row::shown(what, of(|(own, _)| own), of(|(_, bare)| bare))
    }
}

/// How long after its turn an acquire returns that has to wait for `wait`, in whole microseconds.
///
/// A token comes in each microsecond. The first acquire takes a full bucket, at a time between two
/// readings of the clock, and leaves nothing; so the turn of the next one is known to the
/// same precision. The earlier reading counts: the limiter is never made better than it is.
///
/// Also returns how much of that had passed when the turn was granted: what the scheduler is late
/// by, the rest being the thread's own start.
fn own_lateness(wait: Duration) -> Result<(Duration, Duration)> {
    const BURST: u64 = 1_000_000;
    let quota = Quota::new(Unit::Tokens, BURST, Duration::from_secs(1))?;
    let cost = Cost::tokens(u64::try_from(wait.as_micros())?);
    for _ in 0..1_000 {
        let limiter = RateLimiter::new(Limits::builder().quota(quota).build()?);
        let before = Instant::now();
        let _all = limiter.acquire(Cost::tokens(BURST))?;
        if before.elapsed() > SHARP {
            continue; // interrupted in between
        }
        let asked = Instant::now();
        let permit = limiter.acquire(cost)?;
        let now = Instant::now();
        let due = before + wait;
        if now < due {
            return Err(format!("granted {:?} before its turn", due - now).into());
        }
        let granted = (asked + permit.waited()).saturating_duration_since(due);
        return Ok((now - due, granted));
    }
    Err("the clock cannot be read twice within 2 µs: nothing to measure by".into())
}

/// How long after `wait` a thread runs on that sleeps for it by itself.
fn bare_lateness(wait: Duration) -> Duration {
    let due = Instant::now() + wait;
    sleep_until(due);
    Instant::now().saturating_duration_since(due)
}

/// Does something while every core has other work.
fn under_load<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let cores = thread::available_parallelism()?.get();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let spin = || {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let spinning: Result<Vec<_>, _> = (0..cores)
            .map(|core| {
                let builder = Builder::new().name(format!("spinning-{core}"));
                builder.spawn_scoped(scope, spin)
            })
            .collect();
        let result = match spinning {
            Ok(_) => work(),
            Err(error) => Err(format!("a spinning thread could not be started: {error}").into()),
        };
        over.store(true, Ordering::Relaxed);
        result
    })
}
