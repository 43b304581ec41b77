//! One output file: locked, read for what it holds, appended to line by line.
//!
//! A line is one write. What a kill leaves of it is a torn last line, which the next start cuts
//! off, or completes when only its end is missing. An output that is no file, such as
//! `/dev/stdout`, is only written to.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::fingerprint::Fingerprint;
use super::record::{INVALID_LINE, LINE_START, Record};
use crate::{Error, Result};

#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: File,
    /// Where the last whole line ends. `None` for what is no file, and has no end to go back to.
    end: Option<u64>,
    /// Something may stand behind the end: a write failed, and so did taking back what came of it.
    is_frayed: bool,
}

/// What the lines of a file tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Results,
    Failures,
}

/// All that is read of a line that was written before.
#[derive(Debug, Deserialize)]
pub(super) struct Finished {
    /// Tells that the file is one of ours, or of the hosted service's.
    id: String,
    pub(super) custom_id: Option<String>,
    response: Option<Answered>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
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

    /// The request that it is of, where that is known.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        Fingerprint::from_line_id(&self.id)
    }

    /// True when it tells of a line of the input that was no request.
    pub(super) fn is_of_bad_line(&self) -> bool {
        let code = self.error.as_ref().and_then(|error| error.get("code"));
        code.and_then(Value::as_str) == Some(INVALID_LINE)
    }
}

