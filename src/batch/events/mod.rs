//! What happens in a run, and all that follow it: a stage [emits](Events::emit) a [`RunEvent`], which goes to
//! the watch, the history and the callbacks of the caller.

pub(super) mod bottleneck; // what holds a run back
mod event; //                what happens
mod fan_out; //              to whom it goes
pub(super) mod history; //    what happened when
pub(super) mod hold; //       what holds up a run besides its limits
pub(super) mod listener; //   the callback for each line
pub(super) mod model_progress; // where the requests of one limiter stand
pub(super) mod notice; //     what a run has to say while it runs
mod outcome; //              a finished line
pub(super) mod progress; //   where a run stands, in numbers
pub(super) mod reasons; //    why requests failed, counted by reason
mod resting; //              requests that wait for long between two attempts
pub(super) mod standstill; // waits that are too long
pub(super) mod watch; //      where a run stands, from any thread

pub(super) use event::{RunEvent, SentRequest};
pub(super) use fan_out::Events;
pub(super) use outcome::{Effort, Outcome};
