//! What limiters do while their store cannot be reached.

use std::fmt;

/// What becomes of limiters while their store cannot be reached.
///
/// ```no_run
/// use paceline::{OnStoreOutage, SharedStore};
///
/// let store = SharedStore::builder("redis://127.0.0.1:6379")
///     .on_outage(OnStoreOutage::Divide)
///     .processes(4)
///     .build()?;
/// # let _ = store;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnStoreOutage {
    /// All waiters and later calls fail with [`AcquireError::StoreDown`](crate::AcquireError::StoreDown), at once.
    Fail,
    /// Each process continues with its part: the limits divided by the number of processes that shared
    /// them in the last minute or two, from empty buckets. It reports its use to the store afterwards.
    /// The default.
    ///
    /// All together stay under the limits. A process that alone is cut off adds at most its share.
    #[default]
    Divide,
    /// What is booked already is granted, at most a horizon's worth; then all requests wait until the
    /// store is back, or until their deadline.
    Wait,
}

impl fmt::Display for OnStoreOutage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fail => "requests are refused until it can",
            Self::Divide => "each process continues with its part of the limits until it can",
            Self::Wait => "requests wait until it can",
        })
    }
}
