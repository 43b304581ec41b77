//! A granted cost, and what becomes of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::line::Line;
use crate::cost::Cost;

/// The right to send one request, paid for by its [`Cost`].
///
/// Whoever sends the request ends the permit, once:
///
/// - [`settle`](Permit::settle) with what it really cost, when that is known;
/// - [`refund`](Permit::refund) when the request never left;
/// - dropping it keeps the charge as reserved: the safe thing to do when nobody knows.
#[must_use = "a permit that is dropped at once has been paid for and not used"]
pub struct Permit {
    line: Arc<Line>,
    cost: Cost,
    waited: Duration,
}

impl Permit {
    pub(super) fn new(line: Arc<Line>, cost: Cost, waited: Duration) -> Self {
        Self { line, cost, waited }
    }

    /// What was granted.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// How long the request stood in line.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Corrects the charge to what the request really cost, up or down.
    ///
    /// What was reserved too much is given back, and may serve the head of the line at once.
    /// What was reserved too little becomes debt, and comes in before anything else is granted.
    ///
    /// ```
    /// use paceline::{Cost, Limits, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000)?);
    /// let permit = limiter.acquire(Cost::sized(100, 800))?;
    /// permit.settle(Cost::sized(100, 50));
    /// limiter.try_acquire(Cost::tokens(850))?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn settle(self, actual: Cost) {
        if actual != self.cost {
            self.line.settle(self.cost, actual);
        }
    }

    /// Gives everything back: the request never left.
    pub fn refund(self) {
        self.settle(Cost::default());
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line: _,
            cost,
            waited,
        } = self;
        f.debug_struct("Permit")
            .field("cost", cost)
            .field("waited", waited)
            .finish_non_exhaustive()
    }
}
