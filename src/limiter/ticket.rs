//! A place in line, kept for another try.

use std::fmt;
use std::sync::Arc;

use super::core::Core;
use super::{AcquireOptions, Permit, acquire};
use crate::cost::Cost;
use crate::{AcquireError, Result};

/// The place of a request that has stood in line once, and has to come again: after a refusal, or
/// an answer that was lost. See [`Permit::keep_place`].
///
/// ```
/// use paceline::{Cost, Limits, RateLimiter, AcquireOptions};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000)?);
/// let turn = limiter.acquire(Cost::tokens(400))?.keep_place();
/// // … the answer was lost; it goes ahead of all that came meanwhile …
/// let permit = turn.acquire(Cost::tokens(400), AcquireOptions::new())?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[must_use = "a turn that is dropped is given up"]
pub struct Ticket {
    core: Arc<Core>,
    place: u64,
}

impl Ticket {
    pub(super) fn new(core: Arc<Core>, place: u64) -> Self {
        Self { core, place }
    }

    /// Blocks until `cost` fits every quota at once, ahead of all that came after the first attempt.
    ///
    /// # Errors
    ///
    /// Those of [`RateLimiter::acquire_with`](super::RateLimiter::acquire_with).
    pub fn acquire(
        self,
        cost: Cost,
        wait: AcquireOptions<'_>,
    ) -> Result<Permit<'static>, AcquireError> {
        acquire(&self.core, cost, wait, Some(self.place)).map(Permit::into_owned)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
