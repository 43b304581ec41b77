//! `--report`: a run as a page.

use std::path::Path;

use paceline::batch::{History, Report, Run, Summary};
use paceline::{Error, Result};

use crate::args;
use crate::say::say;
use crate::summary::check;

/// Records a run, if there is to be a report of it.
pub(crate) struct Recorder<'a> {
    file: Option<(&'a Path, History)>,
    is_simulated: bool,
}

impl<'a> Recorder<'a> {
    /// Says that the report cannot be written before anything is sent. It must not overwrite the
    /// files that are `taken`.
    pub(crate) fn of(arguments: &'a args::Run, taken: &[&Path]) -> Result<Self> {
        let path = arguments.report.as_deref();
        if let Some(path) = path {
            if path == Path::new("-") {
                let message = "--report -: name a file".to_owned();
                return Err(Error::Config(message));
            }
            let summary = arguments.summary.as_deref();
            let taken: Vec<_> = taken.iter().copied().chain(summary).collect();
            check("--report", path, &taken)?;
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
