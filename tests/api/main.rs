//! The client and batch runs against servers: the simulator, which judges its pace, and scripted ones, which
//! misbehave.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests play many callers and servers at once, on the real clock"
)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and these have helpers beside them"
)]

#[cfg(feature = "ureq")]
mod agent; //     of ureq, behind a limiter
mod batch; //     runs: who is told of each line, and what stops them
mod calls; //     what is sent and what comes back
mod charges; //   what the limiter is charged in the end
mod faults; //    connections and answers that break
mod inside; //    failures with a status of success, and answers that are not quite JSON
mod learned; //   what is reserved for answers, where that is learned
mod options; //   deadlines, tokens and retries of one call
mod pace; //      many threads, one limit
mod providers; // other providers, in their own forms
mod proxies; //   an environment that names one
mod raw; //       files, sound and lists
mod refusals; //  errors that no retry makes right
mod retries; //   errors that may pass
mod scripted; //  a server that does as it is told
mod secrets; //   the key shows nowhere
mod serialized; // what programs show of it all
mod streams; //   answers piece by piece
mod support; //   clients and servers for all of them
mod traits; //   threads and panics
mod transports; // in place of the crate's own
mod way; //       what fails between here and the server
