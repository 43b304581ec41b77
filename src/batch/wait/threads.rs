//! The threads of a run.

use std::thread;

use crate::{Error, Result};

/// Starts a thread of the run's.
pub(in crate::batch) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::Threads {
            threads: 1,
            reason: error.to_string(),
        })
}

/// The error of a run one of whose threads has panicked.
pub(in crate::batch) fn panicked(does: &str) -> Error {
    Error::Batch(format!(
        "a thread that {does} lines has panicked: see standard error"
    ))
}
