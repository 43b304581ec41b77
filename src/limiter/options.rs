//! What may end a wait early, and in which lane it stands.

use std::time::Instant;

use super::core::Request;
use super::queue::Asked;
use super::{CancelToken, Priority};
use crate::cost::Cost;

/// What may end a wait before its turn comes, and whose work goes first. By default nothing does,
/// and it is [interactive](Priority::Interactive).
///
/// ```
/// use std::time::Duration;
/// use paceline::{AcquireOptions, CancelToken, Clock, Cost, Limits, Priority, RateLimiter};
///
/// let stop = CancelToken::new();
/// let options = AcquireOptions::new()
///     .deadline(Clock::real().now() + Duration::from_secs(30))
///     .cancel(&stop)
///     .priority(Priority::Batch);
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// let permit = limiter.acquire_with(Cost::tokens(500), options)?;
/// # drop(permit);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct AcquireOptions<'a> {
    deadline: Option<Instant>,
    cancel: Option<&'a CancelToken>,
    priority: Priority,
}

impl<'a> AcquireOptions<'a> {
    /// A wait for as long as it takes.
    pub const fn new() -> Self {
        Self {
            deadline: None,
            cancel: None,
            priority: Priority::Interactive,
        }
    }

    /// Gives up at `deadline`; one that has passed is refused, whatever is free. Default: none.
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Gives up when `token` is cancelled. Default: none.
    pub const fn cancel(mut self, token: &'a CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// Sets the priority. Default: [`Priority::Interactive`].
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(CancelToken::is_cancelled)
    }

    /// Whether the deadline has passed.
    #[inline]
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now > deadline)
    }

    #[inline]
    pub(super) fn request(self, cost: Cost, place: Option<u64>) -> Request<'a> {
        Request {
            asked: Asked {
                cost,
                priority: self.priority,
                place,
            },
            deadline: self.deadline,
            cancel: self.cancel,
        }
    }

    #[cfg(feature = "client")]
    pub(crate) fn end(&self) -> Option<Instant> {
        self.deadline
    }

    #[cfg(feature = "client")]
    pub(crate) fn cancel_token(&self) -> Option<&'a CancelToken> {
        self.cancel
    }
}
