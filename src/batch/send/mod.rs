//! The send stage: what a request has to pass, its way to the server and back, and what becomes of it.
//!
//! What is true of all requests is decided once: whether results can be written, whether failures have one
//! cause, whether the server can be reached, whether this side has room. A request passes these before it
//! takes its part of the budget and waits for its limiter.

pub(super) mod capacity; //      how many requests this side has room for
pub(super) mod capacity_gate; // waits for that room
pub(super) mod common_cause; //  whether failures have one cause
mod course; //                   one request in flight
mod end; //                      what becomes of it
pub(super) mod judge; //         whether a failure is one request's or all's
pub(super) mod link; //          whether the server can be reached
pub(super) mod link_gate; //     waits for that

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::budget::bounds::Bounds;
use super::budget::gate::{BudgetGate, BudgetHold, Refused};
use super::count::{Counted, Longer};
use super::dispatch::{Stage, Turn};
use super::events::{Events, RunEvent};
use super::shutdown::Shutdown;
use super::write::ResultWriter;
use super::write::backpressure::WriteBackpressure;
use super::write::journal::Journal;
use crate::limiter::{AcquireOptions, Priority};
use crate::{AcquireError, Error, Prepared, RateLimitedClient};
use capacity_gate::CapacityGate;
use judge::Judge;
use link_gate::LinkGate;

/// What the stage needs: the gates that each request passes, and where it goes.
pub(super) struct SendStage {
    pub(super) client: RateLimitedClient,
    pub(super) events: Arc<Events>,
    pub(super) shutdown: Arc<Shutdown>,
    /// Applied while results cannot be written.
    pub(super) backpressure: WriteBackpressure,
    pub(super) judge: Arc<Judge>,
    pub(super) link: Arc<LinkGate>,
    pub(super) capacity: Arc<CapacityGate>,
    pub(super) budget: Arc<BudgetGate>,
    pub(super) bounds: Bounds,
    pub(super) flex_fallback: bool,
    /// How requests are sent again whose answers ended at their cap, if they are.
    pub(super) longer: Option<Longer>,
    /// When the time of the run is up.
    pub(super) deadline: Option<Instant>,
    /// Requests that have failed.
    pub(super) failures: AtomicU64,
    pub(super) result_writer: Arc<ResultWriter<Journal>>,
    /// Disconnected when no stage is left.
    pub(super) _running: Sender<()>,
}

impl Stage for SendStage {
    fn take(&self, counted: Counted, turn: Turn<'_>) {
        let Counted {
            custom_id,
            fingerprint,
            request,
            ..
        } = counted;
        self.backpressure.pass();
        self.judge.pass();
        let pass = self.link.pass();
        if let Some(error) = self.never(&request) {
            drop(turn);
            let _ = self.failed(custom_id, fingerprint, Duration::ZERO, &error);
            return;
        }
        let Some(hold) = self.claim(&request) else {
            return; // the run ends: it stays undone
        };
        match request.admit(self.wait()) {
            Ok(admitted) => {
                let sending = turn.begin();
                self.events.emit(RunEvent::Admitted(&admitted));
                self.send(custom_id, fingerprint, admitted, hold, pass, sending.held());
            }
            Err(error) => {
                drop(turn);
                let _ = self.failed(custom_id, fingerprint, Duration::ZERO, &error);
            }
        }
    }
}

impl SendStage {
    /// How every request of a run waits: until the run is stopped or its time is up, and behind
    /// interactive requests.
    fn wait(&self) -> AcquireOptions<'_> {
        let wait = AcquireOptions::new()
            .cancel(self.shutdown.token())
            .priority(Priority::Batch);
        match self.deadline {
            Some(deadline) => wait.deadline(deadline),
            None => wait,
        }
    }

    /// Waits until a request fits into what the run may take. `None` when the run ends before it
    /// does, or because it never will.
    fn claim(&self, request: &Prepared) -> Option<BudgetHold> {
        match self.budget.claim(request) {
            Ok(hold) => Some(hold),
            Err(Refused::Ending) => None,
            Err(Refused::Bound(bound)) => {
                self.shutdown.stop_at(bound);
                None
            }
        }
    }

    /// Why a request will never be admitted, asked where it would have to claim something first: the
    /// first that does not fit into a budget ends the run, and this one ends nothing.
    fn never(&self, request: &Prepared) -> Option<Error> {
        if self.bounds.tokens.is_none() && self.bounds.cost.is_none() {
            return None;
        }
        let error = request.limiter().predicted_wait(request.cost()).err()?;
        matches!(error, AcquireError::TooLarge { .. }).then(|| error.into())
    }
}
