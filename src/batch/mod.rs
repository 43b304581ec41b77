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

mod budget; //   what a run may take, and what it costs
mod count; //    parse and count, on every core
mod dispatch; // whose turn it is
mod events; //   what happens, and all that follow it
mod extract; //  answers alone
mod fingerprint; // what tells a request from another
mod fs; //       the calls of the file system, and files that are whole or not there
#[cfg(all(
    any(test, fuzzing),
    feature = "redis",
    feature = "sim",
    not(paceline_loom)
))]
pub(crate) mod fuzz; // files that a run reads, as inputs of a fuzzer
mod ids; //      what is known of each `custom_id`
mod input; //    requests from lines or rows, and what can be wrong with them
mod inside; //   failures under a status of success
mod json; //     JSON as it stands
mod machine; //  what this machine has room for
mod money; //    amounts, exact
mod prompt; //   requests made of rows
mod read; //     lines in order
mod record; //   one line of an output file
mod report; //   a run as a page
mod run; //      the stages put together
mod send; //     one request, and what becomes of it
mod shutdown; // its stop, and why
mod summary; //  what a run came to
mod terminal; // lines for one
mod wait; //     for something, or the stop of the run
mod write; //    outcomes as they come, and kept while they cannot be written

pub use budget::bounds::Bound;
pub use budget::prices::Prices;
pub use events::bottleneck::Bottleneck;
pub use events::history::History;
pub use events::hold::Hold;
pub use events::listener::Finished;
pub use events::model_progress::ModelProgress;
pub use events::notice::Notice;
pub use events::progress::Progress;
pub use events::reasons::{Reason, Reasons};
pub use events::watch::Watch;
pub use extract::{
    Extract, ExtractRows, Extracted, RunStatus, check_answers_name, check_vectors_name,
    count_requests, extract,
};
pub use fs::{check_output, is_same_file};
pub use input::{Input, RequestLine, RowFormat, plain_text, unpacked};
pub use machine::{InFlight, InFlightCap};
pub use money::Money;
pub use prompt::{Edits, Prompt, RequestForm};
pub use read::requests::RequestSet;
pub use report::Report;
pub use run::Run;
pub use run::plan::{ModelPlan, Plan, RequestPlan};
pub use summary::{StopReason, Summary};
pub use write::names::errors_beside;
