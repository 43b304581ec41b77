//! How much to measure.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Too little to judge by.
    pub(crate) quick: bool,
    /// Threads in a crowd that even one Condvar for all can bear.
    pub(crate) few: usize,
    /// Threads in a large crowd.
    pub(crate) many: usize,
    /// How long to watch a line in which nothing is due.
    pub(crate) idle: Duration,
    /// How often a crowd is drained.
    pub(crate) drains: usize,
    /// How many turns are looked at in a round.
    pub(crate) turns: usize,
    /// Rounds of turns.
    pub(crate) rounds: usize,
    /// How long a large request may starve before that is taken for an answer.
    pub(crate) patience: Duration,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        quick: false,
        few: 2_000,
        many: 10_000,
        idle: Duration::from_secs(10),
        drains: 5,
        turns: 300,
        rounds: 5,
        patience: Duration::from_secs(15),
    };

    pub(crate) const QUICK: Self = Self {
        quick: true,
        few: 200,
        many: 2_000,
        idle: Duration::from_secs(2),
        drains: 1,
        turns: 100,
        rounds: 1,
        patience: Duration::from_secs(5),
    };
}
