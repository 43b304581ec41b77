//! How many requests in flight this machine has room for.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Open files that are not connections: outputs, standard streams, what waits on the disk. Of very few
/// half are left for connections all the same, as of threads: a run that has too many takes fewer.
const OTHER_FILES: u64 = 64;
/// Threads that are not those of requests.
const OTHER_THREADS: u64 = 64;
/// Each thread takes four mappings: its stack, the one for signals, and a guard below each. A thread
/// that gets the first and not the last ends the process, so a fifth is left.
const MAPPINGS: u64 = 5;
/// A run may take one part in this many of the memory, as the docs of `Run::max_memory` say.
const PART_OF_MEMORY: u64 = 4;
/// What is taken where the system does not say.
const UNKNOWN_IN_FLIGHT: u64 = 1_000;
const UNKNOWN_MEMORY: u64 = 512 * 1024 * 1024;

/// What caps how many requests of a run are in flight at once.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{InFlightCap, Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let summary = run.run()?;
/// if summary.in_flight_capped_by == Some(InFlightCap::OpenFiles) {
///     println!("raise the limit of open files to have more in flight");
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InFlightCap {
    /// [`Run::max_in_flight`](super::Run::max_in_flight).
    Stated,
    /// The limit of open files: each request takes one.
    OpenFiles,
    /// The limit of threads: each request takes one.
    Threads,
    /// The budget of [memory](super::Run::max_memory).
    Memory,
    /// 1,000, as the system does not say what it has room for.
    #[default]
    Unknown,
}

impl fmt::Display for InFlightCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stated => "the maximum that was set",
            Self::OpenFiles => "the limit of open files",
            Self::Threads => "the limit of threads",
            Self::Memory => "the memory budget",
            Self::Unknown => "the default",
        })
    }
}

/// How many requests may be in flight at once, and what that is for.
///
/// ```
/// use paceline::batch::InFlight;
///
/// let room = InFlight::of_this_machine();
/// println!("at most {} requests in flight, by {}", room.most, room.cap);
/// # assert!(room.most > 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// How many.
    pub most: usize,
    /// What that is for.
    pub cap: InFlightCap,
}

impl InFlight {
    /// What the limits of open files and threads of this process and its control groups leave room for,
    /// by what the system says now. The soft limit of open files counts: a program that may raise it
    /// does so before.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::within(Room::of_this_machine(), None)
    }

    /// What was asked for, as far as that can be; otherwise what there is room for.
    pub(super) fn of(stated: Option<usize>) -> Self {
        Self::within(Room::of_this_machine(), stated)
    }

    #[cfg(test)]
    pub(super) fn for_tests(most: usize) -> Self {
        let cap = InFlightCap::Stated;
        Self { most, cap }
    }

    fn within(room: Room, stated: Option<usize>) -> Self {
        let files = room.open_files.map(|all| all - OTHER_FILES.min(all / 2));
        let threads = room.threads.map(|all| all - OTHER_THREADS.min(all / 2));
        let mappings = room.mappings.map(|free| free / MAPPINGS);
        let found = match stated {
            // Too few files or threads end nothing, and are seen when they are missing.
            Some(most) => [
                (Some(most as u64), InFlightCap::Stated),
                (mappings, InFlightCap::Threads),
                (None, InFlightCap::Unknown),
            ],
            None => [
                (files, InFlightCap::OpenFiles),
                (threads, InFlightCap::Threads),
                (mappings, InFlightCap::Threads),
            ],
        };
        let known = found
            .into_iter()
            .filter_map(|(most, cap)| Some((most?, cap)));
        let least = known.min_by_key(|(most, _)| *most);
        let (most, cap) = least.unwrap_or((UNKNOWN_IN_FLIGHT, InFlightCap::Unknown));
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX).max(1),
            cap,
        }
    }
}

/// A quarter of the machine's memory, or of what its control groups leave this process, in bytes.
pub(super) fn memory_budget() -> u64 {
    let memory = Room::of_this_machine().memory;
    memory.map_or(UNKNOWN_MEMORY, |all| all / PART_OF_MEMORY)
}

/// What the system has room for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Room {
    open_files: Option<u64>,
    threads: Option<u64>,
    mappings: Option<u64>,
    memory: Option<u64>,
}

impl Room {
    #[cfg(unix)]
    fn of_this_machine() -> Self {
        use rustix::process::{Resource, getrlimit};

        Self {
            open_files: getrlimit(Resource::Nofile).current,
            ..Self::below(Path::new("/"), getrlimit(Resource::Nproc).current)
        }
    }

    #[cfg(not(unix))]
    fn of_this_machine() -> Self {
        Self::below(Path::new("/"), None)
    }

