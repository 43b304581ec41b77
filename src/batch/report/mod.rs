//! A run as a page: one file that needs neither network nor scripts, to be sent to a colleague.

mod axis; //   from values to places, and ticks at round numbers
mod escape; // text from elsewhere
mod flow; //   requests in flight, finished and refused, over time
mod limits; // what was granted, beside what was allowed
mod page; //   the page from top to bottom
mod plot; //   shapes, and labels beside them
mod spread; // how long things took
mod table; //  the summary and the reasons of failures
#[cfg(test)]
mod tests; //  whole pages, judged by a strict parser
mod words; //  numbers and times as people read them

use std::path::Path;

use super::fs::{system, write_whole};
use super::summary::Summary;
use crate::batch::events::history::{History, Recording};
use crate::{Error, Result};

/// A run as an HTML page: what it came to, how close it kept to its limits, how long requests waited
/// and took, what was refused and what failed. The page is one file with everything in it; it loads
/// nothing, runs no scripts, and follows the reader's choice of light or dark.
///
/// The names of models and what the server says of errors are on the page; prompts, answers and keys
/// are not. See [`History`] for an example.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{History, Report, Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let history = History::new();
/// let summary = run.record(&history).run()?;
/// Report::new(&history, &summary).note("first try").write("report.html")?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    recording: Recording,
    summary: Summary,
    note: Option<String>,
}

impl Report {
    /// A report of the run that `history` [recorded](super::Run::record) and that came to `summary`.
    #[must_use]
    pub fn new(history: &History, summary: &Summary) -> Self {
        Self {
            recording: history.recording(),
            summary: summary.clone(),
            note: None,
        }
    }

    /// Sets a few words that stand under the title, such as what the run was for. Default: none.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }

    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::page(self)
    }

    /// Writes the page to a file. What was there stays until the page is written whole.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        write_whole(&system(), path, |writer| {
            let written = writer.write_all(self.to_html().as_bytes());
            written.map_err(|error| Error::io(path, error))
        })
    }
}
