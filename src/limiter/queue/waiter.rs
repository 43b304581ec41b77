//! Who waits, and what becomes of it.

use std::sync::OnceLock;

use super::super::cancel::CancelToken;
use super::super::hearing::Spent;
use super::super::level::Tick;
use crate::cost::Cost;
use crate::quota::Quota;
use crate::sync::Condvar;

/// A thread in the line.
pub(in crate::limiter) struct Waiter {
    /// Grows from head to tail.
    pub(super) place: u64,
    pub(super) cost: Cost,
    pub(super) deadline: Option<Tick>,
    pub(super) cancel: Option<CancelToken>,
    /// Set once, under the lock, by whoever takes the waiter out of the line.
    pub(in crate::limiter) answer: OnceLock<Answer>,
    pub(in crate::limiter) answered: Condvar,
}

/// What becomes of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) enum Answer {
    Granted(Grant),
    TimedOut,
    Cancelled,
    Closed,
    /// The limits have changed, and it can never pass this one.
    TooLarge(Quota),
}

/// What is remembered of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::limiter) struct Grant {
    pub(in crate::limiter) at: Tick,
    /// Where it stood in line: whoever comes later has a larger one.
    pub(in crate::limiter) place: u64,
    /// What had been spent in all, this grant included, if anybody listens. Apart, because every
    /// grant is copied a few times on its way, and most limiters listen to nobody.
    pub(super) spent: Option<Box<Spent>>,
}
