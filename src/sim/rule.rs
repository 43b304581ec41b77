//! What one limit is over time, and what happened to it: data alone, which the ledger acts on and
//! the audit judges by.

/// A minute and a day, in nanoseconds.
pub(super) const MINUTE: u64 = 60_000_000_000;
pub(super) const DAY: u64 = 24 * 60 * MINUTE;

/// One limit of one model. Times are nanoseconds since the simulator's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// The limit from each time on, in their order and the first from 0 on; `None` is no limit.
    pub(super) steps: Vec<(u64, Option<u64>)>,
    /// What the limit is an amount for.
    pub(super) period: u64,
    /// How much time of the limit's rate may pass at once, or in one window.
    pub(super) span: u64,
    /// Whether spans are windows that each begin with nothing used.
    pub(super) windows: bool,
}

/// Something that was taken, or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) amount: u64,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By a request that was admitted.
    Admitted,
    /// By the neighbour.
    Neighbour,
    /// Given back: a request did not use it.
    GivenBack,
    /// By an answer, whether it fitted or not.
    Answered,
}
