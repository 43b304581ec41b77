//! A disk in memory that fails at any call, ends the process there, and loses in a power cut what was
//! not synced, as real ones do.
//!
//! What a file holds is kept twice: as programs see it, and as it is on the disk, with the writes between
//! the two. In a power cut each sector of 512 bytes of each such write is on the disk or not, whatever the
//! order; a file that got its new length and not its new data has zeros there. Names of a folder are on the disk
//! up to some change of them, in order, as journals of file systems keep it, and they do not wait for data.

mod calls; // each call, with what goes wrong at it

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::{Kind, Rights, Stat};

const SECTOR: usize = 512;

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Fault {
    /// It fails, and so do as many after it.
    Fails(io::ErrorKind, u64),
    /// It does half of its work, and the call after it fails.
    Short,
    /// A signal interrupts it.
    Interrupted,
    /// The process ends before it.
    EndsBefore,
    /// The process ends in the middle of it.
    EndsWithin,
}

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Loss {
    /// By a kill: all that was written is there.
    Kill,
    /// By a power cut.
    PowerCut,
}

/// A fault of a program, as the disk sees it: calls that are missing, or come in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Mutation {
    /// Files are never synced.
    NoSync,
    /// Folders are never synced.
    NoFolderSync,
    /// New versions of files are moved into their place, and synced then.
    RenameBeforeSync,
    /// Files are truncated when they are opened, before they are locked.
    TruncateBeforeLock,
    /// Files are not locked.
    NoLock,
    /// What a failed write left is not taken back.
    NoTakingBack,
    /// Scratch files are not removed.
    NoRemoval,
    /// A file is opened where a link leads.
    FollowsLinks,
    /// No fault of a program: nothing can be made in the folder.
    ReadOnlyFolder,
}

#[derive(Debug, Clone)]
pub(in crate::batch) struct CrashDisk(Arc<Mutex<World>>);

#[derive(Debug)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Entry>,
    /// Names on the disk, and the changes since.
    durable: BTreeMap<PathBuf, Entry>,
    changes: Vec<(PathBuf, Option<Entry>)>,
    /// Calls so far in this process.
    calls: u64,
    fault: Option<(u64, Fault)>,
    has_failed: bool,
    has_ended: bool,
    process: u64,
    mutation: Option<Mutation>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(usize),
    Link(PathBuf),
}

#[derive(Debug, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    writes: Vec<Write>,
    /// The handle that has it.
    locked_by: Option<u64>,
    mode: u32,
}

#[derive(Debug, Clone)]
enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

