//! Exit statuses, and errors as one line.

use std::process::ExitCode;

use paceline::Error;

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
    /// The server refused the account.
    Account = 3,
    /// Stopped at a bound of the caller's; the run can be resumed.
    Bound = 4,
    /// Stopped by a signal; the run can be resumed.
    Interrupted = 130,
}

impl Exit {
    /// Says what went wrong on standard error.
    pub(crate) fn of_error(error: &Error) -> Self {
        say!("paceline: {error}");
        if error.is_account_error() {
            Self::Account
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
