//! Sending: threads that wait for answers. As many as were ever needed at once, up to a bound.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::count::start;
use super::finished::Effort;
use super::gate::Claim;
use super::record::Record;
use super::run::{Outcome, Shared};
use crate::{Admitted, Error};

/// A request on its way to a thread.
pub(super) struct Job {
    pub(super) custom_id: String,
    pub(super) admitted: Admitted,
    pub(super) claim: Claim,
}

/// The sending threads.
///
/// # Locking
///
/// Jobs are handed over, not queued: an offer is taken only by a thread that waits for one. When
/// none does, another is started, with the count of them locked so that the bound holds.
pub(super) struct Senders {
    shared: Arc<Shared>,
    offer: Sender<Job>,
    take: Receiver<Job>,
    started: Mutex<usize>,
    most: usize,
}

impl Senders {
    pub(super) fn new(shared: Arc<Shared>, most: usize) -> Self {
        let (offer, take) = bounded(0);
        Self {
            shared,
            offer,
            take,
            started: Mutex::new(0),
            most: most.max(1),
        }
    }

    /// Hands a job to a thread: one that waits, a new one, or the next to get free.
    pub(super) fn send(&self, job: Job) {
        let Err(TrySendError::Full(job)) = self.offer.try_send(job) else {
            return;
        };
        if let Err(error) = self.start_another() {
            // The system is out of threads. Those that there are do it, or else this one.
            log::warn!("{error}");
            if *self.started.lock() == 0 {
                return perform(&self.shared, job);
            }
        }
        // The receiver lives in `self`, so this does not fail.
        let _ = self.offer.send(job);
    }

    fn start_another(&self) -> crate::Result<()> {
        let mut started = self.started.lock();
        if *started < self.most {
            let (shared, take) = (Arc::clone(&self.shared), self.take.clone());
            start("paceline-send", move || {
                take.iter().for_each(|job| perform(&shared, job));
            })?;
            *started += 1;
        }
        Ok(())
    }
}

fn perform(shared: &Shared, job: Job) {
    let Job {
        custom_id,
        admitted,
        claim,
    } = job;
    if shared.stop.is_cancelled() {
        // It came too late, after a wait for a free thread: it stays undone.
        return admitted.withdraw();
    }
    shared.watch.begun();
    let mut effort = Effort {
        waited: admitted.waited(),
        ..Effort::default()
    };
    let result = admitted.send(shared.wait());
    shared.watch.ended();
    let outcome = match result {
        Ok(response) => {
            effort.cost = shared.charge(claim, response.usage);
            effort.attempts = Some(response.attempts);
            effort.waited = response.waited;
            Outcome {
                usage: response.usage,
                record: Record::success(custom_id, response),
                effort,
            }
        }
        // Between two tries when the run was stopped, or its time is up: it stays undone.
        Err(Error::Cancelled) => return,
        Err(Error::DeadlineExceeded { .. }) => return shared.is_out_of_time(),
        Err(error) => {
            claim.failed(&error);
            if error.is_account_error() {
                shared.stop_for(&error);
            }
            Outcome {
                effort,
                ..Outcome::failed(Record::failure(custom_id, &error))
            }
        }
    };
    shared.finish(outcome);
}
