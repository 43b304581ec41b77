//! The output files: what is done already, and each finished line written whole.
//!
//! The results file is the journal. A line is one write; what a kill leaves of it is a torn last
//! line, which the next start cuts off. Failed lines are tried again on the next start, so the
//! errors file always tells of the last run alone.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::record::Record;
use crate::{Error, Result};

/// The files of a run, open and locked.
#[derive(Debug)]
pub(super) struct Journal {
    results: Output,
    errors: Output,
}

#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: File,
    /// Where the last whole line ends.
    end: u64,
}

/// All that is read of a line that was written before.
#[derive(Deserialize)]
struct Finished {
    /// Tells that the file is one of ours, or of the hosted service's.
    #[serde(rename = "id")]
    _id: String,
    custom_id: Option<String>,
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
        if same_file(results, errors) {
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
        let finished = journal.results.read_finished()?;
        // A file that is not ours is not cut off either.
        journal.errors.read_finished()?;
        journal.errors.cut(0)?;
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

impl Output {
    fn open(path: &Path) -> Result<Self> {
        let fail = |error| Error::io(path, error);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("{}: another run is writing to it", path.display());
                return Err(Error::Batch(message));
            }
            // Some file systems have no locks. A run there is as good as it can be.
            Err(TryLockError::Error(error)) => log::warn!("{}: {error}", path.display()),
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            end: 0,
        })
    }

    /// Reads the ids of all whole lines, and cuts off a torn last one.
    fn read_finished(&mut self) -> Result<HashSet<String>> {
        let mut finished = HashSet::new();
        let mut lines = BufReader::new(&self.file);
        let (mut end, mut number, mut line) = (0, 0, Vec::new());
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line);
            let read = read.map_err(|error| Error::io(&self.path, error))?;
            if read == 0 {
                break;
            }
            number += 1;
            if line.last() != Some(&b'\n') {
                log::warn!(
                    "{}: its last line is torn; it is cut off",
                    self.path.display()
                );
                break;
            }
            end += read as u64;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let parsed: Finished = serde_json::from_slice(&line).map_err(|error| {
                Error::Batch(format!(
                    "{}:{number}: no line of an output file: {error}; name another file, or \
                     move this one aside with --fresh",
                    self.path.display()
                ))
            })?;
            finished.extend(parsed.custom_id);
        }
        self.cut(end)?;
        Ok(finished)
    }

    /// Cuts the file off after `end`, to write on from there.
    fn cut(&mut self, end: u64) -> Result<()> {
        let is_file = self.file.metadata().is_ok_and(|data| data.is_file());
        let cut = || -> io::Result<()> {
            if is_file {
                self.file.set_len(end)?;
                (&self.file).seek(SeekFrom::Start(end))?;
            }
            Ok(())
        };
        cut().map_err(|error| Error::io(&self.path, error))?;
        self.end = end;
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<()> {
        let fail = |error: io::Error| Error::io(&self.path, error);
        let mut line = serde_json::to_vec(record).map_err(|error| fail(error.into()))?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            let error = fail(error);
            // What was written of it must not stand before the next line.
            let _ = self.cut(self.end);
            return Err(error);
        }
        self.end += line.len() as u64;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let is_file = self.file.metadata().is_ok_and(|data| data.is_file());
        let synced = if is_file {
            self.file.sync_data()
        } else {
            Ok(())
        };
        synced.map_err(|error| Error::io(&self.path, error))
    }
}

/// Renames a file that holds something to the first free name with a number behind it. Nothing
/// is ever deleted.
fn move_aside(path: &Path) -> Result<bool> {
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
    use tempfile::TempDir;

    use super::*;
    use crate::batch::input::BadLine;

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

    fn record(id: &str, succeeded: bool) -> Record {
        let mut record = Record::bad_line(BadLine {
            custom_id: Some(id.to_owned()),
            message: String::new(),
        });
        record.succeeded = succeeded;
        record
    }

    fn success(id: &str) -> Record {
        record(id, true)
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
        journal.write(&record("c", false)).unwrap();
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
    fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
        let files = Files::new();
        let (mut journal, _) = files.open(false).unwrap();
        journal.write(&success("a")).unwrap();
        journal.write(&success("b")).unwrap();
        drop(journal);
        let whole = fs::read(&files.results).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for length in first..whole.len() {
            fs::write(&files.results, &whole[..length]).unwrap();
            let (mut journal, finished) = files.open(false).unwrap();
            assert_eq!(ids(&finished), ["a"], "torn after {length} bytes");
            journal.write(&success("c")).unwrap();
            drop(journal);
            let (_journal, finished) = files.open(false).unwrap();
            assert_eq!(ids(&finished), ["a", "c"], "torn after {length} bytes");
        }
    }

    #[test]
    fn a_file_that_holds_something_else_is_left_alone() {
        let files = Files::new();
        for path in [&files.results, &files.errors] {
            fs::write(path, "my notes\n").unwrap();
            let error = files.open(false).unwrap_err().to_string();
            assert!(
                error.contains(".jsonl:1: no line of an output file"),
                "{error}"
            );
            assert_eq!(fs::read_to_string(path).unwrap(), "my notes\n");
            fs::remove_file(path).unwrap();
        }
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
