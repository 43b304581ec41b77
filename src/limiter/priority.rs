//! Whose work goes first.

/// Whose work goes first where both wait for the same limiter.
///
/// [`Interactive`](Priority::Interactive) work, for which a person waits, goes before
/// [`Batch`](Priority::Batch) work, of which there may be much. Within each, first come is first
/// served. Batch work never starves: **of any four requests granted in a row while batch work
/// waits, at least one is batch work's.** So the n-th batch request in line lets at most 3·n
/// interactive ones go ahead of it, whatever comes.
///
/// With work of one kind alone, a limiter is a plain line.
///
/// ```
/// use paceline::{Cost, Limits, Priority, RateLimiter, AcquireOptions};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// let nightly = AcquireOptions::new().priority(Priority::Batch);
/// let permit = limiter.acquire_with(Cost::tokens(1_000), nightly)?;
/// # drop(permit);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Priority {
    /// A person waits for it. The default.
    #[default]
    Interactive,
    /// It is to be done some time.
    Batch,
}

impl Priority {
    /// How many interactive requests in a row go ahead of batch work that waits.
    pub(super) const RUN: u32 = 3;
}
