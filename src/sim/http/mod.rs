//! As much of HTTP/1.1 as a loopback server needs.

mod body; //     how long a body is, and reading it
#[cfg(all(
    any(test, fuzzing),
    feature = "batch",
    feature = "redis",
    not(paceline_loom)
))]
pub(crate) mod fuzz; // what a client sends, as inputs of a fuzzer
mod request; //  reading requests from a connection
mod response; // writing answers

pub(super) use request::{Fault, PATIENCE, Reader, Request};
pub(super) use response::{Event, Response};
