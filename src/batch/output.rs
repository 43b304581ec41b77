//! One output file: locked, read for what it holds, appended to line by line.
//!
//! A line is one write. What a kill leaves of it is a torn last line, which the next start cuts
//! off, or completes when only its end is missing. An output that is no file, such as a pipe or
//! standard output, is only written to.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::fingerprint::Fingerprint;
use super::record::{INVALID_LINE, LINE_START, Record};
use crate::{Error, Result};

/// What standard output is called in place of a file.
pub(super) const STANDARD_OUTPUT: &str = "-";

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
    pub(super) fn look(&mut self, start: u64, mut found: impl FnMut(u64, &Finished)) -> Result<()> {
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
        let thinned = self.copy_without(drop, &thinner).and_then(|end| {
            let rights = self.file.metadata().map(|data| data.permissions());
            rights
                .and_then(|rights| thinner.set_permissions(rights))
                .and_then(|()| thinner.sync_all())
                .and_then(|()| fs::rename(&name, &real))
                .map(|()| end)
                .map_err(fail)
        });
        if thinned.is_err() {
            let _ = fs::remove_file(&name); // half of it is of no use, and takes room
        }
        self.end = Some(thinned?);
        self.file = thinner;
        Ok(())
    }

    /// Writes the lines that are not to be dropped into another file, and returns how long that is.
    fn copy_without(&self, drop: impl Fn(u64, &Finished) -> bool, to: &File) -> Result<u64> {
        let fail = |error| Error::io(&self.path, error);
        let mut end = 0;
        let mut writer = BufWriter::new(to);
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
        Ok(end)
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
        self.write(&record.line)
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

/// Without the buffer that `println` has: a line is one write.
fn standard_output() -> io::Result<File> {
    #[cfg(unix)]
    let file = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let file = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    file.map(File::from)
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
        // Checked as text first: the parser does not look into strings that it skips.
        let parse = || match std::str::from_utf8(self.bytes) {
            Ok(text) => serde_json::from_str(text),
            Err(error) => Err(serde::de::Error::custom(error)),
        };
        (!is_blank).then(parse)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::client::PassedOn;

    /// What was read of each line: where it begins, its id, its fingerprint.
    type Found = Vec<(u64, Option<String>, Option<Fingerprint>)>;

    fn read(path: &Path) -> Result<Found> {
        let mut found = Vec::new();
        let mut output = Output::open(path)?;
        output.read(Holds::Results, |at, line| {
            found.push((at, line.custom_id.clone(), line.fingerprint()));
        })?;
        Ok(found)
    }

    /// Three results as they are written, and one of the hosted service's.
    fn real_file() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, answer) in ["short", "of\\n two \"lines\" {", "é 日本"]
            .iter()
            .enumerate()
        {
            let response = PassedOn {
                status: 200,
                request_id: Some(format!("req_{number}")),
                body: serde_json::json!({"choices": [{"text": answer}], "usage": {"n": 1e-7}})
                    .to_string(),
                usage: None,
                attempts: 1,
                waited: Duration::ZERO,
            };
            let print = Fingerprint(number as u64);
            let record = Record::success(format!("r{number}"), print, response);
            let mut line = record.line;
            // The same whenever it is made: no chance in its id.
            let chance = LINE_START.len() + 17;
            line[chance..chance + 16].fill(b'7');
            bytes.extend(line);
        }
        let foreign = r#"{"id":"batch_req_6740","custom_id":"r3","response":{"status_code":200,"request_id":"q","body":{}},"error":null}"#;
        bytes.extend(foreign.as_bytes());
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file that holds these bytes, twice, and checks what came of them.
    fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("r.jsonl");
        fs::write(&path, bytes).unwrap();
        let first = read(&path);
        let after = fs::read(&path).unwrap();
        let Ok(found) = first else {
            prop_assert_eq!(&after, bytes, "it was refused and changed");
            return Ok(());
        };
        // Nothing but a torn last line is gone, and nothing but a line end is new.
        match after.strip_prefix(bytes) {
            Some(new) => prop_assert!(new.is_empty() || new == b"\n", "{:?} is new", new),
            None => {
                let torn = bytes.strip_prefix(&after[..]);
                prop_assert!(torn.is_some(), "{:?} is no part of it", after);
                let torn = torn.unwrap();
                prop_assert!(!torn.contains(&b'\n'), "{:?} is gone", torn);
                prop_assert!(is_beginning(torn), "{:?} is gone", torn);
                // Text throughout: JSON that is passed over may be anything to its parser.
                let text = std::str::from_utf8(torn).ok();
                let parsed = text.and_then(|text| serde_json::from_str::<Finished>(text).ok());
                prop_assert!(parsed.is_none(), "{:?} is gone", torn);
            }
        }
        let lines = after.split(|byte| *byte == b'\n');
        let filled: Vec<_> = lines.filter(|line| !line.trim_ascii().is_empty()).collect();
        prop_assert_eq!(found.len(), filled.len());
        for (line, (at, id, _)) in filled.into_iter().zip(&found) {
            let line_ = serde_json::from_str::<Finished>(std::str::from_utf8(line).unwrap());
            prop_assert_eq!(&line_.unwrap().custom_id, id);
            let at = usize::try_from(*at).unwrap();
            prop_assert!(after[at..].starts_with(line), "not at {}", at);
        }
        prop_assert_eq!(read(&path).unwrap(), found);
        prop_assert_eq!(
            fs::read(&path).unwrap(),
            after,
            "the second time changed it"
        );
        Ok(())
    }

    /// What can happen to a file.
    #[derive(Debug, Clone)]
    enum Harm {
        Cut(usize),
        Change(usize, u8),
        Remove(usize, usize),
        Copy(usize, usize, usize),
    }

    impl Harm {
        fn any() -> impl Strategy<Value = Self> {
            let at = || any::<usize>();
            prop_oneof![
                at().prop_map(Self::Cut),
                (at(), any::<u8>()).prop_map(|(at, byte)| Self::Change(at, byte)),
                (at(), 0..200_usize).prop_map(|(at, length)| Self::Remove(at, length)),
                (at(), 0..200_usize, at()).prop_map(|(at, length, to)| Self::Copy(at, length, to)),
            ]
        }

        fn befall(&self, bytes: &mut Vec<u8>) {
            let length = bytes.len() + 1;
            let piece = |at: usize, size: usize| {
                let at = at % length;
                at..(at + size).min(length - 1)
            };
            match *self {
                Self::Cut(at) => bytes.truncate(at % length),
                Self::Change(at, byte) => {
                    if let Some(place) = bytes.get_mut(at % length) {
                        *place = byte;
                    }
                }
                Self::Remove(at, size) => drop(bytes.drain(piece(at, size))),
                Self::Copy(at, size, to) => {
                    let copied = bytes[piece(at, size)].to_vec();
                    let to = to % length;
                    bytes.splice(to..to, copied);
                }
            }
        }
    }

    #[test]
    fn a_real_file_is_read_and_left_as_it_is() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("r.jsonl");
        fs::write(&path, real_file()).unwrap();
        let found = read(&path).unwrap();
        let prints: Vec<_> = found.iter().map(|(_, _, print)| *print).collect();
        let expected = [Some(0), Some(1), Some(2), None].map(|print| print.map(Fingerprint));
        assert_eq!(prints, expected);
        assert_eq!(fs::read(&path).unwrap(), real_file());
    }

    #[test]
    fn what_a_failed_write_leaves_is_taken_back_before_the_next() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("r.jsonl");
        fs::write(&path, real_file()).unwrap();
        let mut output = Output::open(&path).unwrap();
        output.read(Holds::Results, |_, _| {}).unwrap();
        // As if a write had come half way, and taking it back had failed.
        (&output.file).write_all(b"{\"id\":\"batch_req_00").unwrap();
        output.is_frayed = true;
        output.write(b"\n").unwrap();
        let mut expected = real_file();
        expected.push(b'\n');
        assert_eq!(fs::read(&path).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_left_alone(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            check(&bytes)?;
        }

        #[test]
        fn a_file_that_came_to_harm_is_read_or_left_alone(
            harms in prop::collection::vec(Harm::any(), 1..4)
        ) {
            let mut bytes = real_file();
            harms.iter().for_each(|harm| harm.befall(&mut bytes));
            check(&bytes)?;
        }

        #[test]
        fn a_file_cut_anywhere_is_read(at in any::<prop::sample::Index>()) {
            let whole = real_file();
            let bytes = &whole[..at.index(whole.len())];
            check(bytes)?;
            let dir = TempDir::new().unwrap();
            let path = dir.path().join("r.jsonl");
            fs::write(&path, bytes).unwrap();
            // The line that the cut went through is found only if no more than its end is missing.
            let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
            let lacks_its_end = whole[bytes.len()] == b'\n' && !bytes.is_empty();
            prop_assert_eq!(read(&path).unwrap().len(), ends + usize::from(lacks_its_end));
        }
    }
}
