//! What happens in a run, and all that follow it.

pub(super) mod bottleneck; // what holds a run back
pub(super) mod history; //    what happened when
pub(super) mod hold; //       what holds up a run besides its limits
pub(super) mod listener; //   the callback for each line
pub(super) mod notice; //     what a run has to say while it runs
pub(super) mod progress; //   where a run stands
pub(super) mod reasons; //    why requests failed, counted by reason
pub(super) mod resting; //    requests that wait for long between two attempts
pub(super) mod standstill; // waits that are too long
