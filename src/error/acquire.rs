//! Why a limiter granted nothing.

use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

use super::{Error, human, per};
use crate::unit::Unit;

/// Why a limiter granted nothing: the error of every acquire.
///
/// It becomes an [`Error`] of the variant of the same name with `?`, so a program that has both needs no
/// conversion of its own.
///
/// ```
/// use paceline::{AcquireError, Cost, Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000)?);
/// let _permit = limiter.try_acquire(Cost::tokens(1_000))?;
/// match limiter.try_acquire(Cost::tokens(500)) {
///     Err(AcquireError::WouldBlock { wait }) => assert_eq!(wait.as_secs(), 29), // and some
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// The cost is above what the quota grants in its whole period, so waiting would never help.
    TooLarge {
        /// The unit of the quota that it does not fit.
        unit: Unit,
        /// What was asked for in that unit.
        cost: u64,
        /// What the quota grants in one period.
        amount: u64,
        /// The quota's period.
        period: Duration,
    },

    /// [`try_acquire`](crate::RateLimiter::try_acquire) would have had to wait this long.
    WouldBlock {
        /// The predicted wait, counted from the call.
        wait: Duration,
    },

    /// The deadline has passed, or comes before the call's turn. Returned at once when that can be
    /// predicted, otherwise when the deadline passes.
    DeadlineExceeded {
        /// The wait as it was predicted when the caller joined the queue. 0 when the deadline had
        /// passed already.
        wait: Duration,
    },

    /// The limiter has a cap on [waiters](crate::RateLimiterBuilder::max_waiters), and as many wait.
    QueueFull {
        /// How many wait.
        waiters: usize,
    },

    /// The limiter was [closed](crate::RateLimiter::close).
    Closed,

    /// The caller's [`CancelToken`](crate::CancelToken) was cancelled.
    Cancelled,

    /// A thread whose stack holds a permit of
    /// `map_limited` (`parallel::LimitedParallelIterator`) would have had to wait for another one,
    /// possibly for ever. Move the inner call out of the closure, or drop the permit before it.
    Nested,

    /// The store over which the limiter is shared cannot be reached, and nothing is to be granted
    /// without it: see `OnStoreOutage::Fail` of feature `redis`.
    StoreDown,

    /// The refill scheduler thread could not be started: the system is out of threads or memory, or the
    /// process is a child of `fork`, which has none of its parent's threads.
    Scheduler(io::Error),
}

impl AcquireError {
    /// True when the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::WouldBlock { .. }
                | Self::DeadlineExceeded { .. }
                | Self::QueueFull { .. }
                | Self::StoreDown
        )
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge {
                unit,
                cost,
                amount,
                period,
            } => write!(
                f,
                "a request of {cost} {unit} can never pass a limit of {amount} {unit} per {}",
                per(*period)
            ),
            Self::WouldBlock { wait } => {
                write!(f, "the limit is used up: {} to wait", human(*wait))
            }
            Self::DeadlineExceeded { wait } if wait.is_zero() => {
                f.write_str("the deadline has passed")
            }
            Self::DeadlineExceeded { wait } => {
                write!(f, "the deadline comes first: {} to wait", human(*wait))
            }
            Self::QueueFull { waiters } => {
                write!(f, "the wait queue is full: {waiters} wait already")
            }
            Self::Closed => f.write_str("the limiter is closed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Nested => f.write_str(
                "nested map_limited: this thread holds a permit already and must not wait for \
                 another",
            ),
            Self::StoreDown => {
                f.write_str("the store over which the limits are shared cannot be reached")
            }
            Self::Scheduler(error) => cannot_start(f, error),
        }
    }
}

pub(super) fn cannot_start(f: &mut fmt::Formatter<'_>, error: &io::Error) -> fmt::Result {
    write!(f, "cannot start the refill scheduler thread: {error}")
}

impl StdError for AcquireError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Scheduler(source) => Some(source),
            _ => None,
        }
    }
}

impl From<AcquireError> for Error {
    fn from(error: AcquireError) -> Self {
        match error {
            AcquireError::TooLarge {
                unit,
                cost,
                amount,
                period,
            } => Self::TooLarge {
                unit,
                cost,
                amount,
                period,
            },
            AcquireError::WouldBlock { wait } => Self::WouldBlock { wait },
            AcquireError::DeadlineExceeded { wait } => Self::DeadlineExceeded { wait, last: None },
            AcquireError::QueueFull { waiters } => Self::QueueFull { waiters },
            AcquireError::Closed => Self::Closed,
            AcquireError::Cancelled => Self::Cancelled,
            AcquireError::Nested => Self::Nested,
            AcquireError::StoreDown => Self::StoreDown,
            AcquireError::Scheduler(error) => Self::Scheduler(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_becomes_the_variant_of_its_name_and_keeps_message_and_source() {
        let second = Duration::from_secs(1);
        let errors = [
            AcquireError::TooLarge {
                unit: Unit::Tokens,
                cost: 9,
                amount: 5,
                period: second,
            },
            AcquireError::WouldBlock { wait: second },
            AcquireError::DeadlineExceeded { wait: second },
            AcquireError::DeadlineExceeded {
                wait: Duration::ZERO,
            },
            AcquireError::QueueFull { waiters: 3 },
            AcquireError::Closed,
            AcquireError::Cancelled,
            AcquireError::Nested,
            AcquireError::StoreDown,
            AcquireError::Scheduler(io::Error::other("no threads")),
        ];
        for error in errors {
            let name = |debug: String| debug.split([' ', '(']).next().map(str::to_owned);
            let before = (
                name(format!("{error:?}")),
                error.to_string(),
                error.source().map(ToString::to_string),
                error.is_retryable(),
            );
            let after = Error::from(error);
            let after = (
                name(format!("{after:?}")),
                after.to_string(),
                after.source().map(ToString::to_string),
                after.is_retryable(),
            );
            assert_eq!(before, after);
        }
    }
}
