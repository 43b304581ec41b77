//! The work: a file of requests in the Batch format, or a table and a prompt, run at the pace of its
//! limits.
//!
//! ```text
//! read ─► count ─► pace ─► send ─► write
//! ```
//!
//! Each stage hands over to the next through a bounded channel, so memory does not grow with the
//! file. Counting has as many threads as there are cores, pacing one for each limiter, sending
//! as many as there are requests in flight. The results file is the journal: a run that is
//! killed and started again goes on after the last line that it holds.

mod count; //    parse and count, on every core
mod extract; //  answers alone
mod input; //    requests from lines or rows, and what can be wrong with them
mod journal; //  the output files: what is done, and what failed
mod output; //   one of them: locked, read, appended to
mod pace; //     one line of requests for each limiter
mod plan; //     what a run would take
mod progress; // where a run stands
mod prompt; //   requests made of rows
mod record; //   one line of an output file
mod run; //      the stages put together
mod send; //     threads that wait for answers
mod summary; //  what a run came to

pub use extract::{Extract, extract};
pub use input::{Input, RowFormat};
pub use plan::{ModelPlan, Plan};
pub use progress::{Progress, Watch};
pub use prompt::Prompt;
pub use run::Run;
pub use summary::{Ending, Summary};
