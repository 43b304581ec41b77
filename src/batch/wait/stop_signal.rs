//! The stop of a run, for threads that wait on channels.

use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::limiter::{CancelToken, Watcher};

/// Wakes threads that wait for something else, such as lines, when the run is stopped.
#[derive(Debug)]
pub(in crate::batch) struct StopSignal {
    sender: Mutex<Option<Sender<()>>>,
    /// Disconnected when the run is stopped.
    pub(in crate::batch) stopped: Receiver<()>,
}

impl StopSignal {
    pub(in crate::batch) fn on(stop: &CancelToken) -> Arc<Self> {
        let (sender, stopped) = bounded(0);
        let stop_signal = Arc::new(Self {
            sender: Mutex::new(Some(sender)),
            stopped,
        });
        stop.watch(&(Arc::downgrade(&stop_signal) as Weak<dyn Watcher>));
        if stop.is_cancelled() {
            stop_signal.cancelled(); // cancelled before the watch began: the token will not call
        }
        stop_signal
    }
}

impl Watcher for StopSignal {
    fn cancelled(&self) {
        self.sender.lock().take(); // disconnects `stopped`, for every thread that listens
    }
}
