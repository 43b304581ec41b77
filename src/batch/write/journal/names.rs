//! The files that a run opens: checked to be different, inspected, moved aside.

use std::io;
use std::path::Path;

use crate::batch::fs::{
    Disk, Kind, check_output, first_free, is_same_file, resolve, sync_folder_of,
};
use crate::batch::write::output::STANDARD_OUTPUT;
use crate::{Error, Result};

/// What a run opens.
#[derive(Debug, Clone, Copy)]
pub(in crate::batch) struct Names<'a> {
    pub(in crate::batch) disk: &'a Disk,
    /// What messages call the input, and its path if it is a file.
    pub(in crate::batch) input: (&'a str, Option<&'a Path>),
    pub(in crate::batch) results: &'a Path,
    pub(in crate::batch) errors: &'a Path,
    /// The run is against a simulated API.
    pub(in crate::batch) simulated: bool,
}

impl Names<'_> {
    /// Looks whether the outputs could be opened, without a change.
    pub(in crate::batch) fn check(&self) -> Result<()> {
        self.tell_apart()?;
        for path in [self.results, self.errors] {
            if path != Path::new(STANDARD_OUTPUT) {
                let is_there = self.disk.stat(path).is_ok();
                let checked = check_output(path);
                let checked = if is_there {
                    where_allowed(checked)
                } else {
                    checked
                };
                checked?;
            }
        }
        Ok(())
    }

    pub(super) fn tell_apart(&self) -> Result<()> {
        let Self {
            input,
            results,
            errors,
            ..
        } = *self;
        for (what, path) in [("results file", results), ("errors file", errors)] {
            if input.1.is_some_and(|input| is_same_file(input, path)) {
                let message = format!("{what} {} is the input itself", path.display());
                return Err(Error::Batch(message));
            }
        }
        if is_same_file(results, errors) {
            let message = format!("results and errors are the same file {}", results.display());
            return Err(Error::Batch(message));
        }
        Ok(())
    }
}

/// In a folder without write permission no file can be replaced, but lines can be appended: a run
/// continues there, and old lines stay.
pub(super) fn where_allowed(done: Result<()>) -> Result<()> {
    match done {
        Err(Error::Io { path, source }) if source.kind() == io::ErrorKind::PermissionDenied => {
            let path = path.display();
            log::warn!(
                "{path}: its folder must not be written to ({source}): lines are appended alone"
            );
            Ok(())
        }
        done => done,
    }
}

/// Renames a file that holds something to the first free name with a number behind it. Nothing
/// is ever deleted.
pub(super) fn move_aside(disk: &Disk, path: &Path) -> Result<bool> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(false);
    }
    let fail = |error| Error::io(path, error);
    let data = disk.stat(path).map_err(fail)?;
    if data.kind != Kind::File || data.len == 0 {
        return Ok(false);
    }
    let (aside, _) = first_free(&**disk, path, "")?; // which keeps the name free
    let moved = disk.rename(&resolve(&**disk, path), &aside);
    moved.map_err(fail)?;
    sync_folder_of(&**disk, path).map_err(fail)?;
    log::info!("{} is now {}", path.display(), aside.display());
    Ok(true)
}
