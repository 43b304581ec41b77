//! How often a waiting thread runs: once a grant, if nobody wakes it for nothing and it meets no
//! lock that is taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline::{Quota, Unit};

use crate::Result;
use crate::crowd::{Crowd, Place};
use crate::effort::Effort;
use crate::line::Line;
use crate::notes::{Note, Notes};
use crate::process::{Sleeps, thread_named};
use crate::shared::Shared;
use crate::table::{NONE, NOT_COUNTED, Row, count};

/// The limiters' alarm clock.
const SCHEDULER: &str = "paceline-refill";
/// Grants a second where they are paced.
const PACE: usize = 5_000;
/// What may pass at once where they are paced: 10 ms of the pace. With less, a turn that is
/// answered late would be time lost, and the pace would not be kept.
const BURST: u64 = 50;
/// Beyond the one, for what the start of a thread may add.
const MOST_WAKES: f64 = 1.02;
const MOST_RINGS: f64 = 1.0;

/// When the threads' turns come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turns {
    AllAtOnce,
    Paced,
}

pub(crate) fn rows(effort: Effort) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (size, with_plain) in [(effort.few, true), (effort.many, false)] {
        for turns in [Turns::AllAtOnce, Turns::Paced] {
            let what = match turns {
                Turns::AllAtOnce => "all due at once".to_owned(),
                Turns::Paced => format!("{} a second", count(PACE)),
            };
            let own = line(size, turns)?;
            let beside = match with_plain {
                true => figure(plain(size, turns)?.map(|plain| plain.a_grant)),
                false => NONE.to_owned(),
            };
            let what = format!("{} waiting, {what}", count(size));
            let row = |name: &str, figure_of: Option<f64>, beside, aim| {
                let row = Row::shown(format!("{name}, {what}"), figure(figure_of), beside);
                match figure_of {
                    Some(wakes) => row.judged(wakes, aim, ""),
                    None => row,
                }
            };
            let a_grant = own.map(|own| own.a_grant);
            rows.push(row("wake-ups a grant", a_grant, beside, MOST_WAKES));
            if turns == Turns::Paced {
                let rings = own.map(|own| own.rings);
                rows.push(row(
                    "wake-ups of the scheduler a grant",
                    rings,
                    NONE.to_owned(),
                    MOST_RINGS,
                ));
            }
        }
    }
    Ok(rows)
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| NOT_COUNTED.to_owned(), |value| format!("{value:.3}"))
}

/// What was counted, each divided by the number of grants.
#[derive(Debug, Clone, Copy)]
struct Wakes {
    a_grant: f64,
    /// The scheduler's.
    rings: f64,
}

/// Lets a crowd wait for a limiter. `None` where nothing can be counted.
fn line(size: usize, turns: Turns) -> Result<Option<Wakes>> {
    let amount = u64::try_from(size)?;
    let line = Line::paused(match turns {
        Turns::AllAtOnce => Quota::per_minute(Unit::Tokens, amount)?,
        Turns::Paced => {
            let second = Duration::from_secs(1);
            Quota::new(Unit::Tokens, u64::try_from(PACE)?, second)?.with_burst(BURST)
        }
    })?;
    let name = format!("paceline, {size} {turns:?}");
    run(&name, Arc::clone(&line), size, || line.resume())
}

/// The same with one Condvar for all.
fn plain(size: usize, turns: Turns) -> Result<Option<Wakes>> {
    let shared = Shared::new();
    let every = Duration::from_secs(1) / u32::try_from(PACE)?;
    let name = format!("one Condvar, {size} {turns:?}");
    run(&name, Arc::clone(&shared), size, || match turns {
        Turns::AllAtOnce => shared.allow(size),
        Turns::Paced => shared.allow_paced(size, every),
    })
}

fn run(
    name: &str,
    place: Arc<impl Place>,
    size: usize,
    begin: impl FnOnce(),
) -> Result<Option<Wakes>> {
    let crowd = Crowd::gather(place, size, Notes::Sleeps)?;
    let joined = total(&crowd, Note::slept_until_now);
    let scheduler = thread_named(SCHEDULER);
    let rings = || Some(Sleeps::of(scheduler?)?.count);
    let (rings_before, begun) = (rings(), Instant::now());
    begin();
    let took = crowd.all_back()?.saturating_duration_since(begun);
    let rings = rings()
        .zip(rings_before)
        .map(|(after, before)| after - before);
    let (Some(joined), Some(all)) = (joined, total(&crowd, Note::slept)) else {
        return Ok(None);
    };
    let a_grant = |count: u64| count as f64 / size as f64;
    let most = crowd.notes().iter().filter_map(Note::slept).max();
    // A sleep before the start is either the wait itself or a lock that was taken on the way in.
    eprintln!(
        "  {name}: {:.4} sleeps a thread to wait, {:.4} after, at most {} in one; {took:.2?}",
        a_grant(joined),
        a_grant(all) - a_grant(joined),
        most.unwrap_or_default(),
    );
    Ok(Some(Wakes {
        a_grant: a_grant(all),
        rings: a_grant(rings.unwrap_or_default()),
    }))
}

/// The sum over all threads, if every one could be counted.
fn total(crowd: &Crowd, slept: impl Fn(&Note) -> Option<u64>) -> Option<u64> {
    crowd.notes().iter().map(slept).sum()
}
