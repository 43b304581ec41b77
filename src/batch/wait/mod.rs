//! Threads of a run, and what they wait for: always for something or the stop of the run.
//!
//! A thread that waits for a state waits at a [`Gate`]. One that waits for messages selects on its channel
//! and the [`StopSignal`]. Nothing else in a batch waits, but for the limiter and the network, which take
//! the run's token.

mod gate; //        for a state
mod stop_signal; // for a channel
mod threads;
pub(super) mod timers; // for a time //     starting them

pub(super) use gate::{Gate, Look};
pub(super) use stop_signal::StopSignal;
pub(super) use threads::{panicked, start};
