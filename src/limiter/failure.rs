//! Why a limiter grants nothing to any waiter.

use crate::AcquireError;

/// What ends all waits at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The limiter is closed.
    Closed,
    /// The store cannot be reached that the limits are shared over.
    #[cfg(feature = "redis")]
    StoreDown,
}

impl From<Failure> for AcquireError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed => Self::Closed,
            #[cfg(feature = "redis")]
            Failure::StoreDown => Self::StoreDown,
        }
    }
}
