//! The first stage: lines of the input, in order.

pub(super) mod bad_lines; // the first lines that cannot be sent
mod begin; //               the first of them
pub(super) mod changed; //   whether results are of these requests at all
pub(super) mod lines;
pub(super) mod requests; //  the requests of a run, to know its answers by //    one thread reads, the others take

pub(super) use begin::begin;
