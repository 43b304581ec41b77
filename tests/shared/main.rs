//! One quota for many threads, processes and machines: over a real store, judged by the simulator's
//! ledger and by what was granted when.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    unreachable_pub,
    reason = "tests of real processes in real time"
)]

mod cluster; //  three masters
mod contract; // what holds for any limiter, held by a shared one
mod corruption; // what others write into a store
mod courses; //  whatever threads do, by the same rules for both
mod deaths; //   processes that die
mod outages; //  stores that do
mod pace; //     many processes, one limit
mod refusals; // stores that answer and refuse
mod remaining; // what servers say is left
mod secure; //   passwords, TLS
mod server; //   a store of a test's own
mod support; //  limiters, costs, times
mod workers; //  processes that share a limit
