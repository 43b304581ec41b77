//! Whose turn it is: requests wait in a lane for each limiter, and threads take turns in leading one.

mod board; //  which threads may lead which lane, and how far a run looks ahead
mod growth; // how many threads are worth starting
mod lane; //   the requests of one limiter that wait
mod lanes; //  the threads that lead them
pub(super) mod memory; // one budget for all that is in flight and waits
mod spool; //  requests that wait on the disk
mod stage;
mod turn; //              from the head of a lane to the end of the flight //             what a request enters next

pub(super) use lanes::{Entrance, Lanes};
pub(super) use stage::Stage;
pub(super) use turn::Turn;
