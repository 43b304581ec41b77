//! What errors say, and what caused them.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::acquire::{self, AcquireError};
use super::{ApiError, Error};

// By hand: the derive macro of the field would be a third of all crates that the limiter compiles.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::TooLarge {
                unit,
                cost,
                amount,
                period,
            } => AcquireError::TooLarge {
                unit: *unit,
                cost: *cost,
                amount: *amount,
                period: *period,
            }
            .fmt(f),
            Self::WouldBlock { wait } => AcquireError::WouldBlock { wait: *wait }.fmt(f),
            Self::DeadlineExceeded { wait, last } => {
                AcquireError::DeadlineExceeded { wait: *wait }.fmt(f)?;
                match last {
                    Some(last) => write!(f, ", after: {last}"),
                    None => Ok(()),
                }
            }
            Self::QueueFull { waiters } => AcquireError::QueueFull { waiters: *waiters }.fmt(f),
            Self::Closed => AcquireError::Closed.fmt(f),
            Self::Cancelled => AcquireError::Cancelled.fmt(f),
            Self::Nested => AcquireError::Nested.fmt(f),
            Self::StoreDown => AcquireError::StoreDown.fmt(f),
            Self::Scheduler(error) => acquire::cannot_start(f, error),
            Self::Threads { threads, reason } => {
                write!(f, "cannot start {threads} worker threads: {reason}")
            }
            Self::Batch(message) | Self::Input { message, .. } => f.write_str(message),
            Self::InvalidRequest(message) => write!(f, "invalid request: {message}"),
            Self::Api(error) => error.fmt(f),
            Self::Transport { url, message, .. } => write!(f, "{url}: {message}"),
            Self::InvalidResponse { url, message } => {
                write!(f, "{url}: malformed response: {message}")
            }
            Self::Stopped => {
                f.write_str("not sent: an earlier request met an error that stops the whole run")
            }
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::OtherAnswers {
                file,
                others,
                same,
                by_position,
            } => f.write_str(&other_answers(file, *others, *same, *by_position)),
            Self::SimulatedAnswers { file, simulated } => {
                f.write_str(&simulated_answers(file, *simulated))
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::DeadlineExceeded {
                last: Some(last), ..
            } => Some(last.as_ref()),
            Self::Scheduler(source)
            | Self::Io { source, .. }
            | Self::Transport {
                source: Some(source),
                ..
            } => Some(source),
            _ => None,
        }
    }
}

impl From<Box<ApiError>> for Error {
    fn from(error: Box<ApiError>) -> Self {
        Self::Api(error)
    }
}

fn other_answers(file: &Path, others: u64, same: u64, by_position: bool) -> String {
    let plural = if others == 1 { "" } else { "s" };
    let same = match same {
        0 => String::new(),
        same => format!(" and {same} to these"),
    };
    let moved = match by_position {
        true => {
            "; ids are numbers of rows here, so rows that moved have others: let a column hold them"
        }
        false => "",
    };
    format!(
        "{} holds {others} answer{plural} to other requests{same}: the prompt, the model, a setting or \
         the input has changed since; nothing was sent{moved}",
        file.display()
    )
}

fn simulated_answers(file: &Path, simulated: bool) -> String {
    let (found, run) = match simulated {
        true => ("of a simulated API", "a real one"),
        false => ("of a real API", "a simulated one"),
    };
    format!(
        "{} holds answers {found}, and this run is against {run}; nothing was sent",
        file.display()
    )
}

/// A duration as a person reads it: one decimal, in the unit that fits.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1_000.0)
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else if seconds < 7_200.0 {
        format!("{:.1} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}

/// A period as it stands behind "per".
pub(crate) fn per(period: Duration) -> String {
    match (period.as_secs(), period.subsec_nanos()) {
        (1, 0) => "second".to_owned(),
        (60, 0) => "minute".to_owned(),
        (3_600, 0) => "hour".to_owned(),
        (86_400, 0) => "day".to_owned(),
        _ => human(period),
    }
}
