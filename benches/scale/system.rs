//! What the system says of a process: time, processor time, peak memory. Linux tells it in `/proc`.

use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Result;

/// The length of a tick in which the kernel tells times, on every machine that Rust knows.
const TICK: Duration = Duration::from_millis(10);

/// What a process took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) time: Duration,
    pub(crate) processor: Duration,
    /// Peak resident memory, in bytes.
    pub(crate) memory: u64,
    pub(crate) succeeded: bool,
}

/// Waits for a process and keeps the last figures that the system had of it. Both only ever grow,
/// so at most what happened in the last 20 ms is missing.
pub(crate) fn watch(mut child: Child, most: Duration) -> Result<Used> {
    let started = Instant::now();
    let mut used = Used::default();
    loop {
        if let Some(status) = child.try_wait()? {
            used.time = started.elapsed();
            used.succeeded = status.success();
            return Ok(used);
        }
        let id = child.id();
        if let (Ok(processor), Ok(memory)) = (processor_time(id), peak_memory(id)) {
            used.processor = used.processor.max(processor);
            used.memory = used.memory.max(memory);
        }
        if started.elapsed() > most {
            child.kill()?;
            child.wait()?;
            used.time = started.elapsed();
            return Ok(used);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn processor_time(id: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The second field is the name, in parentheses, and may have anything in it.
    let (_, fields) = text.rsplit_once(')').ok_or("no name in stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks =
        |index: usize| -> Result<u32> { Ok(fields.get(index).ok_or("too short")?.parse()?) };
    Ok(TICK * (ticks(11)? + ticks(12)?)) // utime and stime: 14 and 15 in proc_pid_stat(5)
}

fn peak_memory(id: u32) -> Result<u64> {
    status(&id.to_string(), "VmHWM:")
}

/// The resident memory of this process that is its own and not a file's, in bytes.
pub(crate) fn resident() -> Result<u64> {
    status("self", "RssAnon:")
}

fn status(process: &str, field: &'static str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.ok_or(field)?.parse::<u64>()? * 1024)
}

pub(crate) fn raise_descriptor_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
