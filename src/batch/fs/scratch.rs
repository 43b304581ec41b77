//! New versions of files: written beside them, and moved into their place when they are whole.
//!
//! A scratch file has a name that nothing has: `NAME.paceline-0123456789abcdef.tmp`, sixteen digits of
//! chance. It is made only if there is nothing of that name, so it replaces and follows nothing. One
//! that a killed run has left is removed by the next run over the same target.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use twox_hash::XxHash64;

use super::{
    Cursor, Disk, FileSystem, How, Kind, OpenFile, folder_of, is_descriptor, lock, resolve, system,
    write_all_at,
};
use crate::{Error, Result};

const MARK: &str = ".paceline-";
const ENDING: &str = ".tmp";
/// Random hex digits of a name: 64 bits.
const DIGITS: usize = 16;
/// Longer names of targets are hashed. File systems take 255 bytes, and `.paceline-`, the digits and
/// `.tmp` add 30.
const LONGEST_NAME: usize = 200;

/// A new version of a file. Dropped without [taking its place](Self::take_place), it is removed.
#[derive(Debug)]
pub(in crate::batch) struct Scratch {
    file: Box<dyn OpenFile>,
    name: Name,
    target: PathBuf,
}

/// Its name, for as long as it has one of its own.
#[derive(Debug)]
struct Name {
    disk: Disk,
    path: PathBuf,
    is_moved: bool,
}

impl Scratch {
    /// Makes one for the file to which `path` leads, with the rights of what is there, and locks it.
    /// Removes what killed runs have left for the same target.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be made, as in a folder that must not be written to.
    pub(in crate::batch) fn of(disk: &Disk, path: &Path) -> Result<Self> {
        let target = resolve(&**disk, path);
        remove_left(&**disk, &target);
        let mut beside = stem(target.file_name().unwrap_or_default());
        beside.push(format!("{MARK}{:016x}{ENDING}", fastrand::u64(..)));
        let beside = folder_of(&target).join(beside);
        let fail = |error| Error::io(path, error);
        let file = disk.open(&beside, How::New).map_err(fail)?;
        let name = Name {
            disk: Arc::clone(disk),
            path: beside,
            is_moved: false,
        };
        lock(&*file, &name.path)?;
        give_rights_of(&**disk, &target, &*file).map_err(fail)?;
        Ok(Self { file, name, target })
    }

    pub(in crate::batch) fn file(&self) -> &dyn OpenFile {
        &*self.file
    }

    /// Puts it in the place of its target, at once, when it is on the disk. Its name there is not on the
    /// disk before the folder is [synced](sync_folder_of).
    pub(in crate::batch) fn take_place(self) -> io::Result<Box<dyn OpenFile>> {
        let Self {
            file,
            mut name,
            target,
        } = self;
        file.sync()?;
        name.disk.rename(&name.path, &target)?;
        name.is_moved = true;
        Ok(file)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if !self.is_moved {
            let _ = self.disk.remove(&self.path); // half of it is of no use, and takes room
        }
    }
}

/// Waits until the name of a file is on the disk.
pub(in crate::batch) fn sync_folder_of(disk: &dyn FileSystem, path: &Path) -> io::Result<()> {
    disk.sync_folder(folder_of(&resolve(disk, path)))
}

/// How the scratch files of a target begin.
fn stem(name: &OsStr) -> OsString {
    match name.len() <= LONGEST_NAME {
        true => name.to_owned(),
        false => {
            let hash = XxHash64::oneshot(0, name.as_encoded_bytes());
            format!("{hash:016x}").into()
        }
    }
}

/// Removes the scratch files of a target that no run has open. What only looks like one, such as a
/// link, is left alone.
pub(in crate::batch) fn remove_left(disk: &dyn FileSystem, target: &Path) {
    let folder = folder_of(target);
    let stem = stem(target.file_name().unwrap_or_default());
    let is_scratch = |name: &OsStr| {
        let rest = name
            .as_encoded_bytes()
            .strip_prefix(stem.as_encoded_bytes());
        let rest = rest.and_then(|rest| rest.strip_prefix(MARK.as_bytes()));
        let chance = rest.and_then(|rest| rest.strip_suffix(ENDING.as_bytes()));
        chance.is_some_and(|it| it.len() == DIGITS && it.iter().all(u8::is_ascii_hexdigit))
    };
    for name in disk.names(folder).unwrap_or_default() {
        if !is_scratch(&name) {
            continue;
        }
        let path = folder.join(name);
        let Ok(there) = disk.stat_link(&path) else {
            continue;
        };
        if there.kind != Kind::File {
            continue;
        }
        let Ok(left) = disk.open(&path, How::Existing) else {
            continue;
        };
        let is_it = left.stat().is_ok_and(|left| left.id == there.id);
        if is_it && left.try_lock().is_ok() {
            let _ = disk.remove(&path); // the next run tries again
        }
    }
}

