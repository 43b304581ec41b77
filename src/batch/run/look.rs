//! A look at the stages of a run.

use std::sync::{Arc, Weak};

use crate::batch::budget::gate::BudgetGate;
use crate::batch::dispatch::Lanes;
use crate::batch::events::bottleneck::Facts;
use crate::batch::events::watch::View;
use crate::batch::write::backpressure::WriteBackpressure;

/// What a watch asks, as long as the run lasts.
pub(super) struct Look {
    lanes: Weak<Lanes>,
    budget: Arc<BudgetGate>,
    backpressure: WriteBackpressure,
}

impl Look {
    pub(super) fn new(
        lanes: Weak<Lanes>,
        budget: Arc<BudgetGate>,
        backpressure: WriteBackpressure,
    ) -> Arc<Self> {
        Arc::new(Self {
            lanes,
            budget,
            backpressure,
        })
    }
}

impl View for Look {
    fn facts(&self) -> Option<Facts> {
        // Asked one by one, and no lock is held while another is taken.
        let (claiming, has_backpressure) = (self.budget.waiting(), self.backpressure.is_applied());
        Some(Facts {
            claiming,
            has_backpressure,
            ..self.lanes.upgrade()?.facts()
        })
    }
}