    /// What the files of Linux below a root say; there are none elsewhere.
    fn below(root: &Path, processes: Option<u64>) -> Self {
        let sys = |name: &str| number_in(&root.join("proc/sys").join(name));
        let groups = control_groups(root);
        let group = |name: &str| {
            groups
                .iter()
                .filter_map(|it| number_in(&it.join(name)))
                .min()
        };
        let group_threads = groups.iter().filter_map(|it| {
            let most = number_in(&it.join("pids.max"))?;
            Some(most.saturating_sub(number_in(&it.join("pids.current")).unwrap_or(0)))
        });
        let threads = [
            processes,
            group_threads.min(),
            sys("kernel/threads-max"),
            // All processes of the machine have their threads below it.
            sys("kernel/pid_max").map(|ids| ids / 2),
        ];
        let in_use = fs::read(root.join("proc/self/maps")).unwrap_or_default();
        let in_use = in_use.iter().filter(|byte| **byte == b'\n').count() as u64;
        let memory = [
            total_memory(root),
            group("memory.max"),
            group("memory.limit_in_bytes"),
        ];
        Self {
            open_files: None,
            threads: threads.into_iter().flatten().min(),
            mappings: sys("vm/max_map_count").map(|most| most.saturating_sub(in_use)),
            memory: memory.into_iter().flatten().min(),
        }
    }
}

/// The folders of this process's control groups and of those above them, of either version.
fn control_groups(root: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounted = root.join("sys/fs/cgroup");
    let mut folders = Vec::new();
    for line in text.lines() {
        // `0::/path` is the second version's, `7:memory:/path` the first one's.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(kind), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let top = match kind {
            "" => mounted.clone(),
            "memory" | "pids" => mounted.join(kind),
            _ => continue,
        };
        // In a container the path may be the host's, of which only the top is to be seen.
        let inside = top.join(path.trim_start_matches('/'));
        let inside = inside.ancestors().take_while(|it| it.starts_with(&top));
        folders.extend(inside.map(Path::to_owned));
    }
    folders
}

/// `max` and files that are not there are no number.
fn number_in(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn total_memory(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
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
    fn the_scarcest_caps_unless_a_number_is_stated() {
        let room = |open_files, threads, mappings| Room {
            open_files,
            threads,
            mappings,
            memory: None,
        };
        let table = [
            (
                room(Some(1_024), Some(30_000), None),
                None,
                960,
                InFlightCap::OpenFiles,
            ),
            (
                room(Some(1 << 20), Some(500), None),
                None,
                436,
                InFlightCap::Threads,
            ),
            (
                room(Some(1 << 20), Some(30_000), Some(60_000)),
                None,
                12_000,
                InFlightCap::Threads,
            ),
            (room(Some(64), None, None), None, 32, InFlightCap::OpenFiles),
            (room(Some(0), None, None), None, 1, InFlightCap::OpenFiles),
            (room(None, None, None), None, 1_000, InFlightCap::Unknown),
            (
                room(Some(64), Some(64), Some(60_000)),
                Some(7_000),
                7_000,
                InFlightCap::Stated,
            ),
            (
                room(Some(64), None, Some(60_000)),
                Some(20_000),
                12_000,
                InFlightCap::Threads,
            ),
            (
                room(None, None, None),
                Some(20_000),
                20_000,
                InFlightCap::Stated,
            ),
        ];
        for (step, (room, stated, most, cap)) in table.into_iter().enumerate() {
            let found = InFlight::within(room, stated);
            assert_eq!(found, InFlight { most, cap }, "step {step}");
        }
    }

    #[test]
    fn control_groups_bound_what_the_machine_has() {
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let room = |processes| Room::below(root.path(), processes);
        assert_eq!(room(None), Room::default());
        file("proc/meminfo", "MemFree: 5 kB\nMemTotal:  8388608 kB\n");
        file("proc/sys/kernel/threads-max", "30000\n");
        file("proc/sys/vm/max_map_count", "65530\n");
        file("proc/self/maps", "a\nb\n");
        assert_eq!(room(None).memory, Some(8 << 30));
        assert_eq!(room(None).mappings, Some(65_528));
        assert_eq!(room(Some(500)).threads, Some(500));
        // The second version: the group above binds.
        file("proc/self/cgroup", "0::/a/b\n");
        file("sys/fs/cgroup/a/b/memory.max", "max\n");
        file("sys/fs/cgroup/a/memory.max", "1073741824\n");
        file("sys/fs/cgroup/a/b/pids.max", "700\n");
        file("sys/fs/cgroup/a/b/pids.current", "100\n");
        assert_eq!(room(None).memory, Some(1 << 30));
        assert_eq!(room(None).threads, Some(600));
        // The first one.
        file(
            "proc/self/cgroup",
            "9:cpu:/x\n7:memory:/x\n8:pids:/elsewhere\n",
        );
        file(
            "sys/fs/cgroup/memory/x/memory.limit_in_bytes",
            "536870912\n",
        );
        file("sys/fs/cgroup/pids/pids.max", "90\n");
        assert_eq!(room(None).memory, Some(512 << 20));
        assert_eq!(room(None).threads, Some(90));
    }
}
