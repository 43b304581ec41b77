//! Whether an output is still the file that its name leads to, and what is saved if it is not.

use std::cmp::Ordering;
use std::env;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::lines::parse;
use super::{Ours, Output, To};
use crate::batch::fs::{Cursor, OpenFile, Stat, first_free, folder_of, sync_folder_of};
use crate::{Error, Result};

/// What another program did to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    Removed,
    Replaced,
    Truncated,
    WrittenTo,
}

impl Harm {
    /// What was done to a file of this length, which should be another.
    pub(super) fn seen(len: u64, end: u64) -> Option<Self> {
        match len.cmp(&end) {
            Ordering::Less => Some(Self::Truncated),
            Ordering::Greater => Some(Self::WrittenTo),
            Ordering::Equal => None,
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed or renamed",
            Self::Replaced => "replaced",
            Self::Truncated => "truncated",
            Self::WrittenTo => "written to",
        })
    }
}

impl Output {
    /// Looks whether the name of the file still leads to it, and whether all that was written is in it.
    ///
    /// # Errors
    ///
    /// [`Error::Batch`] when it does not: then whole lines that the open file still holds are saved, and what
    /// follows is written to the same place.
    pub(super) fn check_presence(&mut self) -> Result<()> {
        let To::File(ours) = &self.to else {
            return Ok(());
        };
        let held = ours.file.stat();
        let held = held.map_err(|error| Error::io(&self.path, error))?;
        let there = match self.disk.stat(&self.path) {
            Ok(there) => Some(there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io(&self.path, error)), // it may be there or not
        };
        let Some(harm) = harm(ours, held, there) else {
            return Ok(());
        };
        let path = self.path.display().to_string();
        let said = format!("{path}: another program has {harm} this file during the run");
        Err(Error::Batch(match self.rescue() {
            Ok(()) => format!(
                "{said}; all finished lines that it still held are in {}; to resume, move them back",
                self.path.display()
            ),
            Err(error) => format!("{said}, and what it held cannot be saved: {error}"),
        }))
    }

    /// Copies the content of the file into one beside it, or where that cannot be, into the folder for
    /// temporary files; and continues there.
    fn rescue(&mut self) -> Result<()> {
        let beside = self.save(&self.path);
        let saved = beside.or_else(|error| {
            let name = self.path.file_name().ok_or(error)?;
            self.save(&env::temp_dir().join(name))
        });
        let (path, ours) = saved?;
        (self.path, self.to) = (path, To::File(ours));
        Ok(())
    }

    fn save(&self, beside: &Path) -> Result<(PathBuf, Ours)> {
        let (path, file) = first_free(&*self.disk, beside, "rescued")?;
        if let (Some(ours), true) = (self.ours(), folder_of(beside) != folder_of(&self.path))
            && let Ok(held) = ours.file.stat()
        {
            let _ = file.set_rights(held.rights); // no more people may read it
        }
        let end = self.copy_to(&*file);
        let end = end.map_err(|error| Error::Batch(format!("{}: {error}", path.display())))?;
        let synced = file.sync();
        let synced = synced.and_then(|()| sync_folder_of(&*self.disk, &path));
        synced.map_err(|error| Error::io(&path, error))?;
        let mut ours = Ours::new(file);
        ours.end = end;
        Ok((path, ours))
    }

    fn copy_to(&self, file: &dyn OpenFile) -> Result<u64> {
        let is_line = |piece: &[u8]| parse(piece).is_ok();
        let mut writer = BufWriter::new(Cursor::new(file, 0));
        self.copy_whole(&mut writer, is_line)?;
        writer
            .flush()
            .map_err(|error| Error::io(&self.path, error))?;
        Ok(writer.get_ref().at)
    }
}

fn harm(ours: &Ours, held: Stat, there: Option<Stat>) -> Option<Harm> {
    match there {
        None => Some(Harm::Removed),
        Some(there) if there.id != held.id => Some(Harm::Replaced),
        _ if ours.is_frayed => ours.harm,
        _ => ours.harm.or_else(|| Harm::seen(held.len, ours.end)),
    }
}
