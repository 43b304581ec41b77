//! The output files: what is done already, and each finished line written whole.
//!
//! The results file is the journal. Failed lines are tried again on the next start, so the errors
//! file always tells of the last run alone.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::output::{Holds, Output, STANDARD_OUTPUT};
use super::record::Record;
use crate::{Error, Result};

/// The files of a run, open and locked.
#[derive(Debug)]
pub(super) struct Journal {
    results: Output,
    errors: Output,
}

impl Journal {
    /// Opens the files for a run over `input`, and returns the ids that are finished. With
    /// `fresh`, files that hold something are moved aside first.
    pub(super) fn open(
        input: Option<&Path>,
        results: &Path,
        errors: &Path,
        fresh: bool,
    ) -> Result<(Self, HashSet<String>)> {
        let named = [("--output", results), ("--errors", errors)];
        for (flag, path) in named {
            if input.is_some_and(|input| same_file(input, path)) {
                let message = format!("{flag} {} is the input itself", path.display());
                return Err(Error::Batch(message));
            }
        }
        if same_file(results, errors) && !is_special(results) {
            let message = format!(
                "--output and --errors are the same file {}",
                results.display()
            );
            return Err(Error::Batch(message));
        }
        // Locked before anything is moved: a run that writes to it must not lose its file.
        let mut journal = Self {
            results: Output::open(results)?,
            errors: Output::open(errors)?,
        };
        if fresh {
            for (output, path) in [
                (&mut journal.results, results),
                (&mut journal.errors, errors),
            ] {
                if move_aside(path)? {
                    *output = Output::open(path)?;
                }
            }
        }
        let finished = journal.results.read(Holds::Results)?;
        // A file that holds anything but failures is not cut off.
        journal.errors.read(Holds::Failures)?;
        journal.errors.clear()?;
        Ok((journal, finished))
    }

    /// Writes a finished line to the file that it belongs in.
    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        let output = if record.succeeded {
            &mut self.results
        } else {
            &mut self.errors
        };
        output.append(record)
    }

    /// Waits until everything is on the disk.
    pub(super) fn sync(&self) -> Result<()> {
        self.results.sync()?;
        self.errors.sync()
    }
}

/// Renames a file that holds something to the first free name with a number behind it. Nothing
/// is ever deleted.
fn move_aside(path: &Path) -> Result<bool> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(false);
    }
    let fail = |error| Error::io(path, error);
    let data = fs::metadata(path).map_err(fail)?;
    if !data.is_file() || data.len() == 0 {
        return Ok(false);
    }
    let mut number = 1;
    let aside = loop {
        let mut name = OsString::from(path);
        name.push(format!(".{number}"));
        let name = PathBuf::from(name);
        if !name.exists() {
            break name;
        }
        number += 1;
    };
    fs::rename(path, &aside).map_err(fail)?;
    log::info!("{} is now {}", path.display(), aside.display());
    Ok(true)
}

/// True for what is there and is no file: a pipe, a terminal, the null device.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir())
}

