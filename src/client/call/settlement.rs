//! What is left to do when a response is there: its request is settled with what it used.

use std::sync::Arc;
use std::time::Duration;

use crate::client::learned::Sizes;
use crate::client::transport::Answer;
use crate::cost::{Accounting, Cost, Usage};
use crate::limiter::Permit;
use crate::observation::Observation;

/// A request whose answer has begun to arrive.
pub(in crate::client) struct Sent {
    pub(in crate::client) status: u16,
    pub(in crate::client) request_id: Option<String>,
    pub(in crate::client) attempts: u32,
    pub(in crate::client) waited: Duration,
    pub(in crate::client) settlement: Settlement,
    pub(in crate::client) answer: Answer,
}

/// A permit that still has to hear what its request used. Dropped, it keeps its charge.
#[derive(Debug)]
pub(in crate::client) struct Settlement {
    pub(super) permit: Permit<'static>,
    pub(super) accounting: Accounting,
    /// Whether cached tokens do not count against limits.
    pub(super) cached_is_free: bool,
    /// The most tokens of the answer.
    pub(super) cap: u64,
    pub(super) sizes: Option<Arc<Sizes>>,
}

impl Settlement {
    /// Tells the limiter what came after the head.
    pub(in crate::client) fn observe(&mut self, feedback: &Observation) {
        self.permit.observe(feedback);
    }

    /// Settles with the usage if it is known, and returns what the request cost in the end.
    pub(in crate::client) fn settle(self, usage: Option<Usage>) -> Cost {
        let reserved = self.permit.cost();
        let Some(usage) = usage else {
            return reserved;
        };
        if let Some(sizes) = &self.sizes {
            sizes.answered(usage.output_tokens, self.cap);
        }
        let counted = Usage {
            input_tokens: match self.cached_is_free {
                true => usage.input_tokens.saturating_sub(usage.cached_tokens),
                false => usage.input_tokens,
            },
            ..usage
        };
        let actual = self.accounting.settle(reserved, counted);
        self.permit.settle(actual);
        actual
    }
}
