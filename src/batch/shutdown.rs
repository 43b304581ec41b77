//! The stop of a run, and why it was stopped.

use std::sync::Arc;

use parking_lot::Mutex;

use super::budget::bounds::Bound;
use super::summary::StopReason;
use crate::Error;
use crate::limiter::CancelToken;

/// Stops a run, and keeps why: of each kind of cause the first one.
pub(super) struct Shutdown {
    token: CancelToken,
    causes: Mutex<Causes>,
}

/// Why a run ended before its time, if it did.
#[derive(Debug, Default)]
pub(super) struct Causes {
    /// What the run fails with.
    pub(super) failure: Option<Error>,
    /// A cause that every other request would meet.
    pub(super) cause: Option<StopReason>,
    pub(super) bound: Option<Bound>,
}

impl Shutdown {
    /// The shutdown of a run that `token` stops.
    pub(super) fn new(token: &CancelToken) -> Arc<Self> {
        Arc::new(Self {
            token: token.clone(),
            causes: Mutex::default(),
        })
    }

    /// The token that stops the run.
    pub(super) fn token(&self) -> &CancelToken {
        &self.token
    }

    pub(super) fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The run will fail with this error. It still runs what was read before.
    pub(super) fn fail(&self, error: Error) {
        self.causes.lock().failure.get_or_insert(error);
    }

    /// Stops the run with an error.
    pub(super) fn fail_now(&self, error: Error) {
        self.fail(error);
        self.token.cancel();
    }

    /// Stops the run: no request can succeed.
    pub(super) fn stop_for(&self, cause: StopReason) {
        self.causes.lock().cause.get_or_insert(cause);
        self.token.cancel();
    }

    /// The same, unless the run is stopped already: then what stopped it is reported.
    pub(super) fn stop_first_for(&self, cause: StopReason) {
        if !self.has_begun() {
            self.stop_for(cause);
        }
    }

    /// Stops the run at a bound.
    pub(super) fn stop_at(&self, bound: Bound) {
        self.meet(bound);
        self.token.cancel();
    }

    /// Something stays undone because of a bound; the rest may still fit.
    pub(super) fn meet(&self, bound: Bound) {
        if !self.has_begun() {
            self.causes.lock().bound.get_or_insert(bound);
        }
    }

    /// Why the run ended, at its end.
    pub(super) fn take(&self) -> Causes {
        std::mem::take(&mut *self.causes.lock())
    }
}