/// True when two paths lead to one file, which need not exist yet.
fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(parent.join(path.file_name()?))
        })
    };
    match (real(a), real(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;
    use tempfile::TempDir;

    use super::*;
    use crate::{Cost, Response};

    struct Files {
        _dir: TempDir,
        results: PathBuf,
        errors: PathBuf,
    }

    impl Files {
        fn new() -> Self {
            let dir = TempDir::new().unwrap();
            Self {
                results: dir.path().join("r.jsonl"),
                errors: dir.path().join("e.jsonl"),
                _dir: dir,
            }
        }

        fn open(&self, fresh: bool) -> Result<(Journal, HashSet<String>)> {
            Journal::open(None, &self.results, &self.errors, fresh)
        }
    }

    fn success(id: &str) -> Record {
        let response = Response {
            status: 200,
            request_id: None,
            body: Value::Null,
            usage: None,
            charged: Cost::default(),
            attempts: 1,
            waited: Duration::ZERO,
            url: String::new(),
        };
        Record::success(id.to_owned(), response)
    }

    fn failure(id: &str) -> Record {
        Record::failure(id.to_owned(), &Error::Closed)
    }

    fn ids(of: &HashSet<String>) -> Vec<&str> {
        let mut ids: Vec<_> = of.iter().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_was_written_is_finished_on_the_next_start_and_failures_are_not() {
        let files = Files::new();
        let (mut journal, finished) = files.open(false).unwrap();
        assert!(finished.is_empty());
        journal.write(&success("a")).unwrap();
        journal.write(&success("b")).unwrap();
        journal.write(&failure("c")).unwrap();
        journal.sync().unwrap();
        drop(journal);
        assert_ne!(fs::metadata(&files.errors).unwrap().len(), 0);
        let (_journal, finished) = files.open(false).unwrap();
        assert_eq!(ids(&finished), ["a", "b"]);
        assert_eq!(
            fs::metadata(&files.errors).unwrap().len(),
            0,
            "they are tried again"
        );
    }

    #[test]
    fn a_torn_last_line_is_cut_off_unless_only_its_end_is_missing() {
        let files = Files::new();
        let (mut journal, _) = files.open(false).unwrap();
        journal.write(&success("a")).unwrap();
        journal.write(&success("b")).unwrap();
        drop(journal);
        let whole = fs::read(&files.results).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for length in first..whole.len() {
            fs::write(&files.results, &whole[..length]).unwrap();
            let mut expected = vec!["a"];
            expected.extend((length == whole.len() - 1).then_some("b"));
            let (mut journal, finished) = files.open(false).unwrap();
            assert_eq!(ids(&finished), expected, "torn after {length} bytes");
            journal.write(&success("c")).unwrap();
            drop(journal);
            expected.push("c");
            let (_journal, finished) = files.open(false).unwrap();
            assert_eq!(ids(&finished), expected, "torn after {length} bytes");
        }
    }

    #[test]
    fn a_file_that_holds_something_else_is_left_alone() {
        let files = Files::new();
        for path in [&files.results, &files.errors] {
            // Without a line end it is no torn line of ours either.
            for notes in ["my notes\n", "my notes", "{\"id\":7}"] {
                fs::write(path, notes).unwrap();
                let error = files.open(false).unwrap_err().to_string();
                assert!(
                    error.contains(".jsonl:1: not a line of an output file"),
                    "{error}"
                );
                assert_eq!(fs::read_to_string(path).unwrap(), notes);
                fs::remove_file(path).unwrap();
            }
        }
    }

    #[test]
    fn results_are_not_taken_for_failures_nor_failures_for_results() {
        let files = Files::new();
        let (mut journal, _) = files.open(false).unwrap();
        journal.write(&success("a")).unwrap();
        journal.write(&failure("b")).unwrap();
        drop(journal);
        let before = fs::read(&files.results).unwrap();
        for (results, errors) in [
            (&files.errors, &files.results),
            (&files.errors, &files.errors.with_extension("new")),
        ] {
            let error = Journal::open(None, results, errors, false).unwrap_err();
            assert!(error.to_string().contains("mixed up"), "{error}");
        }
        let unused = files.results.with_extension("new");
        let error = Journal::open(None, &unused, &files.results, false).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a result in the file for failures"),
            "{error}"
        );
        assert_eq!(fs::read(&files.results).unwrap(), before);
    }

    #[test]
    fn fresh_moves_aside_and_deletes_nothing() {
        let files = Files::new();
        for round in 0..3 {
            let (mut journal, finished) = files.open(true).unwrap();
            assert!(finished.is_empty(), "round {round}");
            journal.write(&success("a")).unwrap();
        }
        for aside in ["r.jsonl.1", "r.jsonl.2", "r.jsonl"] {
            let path = files.results.with_file_name(aside);
            assert_eq!(
                fs::read_to_string(path).unwrap().lines().count(),
                1,
                "{aside}"
            );
        }
    }

    #[test]
    fn two_runs_on_one_output_are_refused_and_so_is_the_input_as_output() {
        let files = Files::new();
        let running = files.open(false).unwrap();
        for fresh in [false, true] {
            let error = files.open(fresh).unwrap_err().to_string();
            assert!(error.contains("another run is writing to it"), "{error}");
        }
        drop(running);
        let dotted = files.results.parent().unwrap().join(".").join("r.jsonl");
        let error = Journal::open(Some(&dotted), &files.results, &files.errors, false);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("is the input itself")
        );
        let error = Journal::open(None, &files.results, &files.results, false).unwrap_err();
        assert!(error.to_string().contains("are the same file"), "{error}");
    }

    #[test]
    fn an_output_that_cannot_be_written_is_named() {
        let files = Files::new();
        let nowhere = files.results.join("no/such/folder.jsonl");
        let error = Journal::open(None, &nowhere, &files.errors, false).unwrap_err();
        assert!(error.to_string().contains("folder.jsonl"), "{error}");
    }
}
