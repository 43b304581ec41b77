//! What ends a map before its last item.

use std::any::Any;
use std::error;
use std::time::Instant;

use super::Skipped;
use crate::Error;
use crate::limiter::{CancelToken, Clock};

/// Decides after each error whether the map continues: `true` stops it.
///
/// Every `Fn(&E) -> bool` is a rule. [`AccountErrors`] is the default.
///
/// ```
/// use paceline::parallel;
///
/// // Stops at the first error of any kind.
/// let results = parallel::options().stop_when(|_: &String| true);
/// # let _ = results;
/// ```
pub trait StopRule<E>: Sync {
    /// Whether this error would meet every other item too.
    fn stops(&self, error: &E) -> bool;
}

impl<E, F: Fn(&E) -> bool + Sync> StopRule<E> for F {
    fn stops(&self, error: &E) -> bool {
        self(error)
    }
}

/// The default [`StopRule`]: stops a map after an
/// [account error](crate::Error::is_account_error), such as a wrong key, which every other request
/// would meet too.
///
/// It sees a [`paceline::Error`](crate::Error), also in a `Box<dyn Error + Send + Sync>` or as one
/// of its sources. Errors of other types stop nothing.
///
/// ```
/// use paceline::parallel::{AccountErrors, StopRule};
/// use paceline::Error;
///
/// assert!(!AccountErrors::default().stops(&Error::Closed));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AccountErrors;

impl<E: 'static> StopRule<E> for AccountErrors {
    fn stops(&self, error: &E) -> bool {
        type Boxed = Box<dyn error::Error + Send + Sync>;
        let any = error as &dyn Any;
        if let Some(error) = any.downcast_ref::<Error>() {
            return error.is_account_error();
        }
        let mut next = any
            .downcast_ref::<Boxed>()
            .map(|error| &**error as &dyn error::Error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<Error>() {
                return error.is_account_error();
            }
            next = error.source();
        }
        false
    }
}

/// What ends a map from outside.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    pub(super) clock: Clock,
    pub(super) deadline: Option<Instant>,
    pub(super) cancel: Option<CancelToken>,
}

impl Bounds {
    /// What has ended the map by now. On a tie of time and deadline the item still begins.
    pub(super) fn passed(&self) -> Option<Skipped> {
        if self.cancel.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Some(Skipped::Cancelled);
        }
        let is_over = |deadline| self.clock.now() > deadline;
        self.deadline
            .is_some_and(is_over)
            .then_some(Skipped::DeadlineExceeded)
    }
}
