//! One output file: locked, read for what it holds, appended to line by line.
//!
//! A line is one write. What a kill leaves of it is a torn last line, which the next start cuts
//! off, or completes when only its end is missing. What a power cut leaves is [repaired](repair). What
//! others do to the file meanwhile is [noticed](presence). An output that is no file, such as a pipe or
//! standard output, is only [written to](stream).

mod clean; //    a first look at a file that is as it should be
mod damage; //   what a power cut leaves, and what can be kept of it
mod lines; //    lines, and what is read of them
mod presence; // whether the file is still there, and what is saved if it is not
mod repair; //   reading a file as a whole, and taking out what is no line
mod stream; //   what is no file

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::batch::fs::{
    Cursor, Disk, How, Kind, OpenFile, Scratch, is_descriptor, lock, remove_left, resolve,
    sync_folder_of, write_all_at,
};
use crate::batch::record::Record;
use crate::{Error, Result};
use lines::Lines;
use presence::Harm;
use stream::Owner;

pub(in crate::batch) use damage::Damage;
pub(in crate::batch) use lines::Finished;
pub(in crate::batch) use stream::{Sent, Stream};

/// What standard output is called in place of a file.
pub(in crate::batch) const STANDARD_OUTPUT: &str = "-";

#[derive(Debug)]
pub(in crate::batch) struct Output {
    disk: Disk,
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    File(Ours),
    Stream(Owner),
}

/// A file, open and, unless it is only looked at, locked.
#[derive(Debug)]
struct Ours {
    file: Box<dyn OpenFile>,
    /// Where the last whole line ends.
    end: u64,
    /// Something may stand behind the end: a write failed, and so did taking back what came of it.
    is_frayed: bool,
    /// What another program did to it, seen before a line was written.
    harm: Option<Harm>,
    /// A sync failed. What is on the disk is unknown, and the system may report success at the next one.
    failed_sync: Option<io::Error>,
}

impl Ours {
    fn new(file: Box<dyn OpenFile>) -> Self {
        Self {
            file,
            end: 0,
            is_frayed: false,
            harm: None,
            failed_sync: None,
        }
    }

    /// Cuts the file off after `end`, to write on from there.
    ///
    /// It is synced before anything is written there. Else a power cut might leave the beginning of what was
    /// cut off and the end of what is written in its place: two lines of which one looks whole, with the id of
    /// one request and the answer to another. It is synced also where nothing is cut off: a process that
    /// was killed may have done that.
    fn cut(&mut self, end: u64) -> io::Result<()> {
        self.file.set_len(end)?;
        self.sync()?;
        (self.end, self.is_frayed) = (end, false);
        Ok(())
    }

