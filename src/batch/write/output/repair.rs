//! Reading a file as a whole, without a change, and then taking out what is no line of it.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::damage::{Origin, Pieces, begins_line};
use super::lines::{Line, parse};
use super::{Damage, Finished, Holds, Output, To};
use crate::batch::fs::{Cursor, first_free, sync_folder_of};
use crate::{Error, Result};

impl Output {
    /// Reads all lines, tells `found` where each begins and what it holds, and
    /// [repairs](Self::repair) what is damaged.
    #[cfg(test)]
    pub(in crate::batch) fn read(
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
    pub(in crate::batch) fn scan(
        &self,
        holds: Holds,
        mut found: impl FnMut(u64, &Finished<'_>),
    ) -> Result<Damage> {
        let mut damage = Damage::default();
        let is_whole = |piece: &[u8]| parse(piece).is_ok_and(|known| known.holds() == holds);
        let Some(ours) = self.ours() else {
            return Ok(damage);
        };
        // What tells that the file is one of ours.
        let mut is_ours = false;
        let mut doubtful = None;
        let mut lines = self.lines(ours, 0);
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
                    is_ours = true;
                    continue;
                }
                Some(Ok(_)) => return Err(self.mixed_up(line.number, holds)),
                Some(Err(error)) => error,
            };
            let pieces = Pieces::of(line.bytes, is_whole);
            is_ours |= pieces.are_of_power_cut();
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
                is_ours = true;
            }
        }
        match doubtful {
            Some((number, error)) if !is_ours => Err(self.not_ours(number, &error)),
            _ => Ok(damage),
        }
    }

    /// Takes out what is no whole line, and says so. Torn lines are kept in a file beside this one, but
    /// for a last one that a kill cut short. A crash meanwhile leaves the file as it was, or
    /// repaired.
    pub(in crate::batch) fn repair(&mut self, holds: Holds, damage: &Damage) -> Result<()> {
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
                    return self.replace(|output, to| output.copy_whole(to, is_whole));
                }
            }
        }
        let To::File(ours) = &mut self.to else {
            return Ok(());
        };
        let cut = ours.cut(damage.end);
        cut.map_err(|error| Error::io(&self.path, error))?;
        match damage.lacks_its_end {
            true => self.write(b"\n"),
            false => Ok(()),
        }
    }

    /// Writes the torn lines to a file beside this one, and returns its name.
    fn keep_torn(&self, is_whole: impl Fn(&[u8]) -> bool) -> Result<PathBuf> {
        let (name, file) = first_free(&*self.disk, &self.path, "damaged")?;
        let fail = |error| Error::io(&name, error);
        let mut writer = BufWriter::new(Cursor::new(&*file, 0));
        self.each_line(|line| {
            if !matches!(line.parse(), Some(Err(_))) {
                return Ok(());
            }
            for torn in Pieces::of(line.bytes, &is_whole).torn {
                writer.write_all(torn).map_err(fail)?;
                writer.write_all(b"\n").map_err(fail)?;
            }
            Ok(())
        })?;
        writer.flush().map_err(fail)?;
        drop(writer);
        let synced = file.sync();
        let synced = synced.and_then(|()| sync_folder_of(&*self.disk, &name));
        synced.map_err(fail)?;
        Ok(name)
    }

    /// Writes the whole lines into another file.
    pub(super) fn copy_whole(
        &self,
        to: &mut dyn Write,
        is_whole: impl Fn(&[u8]) -> bool,
    ) -> Result<()> {
        let fail = |error| Error::io(&self.path, error);
        self.each_line(|line| {
            if matches!(line.parse(), Some(Err(_))) {
                for whole in Pieces::of(line.bytes, &is_whole).whole {
                    to.write_all(whole).map_err(fail)?;
                    to.write_all(b"\n").map_err(fail)?;
                }
                return Ok(());
            }
            to.write_all(line.bytes).map_err(fail)?;
            match line.is_whole() {
                true => Ok(()),
                false => to.write_all(b"\n").map_err(fail),
            }
        })
    }

    fn each_line(&self, mut each: impl FnMut(&Line<'_>) -> Result<()>) -> Result<()> {
        let Some(ours) = self.ours() else {
            return Ok(());
        };
        let mut lines = self.lines(ours, 0);
        while let Some(line) = lines.next()? {
            each(&line)?;
        }
        Ok(())
    }

    fn not_ours(&self, number: u64, error: &serde_json::Error) -> Error {
        let path = self.path.display();
        Error::Batch(format!(
            "{path}:{number}: not a line of an output file ({error}); name another file, or move \
             this one aside"
        ))
    }

    fn mixed_up(&self, number: u64, holds: Holds) -> Error {
        let path = self.path.display();
        let (found, wanted) = match holds {
            Holds::Results => ("a failure", "results"),
            Holds::Failures => ("a result", "failures"),
        };
        Error::Batch(format!(
            "{path}:{number}: {found} in the file for {wanted}; are the files of results and errors mixed up?"
        ))
    }
}
