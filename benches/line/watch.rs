//! An end for what hangs: a wake-up that a limiter loses must not stop a benchmark for ever.

use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::Builder;
use std::time::Duration;

use crate::Result;

/// Much longer than any part takes.
const AT_MOST: Duration = Duration::from_secs(5 * 60);

/// While it lives, time is running.
pub(crate) struct Watch {
    _over: Sender<()>,
}

impl Watch {
    /// Ends the process with an error unless this is dropped in time.
    pub(crate) fn over(part: &'static str) -> Result<Self> {
        let (over, until) = mpsc::channel::<()>();
        let watch = move || {
            if until.recv_timeout(AT_MOST) == Err(RecvTimeoutError::Timeout) {
                let minutes = AT_MOST.as_secs() / 60;
                eprintln!("line: {part}: not over after {minutes} minutes, so something hangs");
                process::exit(1);
            }
        };
        Builder::new().name("watch".to_owned()).spawn(watch)?;
        Ok(Self { _over: over })
    }
}
