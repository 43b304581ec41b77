//! Decides whether failures are of single requests or of all: see [`CommonCause`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use super::common_cause::{Cause, CommonCause, End};
use super::hold::{Hold, Holds};
use crate::limiter::{CancelToken, Watcher};

/// Takes how each request ends. While it suspects a common cause, no request begins.
///
/// # Locking
///
/// A waiting thread checks the suspicion and the token under the lock under which both notify. The
/// flag saves the lock while there is no suspicion: a late flag lets one more request through, which
/// does no harm.
pub(super) struct Judge {
    cause: Mutex<CommonCause>,
    is_suspicious: AtomicBool,
    changed: Condvar,
    /// Whether the run continues whatever the cause.
    keeps_going: bool,
    holds: Holds,
    stop: CancelToken,
}

impl Judge {
    pub(super) fn new(
        has_succeeded: bool,
        keeps_going: bool,
        holds: Holds,
        stop: &CancelToken,
    ) -> Arc<Self> {
        let judge = Arc::new(Self {
            cause: Mutex::new(CommonCause::new(has_succeeded)),
            is_suspicious: AtomicBool::new(false),
            changed: Condvar::new(),
            keeps_going,
            holds,
            stop: stop.clone(),
        });
        stop.watch(&(Arc::downgrade(&judge) as Weak<dyn Watcher>));
        judge
    }

    /// Waits while there is a suspicion and the run is not stopped.
    pub(super) fn pass(&self) {
        if !self.is_suspicious.load(Ordering::Relaxed) {
            return;
        }
        let mut cause = self.cause.lock();
        while self.is_suspicious.load(Ordering::Relaxed) && !self.stop.is_cancelled() {
            self.changed.wait(&mut cause);
        }
    }

    pub(super) fn begun(&self) {
        self.cause.lock().begun();
    }

    /// Takes how a request of `model` ended. Returns the cause for which the run has to stop.
    pub(super) fn ended(&self, model: &str, end: End<'_>) -> Option<Cause> {
        let mut cause = self.cause.lock();
        let stops = cause.ended(model, end);
        if self.keeps_going {
            return None;
        }
        let suspicion = cause.suspicion();
        let is_suspicious = suspicion.is_some();
        if self.is_suspicious.load(Ordering::Relaxed) != is_suspicious {
            let hold = suspicion.map(|cause| Hold::Suspicion(cause.reason().to_owned()));
            self.holds.suspicion(hold);
            self.is_suspicious.store(is_suspicious, Ordering::Relaxed);
            // Notifies under the lock: a thread between its check and its wait would miss it.
            self.changed.notify_all();
        }
        stops
    }

    /// The cause for which a run has failed that dealt with every line.
    pub(super) fn at_the_end(&self) -> Option<Cause> {
        let cause = self.cause.lock().at_the_end();
        cause.filter(|_| !self.keeps_going)
    }
}

impl Watcher for Judge {
    fn cancelled(&self) {
        // Notifies under the lock: a thread between its check and its wait would miss it.
        let _looking = self.cause.lock();
        self.changed.notify_all();
    }
}
