//! The calls.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use fs4::TryLockError;

use super::super::super::{FileSystem, How, Kind, OpenFile, Rights, Stat};
use super::{CrashDisk, Entry, Fault, Inode, Mutation, Write, index};

impl FileSystem for CrashDisk {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn OpenFile>> {
        let follows = self.mutation(Mutation::FollowsLinks);
        let truncates = self.mutation(Mutation::TruncateBeforeLock) && how == How::Write;
        let is_read_only = self.mutation(Mutation::ReadOnlyFolder);
        let mut world = self.0.lock();
        world.whole_call()?;
        if is_read_only && (how == How::New || !world.names.contains_key(path)) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if how == How::New && world.names.contains_key(path) && !follows {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (path, found) = world.find(path)?;
        let inode = match found {
            Some(inode) => inode,
            None if matches!(how, How::Read | How::Existing) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            None => {
                world.inodes.push(Inode {
                    mode: 0o644,
                    ..Inode::default()
                });
                let inode = world.inodes.len() - 1;
                world.name(path, Some(Entry::File(inode)));
                inode
            }
        };
        if truncates {
            world.inodes[inode].write(Write::Length(0));
        }
        world.process += 1;
        Ok(Box::new(Handle {
            disk: self.clone(),
            inode,
            number: world.process,
            is_scratch: how == How::New,
        }))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let mut world = self.0.lock();
        world.whole_call()?;
        let (_, inode) = world.find(path)?;
        let inode = inode.ok_or(io::ErrorKind::NotFound)?;
        Ok(world.stat(inode))
    }

    fn stat_link(&self, path: &Path) -> io::Result<Stat> {
        let mut world = self.0.lock();
        world.whole_call()?;
        match world.names.get(path) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Entry::File(inode)) => Ok(world.stat(*inode)),
            Some(Entry::Link(_)) => Ok(Stat {
                kind: Kind::Link,
                len: 0,
                id: None,
                rights: Rights {
                    mode: 0,
                    owner: 0,
                    group: 0,
                },
            }),
        }
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let world = self.0.lock(); // never planned to fail: it only looks
        match world.names.get(path) {
            Some(Entry::Link(to)) => Ok(to.clone()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.whole_call()?;
        let entry = world.names.get(from).cloned();
        let entry = entry.ok_or(io::ErrorKind::NotFound)?;
        // One change for journals, too.
        world.names.insert(to.to_owned(), entry.clone());
        world.names.remove(from);
        world.changes.push((to.to_owned(), Some(entry)));
        world.changes.push((from.to_owned(), None));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let keeps = self.mutation(Mutation::NoRemoval);
        let mut world = self.0.lock();
        world.whole_call()?;
        if !keeps {
            world.name(path.to_owned(), None);
        }
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let skips = self.mutation(Mutation::NoFolderSync);
        let mut world = self.0.lock();
        world.whole_call()?;
        if !skips {
            world.durable = world.names.clone();
            world.changes.clear();
        }
        Ok(())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut world = self.0.lock();
        world.whole_call()?;
        let paths = world.names.keys();
        let inside = paths.filter(|path| path.parent() == Some(folder));
        Ok(inside
            .map(|path| path.file_name().unwrap().to_owned())
            .collect())
    }
}

#[derive(Debug)]
struct Handle {
    disk: CrashDisk,
    inode: usize,
    number: u64,
    is_scratch: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut world = self.disk.0.lock();
        let inode = &mut world.inodes[self.inode];
        if inode.locked_by == Some(self.number) {
            inode.locked_by = None;
        }
    }
}

impl OpenFile for Handle {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut world = self.disk.0.lock();
        world.whole_call()?;
        let bytes = &world.inodes[self.inode].now;
        let bytes = bytes.get(index(at)..).unwrap_or_default();
        let read = bytes.len().min(buffer.len());
        buffer[..read].copy_from_slice(&bytes[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut world = self.disk.0.lock();
        let fault = world.call()?;
        let length = match fault {
            Some(Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(_) => bytes.len() / 2,
            None => bytes.len(),
        };
        let write = Write::Bytes(index(at), bytes[..length].to_vec());
        world.inodes[self.inode].write(write);
        match fault {
            Some(Fault::EndsWithin) => {
                world.has_ended = true;
                Err(io::Error::other("the process has ended"))
            }
            _ if length == 0 => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(length),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let skips = self.disk.mutation(Mutation::NoTakingBack);
        let mut world = self.disk.0.lock();
        world.whole_call()?;
        if !skips {
            world.inodes[self.inode].write(Write::Length(index(len)));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let skips = self.disk.mutation(Mutation::NoSync)
            || self.is_scratch && self.disk.mutation(Mutation::RenameBeforeSync);
        let mut world = self.disk.0.lock();
        if let Err(error) = world.whole_call() {
            // What could not be written is forgotten, and the next call says that all is well.
            world.inodes[self.inode].writes.clear();
            return Err(error);
        }
        if !skips {
            world.sync(self.inode);
        }
        Ok(())
    }

    fn try_lock(&self) -> Result<(), TryLockError> {
        let skips = self.disk.mutation(Mutation::NoLock);
        let mut world = self.disk.0.lock();
        world.whole_call().map_err(TryLockError::Error)?;
        let inode = &mut world.inodes[self.inode];
        match inode.locked_by {
            Some(other) if other != self.number && !skips => Err(TryLockError::WouldBlock),
            _ => {
                inode.locked_by = Some(self.number);
                Ok(())
            }
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        let mut world = self.disk.0.lock();
        world.whole_call()?;
        Ok(world.stat(self.inode))
    }

    fn set_rights(&self, rights: Rights) -> io::Result<()> {
        let mut world = self.disk.0.lock();
        world.whole_call()?;
        world.inodes[self.inode].mode = rights.mode;
        Ok(())
    }
}
