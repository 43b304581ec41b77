//! One output file: locked, read for what it holds, appended to line by line.
//!
//! A line is one write. What a kill leaves of it is a torn last line, which the next start cuts
//! off, or completes when only its end is missing. What a power cut leaves is [repaired](damage). An
//! output that is no file, such as a pipe or standard output, is only written to.

mod damage; // what a power cut leaves, and what can be kept of it
mod lines; //  lines, and what is read of them

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::beside::{create_beside, lock, name_beside};
use super::record::Record;
use super::terminal;
use crate::{Error, Result};
use damage::{Origin, Pieces, begins_line};
use lines::{Lines, parse};

pub(super) use damage::Damage;
pub(super) use lines::Finished;

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

    /// Opens a file that is only read, whoever writes to it meanwhile.
    pub(super) fn open_to_look(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: File::open(path).map_err(|error| Error::io(path, error))?,
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

    /// Reads all lines, tells `found` where each begins and what it holds, and
    /// [repairs](Self::repair) what is damaged.
    #[cfg(test)]
    pub(super) fn read(
        &mut self,
        holds: Holds,
        found: impl FnMut(u64, &Finished<'_>),
    ) -> Result<()> {
        let damage = self.scan(holds, found)?;
        self.repair(holds, &damage)
    }

    /// Reads all lines, tells `found` what each holds and where it begins once the file is repaired,
    /// and says what is damaged. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the file is not what it should be: one that `holds` such lines, and no other.
    pub(super) fn scan(
        &self,
        holds: Holds,
        mut found: impl FnMut(u64, &Finished<'_>),
    ) -> Result<Damage> {
        let mut damage = Damage::default();
        let is_whole = |piece: &[u8]| parse(piece).is_ok_and(|known| known.holds() == holds);
        if self.end.is_none() {
            return Ok(damage);
        }
        let mut whole = 0_u64;
        let mut doubtful = None;
        let mut lines = self.lines(0)?;
        while let Some(line) = lines.next()? {
            let error = match line.parse() {
                None => {
                    damage.end += line.bytes.len() as u64;
                    continue;
                }
                Some(Ok(known)) if known.holds() == holds => {
                    found(damage.end, &known);
                    damage.end += line.bytes.len() as u64;
                    damage.lacks_its_end = !line.is_whole();
                    whole += 1;
                    continue;
                }
                Some(Ok(_)) => return Err(self.mixed_up(line.number, holds)),
                Some(Err(error)) => error,
            };
            let pieces = Pieces::of(line.bytes, is_whole);
            match pieces.origin() {
                Origin::Ours => {}
                Origin::Maybe => drop(doubtful.get_or_insert((line.number, error))),
                Origin::Foreign => return Err(self.not_ours(line.number, &error)),
            }
            let is_first = damage.first.is_none();
            damage.first.get_or_insert((line.number, line.at));
            damage.zeros += pieces.zeros;
            damage.torn += pieces.torn.len() as u64;
            damage.lacks_its_end = false;
            damage.is_plain_cut = is_first
                && !line.is_whole()
                && pieces.zeros == 0
                && pieces.whole.is_empty()
                && begins_line(line.bytes);
            for piece in &pieces.whole {
                if let Ok(known) = parse(piece) {
                    found(damage.end, &known);
                }
                damage.end += piece.len() as u64 + 1;
                whole += 1;
            }
        }
        match doubtful {
            Some((number, error)) if whole == 0 => Err(self.not_ours(number, &error)),
            _ => Ok(damage),
        }
    }

    /// Takes out what is no whole line, and says so. Torn lines are kept in a file beside this one, but
    /// for a last one that a kill cut short. A crash meanwhile leaves the file as it was, or
    /// repaired.
    pub(super) fn repair(&mut self, holds: Holds, damage: &Damage) -> Result<()> {
        let is_whole = |piece: &[u8]| parse(piece).is_ok_and(|known| known.holds() == holds);
        let path = self.path.display();
        match damage.first {
            None => {}
            Some(_) if damage.is_plain_cut => {
                log::warn!("{path}: the last line was cut short by a kill; it is removed");
            }
            Some((line, _)) => {
                let kept = match damage.torn {
                    0 => String::new(),
                    _ => format!(
                        "; what was torn is in {}",
                        self.keep_torn(is_whole)?.display()
                    ),
                };
                log::warn!(
                    "{path}:{line}: damaged, as a power cut leaves a file; removed {damage} \
                     and kept all whole lines{kept}; requests without a line are sent again"
                );
                if !damage.is_at_the_end() {
                    self.replace(|output, to| output.copy_whole(to, is_whole))?;
                    return self.cut(self.end()); // and go there
                }
            }
        }
        self.cut(damage.end)?;
        match damage.lacks_its_end {
            true => self.write(b"\n"),
            false => Ok(()),
        }
    }

    /// Adds the torn lines to a file beside this one, and returns its name.
    fn keep_torn(&self, is_whole: impl Fn(&[u8]) -> bool) -> Result<PathBuf> {
        let mut name = OsString::from(&self.path);
        name.push(".damaged");
        let name = PathBuf::from(name);
        let fail = |error| Error::io(&name, error);
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(&name);
        let file = file.map_err(fail)?;
        if let Ok(data) = self.file.metadata() {
            // No more people may read it than the file itself.
            file.set_permissions(data.permissions()).map_err(fail)?;
        }
        let mut writer = BufWriter::new(&file);
        let mut lines = self.lines(0)?;
        while let Some(line) = lines.next()? {
            if !matches!(line.parse(), Some(Err(_))) {
                continue;
            }
            for torn in Pieces::of(line.bytes, &is_whole).torn {
                writer.write_all(torn).map_err(fail)?;
                writer.write_all(b"\n").map_err(fail)?;
            }
        }
        let flushed = writer.into_inner();
        flushed.map_err(|error| fail(error.into_error()))?;
        file.sync_all().map_err(fail)?;
        Ok(name)
    }

    /// Writes the whole lines into another file, and returns how long that is.
    fn copy_whole(&self, to: &File, is_whole: impl Fn(&[u8]) -> bool) -> Result<u64> {
        let fail = |error| Error::io(&self.path, error);
        let mut end = 0;
        let mut writer = BufWriter::new(to);
        let mut put = |bytes: &[u8]| {
            end += bytes.len() as u64;
            writer.write_all(bytes).map_err(fail)
        };
        let mut lines = self.lines(0)?;
        while let Some(line) = lines.next()? {
            if matches!(line.parse(), Some(Err(_))) {
                for whole in Pieces::of(line.bytes, &is_whole).whole {
                    put(whole)?;
                    put(b"\n")?;
                }
            } else {
                put(line.bytes)?;
                if !line.is_whole() {
                    put(b"\n")?;
                }
            }
        }
        let flushed = writer.into_inner();
        flushed.map_err(|error| fail(error.into_error()))?;
        Ok(end)
    }

    /// Tells `found` what the lines from `start` on hold, and where each begins.
    pub(super) fn look(
        &mut self,
        start: u64,
        mut found: impl FnMut(u64, &Finished<'_>),
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
    pub(super) fn thin_out(&mut self, drop: impl Fn(u64, &Finished<'_>) -> bool) -> Result<()> {
        self.replace(|output, to| output.copy_without(drop, to))
    }

    /// Puts what `copy` writes in the place of this file, at once. It returns how long that is.
    fn replace(&mut self, copy: impl FnOnce(&Self, &File) -> Result<u64>) -> Result<()> {
        // A link stays one.
        let real = self.path.canonicalize();
        let real = real.map_err(|error| Error::io(&self.path, error))?;
        let name = name_beside(&real, "new");
        let fail = |error| Error::io(&name, error);
        let new = create_beside(&name)?;
        let copied = copy(self, &new).and_then(|end| {
            let rights = self.file.metadata().map(|data| data.permissions());
            rights
                .and_then(|rights| new.set_permissions(rights))
                .and_then(|()| new.sync_all())
                .and_then(|()| fs::rename(&name, &real))
                .map(|()| end)
                .map_err(fail)
        });
        if copied.is_err() {
            let _ = fs::remove_file(&name); // half of it is of no use, and takes room
        }
        self.end = Some(copied?);
        self.file = new;
        Ok(())
    }

    /// Writes the lines that are not to be dropped into another file, and returns how long that is.
    fn copy_without(&self, drop: impl Fn(u64, &Finished<'_>) -> bool, to: &File) -> Result<u64> {
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
        Lines::of(&self.path, &self.file, start)
    }

    fn not_ours(&self, number: u64, error: &serde_json::Error) -> Error {
        let path = self.path.display();
        Error::Batch(format!(
            "{path}:{number}: not a line of an output file ({error}); name another file, or move \
             this one aside"
        ))
    }

    /// It holds what a simulated API answered, or not, and is used for the other.
    pub(super) fn mixed_with_simulated(&self, simulated: bool) -> Error {
        Error::SimulatedAnswers {
            file: self.path.clone(),
            simulated,
        }
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
        let shown = match self.end.is_none() && self.file.is_terminal() {
            true => terminal::escaped(bytes),
            false => bytes.into(),
        };
        if let Err(error) = self.file.write_all(&shown) {
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

#[cfg(test)]
mod tests;
