//! What maps promise. No test looks at a clock: what must run at the same time meets at a
//! barrier, and what hangs is found by [`in_time`].

#![allow(clippy::disallowed_methods, reason = "these tests start threads")]

mod limited;
mod nesting;
mod panics;
mod results;
mod stopping;
mod threads;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::Workers;
use crate::{ApiError, Error, ErrorKind};

/// Runs `test` in a thread of its own, and fails when it hangs. The limit is far beyond what
/// the slowest machine needs; only a deadlock reaches it.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    match finished.recv_timeout(Duration::from_secs(60)) {
        Err(RecvTimeoutError::Timeout) => panic!("a deadlock"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn workers(threads: usize) -> Workers {
    Workers::new(threads).unwrap()
}

fn api_error(kind: ErrorKind) -> Error {
    Error::Api(Box::new(ApiError {
        kind,
        status: 401,
        effective_status: None,
        message: String::new(),
        error_type: None,
        code: None,
        request_id: None,
        retry_after: None,
        body: None,
    }))
}

fn account_error() -> Error {
    api_error(ErrorKind::Account)
}
