//! What each thread of a crowd leaves behind.

use std::sync::OnceLock;
use std::time::Instant;

use crate::process::Sleeps;

/// What a thread notes while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notes {
    /// Only when it returned.
    Time,
    /// How often it slept as well, which takes time itself.
    Sleeps,
}

/// One thread's notes.
#[derive(Debug, Default)]
pub(crate) struct Note {
    /// Its sleeps before it waited.
    before: OnceLock<Option<Sleeps>>,
    returned: OnceLock<Returned>,
}

#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) result: Result<(), String>,
    pub(crate) at: Instant,
    after: Option<Sleeps>,
}

impl Note {
    /// Waits, and notes how that went.
    pub(crate) fn take(&self, notes: Notes, wait: impl FnOnce() -> Result<(), String>) {
        let sleeps = || (notes == Notes::Sleeps).then(Sleeps::own).flatten();
        // Each is set once: a thread waits once.
        let _ = self.before.set(sleeps());
        let result = wait();
        let (at, after) = (Instant::now(), sleeps());
        let _ = self.returned.set(Returned { result, at, after });
    }

    pub(crate) fn returned(&self) -> Option<&Returned> {
        self.returned.get()
    }

    /// How often it has slept until now; it may be asleep again.
    pub(crate) fn slept_until_now(&self) -> Option<u64> {
        let before = self.before.get().copied().flatten()?;
        Some(Sleeps::of(before.thread)?.count - before.count)
    }

    /// How often it slept until it returned.
    pub(crate) fn slept(&self) -> Option<u64> {
        let before = self.before.get().copied().flatten()?;
        Some(self.returned.get()?.after?.count - before.count)
    }
}
