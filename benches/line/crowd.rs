//! Many threads that wait together.
//!
//! They come one after another, each in line before the next one is started, so that they do not
//! get into each other's way while they come: a lock that is taken would look like a wake-up.
//! For the same reason nobody ends before all have returned: a thread that ends gives its memory
//! back, under a lock of the whole process. It parks, which is the least that a thread can do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Builder, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::notes::{Note, Notes};

/// Ten thousand of them fit into memory.
const STACK: usize = 64 * 1024;
/// How long a thread may take to get into line.
const TO_JOIN: Duration = Duration::from_secs(10);
/// How long a crowd may take to come back. The slowest one that is measured takes seconds.
const TO_RETURN: Duration = Duration::from_secs(120);

/// Where a crowd waits.
pub(crate) trait Place: Send + Sync + 'static {
    /// Waits for the calling thread's turn; `index` is its place in the order of coming.
    fn wait(&self, index: usize) -> Result<(), String>;

    /// Whether the thread that came `index`th is in line by now, when all before it are.
    fn has(&self, index: usize) -> bool;

    /// Ends all waits, also those that nobody has had a turn for.
    fn end(&self);
}

/// Threads that wait in one place.
pub(crate) struct Crowd {
    place: Arc<dyn Place>,
    common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of a crowd share.
struct Common {
    notes: Vec<Note>,
    /// How many have come back.
    back: AtomicUsize,
    /// Who is told when all have.
    leader: Thread,
    /// Whether they may end.
    dismissed: AtomicBool,
}

impl Crowd {
    /// Gathers a crowd, the calling thread being its leader.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started, or does not get into line. Those that did are sent home.
    pub(crate) fn gather(
        place: Arc<impl Place>,
        size: usize,
        notes: Notes,
    ) -> Result<Self, String> {
        let common = Common {
            notes: (0..size).map(|_| Note::default()).collect(),
            back: AtomicUsize::new(0),
            leader: thread::current(),
            dismissed: AtomicBool::new(false),
        };
        let mut crowd = Self {
            place,
            common: Arc::new(common),
            threads: Vec::with_capacity(size),
        };
        for index in 0..size {
            crowd.add(index, notes)?;
        }
        thread::sleep(Duration::from_millis(100)); // the last ones have yet to fall asleep
        Ok(crowd)
    }

    fn add(&mut self, index: usize, notes: Notes) -> Result<(), String> {
        let (place, common) = (Arc::clone(&self.place), Arc::clone(&self.common));
        let thread = Builder::new()
            .name(format!("waiter-{index}"))
            .stack_size(STACK)
            .spawn(move || common.attend(&*place, index, notes))
            .map_err(|error| {
                let size = self.common.notes.len();
                format!(
                    "thread {} of {size} could not be started: {error}. Limits that may be too \
                     low: threads (ulimit -u, a container's pids limit), and memory maps \
                     (vm.max_map_count; a thread takes about four)",
                    index + 1
                )
            })?;
        self.threads.push(thread);
        let last = Instant::now() + TO_JOIN;
        while !self.place.has(index) {
            if Instant::now() > last {
                return Err(format!("thread {} did not get into line", index + 1));
            }
            // Not at once again: to look may take the lock that the thread needs to get in.
            thread::sleep(Duration::from_micros(20));
        }
        Ok(())
    }

    pub(crate) fn notes(&self) -> &[Note] {
        &self.common.notes
    }

    /// Waits until all have returned from their wait, and says when the last one did.
    ///
    /// # Errors
    ///
    /// When one failed, or did not come back for minutes.
    pub(crate) fn all_back(&self) -> Result<Instant, String> {
        let size = self.threads.len();
        if !self.common.wait_for(size, TO_RETURN) {
            let back = self.common.back.load(Ordering::Acquire);
            return Err(format!(
                "only {back} of {size} threads came back within {TO_RETURN:?}"
            ));
        }
        let mut last = None;
        for returned in self.common.notes.iter().map(|note| note.returned()) {
            let returned = returned.ok_or("a thread left no note")?;
            returned.result.clone()?;
            last = last.max(Some(returned.at));
        }
        last.ok_or_else(|| "a crowd of nobody".to_owned())
    }
}

impl Common {
    /// What each thread does.
    fn attend(&self, place: &dyn Place, index: usize, notes: Notes) {
        let Some(note) = self.notes.get(index) else {
            return;
        };
        note.take(notes, || place.wait(index));
        if self.back.fetch_add(1, Ordering::AcqRel) + 1 == self.notes.len() {
            self.leader.unpark();
        }
        while !self.dismissed.load(Ordering::Acquire) {
            thread::park();
        }
    }

    /// Waits until so many are back, for at most so long.
    fn wait_for(&self, count: usize, at_most: Duration) -> bool {
        let last = Instant::now() + at_most;
        while self.back.load(Ordering::Acquire) < count {
            let left = last.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            // In a crowd that is not complete nobody unparks, so look again.
            thread::park_timeout(left.min(Duration::from_millis(500)));
        }
        true
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.place.end();
        self.common.dismissed.store(true, Ordering::Release);
        for thread in &self.threads {
            thread.thread().unpark();
        }
        // Whoever is lost for good is left to the end of the process.
        if self.common.wait_for(self.threads.len(), TO_JOIN) {
            for thread in self.threads.drain(..) {
                let _ = thread.join(); // a panic in it has been printed already
            }
        }
    }
}
