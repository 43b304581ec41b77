//! What stops a run at its bounds, seen from its stages.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::batch::budget::bounds::Bound;
use crate::batch::budget::gate::{BudgetHold, Refused, Used};
use crate::batch::events::standstill::Standstill;
use crate::batch::money::Money;
use crate::batch::run::Shared;
use crate::batch::send::common_cause::{Cause, End};
use crate::batch::send::link_gate::LinkTimer;
use crate::batch::summary::StopReason;
use crate::batch::wait::timers::{LookOut, Timer};
use crate::{AcquireError, Error, Prepared, Result};

impl Shared {
    /// Waits until a request fits into what the run may take. `None` when the run ends before it
    /// does, or because it never will.
    pub(in crate::batch) fn claim(&self, request: &Prepared) -> Option<BudgetHold> {
        match self.gate.claim(request) {
            Ok(claim) => Some(claim),
            Err(Refused::Ending) => None,
            Err(Refused::Bound(bound)) => {
                self.stop_at(bound);
                None
            }
        }
    }

    /// Why a request will never be admitted, asked where it would have to claim something first: the
    /// first that does not fit into a budget ends the run, and this one ends nothing.
    pub(in crate::batch) fn never(&self, request: &Prepared) -> Option<Error> {
        let bounds = &self.options.bounds;
        if bounds.tokens.is_none() && bounds.cost.is_none() {
            return None;
        }
        let error = request.limiter().predicted_wait(request.cost()).err()?;
        matches!(error, AcquireError::TooLarge { .. }).then(|| error.into())
    }

    /// Settles a hold with an answer, and returns what that cost.
    pub(in crate::batch) fn charge(&self, claim: BudgetHold, used: Used) -> Option<Money> {
        let cost = claim.answered(used).filter(|_| used.usage.is_some());
        self.watch.spent(cost);
        cost
    }

    /// Stops the run when as many requests have failed as may. Lines that cannot be sent are not
    /// counted: they come again with each start, and would let no run get past them.
    pub(in crate::batch) fn count_failure(&self) {
        let Some(most) = self.options.bounds.failures else {
            return;
        };
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= most {
            self.stop_at(Bound::Failures { most });
        }
    }

    /// Takes how a request of `model` ended that had begun, and stops the run when it shows a cause
    /// that all others would meet.
    pub(in crate::batch) fn learn(&self, model: &str, end: End<'_>) {
        let cause = self.judge.ended(model, end);
        // The first reason to stop is reported: the same failure may also meet a bound of the caller.
        if let Some(cause) = cause.filter(|_| !self.stop.is_cancelled()) {
            self.stop_for(cause.into());
        }
    }

    /// Stops the run when its time is up, as long as what is returned is kept. The thread that
    /// does holds no stage: they end when they are done.
    pub(in crate::batch) fn start_timer(&self) -> Result<Option<Timer>> {
        let (Some(end), Some(after)) = (self.deadline, self.options.bounds.deadline) else {
            return Ok(None);
        };
        let (stop, verdict) = (self.stop.clone(), Arc::clone(&self.verdict));
        let act = move || {
            if !stop.is_cancelled() {
                verdict
                    .lock()
                    .bound
                    .get_or_insert(Bound::Deadline { after });
                stop.cancel();
            }
        };
        Timer::start(end, act).map(Some)
    }

    /// Stops the run when the time to reach a server that was never reached has passed.
    pub(in crate::batch) fn start_link_timer(&self) -> Result<LinkTimer> {
        let (stop, verdict) = (self.stop.clone(), Arc::clone(&self.verdict));
        self.link.start_timer(move |reason| {
            if !stop.is_cancelled() {
                let cause = StopReason::Unreachable(reason);
                verdict.lock().cause.get_or_insert(cause);
                stop.cancel();
            }
        })
    }

    /// Looks, as long as what is returned is kept, for waits that are to be said, and stops the run when
    /// all that is left waits for more than a day.
    pub(in crate::batch) fn start_look_out(&self) -> Result<LookOut> {
        let (stop, verdict) = (self.stop.clone(), Arc::clone(&self.verdict));
        let (watch, notices) = (self.watch.clone(), self.options.notices.clone());
        let mut standstill = Standstill::default();
        LookOut::start(move || {
            let seen = standstill.look(&watch.facts());
            for notice in &seen.notices {
                notices.tell(notice);
            }
            if let Some(reason) = seen.end
                && !stop.is_cancelled()
            {
                let cause = StopReason::LongWait(reason);
                verdict.lock().cause.get_or_insert(cause);
                stop.cancel();
            }
        })
    }

    /// A request stays undone, because its turn or its next try would come after the deadline. The
    /// run continues until then: a smaller one may fit, and so may those of other models.
    pub(in crate::batch) fn is_out_of_time(&self) {
        if let Some(after) = self.options.bounds.deadline {
            self.met(Bound::Deadline { after });
        }
    }

    fn stop_at(&self, bound: Bound) {
        self.met(bound);
        self.stop.cancel();
    }

    /// The first reason to stop is reported.
    fn met(&self, bound: Bound) {
        if !self.stop.is_cancelled() {
            self.verdict.lock().bound.get_or_insert(bound);
        }
    }
}

impl From<Cause> for StopReason {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Forbidden(reason) => Self::Forbidden(reason),
            Cause::Same(reason) => Self::SameFailure(reason),
        }
    }
}
