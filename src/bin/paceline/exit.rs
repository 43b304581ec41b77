//! Exit statuses, and errors as one line.

use std::process::ExitCode;

use paceline::Error;
use paceline::batch::{Ending, Summary};

use crate::advice::advice;
use crate::say::say;

/// How the command ends. Its numbers are part of the command's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything succeeded.
    Success = 0,
    /// Some requests failed.
    SomeFailed = 1,
    /// Wrong usage, or a file that cannot be used.
    Usage = 2,
    /// Nothing can succeed: an account error, a server that is never reached, failures that are all
    /// alike. The run can be resumed.
    Refused = 3,
    /// Stopped at a bound of the caller's; the run can be resumed.
    Bound = 4,
    /// Stopped by Ctrl-C or the end of the terminal; the run can be resumed.
    Interrupted = 130,
    /// Stopped by SIGTERM; the run can be resumed.
    Terminated = 143,
}

impl Exit {
    /// What a run came to that ended without an error of its own; `stopped` is how a signal ends it.
    pub(crate) fn of_summary(summary: &Summary, stopped: Self) -> Self {
        match summary.ending {
            Ending::AccountError(_)
            | Ending::Forbidden(_)
            | Ending::SameFailure(_)
            | Ending::Unreachable(_)
            | Ending::Certificate(_) => Self::Refused,
            Ending::Bound(_) => Self::Bound,
            Ending::Interrupted => stopped,
            _ if summary.failed > 0 => Self::SomeFailed,
            _ => Self::Success,
        }
    }

    /// Says what went wrong on standard error.
    pub(crate) fn of_error(error: &Error) -> Self {
        say!("paceline: {error}");
        if let Some(advice) = advice(error) {
            say!("paceline: {advice}");
        }
        if error.is_account_error() {
            Self::Refused
        } else {
            Self::Usage
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
