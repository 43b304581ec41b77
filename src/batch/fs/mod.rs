//! The file system as the writers of outputs see it: the few calls that they make, behind one trait.
//!
//! Tests put a disk in its place whose calls fail, stop half way or lose what was not synced. All other
//! code has [`system`].

mod scratch; // new versions of files, written beside them and moved into their place
mod system; //  the real one

#[cfg(test)]
pub(super) mod tests;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs4::TryLockError;

use crate::{Error, Result};

pub use scratch::check_output;
pub(super) use scratch::{
    Scratch, check_room, first_free, remove_left, sync_folder_of, write_whole,
};
pub use system::is_same_file;
pub(super) use system::system;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// To be read.
    Read,
    /// To be read and written; it must be there.
    Existing,
    /// To be read and written; made if it is not there.
    Write,
    /// To be read and written; it must not be there, not even as a link.
    New,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    /// A pipe with a name or without.
    Pipe,
    /// A device, such as a terminal or the null device, or a socket.
    Device,
}

/// What tells one file from all others, where the system has such a thing.
pub(super) type FileId = Option<(u64, u64)>;

/// The permissions and the owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) mode: u32,
    pub(super) owner: u32,
    pub(super) group: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) kind: Kind,
    pub(super) len: u64,
    pub(super) id: FileId,
    pub(super) rights: Rights,
}

/// The calls of a file system.
pub(super) trait FileSystem: fmt::Debug + Send + Sync {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn OpenFile>>;
    /// What is there, behind links.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// What is there, a link as itself.
    fn stat_link(&self, path: &Path) -> io::Result<Stat>;
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>>;
}

/// The calls on a file that is open. Each names its place, so none depends on the one before.
pub(super) trait OpenFile: fmt::Debug + Send + Sync {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Waits until what was written is on the disk, and how long the file is.
    fn sync(&self) -> io::Result<()>;
    fn try_lock(&self) -> Result<(), TryLockError>;
    fn stat(&self) -> io::Result<Stat>;
    fn set_rights(&self, rights: Rights) -> io::Result<()>;
}

/// A file system that several share.
pub(super) type Disk = Arc<dyn FileSystem>;

/// Writes all of it, in as many calls as that takes.
pub(super) fn write_all_at(file: &dyn OpenFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                at += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads or writes a file from a place on.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    file: &'a dyn OpenFile,
    pub(super) at: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a dyn OpenFile, at: u64) -> Self {
        Self { file, at }
    }
}

impl io::Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Write for Cursor<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps other runs away from a file.
pub(super) fn lock(file: &dyn OpenFile, path: &Path) -> Result<()> {
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

/// Where a path leads when its last part is a link, also to what is not there.
pub(super) fn resolve(disk: &dyn FileSystem, path: &Path) -> PathBuf {
    steps(disk, path).last().unwrap_or_else(|| path.to_owned())
}

/// The path, and where each link of its last part leads.
fn steps(disk: &dyn FileSystem, path: &Path) -> impl Iterator<Item = PathBuf> {
    const MOST_LINKS: usize = 40; // as many as Linux follows
    let next = |path: &PathBuf| Some(folder_of(path).join(disk.read_link(path).ok()?));
    std::iter::successors(Some(path.to_owned()), next).take(MOST_LINKS)
}

/// Whether a path is another name of a descriptor of this process, such as `/dev/stdout`: what is behind
/// it is the caller's, and only written to.
pub(super) fn is_descriptor(disk: &dyn FileSystem, path: &Path) -> bool {
    let is_one = |path: PathBuf| {
        let in_folder = ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|it| path.starts_with(it));
        in_folder || path == Path::new("/dev/stdout") || path == Path::new("/dev/stderr")
    };
    cfg!(unix) && steps(disk, path).any(is_one)
}

/// The folder in which a name stands.
pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or(Path::new("."))
}
