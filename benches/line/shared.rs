//! The plain way to let threads wait in line: one Mutex and one Condvar for all. Nobody can tell
//! whom a notify would wake, so everybody is woken, looks, and goes back to sleep.
//!
//! Where all are due at once it does not show. `parking_lot` hands the lock on in the order in which
//! threads began to wait, so each finds that its turn has just come.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::crowd::Place;

#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many have come.
    came: usize,
    /// How many have had their turn.
    served: usize,
    /// How many may have had it by now.
    due: usize,
    ended: bool,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Lets so many through in all.
    pub(crate) fn allow(&self, due: usize) {
        self.state.lock().due = due;
        self.changed.notify_all();
    }

    /// Lets one more through whenever `every` has passed, up to `count`.
    pub(crate) fn allow_paced(&self, count: usize, every: Duration) {
        let mut next = Instant::now();
        for due in 1..=count {
            self.allow(due);
            next += every;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

impl Place for Shared {
    fn wait(&self, _: usize) -> Result<(), String> {
        let mut state = self.state.lock();
        let turn = state.came;
        state.came += 1;
        while state.served != turn || state.due <= turn {
            if state.ended {
                return Err("ended before its turn".to_owned());
            }
            self.changed.wait(&mut state);
        }
        state.served += 1;
        // The next one may be due too, and might have looked when it was not at the head yet.
        if state.due > state.served {
            self.changed.notify_all();
        }
        Ok(())
    }

    fn has(&self, index: usize) -> bool {
        self.state.lock().came > index
    }

    fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }
}
