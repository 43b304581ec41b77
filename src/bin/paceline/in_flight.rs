//! How many requests may be in flight: what is asked for, or what this machine has room for.

use std::fmt;
use std::fs;

use crate::numbers::grouped;

/// Open files that are not connections: outputs, standard streams, what waits on the disk. Of very few
/// files half of them are left for connections all the same: a run that has too many takes fewer.
const OTHER_FILES: u64 = 64;
/// The part of the memory that requests in flight may take, one in so many.
const PART_OF_MEMORY: u64 = 4;
/// What one request in flight takes at most while it waits, in bytes: the buffers of its connection
/// (24 kB), what its thread has touched of its stack, its body and, over TLS, a session. The benchmark
/// `scale` prints what it is.
const ONE_REQUEST: u64 = 96 * 1024;
/// Threads that are not those of requests.
const OTHER_THREADS: u64 = 64;
/// What is taken where the system does not say.
const UNKNOWN: u64 = 1_000;

/// The most requests in flight, and what that is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) most: usize,
    cap: Cap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cap {
    Stated,
    OpenFiles,
    Memory,
    Threads,
    Unknown,
}

/// What the system has room for.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    open_files: Option<u64>,
    memory: Option<u64>,
    threads: Option<u64>,
}

impl InFlight {
    /// What was asked for, otherwise what there is room for.
    pub(crate) fn of(stated: Option<usize>) -> Self {
        match stated {
            Some(most) => Self {
                most,
                cap: Cap::Stated,
            },
            None => Self::within(Room::of_this_machine()),
        }
    }

    fn within(room: Room) -> Self {
        let files = room.open_files.map(|all| all - OTHER_FILES.min(all / 2));
        let memory = room.memory.map(|all| all / PART_OF_MEMORY / ONE_REQUEST);
        let threads = room.threads.map(|all| all.saturating_sub(OTHER_THREADS));
        let caps = [
            (files, Cap::OpenFiles),
            (memory, Cap::Memory),
            (threads, Cap::Threads),
        ];
        let known = caps
            .into_iter()
            .filter_map(|(most, cap)| Some((most?, cap)));
        let least = known.min_by_key(|(most, _)| *most);
        let (most, cap) = least.unwrap_or((UNKNOWN, Cap::Unknown));
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX).max(1),
            cap,
        }
    }
}

/// As it stands behind "held back by".
impl fmt::Display for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = grouped(self.most as u64);
        match self.cap {
            Cap::Stated => write!(f, "--max-in-flight {}", self.most),
            Cap::OpenFiles => write!(f, "the limit of open files ({most} in flight; ulimit -n)"),
            Cap::Memory => write!(f, "memory ({most} in flight; --max-in-flight allows more)"),
            Cap::Threads => write!(f, "the limit of threads ({most} in flight; ulimit -u)"),
            Cap::Unknown => write!(f, "{most} in flight; --max-in-flight allows more"),
        }
    }
}

impl Room {
    #[cfg(unix)]
    fn of_this_machine() -> Self {
        use rustix::process::{Resource, getrlimit};

        let threads = [
            getrlimit(Resource::Nproc).current,
            number_in("/proc/sys/kernel/threads-max"),
            number_in("/sys/fs/cgroup/pids.max"),
            // Each thread takes four mappings: its stack, the one for signals, and a guard below each. A
            // thread that gets the first and not the last ends the process, so some room is left.
            number_in("/proc/sys/vm/max_map_count").map(|maps| maps / 5),
            // All processes of the machine have their threads below it.
            number_in("/proc/sys/kernel/pid_max").map(|ids| ids / 2),
        ];
        let memory = [total_memory(), number_in("/sys/fs/cgroup/memory.max")];
        Self {
            open_files: getrlimit(Resource::Nofile).current,
            memory: memory.into_iter().flatten().min(),
            threads: threads.into_iter().flatten().min(),
        }
    }

    #[cfg(not(unix))]
    fn of_this_machine() -> Self {
        Self::default()
    }
}

/// `max` and files that are not there are no number.
#[cfg(unix)]
fn number_in(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(unix)]
fn total_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_of_files_memory_and_threads_caps_unless_a_number_is_stated() {
        let room = |open_files, memory, threads| Room {
            open_files,
            memory,
            threads,
        };
        const GIB: u64 = 1 << 30;
        let table = [
            (
                room(Some(1_024), Some(8 * GIB), Some(30_000)),
                960,
                "open files (960 in flight",
            ),
            (
                room(Some(1 << 20), Some(GIB), Some(30_000)),
                2_730,
                "memory (2,730 in flight",
            ),
            (
                room(Some(1 << 20), Some(64 * GIB), Some(500)),
                436,
                "threads (436 in flight",
            ),
            (room(Some(64), None, None), 32, "open files"),
            (room(Some(0), None, None), 1, "open files"),
            (room(None, None, None), 1_000, "1,000 in flight"),
        ];
        for (step, (room, most, words)) in table.into_iter().enumerate() {
            let found = InFlight::within(room);
            assert_eq!(found.most, most, "step {step}");
            assert!(found.to_string().contains(words), "step {step}: {found}");
        }
        assert_eq!(InFlight::of(Some(7)).to_string(), "--max-in-flight 7");
    }
}
