//! How a run stands, by its files: from another terminal, or another machine over a shared folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Extracted;
use super::index::Index;
use crate::Result;
use crate::batch::budget::earlier::Spent;
use crate::batch::budget::prices::Prices;
use crate::batch::fs::{How, lock, system};
use crate::batch::input::{Input, RowFormat};
use crate::batch::money::Money;

/// How a run stands, by its files of results and errors. Nothing is changed, and the run continues.
///
/// ```no_run
/// use paceline::batch::RunStatus;
///
/// let status = RunStatus::read("reviews.results.jsonl", "reviews.errors.jsonl", None)?;
/// println!("{} answers, {} failures", status.succeeded, status.failed);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunStatus {
    /// Requests with an answer. One that embeds several rows counts as these.
    pub succeeded: u64,
    /// Requests without one that have failed.
    pub failed: u64,
    /// Tokens that answers used, and attempts whose answers were lost.
    pub tokens_used: u64,
    /// What these cost. `None` without prices.
    pub cost: Option<Money>,
    /// Whether a process has the results open to write to. False on a file system without locks.
    pub is_running: bool,
    /// How long ago a line was written. `None` when there is no file of results.
    pub last_written: Option<Duration>,
}

impl RunStatus {
    /// Reads files of results and errors, either of which may be missing.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) when a file cannot be read, [`Error::Batch`](crate::Error::Batch) when it is no file of results.
    pub fn read(
        results: impl AsRef<Path>,
        errors: impl AsRef<Path>,
        prices: Option<&Prices>,
    ) -> Result<Self> {
        let (results, errors) = (results.as_ref(), errors.as_ref());
        let paths: Vec<PathBuf> = [results, errors]
            .into_iter()
            .filter(|path| path.is_file())
            .map(Path::to_owned)
            .collect();
        let index = Index::read(&paths, None, &mut Extracted::default())?;
        let spent = Spent::of_files([results, errors], prices)?.total();
        let written = paths.iter().filter_map(|path| {
            // One of the future, by the clock of another machine, says nothing.
            path.metadata().ok()?.modified().ok()?.elapsed().ok()
        });
        // Rows that cannot be embedded stand in the midst of those of a request.
        let among = if index.packs.is_empty() {
            0
        } else {
            index.bad_lines
        };
        Ok(Self {
            succeeded: index.answers.saturating_sub(among),
            failed: index.failures,
            tokens_used: spent.tokens,
            cost: prices.map(|_| spent.cost),
            is_running: is_locked(results),
            last_written: written.min(),
        })
    }
}

/// How many requests an input makes: the rows of a table, or the lines of a Batch file.
///
/// ```no_run
/// use paceline::batch::{RowFormat, count_requests};
///
/// println!("{} rows", count_requests("reviews.csv", Some(RowFormat::Csv))?);
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) and [`Error::Input`](crate::Error::Input) when it cannot be read.
pub fn count_requests(input: impl AsRef<Path>, format: Option<RowFormat>) -> Result<u64> {
    let input = Input::for_ids(input.as_ref(), format, None, None)?;
    let Some(mut records) = input.look()? else {
        return Ok(0);
    };
    let mut count = 0;
    while super::rows::advance(&mut records)? {
        count += 1;
    }
    Ok(count)
}

/// Whether a run has its file locked. The lock is let go of at once if it can be had, so that a run that begins at
/// this moment gets it.
fn is_locked(path: &Path) -> bool {
    let file = system().open(path, How::Read);
    file.is_ok_and(|file| lock(&*file, path).is_err())
}