/// A place in memory.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl Write {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(*length, 0),
            Self::Bytes(at, bytes) => {
                let end = at + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*at..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Inode {
    fn write(&mut self, write: Write) {
        write.apply(&mut self.now);
        self.writes.push(write);
    }

    /// What a power cut leaves. `chance` gives a number below its argument.
    fn lose(&mut self, chance: &mut impl FnMut(u64) -> u64) {
        let kept = [0, 8, 4, 1, 7][index(chance(5))]; // eighths of the sectors
        let keeps_lengths = chance(2) == 0;
        for write in std::mem::take(&mut self.writes) {
            let Write::Bytes(at, bytes) = &write else {
                if chance(2) == 0 {
                    write.apply(&mut self.durable);
                }
                continue;
            };
            let mut from = 0;
            while from < bytes.len() {
                let to = (SECTOR - (at + from) % SECTOR + from).min(bytes.len());
                if chance(8) < kept {
                    Write::Bytes(at + from, bytes[from..to].to_vec()).apply(&mut self.durable);
                } else if keeps_lengths && self.durable.len() < at + to {
                    self.durable.resize(at + to, 0);
                }
                from = to;
            }
        }
        self.now = self.durable.clone();
    }
}

impl World {
    /// Counts a call, and says what happens at it.
    fn call(&mut self) -> io::Result<Option<Fault>> {
        if self.has_ended {
            return Err(io::Error::other("the process has ended"));
        }
        self.calls += 1;
        let Some((at, fault)) = self.fault else {
            return Ok(None);
        };
        match fault {
            Fault::Fails(kind, times) if (at..at + times).contains(&self.calls) => {
                self.has_failed = true;
                Err(kind.into())
            }
            Fault::Short if self.calls == at + 1 && self.has_failed => {
                Err(io::ErrorKind::StorageFull.into())
            }
            Fault::EndsBefore if self.calls == at => {
                self.has_ended = true;
                Err(io::Error::other("the process has ended"))
            }
            Fault::Short | Fault::Interrupted | Fault::EndsWithin if self.calls == at => {
                self.has_failed = true;
                Ok(Some(fault))
            }
            _ => Ok(None),
        }
    }

    /// A call that is done or not.
    fn whole_call(&mut self) -> io::Result<()> {
        match self.call()? {
            Some(Fault::EndsWithin) => {
                self.has_ended = true;
                Err(io::Error::other("the process has ended"))
            }
            _ => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<(PathBuf, Option<usize>)> {
        let mut path = path.to_owned();
        for _ in 0..8 {
            match self.names.get(&path) {
                Some(Entry::File(inode)) => return Ok((path, Some(*inode))),
                Some(Entry::Link(to)) => path = path.parent().unwrap().join(to),
                None => return Ok((path, None)),
            }
        }
        Err(io::Error::other("a ring of links"))
    }

    fn name(&mut self, path: PathBuf, entry: Option<Entry>) {
        match &entry {
            Some(entry) => drop(self.names.insert(path.clone(), entry.clone())),
            None => drop(self.names.remove(&path)),
        }
        self.changes.push((path, entry));
    }

    fn stat(&self, inode: usize) -> Stat {
        Stat {
            kind: Kind::File,
            len: self.inodes[inode].now.len() as u64,
            id: Some((1, inode as u64)),
            rights: Rights {
                mode: self.inodes[inode].mode,
                owner: 0,
                group: 0,
            },
        }
    }

    fn sync(&mut self, inode: usize) {
        let inode = &mut self.inodes[inode];
        inode.durable.clone_from(&inode.now);
        inode.writes.clear();
    }
}

impl CrashDisk {
    pub(in crate::batch) fn new(mutation: Option<Mutation>) -> Self {
        Self(Arc::new(Mutex::new(World {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
            calls: 0,
            fault: None,
            has_failed: false,
            has_ended: false,
            process: 0,
            mutation,
        })))
    }

    /// Puts a file there, on the disk.
    pub(in crate::batch) fn put(&self, path: &str, text: &[u8], mode: u32) {
        let mut world = self.0.lock();
        let inode = world.inodes.len();
        world.inodes.push(Inode {
            now: text.to_vec(),
            durable: text.to_vec(),
            mode,
            ..Inode::default()
        });
        world.names.insert(path.into(), Entry::File(inode));
        world.durable.insert(path.into(), Entry::File(inode));
    }

    pub(in crate::batch) fn link(&self, path: &str, to: &str) {
        let mut world = self.0.lock();
        world.names.insert(path.into(), Entry::Link(to.into()));
        world.durable.insert(path.into(), Entry::Link(to.into()));
    }

    /// Plans a fault at a call from now on.
    pub(in crate::batch) fn plan(&self, fault: Option<(u64, Fault)>) {
        let mut world = self.0.lock();
        world.calls = 0;
        world.has_failed = false;
        world.fault = fault;
    }

    /// Calls since the plan was made.
    pub(in crate::batch) fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Whether the planned fault has come.
    pub(in crate::batch) fn has_failed(&self) -> bool {
        let world = self.0.lock();
        world.has_failed || world.has_ended
    }

    pub(in crate::batch) fn has_ended(&self) -> bool {
        self.0.lock().has_ended
    }

    /// Begins the next process.
    pub(in crate::batch) fn restart(&self, loss: Loss, mut chance: impl FnMut(u64) -> u64) {
        let mut world = self.0.lock();
        if loss == Loss::PowerCut {
            let kept = index(chance(world.changes.len() as u64 + 1));
            for (path, entry) in std::mem::take(&mut world.changes).into_iter().take(kept) {
                match entry {
                    Some(entry) => drop(world.durable.insert(path, entry)),
                    None => drop(world.durable.remove(&path)),
                }
            }
            world.names = world.durable.clone();
            for inode in &mut world.inodes {
                inode.lose(&mut chance);
            }
        }
        for inode in &mut world.inodes {
            inode.locked_by = None;
        }
        world.process += 1;
        (world.has_ended, world.has_failed, world.fault) = (false, false, None);
    }

    /// What a file holds, as programs see it, and its mode.
    pub(in crate::batch) fn read(&self, path: &str) -> Option<(Vec<u8>, u32)> {
        let world = self.0.lock();
        let (_, inode) = world.find(Path::new(path)).ok()?;
        let inode = &world.inodes[inode?];
        Some((inode.now.clone(), inode.mode))
    }

    pub(in crate::batch) fn is_link(&self, path: &str) -> bool {
        matches!(
            self.0.lock().names.get(Path::new(path)),
            Some(Entry::Link(_))
        )
    }

    pub(in crate::batch) fn paths(&self) -> Vec<String> {
        let world = self.0.lock();
        let paths = world.names.keys();
        paths.map(|path| path.display().to_string()).collect()
    }

    fn mutation(&self, mutation: Mutation) -> bool {
        self.0.lock().mutation == Some(mutation)
    }
}
