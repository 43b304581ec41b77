//! What happens in a limiter, told as it happens: for metrics.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::cost::Cost;

/// Something that happened to a request in a limiter. See
/// [`RateLimiterBuilder::on_event`](super::RateLimiterBuilder::on_event).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It cannot be granted at once, and stands in line now.
    Waiting {
        /// What it asks for.
        cost: Cost,
    },
    /// It was granted.
    Granted {
        /// What was taken for it.
        cost: Cost,
        /// How long it stood in line.
        waited: Duration,
    },
    /// It was not granted.
    Denied {
        /// What it asked for.
        cost: Cost,
        /// Why.
        error: &'a Error,
    },
    /// What was taken for it has been corrected.
    Settled {
        /// What had been taken.
        reserved: Cost,
        /// What it is now.
        actual: Cost,
    },
}

/// Who is told.
pub(super) type Hook = Arc<dyn Fn(&Event<'_>) + Send + Sync>;
