//! The `paceline` command as its users meet it: files, flags, signals, exit statuses. On Linux
//! alone, which has the devices and the list of ignored signals that some of them need.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests wait for other processes by the wall clock, and fail by panicking"
)]

mod echo; //    answers that are the requests
mod harness; // a folder, the command in it, and what came of it
#[cfg(feature = "redis")]
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../shared/server.rs"]
mod redis_server; // a store of a test's own
mod server; //  scripted answers

mod account; // keys that are refused, money that has run out
mod answers; // rows with their answers
mod ask; //     `limits`
mod attacks; // what would command the terminal, and keys in wrong places
mod cookbook; // the tasks of docs/cookbook.md
mod digits; //  numbers keep their digits
mod display; // what is shown while it runs, and outputs that nobody reads
mod fifty; //   mistakes of a newcomer, in one table
mod full; //    disks without room
mod input; //   lines, good and bad
mod interrupts; // Ctrl-C in a program of one's own
mod job; //     the main job, from first to last
mod kills; //   killed at any moment, and servers that go away
mod longer; //  answers that are cut off, and runs looked at from elsewhere
mod mistakes; // what a newcomer gets wrong
mod models; //  `--model-table`
mod money; //   prices, and bounds that stop a run
mod outputs; // files that cannot be written, or are no files
mod packed; //  inputs that are packed
mod parts; //   parts of an input, each run by a process of its own
mod providers; // providers, their table, and prices that are built in
mod reach; //   base URLs, headers, keys, certificates
mod report; //  `--report`
mod requests; // what flags make of rows
mod responses; // more than their status
mod resume; //  what earlier runs did, and lines that have changed since
#[cfg(unix)]
mod room; //    as many in flight as there is room for
mod safety; //  what others do to files, names that are not what they seem, pipes that nobody reads
#[cfg(unix)]
mod serve; //   a gateway as a process
mod settings; // flags from a file, help, completions, how messages are written
#[cfg(feature = "redis")]
mod shared; //  `--share`
mod signals; // killed, interrupted, resumed
mod simulated; // `simulate`, and each way in which it can be told to behave
mod table; //   prompts over tables, and the answers alone
mod trial; //   `--dry-run`, `count`, `run --simulate`
mod usage; //   flags and settings that cannot work
mod verdicts; // what stops a run, and what fails one request
mod waits; //   waits that are too long, and usage that nobody can have had
mod way; //     servers that cannot be reached, machines without room
mod whose; //   of which requests the answers are, real or simulated
mod why; //     what fails, said while it runs and at the end
