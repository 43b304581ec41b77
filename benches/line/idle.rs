//! What waiting costs while nothing is due: nothing, if nobody polls.

use std::sync::Arc;
use std::thread;

use paceline::{MAX_PERIOD, Quota, Unit};

use crate::Result;
use crate::crowd::Crowd;
use crate::effort::Effort;
use crate::line::Line;
use crate::notes::Notes;
use crate::process::processor_time_of_others;
use crate::table::{NONE, NOT_COUNTED, Row, count, millis};

/// In seconds, of all threads together.
const MOST: f64 = 0.05;

pub(crate) fn rows(effort: Effort) -> Result<Vec<Row>> {
    let line = Line::new(Quota::new(Unit::Tokens, 1, MAX_PERIOD)?)?;
    line.empty()?;
    let crowd = Crowd::gather(Arc::clone(&line), effort.many, Notes::Time)?;
    let before = processor_time_of_others();
    thread::sleep(effort.idle);
    let after = processor_time_of_others();
    drop(crowd);

    let what = format!(
        "processor time, {} waiting, nothing due for {} s",
        count(effort.many),
        effort.idle.as_secs()
    );
    let none = NONE.to_owned();
    let row = match before.zip(after) {
        Some((before, after)) => {
            let used = after.saturating_sub(before);
            let used = used.as_secs_f64();
            Row::shown(what, millis(used), none).judged(used, MOST, " s")
        }
        None => Row::shown(what, NOT_COUNTED.to_owned(), none),
    };
    Ok(vec![row])
}
