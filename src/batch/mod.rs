//! The work: a JSONL file of requests in the Batch format, run at the pace of its limits.
//!
//! ```text
//! read ─► count ─► pace ─► send ─► write
//! ```
//!
//! Each stage hands over to the next through a bounded channel, so memory does not grow with the
//! file. Counting has as many threads as there are cores, pacing one for each limiter, sending
//! as many as there are requests in flight. The results file is the journal: a run that is
//! killed and started again goes on after the last line that it holds.

mod brake; //     no new request while results cannot be written
mod count; //    parse and count, on every core
mod fingerprint; // what tells a request from another
mod ids; //      what is known of each `custom_id`
mod input; //    lines, and what can be wrong with them
mod journal; //  the output files: what is done, and what failed
mod lane; //     the requests of one limiter that wait
mod lanes; //    who leads them
mod output; //   one of them: locked, read, appended to
mod plan; //     what a run would take
mod progress; // where a run stands
mod record; //   one line of an output file
mod run; //      the stages put together
mod send; //     one request, and what becomes of it
mod spool; //    requests that wait on the disk
mod summary; //  what a run came to
mod write; //    outcomes as they come, and kept while they cannot be written

pub use input::Input;
pub use plan::{ModelPlan, Plan};
pub use progress::{Progress, Watch};
pub use run::Run;
pub use summary::{Ending, Summary};