impl Output {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fail = |error| Error::io(path, error);
        let is_special = fs::metadata(path).is_ok_and(|data| !data.is_file());
        let mut options = OpenOptions::new();
        options.write(true);
        if !is_special {
            options.read(true).create(true).truncate(false);
        }
        let file = options.open(path).map_err(fail)?;
        if is_special {
            let path = path.to_owned();
            // Not locked either: any number of runs may write to the null device.
            return Ok(Self {
                path,
                file,
                end: None,
                is_frayed: false,
            });
        }
        lock(&file, path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            end: Some(0),
            is_frayed: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// True for a file, from which a piece of a line can be taken back.
    pub(super) fn is_file(&self) -> bool {
        self.end.is_some()
    }

    /// Where the last line ends.
    pub(super) fn end(&self) -> u64 {
        self.end.unwrap_or(0)
    }

    /// Reads all lines, tells `found` where each begins and what it holds, and cuts off or
    /// completes a torn last one. Nothing is changed unless the file is what it should be: one
    /// that `holds` such lines, and no other.
    pub(super) fn read(
        &mut self,
        holds: Holds,
        mut found: impl FnMut(u64, &Finished),
    ) -> Result<()> {
        if self.end.is_none() {
            return Ok(());
        }
        let mut lines = self.lines(0)?;
        let (mut end, mut is_torn, mut lacks_its_end) = (0, false, false);
        while let Some(line) = lines.next()? {
            match line.parse() {
                None => {}
                Some(Ok(known)) if known.holds() == holds => {
                    found(line.at, &known);
                    lacks_its_end = !line.is_whole();
                }
                Some(Ok(_)) => return Err(self.mixed_up(line.number, holds)),
                Some(Err(_)) if !line.is_whole() && is_beginning(line.bytes) => {
                    is_torn = true;
                    break;
                }
                Some(Err(error)) => return Err(self.not_ours(line.number, &error)),
            }
            end += line.bytes.len() as u64;
        }
        if is_torn {
            let path = self.path.display();
            log::warn!("{path}: the last line was cut short by a kill; it is removed");
        }
        self.cut(end)?;
        match lacks_its_end {
            true => self.write(b"\n"),
            false => Ok(()),
        }
    }

    /// Tells `found` what the lines from `start` on hold, and where each begins.
    pub(super) fn look(
        &mut self,
        start: u64,
        mut found: impl FnMut(u64, &Finished),
    ) -> Result<()> {
        let Some(end) = self.end.filter(|end| *end > start) else {
            return Ok(());
        };
        let mut lines = self.lines(start)?;
        while let Some(line) = lines.next()? {
            if let Some(Ok(known)) = line.parse() {
                found(line.at, &known);
            }
        }
        self.cut(end) // and go there
    }

    /// Puts a file without the lines to `drop` in the place of this one, at once, so that a kill
    /// leaves the one or the other.
    pub(super) fn thin_out(&mut self, drop: impl Fn(u64, &Finished) -> bool) -> Result<()> {
        // A link stays one.
        let real = self.path.canonicalize();
        let real = real.map_err(|error| Error::io(&self.path, error))?;
        let mut name = OsString::from(&real);
        name.push(".new");
        let name = PathBuf::from(name);
        let fail = |error| Error::io(&name, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let thinner = options.open(&name).map_err(fail)?;
        lock(&thinner, &name)?;
        let mut end = 0;
        let mut writer = BufWriter::new(&thinner);
        let mut lines = self.lines(0)?;
        while let Some(line) = lines.next()? {
            let known = line.parse().and_then(std::result::Result::ok);
            if !known.is_some_and(|known| drop(line.at, &known)) {
                writer.write_all(line.bytes).map_err(fail)?;
                end += line.bytes.len() as u64;
            }
        }
        let flushed = writer.into_inner();
        flushed.map_err(|error| fail(error.into_error()))?;
        let rights = self.file.metadata().map(|data| data.permissions());
        rights
            .and_then(|rights| thinner.set_permissions(rights))
            .and_then(|()| thinner.sync_all())
            .and_then(|()| fs::rename(&name, &real))
            .map_err(fail)?;
        self.file = thinner;
        self.end = Some(end);
        Ok(())
    }

    fn lines(&self, start: u64) -> Result<Lines<'_>> {
        let sought = (&self.file).seek(SeekFrom::Start(start));
        sought.map_err(|error| Error::io(&self.path, error))?;
        Ok(Lines {
            path: &self.path,
            reader: BufReader::with_capacity(1 << 16, &self.file),
            number: 0,
            at: start,
            bytes: Vec::new(),
        })
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

    /// Cuts the file off after `end`, to write on from there.
    fn cut(&mut self, end: u64) -> Result<()> {
        if self.end.is_none() {
            return Ok(());
        }
        let cut = self.file.set_len(end);
        cut.and_then(|()| (&self.file).seek(SeekFrom::Start(end)))
            .map_err(|error| Error::io(&self.path, error))?;
        self.end = Some(end);
        self.is_frayed = false;
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
        if self.is_frayed {
            self.cut(self.end())?;
        }
        if let Err(error) = self.file.write_all(bytes) {
            // What was written of it must not stand before the next line.
            self.is_frayed = true;
            let _ = self.cut(self.end());
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

/// The lines of an output file, one by one.
struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<&'a File>,
    number: u64,
    /// Where the next line begins.
    at: u64,
    bytes: Vec<u8>,
}

struct Line<'a> {
    number: u64,
    /// Where it begins.
    at: u64,
    bytes: &'a [u8],
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<Line<'_>>> {
        self.bytes.clear();
        let read = self.reader.read_until(b'\n', &mut self.bytes);
        let read = read.map_err(|error| Error::io(self.path, error))?;
        let at = self.at;
        self.at += read as u64;
        self.number += 1;
        Ok((read > 0).then_some(Line {
            number: self.number,
            at,
            bytes: &self.bytes,
        }))
    }
}

impl Line<'_> {
    fn is_whole(&self) -> bool {
        self.bytes.last() == Some(&b'\n')
    }

    /// What it holds; `None` of a blank one.
    fn parse(&self) -> Option<serde_json::Result<Finished>> {
        let is_blank = self.bytes.trim_ascii().is_empty();
        (!is_blank).then(|| serde_json::from_slice(self.bytes))
    }
}

/// Keeps other runs away from a file.
fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{}: another run is writing to it", path.display());
            Err(Error::Batch(message))
        }
        // Some file systems have no locks. A run there is as good as it can be.
        Err(TryLockError::Error(error)) => {
            log::warn!("{}: {error}", path.display());
            Ok(())
        }
    }
}

/// True when a kill can have left this of a line.
fn is_beginning(line: &[u8]) -> bool {
    let length = line.len().min(LINE_START.len());
    line[..length] == LINE_START.as_bytes()[..length]
}
