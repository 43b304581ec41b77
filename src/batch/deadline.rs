//! The end of a run's time: a thread that waits for it, and lanes for which it came already.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::count::start;
use crate::Result;

/// A thread that acts when the time is up. Dropped before, it never does.
pub(super) struct Timer {
    _running: Sender<()>,
}

impl Timer {
    pub(super) fn start(end: Instant, act: impl FnOnce() + Send + 'static) -> Result<Self> {
        let (running, ended) = bounded::<()>(0);
        start("paceline-deadline", move || {
            if ended.recv_deadline(end) == Err(RecvTimeoutError::Timeout) {
                act();
            }
        })?;
        Ok(Self { _running: running })
    }
}

/// How many lanes can still admit something before the deadline.
#[derive(Debug, Default)]
pub(super) struct OpenLanes(AtomicUsize);

impl OpenLanes {
    pub(super) fn open(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes note that the next request of a lane would come too late; true when that was the
    /// last lane, and nothing more can be begun.
    pub(super) fn close(&self) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) == 1
    }
}