/// Makes a file beside another: of the first name that is free among `NAME.what`, `NAME.what.1` and so
/// on, with the rights of the other.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be made.
pub(in crate::batch) fn first_free(
    disk: &dyn FileSystem,
    of: &Path,
    what: &str,
) -> Result<(PathBuf, Box<dyn OpenFile>)> {
    let of = resolve(disk, of);
    let mut number = 0_u64;
    loop {
        let mut name = of.as_os_str().to_owned();
        match (what, number) {
            ("", number) => name.push(format!(".{}", number + 1)),
            (what, 0) => name.push(format!(".{what}")),
            (what, number) => name.push(format!(".{what}.{number}")),
        }
        let path = PathBuf::from(name);
        match disk.open(&path, How::New) {
            Ok(file) => {
                let given = give_rights_of(disk, &of, &*file);
                given.map_err(|error| Error::io(&path, error))?;
                return Ok((path, file));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::io(&path, error)),
        }
    }
}

/// Lets the same people read and write a file as another, where there is one.
fn give_rights_of(disk: &dyn FileSystem, path: &Path, file: &dyn OpenFile) -> io::Result<()> {
    match disk.stat(path) {
        Ok(there) => file.set_rights(there.rights),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// How much must fit onto a disk for a run to begin: less is a full disk.
const LEAST_ROOM: usize = 4096;

/// Finds out whether a new version of a file could be written, now and not after hours.
///
/// # Errors
///
/// [`Error::Io`] when its folder must not be written to, or the disk is full.
pub(in crate::batch) fn check_room(disk: &Disk, path: &Path) -> Result<()> {
    let fail = |error| Error::io(path, error);
    let scratch = Scratch::of(disk, path)?;
    write_all_at(scratch.file(), &[0; LEAST_ROOM], 0).map_err(fail)?;
    scratch.file().sync().map_err(fail)
}

/// Returns an error where [`Extract`](super::super::Extract), [`Report`](super::super::Report) or
/// [`Summary::write`](super::super::Summary::write) could not write a file. To be asked before a run
/// that takes hours. What is there stays as it is.
///
/// # Errors
///
/// [`Error::Io`] when the path is that of a folder, when its folder is not there or must not be written
/// to, and when the disk is full.
pub fn check_output(path: impl AsRef<Path>) -> Result<()> {
    let (disk, path) = (system(), path.as_ref());
    match disk.stat(path).map(|there| there.kind) {
        _ if is_descriptor(&*disk, path) => Ok(()),
        Ok(Kind::Folder) => Err(Error::io(path, io::ErrorKind::IsADirectory.into())),
        Ok(Kind::Pipe | Kind::Device) => Ok(()),
        _ => check_room(&disk, path),
    }
}

/// Writes a file with `write`. Until all of it is on the disk, `path` holds what it held before.
/// What is no file, such as a pipe, is written to as it is.
pub(in crate::batch) fn write_whole<T>(
    disk: &Disk,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T>,
) -> Result<T> {
    let fail = |error| Error::io(path, error);
    match disk.stat(path).map(|there| there.kind) {
        Ok(Kind::Folder) => return Err(fail(io::ErrorKind::IsADirectory.into())),
        kind if is_descriptor(&**disk, path) || matches!(kind, Ok(Kind::Pipe | Kind::Device)) => {
            // A file behind a descriptor, as in `> log`, is not ours to overwrite.
            let file = OpenOptions::new().append(true).open(path).map_err(fail)?;
            let mut writer = BufWriter::new(file);
            let written = write(&mut writer)?;
            writer.flush().map_err(fail)?;
            return Ok(written);
        }
        _ => {}
    }
    let scratch = Scratch::of(disk, path)?;
    let mut writer = BufWriter::new(Cursor::new(scratch.file(), 0));
    let written = write(&mut writer)?;
    writer.flush().map_err(fail)?;
    drop(writer);
    scratch.take_place().map_err(fail)?;
    sync_folder_of(&**disk, path).map_err(fail)?;
    Ok(written)
}
