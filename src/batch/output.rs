//! One output file: locked, read for what it holds, appended to line by line.
//!
//! A line is one write. What a kill leaves of it is a torn last line, which the next start cuts
//! off, or completes when only its end is missing. An output that is no file, such as a pipe or
//! standard output, is only written to.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::record::{LINE_START, Record};
use crate::{Error, Result};

/// What standard output is called in place of a file.
pub(super) const STANDARD_OUTPUT: &str = "-";

#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: File,
    /// Where the last whole line ends. `None` for what is no file, and has no end to go back to.
    end: Option<u64>,
}

/// What the lines of a file tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Results,
    Failures,
}

/// All that is read of a line that was written before.
#[derive(Deserialize)]
struct Finished {
    /// Tells that the file is one of ours, or of the hosted service's.
    #[serde(rename = "id")]
    _id: String,
    custom_id: Option<String>,
    response: Option<Answered>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Answered {
    status_code: u16,
}

impl Finished {
    fn holds(&self) -> Holds {
        match &self.response {
            Some(answer) if self.error.is_none() && (200..300).contains(&answer.status_code) => {
                Holds::Results
            }
            _ => Holds::Failures,
        }
    }
}

impl Output {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let is_standard = path == Path::new(STANDARD_OUTPUT);
        let path = if is_standard {
            Path::new("standard output")
        } else {
            path
        };
        let fail = |error| Error::io(path, error);
        let is_special = is_standard || fs::metadata(path).is_ok_and(|data| !data.is_file());
        let mut options = OpenOptions::new();
        options.write(true);
        if !is_special {
            options.read(true).create(true).truncate(false);
        }
        let file = match is_standard {
            true => standard_output(),
            false => options.open(path),
        };
        let file = file.map_err(fail)?;
        if is_special {
            let path = path.to_owned();
            // Not locked either: any number of runs may write to the null device.
            return Ok(Self {
                path,
                file,
                end: None,
            });
        }
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
            end: Some(0),
        })
    }

    /// Reads the ids of all lines, and cuts off or completes a torn last one. Nothing is changed
    /// unless the file is what it should be: one that `holds` such lines, and no other.
    pub(super) fn read(&mut self, holds: Holds) -> Result<HashSet<String>> {
        let mut finished = HashSet::new();
        if self.end.is_none() {
            return Ok(finished);
        }
        let mut lines = BufReader::new(&self.file);
        let (mut end, mut number, mut line) = (0, 0, Vec::new());
        let torn = loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line);
            let read = read.map_err(|error| Error::io(&self.path, error))?;
            if read == 0 {
                break false;
            }
            number += 1;
            let is_whole = line.last() == Some(&b'\n');
            if line.trim_ascii().is_empty() {
                end += read as u64;
                continue;
            }
            match serde_json::from_slice::<Finished>(&line) {
                Ok(known) if known.holds() == holds => finished.extend(known.custom_id),
                Ok(_) => return Err(self.mixed_up(number, holds)),
                Err(_) if !is_whole && is_beginning(&line) => break true,
                Err(error) => return Err(self.not_ours(number, &error)),
            }
            end += read as u64;
            if !is_whole {
                // All of it is there but its end: it stays.
                self.cut(end)?;
                self.write(b"\n")?;
                return Ok(finished);
            }
        };
        if torn {
            let path = self.path.display();
            log::warn!("{path}: the last line was cut short by a kill; it is removed");
        }
        self.cut(end)?;
        Ok(finished)
    }

    fn not_ours(&self, number: u64, error: &serde_json::Error) -> Error {
        let path = self.path.display();
        Error::Batch(format!(
            "{path}:{number}: not a line of an output file ({error}); name another file, or move \
             this one aside with --fresh"
        ))
    }

    fn mixed_up(&self, number: u64, holds: Holds) -> Error {
        let path = self.path.display();
        let (found, wanted) = match holds {
            Holds::Results => ("a failure", "results"),
            Holds::Failures => ("a result", "failures"),
        };
        Error::Batch(format!(
            "{path}:{number}: {found} in the file for {wanted}; are --output and --errors mixed up?"
        ))
    }

    /// Makes the file empty.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.cut(0)
    }

    /// Cuts the file off after `end`, to write on from there.
    fn cut(&mut self, end: u64) -> Result<()> {
        if self.end.is_none() {
            return Ok(());
        }
        let cut = self.file.set_len(end);
        cut.and_then(|()| (&self.file).seek(SeekFrom::Start(end)))
            .map_err(|error| Error::io(&self.path, error))?;
        self.end = Some(end);
        Ok(())
    }

    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        let line = serde_json::to_vec(record).map(|mut line| {
            line.push(b'\n');
            line
        });
        self.write(&line.map_err(|error| Error::io(&self.path, error.into()))?)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // What was written of it must not stand before the next line.
            let _ = self.end.map(|end| self.cut(end));
            return Err(Error::io(&self.path, error));
        }
        self.end = self.end.map(|end| end + bytes.len() as u64);
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<()> {
        let synced: io::Result<()> = match self.end {
            Some(_) => self.file.sync_data(),
            None => Ok(()),
        };
        synced.map_err(|error| Error::io(&self.path, error))
    }
}

/// Without the buffer that `println` has: a line is one write.
fn standard_output() -> io::Result<File> {
    #[cfg(unix)]
    let file = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let file = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    file.map(File::from)
}

/// True when a kill can have left this of a line.
fn is_beginning(line: &[u8]) -> bool {
    let length = line.len().min(LINE_START.len());
    line[..length] == LINE_START.as_bytes()[..length]
}
