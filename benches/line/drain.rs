//! A pause ends, and everybody is due at once: how long until the last thread runs, beside as many
//! threads that are woken one after another with nothing to compute.

use std::sync::Arc;
use std::time::Instant;

use paceline::{Quota, Unit};

use crate::Result;
use crate::bare::Posts;
use crate::crowd::{Crowd, Place};
use crate::effort::Effort;
use crate::line::Line;
use crate::notes::Notes;
use crate::stats::median;
use crate::table::{Row, count, millis};

const MOST: f64 = 1.2;

pub(crate) fn rows(effort: Effort) -> Result<Vec<Row>> {
    let size = effort.many;
    let mut own = Vec::new();
    let mut bare = Vec::new();
    for round in 0..effort.drains {
        // Whoever goes second may find a machine that the first one warmed up.
        if round % 2 == 0 {
            own.push(line(size)?);
            bare.push(posts(size)?);
        } else {
            bare.push(posts(size)?);
            own.push(line(size)?);
        }
    }
    let ratio = median(own.iter().zip(&bare).map(|(own, bare)| own / bare));
    let what = format!("drain of {} due at once", count(size));
    let (own, bare) = (median(own), median(bare));
    Ok(vec![
        Row::shown(what, millis(own), millis(bare)).judged(ratio, MOST, ""),
    ])
}

fn line(size: usize) -> Result<f64> {
    let amount = u64::try_from(size)?;
    let line = Line::paused(Quota::per_minute(Unit::Tokens, amount)?)?;
    run("paceline", Arc::clone(&line), size, || line.resume())
}

fn posts(size: usize) -> Result<f64> {
    let posts = Posts::new(size);
    run("bare", Arc::clone(&posts), size, || posts.call())
}

/// Seconds from the start until the last thread has returned.
fn run(name: &str, place: Arc<impl Place>, size: usize, begin: impl FnOnce()) -> Result<f64> {
    let crowd = Crowd::gather(place, size, Notes::Time)?;
    let begun = Instant::now();
    begin();
    let took = crowd.all_back()?.saturating_duration_since(begun);
    eprintln!("  {name}: {took:.1?}");
    Ok(took.as_secs_f64())
}
