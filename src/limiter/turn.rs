//! A place in line, kept for another try.

use std::fmt;
use std::sync::Arc;

use super::line::Line;
use super::{Permit, Wait, acquire};
use crate::Result;
use crate::cost::Cost;

/// The place of a request that has stood in line once, and has to come again: after a refusal, or
/// an answer that was lost. See [`Permit::keep_turn`].
///
/// ```
/// use paceline::{Cost, Limits, RateLimiter, Wait};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000)?);
/// let turn = limiter.acquire(Cost::tokens(400))?.keep_turn();
/// // … the answer was lost; whoever has come meanwhile lets it go first …
/// let permit = turn.acquire(Cost::tokens(400), Wait::new())?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[must_use = "a turn that is dropped is given up"]
pub struct Turn {
    line: Arc<Line>,
    place: u64,
}

impl Turn {
    pub(super) fn new(line: Arc<Line>, place: u64) -> Self {
        Self { line, place }
    }

    /// Blocks until `cost` fits every quota at once, ahead of all who came after the first try.
    ///
    /// # Errors
    ///
    /// Those of [`RateLimiter::acquire_with`](super::RateLimiter::acquire_with).
    pub fn acquire(self, cost: Cost, wait: Wait<'_>) -> Result<Permit<'static>> {
        acquire(&self.line, cost, wait, Some(self.place)).map(Permit::into_owned)
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
