//! Exit statuses, and errors as one line.

use std::process::ExitCode;

use paceline::Error;
use paceline::batch::{StopReason, Summary};

use crate::advice::advice;
use crate::mask;
use crate::say::{self, error};

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
    /// Stopped at a bound of the caller's, or by a wait of more than a day; the run can be resumed.
    Bound = 4,
    /// Stopped by Ctrl-C or the end of the terminal; the run can be resumed.
    Interrupted = 130,
    /// Stopped by SIGTERM; the run can be resumed.
    Terminated = 143,
}

impl Exit {
    /// What a run came to that ended without an error of its own; `stopped` is how a signal ends it.
    pub(crate) fn of_summary(summary: &Summary, stopped: Self) -> Self {
        Self::of_ending(&summary.ending, summary.failed > 0, stopped)
    }

    fn of_ending(ending: &StopReason, has_failures: bool, stopped: Self) -> Self {
        match ending {
            StopReason::AccountError(_)
            | StopReason::Forbidden(_)
            | StopReason::SameFailure(_)
            | StopReason::Unreachable(_)
            | StopReason::Certificate(_) => Self::Refused,
            StopReason::Bound(_) | StopReason::LongWait(_) => Self::Bound,
            StopReason::Interrupted => stopped,
            _ if has_failures => Self::SomeFailed,
            _ => Self::Success,
        }
    }

    /// Says what is wrong with the command line, or prints what it asked for: help or the version.
    pub(crate) fn of_usage(error: &clap::Error) -> Self {
        if !error.use_stderr() {
            // Nothing that was typed stands in it.
            return match error.print() {
                Ok(()) => Self::Success,
                // The reader closed the pipe.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Self::Success,
                Err(_) => Self::Usage,
            };
        }
        say::text(&mask::typed(&error.render().to_string()));
        if error.kind() == clap::error::ErrorKind::InvalidSubcommand {
            error!("paceline: to send the requests of a file: paceline run FILE");
        }
        Self::Usage
    }

    /// Says what went wrong on standard error.
    pub(crate) fn of_error(error: &Error) -> Self {
        error!("paceline: {}", mask::typed(&error.to_string()));
        if let Some(advice) = advice(error) {
            error!("paceline: {advice}");
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline::batch::{Bound, Money};

    use super::*;

    #[test]
    fn the_exit_statuses_are_those_of_the_page_of_outcomes() {
        const PAGE: &str = include_str!("../../../docs/outcomes.md");
        let reason = String::new;
        let zero = Money::default();
        let endings = [
            StopReason::Finished,
            StopReason::AccountError(reason()),
            StopReason::Forbidden(reason()),
            StopReason::SameFailure(reason()),
            StopReason::Unreachable(reason()),
            StopReason::Certificate(reason()),
            StopReason::LongWait(reason()),
            StopReason::Bound(Bound::Tokens {
                budget: 1,
                used: 0,
                needed: 2,
            }),
            StopReason::Bound(Bound::Cost {
                budget: zero,
                used: zero,
                needed: zero,
            }),
            StopReason::Bound(Bound::Failures { most: 1 }),
            StopReason::Bound(Bound::Deadline {
                after: Duration::ZERO,
            }),
            StopReason::Interrupted,
        ];
        let table = PAGE
            .lines()
            .skip_while(|line| !line.starts_with("| ending"));
        let rows = table.skip(2).take_while(|line| line.starts_with('|'));
        let rows: Vec<Vec<_>> = rows
            .map(|row| row.split('|').map(str::trim).collect())
            .collect();
        // A row that is missing in this list would have an untested status.
        assert_eq!(rows.len(), endings.len());
        for (row, ending) in rows.iter().zip(endings) {
            assert_eq!(row[1], format!("`{}`", ending.name()));
            let status = |has_failures, stopped| {
                let exit = Exit::of_ending(&ending, has_failures, stopped);
                (exit as u8).to_string()
            };
            let numbers: Vec<_> = row[2].split(|it: char| !it.is_ascii_digit()).collect();
            let mut numbers: Vec<_> = numbers.into_iter().filter(|it| !it.is_empty()).collect();
            let mut found = vec![
                status(false, Exit::Interrupted),
                status(true, Exit::Interrupted),
                status(false, Exit::Terminated),
            ];
            numbers.sort_unstable();
            found.sort_unstable();
            found.dedup();
            assert_eq!(numbers, found, "{}", row[1]);
        }
    }
}
