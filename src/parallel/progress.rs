//! How far a map has come.

use serde::Serialize;

use super::Skipped;

/// How far a map has come, counted in items.
///
/// ```
/// use paceline::parallel;
///
/// let lengths = parallel::options()
///     .on_progress(|progress| println!("{} of {:?}", progress.done, progress.total))
///     .map(["one", "three"], str::len);
/// assert_eq!(lengths, Ok(vec![3, 5]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Items whose closure has returned, failed ones included. It grows by 1 from report to
    /// report. After an early end it stays below the total.
    pub done: usize,
    /// Those of them whose closure returned an error. 0 in a map whose closure cannot fail.
    pub failed: usize,
    /// All items, when the iterator knows their number beforehand.
    pub total: Option<usize>,
}

/// How a map ended whose results were handed out one by one: see
/// [`for_each_result`](super::for_each_result).
///
/// ```
/// use paceline::parallel::{self, MapSummary};
///
/// let summary: MapSummary =
///     parallel::for_each_result(1..=3, |item: u32| Ok::<_, paceline::Error>(item), |_, _| {});
/// assert_eq!((summary.done, summary.failed), (3, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MapSummary {
    /// Items whose closure has returned, failed ones included.
    pub done: usize,
    /// Those of them whose closure returned an error.
    pub failed: usize,
    /// What ended the map early. `None` when the iterator was run to its end.
    pub skipped: Option<Skipped>,
}
