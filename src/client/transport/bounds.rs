//! When an attempt has to end, and what can end it earlier.

use std::time::{Duration, Instant};

use super::failure::Way;
use crate::limiter::{CancelToken, Clock};

/// Bounds of one attempt that its caller sets. By default there are none but the client's time-outs.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::client) struct Bounds<'a> {
    /// The attempt ends at this instant, answered or not.
    pub(in crate::client) deadline: Option<Instant>,
    /// Cancelling it closes the attempt's connection.
    pub(in crate::client) cancel: Option<&'a CancelToken>,
    pub(in crate::client) timeouts: Timeouts,
}

/// Time-outs of one call, where they are not the client's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::client) struct Timeouts {
    /// Of an attempt, from connecting to the last byte.
    pub(in crate::client) attempt: Option<Duration>,
    pub(in crate::client) connect: Option<Duration>,
    /// Of each wait for more of a body.
    pub(in crate::client) read: Option<Duration>,
}

/// The bounds of an attempt that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits<'a> {
    /// The end of the whole attempt.
    pub(super) end: Instant,
    /// The end of connecting, which is not after `end`.
    pub(super) connect_end: Instant,
    /// The longest wait for more of a body.
    pub(super) read: Option<Duration>,
    /// Whether `end` is the caller's deadline and not a time-out.
    pub(super) is_deadline: bool,
    pub(super) cancel: Option<&'a CancelToken>,
}

impl<'a> Limits<'a> {
    /// Limits of an attempt that begins now. The time-outs of the way are at most a year.
    pub(super) fn new(bounds: Bounds<'a>, way: &Way) -> Self {
        let now = Clock::real().now();
        let time_out = now + way.timeout;
        let deadline = bounds.deadline.filter(|deadline| *deadline < time_out);
        let end = deadline.unwrap_or(time_out);
        Self {
            end,
            connect_end: end.min(now + way.connect_timeout),
            read: way.read_timeout,
            is_deadline: deadline.is_some(),
            cancel: bounds.cancel,
        }
    }

    /// Whether connecting ends at the deadline and not at a time-out.
    pub(super) fn is_connect_deadline(&self) -> bool {
        self.is_deadline && self.connect_end == self.end
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(CancelToken::is_cancelled)
    }
}

/// The time until `end`, or none if it has come.
pub(super) fn time_until(end: Instant) -> Option<Duration> {
    let left = end.saturating_duration_since(Clock::real().now());
    (!left.is_zero()).then_some(left)
}
