//! The file system of the system.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs4::TryLockError;

use super::{Disk, FileId, FileSystem, How, Kind, OpenFile, Rights, Stat, folder_of, resolve};

/// The real one.
pub(in crate::batch) fn system() -> Disk {
    Arc::new(System)
}

#[derive(Debug)]
struct System;

impl FileSystem for System {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn OpenFile>> {
        let mut options = OpenOptions::new();
        match how {
            How::Read => options.read(true),
            How::Existing => options.read(true).write(true),
            How::Write => options.read(true).write(true).create(true).truncate(false),
            How::New => options.read(true).write(true).create_new(true),
        };
        Ok(Box::new(options.open(path)?))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        fs::metadata(path).map(|data| stat(&data))
    }

    fn stat_link(&self, path: &Path) -> io::Result<Stat> {
        fs::symlink_metadata(path).map(|data| stat(&data))
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};

        match File::open(folder).and_then(|folder| folder.sync_all()) {
            // A folder that may be written to and not be read; file systems that sync no folders.
            Err(error) if matches!(error.kind(), PermissionDenied | InvalidInput | Unsupported) => {
                Ok(())
            }
            synced => synced,
        }
    }

    /// There is no such call.
    #[cfg(not(unix))]
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.file_name())).collect()
    }
}

impl OpenFile for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(self, buffer, at);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(self, buffer, at);
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_at(self, bytes, at);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_write(self, bytes, at);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn try_lock(&self) -> Result<(), TryLockError> {
        fs4::FileExt::try_lock(self)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.metadata().map(|data| stat(&data))
    }

    #[cfg(unix)]
    fn set_rights(&self, rights: Rights) -> io::Result<()> {
        use std::os::unix::fs::{PermissionsExt, fchown};

        let mut mode = rights.mode;
        let now = OpenFile::stat(self)?.rights;
        if (now.owner, now.group) != (rights.owner, rights.group)
            && fchown(self, Some(rights.owner), Some(rights.group)).is_err()
            && fchown(self, None, Some(rights.group)).is_err()
        {
            mode &= !0o070; // it was meant for another group
        }
        self.set_permissions(fs::Permissions::from_mode(mode & 0o777))
    }

    /// A file has the rights of its folder.
    #[cfg(not(unix))]
    fn set_rights(&self, _: Rights) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn stat(data: &Metadata) -> Stat {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    let kind = data.file_type();
    let kind = match () {
        () if kind.is_file() => Kind::File,
        () if kind.is_dir() => Kind::Folder,
        () if kind.is_symlink() => Kind::Link,
        () if kind.is_fifo() => Kind::Pipe,
        () => Kind::Device,
    };
    Stat {
        kind,
        len: data.len(),
        id: Some((data.dev(), data.ino())),
        rights: Rights {
            mode: data.mode(),
            owner: data.uid(),
            group: data.gid(),
        },
    }
}

#[cfg(not(unix))]
fn stat(data: &Metadata) -> Stat {
    let kind = data.file_type();
    let kind = match () {
        () if kind.is_file() => Kind::File,
        () if kind.is_dir() => Kind::Folder,
        () if kind.is_symlink() => Kind::Link,
        () => Kind::Device,
    };
    Stat {
        kind,
        len: data.len(),
        id: None,
        rights: Rights {
            mode: 0,
            owner: 0,
            group: 0,
        },
    }
}

/// Returns true when two paths lead to one file, however they are spelled: over links, hard links
/// and folders, and also when the file is not there yet. `-` is standard output. What any
/// number of programs may write to at once, such as `/dev/null` or a pipe, is never the same file.
///
/// ```
/// use paceline::batch::is_same_file;
///
/// assert!(is_same_file("answers.csv", "./answers.csv"));
/// assert!(!is_same_file("/dev/null", "/dev/null"));
/// ```
pub fn is_same_file(a: impl AsRef<Path>, b: impl AsRef<Path>) -> bool {
    place(a.as_ref()).is_some_and(|a| Some(a) == place(b.as_ref()))
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    There((u64, u64)),
    /// A name in a folder, in which there is nothing of this name.
    Free((u64, u64), OsString),
    /// On systems without identities of files, and in folders that are not there.
    Spelled(PathBuf),
}

/// `None` for what is no file.
fn place(path: &Path) -> Option<Place> {
    let path = match path == Path::new("-") {
        true => Path::new("/dev/stdout"),
        false => path,
    };
    let at = resolve(&System, path);
    let found = System.stat(path).or_else(|_| System.stat(&at));
    let known: FileId = match &found {
        Ok(found) if matches!(found.kind, Kind::Device | Kind::Pipe) => return None,
        Ok(found) => found.id,
        Err(_) => None,
    };
    let folder = folder_of(&at);
    let spelled = || {
        let folder = folder.canonicalize();
        let beside = || Some(folder.ok()?.join(at.file_name()?));
        let real = at.canonicalize().ok().or_else(beside);
        real.unwrap_or_else(|| at.clone())
    };
    let folder_id = System.stat(folder).ok().and_then(|folder| folder.id);
    Some(match (known, found, folder_id, at.file_name()) {
        (Some(id), ..) => Place::There(id),
        (None, Err(_), Some(folder), Some(name)) => Place::Free(folder, name.to_owned()),
        _ => Place::Spelled(spelled()),
    })
}
