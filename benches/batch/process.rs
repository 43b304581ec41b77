//! What the kernel counts about this process, as Linux tells it in `/proc`.

use std::fs;
use std::time::Duration;

use crate::Result;

/// The length of a tick in which the kernel tells times, on every machine that Rust knows.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of this process so far, also of threads that have ended.
pub(crate) fn processor_time() -> Result<Duration> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // The second field is the name, in parentheses, and may have anything in it.
    let (_, fields) = text
        .rsplit_once(')')
        .ok_or("/proc/self/stat: no name in it")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks =
        |index: usize| -> Result<u32> { Ok(fields.get(index).ok_or("too short")?.parse()?) };
    Ok(TICK * (ticks(11)? + ticks(12)?)) // utime and stime: 14 and 15 in proc_pid_stat(5)
}
