//! Why an item of a map has no result.

use std::error;
use std::fmt;

use serde::Serialize;

use crate::Error;

/// Why an item of a map has no result: its closure failed, or was never called.
///
/// With `?` it becomes a [`paceline::Error`](crate::Error) where the closure returns those, or a
/// `Box<dyn Error>`.
///
/// ```
/// use paceline::parallel::{self, MapError};
///
/// let numbers = parallel::try_map(["1", "two"], |text| text.parse::<u32>());
/// for (line, number) in numbers.iter().enumerate() {
///     match number {
///         Ok(number) => println!("{number}"),
///         Err(MapError::Failed(error)) => println!("line {line}: {error}"),
///         Err(MapError::Skipped(reason)) => println!("line {line} was not read: {reason}"),
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MapError<E> {
    /// The closure returned this error.
    Failed(E),
    /// The map ended before the closure was called. Nothing was done for this item.
    Skipped(Skipped),
}

impl<E> MapError<E> {
    /// The closure's error, if it was called.
    #[must_use]
    pub fn failed(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Skipped(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for MapError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Skipped(reason) => reason.fmt(f),
        }
    }
}

/// Transparent: the source is the source of the closure's error.
impl<E: error::Error + 'static> error::Error for MapError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::Skipped(_) => None,
        }
    }
}

impl From<MapError<Error>> for Error {
    fn from(error: MapError<Error>) -> Self {
        match error {
            MapError::Failed(error) => error,
            MapError::Skipped(reason) => reason.into(),
        }
    }
}

/// What ended a map before its last item.
///
/// ```
/// use paceline::CancelToken;
/// use paceline::parallel::{self, Skipped};
///
/// let token = CancelToken::new();
/// token.cancel();
/// let squares = parallel::options().cancel(&token).map(1..=3, |number| number * number);
/// assert_eq!(squares, Err(Skipped::Cancelled));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Skipped {
    /// An earlier item failed in a way that [stops the map](super::MapOptions::stop_when).
    Stopped,
    /// The [deadline](super::MapOptions::deadline) passed.
    DeadlineExceeded,
    /// The [token](super::MapOptions::cancel) was cancelled.
    Cancelled,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "not started: an earlier item failed in a way that stops the map",
            Self::DeadlineExceeded => "not started: the deadline had passed",
            Self::Cancelled => "not started: cancelled",
        })
    }
}

impl error::Error for Skipped {}

impl From<Skipped> for Error {
    fn from(reason: Skipped) -> Self {
        match reason {
            Skipped::Stopped => Self::Stopped,
            Skipped::DeadlineExceeded => Self::DeadlineExceeded {
                wait: std::time::Duration::ZERO,
                last: None,
            },
            Skipped::Cancelled => Self::Cancelled,
        }
    }
}
