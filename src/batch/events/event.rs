//! What happens in a run: one list of events for all that follow it.

use std::sync::Arc;

use super::hold::Hold;
use super::notice::Notice;
use super::outcome::Outcome;
use crate::batch::machine::InFlightCap;
use crate::batch::money::Money;
use crate::limiter::Registry;
use crate::{Admitted, Attempt, Cost, RateLimiter};

/// Something that happens in a run.
#[derive(Debug, Clone, Copy)]
pub(in crate::batch) enum RunEvent<'a> {
    /// A run over `input` begins.
    Begins {
        input: &'a str,
        registry: &'a Arc<Registry>,
    },
    /// A line of the input was read, whatever it holds.
    LineRead,
    /// The whole input was read: now it is known how long it is.
    InputRead,
    /// The line stands in the results already.
    Resumed,
    /// The failure of the line stands in the errors file already, and the line is skipped.
    KeptFailed,
    /// A limiter has admitted a request.
    Admitted(&'a Admitted),
    /// A request is in flight.
    Sent,
    /// An attempt of a request in flight has ended; `has_failed` says whether one before has failed.
    Attempted {
        request: &'a SentRequest,
        attempt: &'a Attempt<'a>,
        has_failed: bool,
    },
    /// A request is no longer in flight, of which an attempt has failed or not.
    Ended {
        request: &'a SentRequest,
        has_failed: bool,
    },
    /// An answer came that cost this; `None` when its price is not known.
    Charged(Option<Money>),
    /// A line was written to one of the output files.
    Written(&'a Outcome),
    /// Requests could not begin, for this cap.
    Capped(InFlightCap),
    /// The server cannot be reached, or it is again.
    Unreachable(Option<&'a Hold>),
    /// Failures are alike, or they are no more.
    Suspected(Option<&'a Hold>),
    /// This side has room for fewer requests, or has room again; the reason, where it is new.
    Exhausted {
        is_limited: bool,
        in_flight: usize,
        reason: Option<&'a str>,
    },
    /// The run has something to say.
    Notice(&'a Notice),
    /// The run is over. What is still in flight then is not recorded.
    Over,
}

/// A request in flight.
#[derive(Debug)]
pub(in crate::batch) struct SentRequest {
    pub(in crate::batch) custom_id: String,
    pub(in crate::batch) model: String,
    pub(in crate::batch) cost: Cost,
    pub(in crate::batch) limiter: RateLimiter,
}

impl SentRequest {
    pub(in crate::batch) fn new(custom_id: String, admitted: &Admitted) -> Self {
        Self {
            custom_id,
            model: admitted.model().to_owned(),
            cost: admitted.cost(),
            limiter: admitted.limiter().clone(),
        }
    }
}
