//! The end of a run's time: a thread that waits for it.

use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::Result;
use crate::batch::wait::start;

/// A thread that acts when the time is up. Dropped before, it never does.
pub(in crate::batch) struct Timer {
    _running: Sender<()>,
}

impl Timer {
    pub(in crate::batch) fn start(
        end: Instant,
        act: impl FnOnce() + Send + 'static,
    ) -> Result<Self> {
        let (running, ended) = bounded::<()>(0);
        start("paceline-deadline", move || {
            if ended.recv_deadline(end) == Err(RecvTimeoutError::Timeout) {
                act();
            }
        })?;
        Ok(Self { _running: running })
    }
}

/// How often a run is looked at: rarely enough to cost nothing.
const LOOK: Duration = Duration::from_secs(2);

/// A thread that looks at a run every now and then, until this is dropped.
pub(in crate::batch) struct LookOut {
    _running: Sender<()>,
}

impl LookOut {
    pub(in crate::batch) fn start(mut look: impl FnMut() + Send + 'static) -> Result<Self> {
        let (running, ended) = bounded::<()>(0);
        start("paceline-look-out", move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                look();
            }
        })?;
        Ok(Self { _running: running })
    }
}
