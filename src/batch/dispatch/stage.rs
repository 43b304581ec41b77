//! What comes after dispatch.

use super::turn::Turn;
use crate::batch::count::Counted;

/// The stage that a request enters when it is first in its lane, on the thread that leads the lane.
pub(in crate::batch) trait Stage: Send + Sync {
    /// Deals with the request. Dropping `turn`, or beginning it, lets another thread lead the lane.
    fn take(&self, counted: Counted, turn: Turn<'_>);
}
