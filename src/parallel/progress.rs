//! How far a map has come.

use crate::{Error, Result};

/// How far a map has come, counted in items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Items whose closure has returned, failed ones included. It grows by 1 from report to
    /// report. After an early stop it stays below the total.
    pub done: usize,
    /// Those of them whose closure returned an error. 0 in a map whose closure cannot fail.
    pub failed: usize,
    /// All items, when the iterator knows their number beforehand.
    pub total: Option<usize>,
}

/// What came of one item, as far as it matters to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    Failed,
    /// Failed in a way that every other item would, too.
    Hopeless,
}

impl Outcome {
    pub(super) fn of<R>(result: &Result<R>) -> Self {
        match result {
            Ok(_) => Self::Succeeded,
            Err(error) if Error::is_account_error(error) => Self::Hopeless,
            Err(_) => Self::Failed,
        }
    }
}
