//! Decides whether failures are of single requests or of all: see [`CommonCause`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::batch::events::hold::Hold;
use crate::batch::events::{Events, RunEvent};
use crate::batch::send::common_cause::{Cause, CommonCause, End};
use crate::batch::summary::StopReason;
use crate::batch::wait::{Gate, Look};
use crate::limiter::CancelToken;

/// Takes how each request ends. While it suspects a common cause, no request begins.
///
/// # Locking
///
/// The flag saves the lock while there is no suspicion: a late flag lets one more request through, which
/// does no harm.
pub(in crate::batch) struct Judge {
    gate: Arc<Gate<CommonCause>>,
    is_suspicious: AtomicBool,
    /// Whether the run continues whatever the cause.
    keeps_going: bool,
    events: Arc<Events>,
}

impl Judge {
    pub(in crate::batch) fn new(
        has_succeeded: bool,
        keeps_going: bool,
        events: &Arc<Events>,
        stop: &CancelToken,
    ) -> Self {
        Self {
            gate: Gate::new(CommonCause::new(has_succeeded), stop),
            is_suspicious: AtomicBool::new(false),
            keeps_going,
            events: Arc::clone(events),
        }
    }

    /// Waits while there is a suspicion and the run is not stopped.
    pub(in crate::batch) fn pass(&self) {
        if !self.is_suspicious.load(Ordering::Relaxed) {
            return;
        }
        let look = |_: &mut CommonCause| match self.is_suspicious.load(Ordering::Relaxed) {
            true => Look::Wait,
            false => Look::Pass,
        };
        self.gate.wait(0, &mut self.gate.lock(), look);
    }

    pub(in crate::batch) fn begun(&self) {
        self.gate.lock().begun();
    }

    /// Takes how a request of `model` ended. Returns the cause for which the run has to stop.
    pub(in crate::batch) fn ended(&self, model: &str, end: End<'_>) -> Option<Cause> {
        let mut cause = self.gate.lock();
        let stops = cause.ended(model, end);
        if self.keeps_going {
            return None;
        }
        let suspicion = cause.suspicion();
        let is_suspicious = suspicion.is_some();
        if self.is_suspicious.load(Ordering::Relaxed) != is_suspicious {
            let hold = suspicion.map(|cause| Hold::Suspicion(cause.reason().to_owned()));
            self.events.emit(RunEvent::Suspected(hold.as_ref()));
            // Stored under the lock under which a thread reads it before it waits.
            self.is_suspicious.store(is_suspicious, Ordering::Relaxed);
            self.gate.notify_all(&cause, 0);
        }
        stops
    }

    /// The cause for which a run has failed that dealt with every line.
    pub(in crate::batch) fn at_the_end(&self) -> Option<Cause> {
        let cause = self.gate.lock().at_the_end();
        cause.filter(|_| !self.keeps_going)
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
