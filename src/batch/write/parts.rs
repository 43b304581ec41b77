//! What a writer needs, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::events::Events;
use crate::batch::record::Record;
use crate::batch::write::backpressure::WriteBackpressure;
use crate::batch::write::output::Stream;
use crate::limiter::Clock;
use crate::{Error, Result};

/// Where outcomes go.
pub(in crate::batch) trait Sink {
    /// Writes all of a record, or nothing of it.
    fn write(&mut self, record: &Record) -> Result<()>;
    /// False when a record that could not be written may stand there in part.
    fn may_try_again(&mut self, record: &Record) -> bool;
    /// Waits until everything is on the disk.
    fn sync(&mut self) -> Result<()>;
    /// Where results or failures go if that is no file: a thread writes its record there first.
    fn stream(&self, _succeeded: bool) -> Option<Stream> {
        None
    }
}

/// For how long what is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) struct Times {
    /// From the first line that is not on the disk to putting it there.
    pub(in crate::batch) sync_every: Duration,
    /// From the first line that cannot be written to giving up.
    pub(in crate::batch) disk_full_timeout: Duration,
    /// From the stop to abandoning the requests in flight.
    pub(in crate::batch) grace: Duration,
    /// From one try to write to the next.
    pub(in crate::batch) retry_every: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            sync_every: Duration::from_secs(1),
            disk_full_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(120),
            retry_every: Duration::from_secs(1),
        }
    }
}

/// What a writer needs to know and to tell.
pub(in crate::batch) struct Writing {
    pub(in crate::batch) times: Times,
    pub(in crate::batch) clock: Clock,
    pub(in crate::batch) events: Arc<Events>,
    /// Whether answers are simulated, which each line says.
    pub(in crate::batch) simulated: bool,
    pub(in crate::batch) backpressure: WriteBackpressure,
    /// Stops the run.
    pub(in crate::batch) stop: Box<dyn Fn() + Send>,
    /// Whether nothing in flight can have an answer: a run that is stopped then waits for none.
    pub(in crate::batch) is_hopeless: Box<dyn Fn() -> bool + Send>,
}

/// How writing ended.
#[derive(Debug, Default)]
pub(in crate::batch) struct Written {
    /// Requests still in flight when the grace period ended.
    pub(in crate::batch) abandoned: u64,
    /// What could not be written or synced, if anything.
    pub(in crate::batch) failure: Option<Error>,
}
