//! What the kernel counts about the threads of this process, as Linux tells it in `/proc`.
//!
//! Elsewhere these files are not there, and nothing is counted.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// How often a thread has gone to sleep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sleeps {
    /// The thread's number.
    pub(crate) thread: u32,
    /// Voluntary context switches: each is a sleep, from which the thread is woken once. One that
    /// loses its processor while it has work to do is not counted.
    pub(crate) count: u64,
}

impl Sleeps {
    /// Those of the calling thread.
    pub(crate) fn own() -> Option<Self> {
        read_sleeps(Path::new("/proc/thread-self/status"))
    }

    /// Those of another thread.
    pub(crate) fn of(thread: u32) -> Option<Self> {
        read_sleeps(&Path::new(TASKS).join(thread.to_string()).join("status"))
    }
}

const TASKS: &str = "/proc/self/task";

/// Reads without the heap: a thread that waits for the allocator's lock would count that too.
fn read_sleeps(path: &Path) -> Option<Sleeps> {
    let mut file = File::open(path).ok()?;
    let mut buffer = [0; 8192]; // a machine of a thousand cores has long lines in it
    let mut filled = 0;
    loop {
        match file.read(buffer.get_mut(filled..)?) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(_) => return None,
        }
    }
    let text = str::from_utf8(buffer.get(..filled)?).ok()?;
    Some(Sleeps {
        thread: field(text, "Pid:")?,
        count: field(text, "voluntary_ctxt_switches:")?,
    })
}

fn field<T: std::str::FromStr>(text: &str, name: &str) -> Option<T> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name))?;
    value.trim().parse().ok()
}

fn threads() -> Option<impl Iterator<Item = u32>> {
    let entries = fs::read_dir(TASKS).ok()?;
    Some(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// The thread with this name.
pub(crate) fn thread_named(name: &str) -> Option<u32> {
    threads()?.find(|thread| {
        fs::read_to_string(format!("{TASKS}/{thread}/comm"))
            .is_ok_and(|found| found.trim_end() == name)
    })
}

/// The processor time that all threads but the calling one have used, to the nanosecond. The
/// caller is left out because looking at ten thousand threads takes it longer than they take.
pub(crate) fn processor_time_of_others() -> Option<Duration> {
    let own = Sleeps::own()?.thread;
    let mut total = Duration::ZERO;
    for thread in threads()?.filter(|thread| *thread != own) {
        let text = fs::read_to_string(format!("{TASKS}/{thread}/schedstat")).ok()?;
        total += Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?);
    }
    Some(total)
}
