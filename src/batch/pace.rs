//! Pacing: for each limiter one thread that admits its requests in turn.
//!
//! A request is admitted before a sending thread is taken, so threads wait for the network and
//! not in the line; and one model that waits for its tokens holds up no other.

use std::collections::HashMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::count::{Counted, start};
use super::record::Record;
use super::run::{Outcome, Shared};
use super::send::{Job, Senders};
use crate::{Error, Result};

/// Requests that are counted and not admitted yet, at most, for each limiter. When the queue of
/// one is full, reading waits for it.
const QUEUE: usize = 4_096;

/// The lanes of all limiters.
///
/// # Locking
///
/// The map is locked to look up or add a lane, not while a request waits to get into it.
pub(super) struct Lanes {
    shared: Arc<Shared>,
    senders: Arc<Senders>,
    queues: Mutex<HashMap<String, Sender<Counted>>>,
}

impl Lanes {
    pub(super) fn new(shared: Arc<Shared>, senders: Senders) -> Self {
        Self {
            shared,
            senders: Arc::new(senders),
            queues: Mutex::default(),
        }
    }

    /// Puts a request into the lane of its limiter.
    pub(super) fn put(&self, counted: Counted) -> Result<()> {
        let table = self.shared.client.registry().table();
        let queue = self.queue(table.family_of(counted.request.model()))?;
        // A lane that has ended stops with the run; its requests stay undone.
        let _ = queue.send(counted);
        Ok(())
    }

    fn queue(&self, family: &str) -> Result<Sender<Counted>> {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get(family) {
            return Ok(queue.clone());
        }
        let (queue, waiting) = bounded(QUEUE);
        let (shared, senders) = (Arc::clone(&self.shared), Arc::clone(&self.senders));
        start("paceline-pace", move || pace(&shared, &senders, &waiting))?;
        queues.insert(family.to_owned(), queue.clone());
        Ok(queue)
    }
}

fn pace(shared: &Shared, senders: &Senders, waiting: &Receiver<Counted>) {
    let wait = shared.wait();
    for Counted {
        custom_id, request, ..
    } in waiting
    {
        let cost = request.cost();
        let Some(claim) = shared.claim(&request) else {
            return; // at a bound, or stopped: it stays undone, too
        };
        match request.admit(wait) {
            Ok(admitted) => {
                shared.watch.admitted(cost);
                senders.send(Job {
                    custom_id,
                    admitted,
                    claim,
                });
            }
            // The request stays undone, for the next run.
            Err(Error::Cancelled) => return,
            Err(Error::DeadlineExceeded { .. }) => return shared.is_out_of_time(),
            Err(error) => shared.finish(Outcome::failed(Record::failure(custom_id, &error))),
        }
    }
}
