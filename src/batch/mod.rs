//! The work: a file of requests in the Batch format, or a table and a prompt, run at the pace of its
//! limits.
//!
//! ```text
//! read ─► count ─► pace ─► send ─► write
//! ```
//!
//! A run that has bounds lets through to its limiters only what fits into them.
//!
//! What is handed from one stage to the next is bounded, so memory does not grow with the file, but for
//! 29 bytes of each `custom_id`. Counting has as many threads as there are cores. A thread that sends
//! waits for the limiter first, one at a time for each, and writes the answer that it gets. The results
//! file is the journal: a run that is killed and started again resumes after the last line that it holds.

mod bad_lines; // the first lines that cannot be sent
mod board; //    which threads may lead which lane, and how far a run looks ahead
mod bottleneck; // what holds a run back
mod bounds; //   what a run may take, and what still fits
mod budget_gate; // only what fits into the budget goes to its limiter
mod capacity; // how many requests this side has room for
mod capacity_gate; // waits for that room
mod changed; //  whether results are of these requests at all
mod common_cause; // whether failures have one cause
mod count; //    parse and count, on every core
mod deadline; // when its time is up
mod extract; //  answers alone
mod fallback; // from the flex tier to the usual one
mod fingerprint; // what tells a request from another
mod finished; // the callback for each line
mod fs; //       the calls of the file system, and files that are whole or not there
#[cfg(all(
    any(test, fuzzing),
    feature = "redis",
    feature = "sim",
    not(paceline_loom)
))]
pub(crate) mod fuzz; // files that a run reads, as inputs of a fuzzer
mod growth; //   how many threads are worth starting
mod history; //  what happened when
mod hold; //     what holds up a run besides its limits
mod ids; //      what is known of each `custom_id`
mod input; //    requests from lines or rows, and what can be wrong with them
mod inside; //   failures under a status of success
mod journal; //  the output files: what is done, and what failed
mod json; //     JSON as it stands
mod judge; //    whether a failure is one request's or all's
mod lane; //     the requests of one limiter that wait
mod lanes; //    the threads that lead them
mod link; //     whether the server can be reached
mod link_gate; // waits for that
mod machine; //  what this machine has room for
mod memory; //   one budget for all that is in flight and waits
mod money; //    amounts, exact
mod names; //    where outputs go
mod notice; //   what a run has to say while it runs
mod output; //   one of them: locked, read, appended to
mod plan; //     what a run would take
mod prices; //   what tokens cost
mod progress; // where a run stands
mod prompt; //   requests made of rows
mod reasons; //  why requests failed, counted by reason
mod record; //   one line of an output file
mod report; //   a run as a page
mod requests; // the requests of a run, to know its answers by
mod resting; //  requests that wait for long between two attempts
mod run; //      the stages put together
mod run_options; // prices, bounds, callbacks
mod send; //     one request, and what becomes of it
mod spool; //    requests that wait on the disk
mod standstill; // waits that are too long
mod stopping; // at its bounds
mod summary; //  what a run came to
mod terminal; // lines for one
mod wait; //     for something, or the stop of the run
mod write; //    outcomes as they come, and kept while they cannot be written
mod write_backpressure; // no new request while results cannot be written

pub use bottleneck::Bottleneck;
pub use bounds::Bound;
pub use extract::{Extract, Extracted, extract};
pub use finished::Finished;
pub use fs::{check_output, is_same_file};
pub use history::History;
pub use hold::Hold;
pub use input::{Input, RequestLine, RowFormat, plain_text, unpacked};
pub use machine::{InFlight, InFlightCap};
pub use money::Money;
pub use notice::Notice;
pub use plan::{ModelPlan, Plan, RequestPlan};
pub use prices::Prices;
pub use progress::{ModelProgress, Progress, Watch};
pub use prompt::Prompt;
pub use reasons::{Reason, Reasons};
pub use report::Report;
pub use requests::RequestSet;
pub use run::Run;
pub use summary::{StopReason, Summary};
