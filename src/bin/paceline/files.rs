//! The files of a run, held against one another before any is opened.

use std::path::Path;

use paceline::Result;
use paceline::batch::{check_output, is_same_file};

use crate::args;
use crate::input::read_files;
use crate::mistake::mistake;

/// Checks, before anything is sent, that each output can be written and overwrites no other file. It
/// compares files by identity, not by the spelling of their paths.
///
/// # Errors
///
/// [`Config`](paceline::Error::Config) when an output is another one, or something that the run reads; [`Io`](paceline::Error::Io) when it
/// cannot be written.
pub(crate) fn check(arguments: &args::Run, results: &Path, errors: &Path) -> Result<()> {
    let mut taken = read_files(arguments);
    let input = taken.first().copied();
    let later = [
        ("--extract", arguments.shape.extract.as_deref()),
        ("--summary", arguments.summary.as_deref()),
        ("--report", arguments.report.as_deref()),
    ];
    let outputs = [("--output", Some(results)), ("--errors", Some(errors))];
    for (flag, path) in outputs.into_iter().chain(later) {
        let Some(path) = path else {
            continue;
        };
        if let Some(other) = taken.iter().find(|other| is_same_file(other, path)) {
            let is_journal = flag == "--output" || flag == "--errors";
            let message = match () {
                () if is_journal && Some(*other) == input => {
                    format!(
                        "{flag} {} is the input itself; name another file",
                        path.display()
                    )
                }
                () if is_journal && *other == results => format!(
                    "--output and --errors are the same file {}; name two files",
                    results.display()
                ),
                () => format!(
                    "{flag} would overwrite {}; name another file",
                    other.display()
                ),
            };
            return Err(mistake(message));
        }
        taken.push(path);
    }
    for (_, path) in later {
        match path {
            Some(path) if path != Path::new("-") => check_output(path)?,
            _ => {}
        }
    }
    Ok(())
}