    /// Waits until everything is on the disk. Once that failed, it fails for this file.
    fn sync(&mut self) -> io::Result<()> {
        let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        if let Some(error) = &self.failed_sync {
            return Err(copy(error));
        }
        let synced = self.file.sync();
        self.failed_sync = synced.as_ref().err().map(copy);
        synced
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.is_frayed {
            true => self.cut(self.end)?,
            // A line behind the end of a file that was cut would hide that it was.
            false => {
                let seen = || Harm::seen(self.file.stat().ok()?.len, self.end);
                self.harm = self.harm.or_else(seen);
            }
        }
        if let Err(error) = write_all_at(&*self.file, bytes, self.end) {
            // What was written of it must not stand before the next line.
            self.is_frayed = true;
            let _ = self.cut(self.end);
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// What the lines of a file tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Holds {
    Results,
    Failures,
}

/// Attempts to open a file that other runs replace between the opening and the lock. After these the
/// error says that another program replaces it again and again.
const MOST_OPENINGS: usize = 100;

impl Output {
    /// Opens a file and locks it. What is no file is not locked: any number of runs may write to the
    /// null device.
    pub(in crate::batch) fn open(disk: &Disk, path: &Path) -> Result<Self> {
        let fail = |error| Error::io(path, error);
        if path == Path::new(STANDARD_OUTPUT) {
            let name = Path::new("standard output");
            let stream = Owner::open(path).map_err(|error| Error::io(name, error))?;
            return Ok(Self::with(disk, name, To::Stream(stream)));
        }
        match disk.stat(path).map(|there| there.kind) {
            kind if is_descriptor(&**disk, path)
                || matches!(kind, Ok(Kind::Pipe | Kind::Device)) =>
            {
                let stream = Owner::open(path).map_err(fail)?;
                return Ok(Self::with(disk, path, To::Stream(stream)));
            }
            Ok(Kind::Folder) => return Err(fail(io::ErrorKind::IsADirectory.into())),
            _ => {}
        }
        remove_left(&**disk, &resolve(&**disk, path));
        for _ in 0..MOST_OPENINGS {
            let file = disk.open(path, How::Write).map_err(fail)?;
            lock(&*file, path)?;
            // Another run may have put a new file there between the two, and have ended.
            let ours = file.stat().map_err(fail)?;
            if disk.stat(path).is_ok_and(|there| there.id == ours.id) {
                sync_folder_of(&**disk, path).map_err(fail)?;
                return Ok(Self::with(disk, path, To::File(Ours::new(file))));
            }
        }
        let message = format!(
            "{}: another program replaces it again and again",
            path.display()
        );
        Err(Error::Batch(message))
    }

    /// Opens a file that is only read, also while another process writes to it.
    pub(in crate::batch) fn open_to_look(disk: &Disk, path: &Path) -> Result<Self> {
        let file = disk.open(path, How::Read);
        let file = file.map_err(|error| Error::io(path, error))?;
        Ok(Self::with(disk, path, To::File(Ours::new(file))))
    }

    fn with(disk: &Disk, path: &Path, to: To) -> Self {
        Self {
            disk: Disk::clone(disk),
            path: path.to_owned(),
            to,
        }
    }

    fn ours(&self) -> Option<&Ours> {
        match &self.to {
            To::File(ours) => Some(ours),
            To::Stream(_) => None,
        }
    }

    /// True for a file, from which a piece of a line can be taken back.
    pub(in crate::batch) fn is_file(&self) -> bool {
        self.ours().is_some()
    }

    /// The stream of an output that is no file; threads that have lines write to it.
    pub(in crate::batch) fn stream(&self) -> Option<Stream> {
        match &self.to {
            To::File(_) => None,
            To::Stream(owner) => Some(owner.0.clone()),
        }
    }

    /// Where the last line ends.
    pub(in crate::batch) fn end(&self) -> u64 {
        self.ours().map_or(0, |ours| ours.end)
    }

    /// Tells `found` what the lines from `start` on hold, and where each begins.
    pub(in crate::batch) fn look(
        &self,
        start: u64,
        mut found: impl FnMut(u64, &Finished<'_>),
    ) -> Result<()> {
        let Some(ours) = self.ours().filter(|ours| ours.end > start) else {
            return Ok(());
        };
        let mut lines = self.lines(ours, start);
        while let Some(line) = lines.next()? {
            if let Some(Ok(known)) = line.parse() {
                found(line.at, &known);
            }
        }
        Ok(())
    }

    /// Puts a file without the lines to `drop` in the place of this one, at once, so that a kill
    /// leaves the one or the other.
    pub(in crate::batch) fn thin_out(
        &mut self,
        drop: impl Fn(u64, &Finished<'_>) -> bool,
    ) -> Result<()> {
        self.replace(|output, to| output.copy_without(drop, to))
    }

    /// Puts what `copy` writes in the place of this file, at once. A link to it stays one.
    fn replace(&mut self, copy: impl FnOnce(&Self, &mut dyn Write) -> Result<()>) -> Result<()> {
        let fail = |error| Error::io(&self.path, error);
        let scratch = Scratch::of(&self.disk, &self.path)?;
        let mut writer = BufWriter::new(Cursor::new(scratch.file(), 0));
        copy(self, &mut writer)?;
        writer.flush().map_err(fail)?;
        let end = writer.get_ref().at;
        drop(writer);
        let file = scratch.take_place().map_err(fail)?;
        let mut ours = Ours::new(file);
        ours.end = end;
        self.to = To::File(ours);
        // Lines that are appended now must not be lost with the name of their file.
        sync_folder_of(&*self.disk, &self.path).map_err(|error| Error::io(&self.path, error))
    }

    /// Writes the lines that are not to be dropped into another file.
    fn copy_without(
        &self,
        drop: impl Fn(u64, &Finished<'_>) -> bool,
        to: &mut dyn Write,
    ) -> Result<()> {
        let Some(ours) = self.ours() else {
            return Ok(());
        };
        let mut lines = self.lines(ours, 0);
        while let Some(line) = lines.next()? {
            let known = line.parse().and_then(std::result::Result::ok);
            if !known.is_some_and(|known| drop(line.at, &known)) {
                let written = to.write_all(line.bytes);
                written.map_err(|error| Error::io(&self.path, error))?;
            }
        }
        Ok(())
    }

    fn lines<'a>(&'a self, ours: &'a Ours, start: u64) -> Lines<'a> {
        Lines::of(&self.path, &*ours.file, start)
    }

    /// It holds what a simulated API answered, or not, and is used for the other.
    pub(in crate::batch) fn mixed_with_simulated(&self, simulated: bool) -> Error {
        Error::SimulatedAnswers {
            file: self.path.clone(),
            simulated,
        }
    }

    pub(in crate::batch) fn append(&mut self, record: &Record) -> Result<()> {
        self.write(&record.line)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.to {
            To::File(ours) => ours.write(bytes),
            To::Stream(owner) => match owner.0.write(bytes) {
                Sent::Written => Ok(()),
                Sent::Failed(error) => Err(error),
                Sent::Left => Err(io::ErrorKind::TimedOut.into()),
            },
        };
        written.map_err(|error| Error::io(&self.path, error))
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Batch`] when the file is not there any more, or is another one.
    pub(in crate::batch) fn sync(&mut self) -> Result<()> {
        let To::File(ours) = &mut self.to else {
            return Ok(());
        };
        let synced = ours.sync();
        synced.map_err(|error| Error::io(&self.path, error))?;
        self.check_presence()
    }
}

#[cfg(test)]
mod cut_tests;
#[cfg(test)]
mod tests;
