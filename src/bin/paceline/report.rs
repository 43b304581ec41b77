//! `--report`: a run as a page.

use std::path::Path;

use paceline::Result;
use paceline::batch::{History, Report, Run, Summary};

use crate::args;
use crate::mistake::mistake;
use crate::say::say;

/// Records a run, if there is to be a report of it.
pub(crate) struct Recorder<'a> {
    file: Option<(&'a Path, History)>,
    is_simulated: bool,
}

impl<'a> Recorder<'a> {
    /// # Errors
    ///
    /// [`Config`](paceline::Error::Config) where the report would go to standard output.
    pub(crate) fn of(arguments: &'a args::Run) -> Result<Self> {
        let path = arguments.report.as_deref();
        if path == Some(Path::new("-")) {
            let message = "--report -: name a file".to_owned();
            return Err(mistake(message));
        }
        Ok(Self {
            file: path.map(|path| (path, History::new())),
            is_simulated: arguments.simulate,
        })
    }

    pub(crate) fn record(&self, run: Run) -> Run {
        match &self.file {
            Some((_, history)) => run.record(history),
            None => run,
        }
    }

    pub(crate) fn write(&self, summary: &Summary) -> Result<()> {
        let Some((path, history)) = &self.file else {
            return Ok(());
        };
        let mut report = Report::new(history, summary);
        if self.is_simulated {
            report = report.note("against the built-in simulated API");
        }
        report.write(path)?;
        say!("report in {}", path.display());
        Ok(())
    }
}
