//! Whose turn it is: requests wait in a lane for each limiter, and threads take turns in leading one.

pub(super) mod board; //  which threads may lead which lane, and how far a run looks ahead
pub(super) mod growth; // how many threads are worth starting
pub(super) mod lane; //   the requests of one limiter that wait
pub(super) mod lanes; //  the threads that lead them
pub(super) mod memory; // one budget for all that is in flight and waits
pub(super) mod spool; //  requests that wait on the disk
