//! Threads that wait without a limiter, each on a Mutex and a Condvar of its own: what the system
//! takes in any case.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::crowd::Place;

/// Where one thread waits.
#[derive(Default)]
struct Post {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Vacant,
    Waiting,
    Called,
}

/// A post for each thread.
pub(crate) struct Posts(Vec<Post>);

impl Posts {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self((0..count).map(|_| Post::default()).collect()))
    }

    /// Wakes all, one after another.
    pub(crate) fn call(&self) {
        for post in &self.0 {
            // Notified once the lock is free again, so that nobody wakes up only to wait for it.
            *post.state.lock() = State::Called;
            post.changed.notify_one();
        }
    }
}

impl Place for Posts {
    fn wait(&self, index: usize) -> Result<(), String> {
        let post = self.0.get(index).ok_or("no post for this thread")?;
        let mut state = post.state.lock();
        if *state == State::Vacant {
            *state = State::Waiting;
        }
        while *state != State::Called {
            post.changed.wait(&mut state);
        }
        Ok(())
    }

    fn has(&self, index: usize) -> bool {
        // Whoever says that it waits holds the lock until it does.
        let post = self.0.get(index);
        post.is_some_and(|post| *post.state.lock() != State::Vacant)
    }

    fn end(&self) {
        self.call();
    }
}

/// Sleeps until an instant as a thread on a Condvar does that nobody notifies.
pub(crate) fn sleep_until(instant: Instant) {
    let (own, never) = (Mutex::new(()), Condvar::new());
    let mut guard = own.lock();
    while !never.wait_until(&mut guard, instant).timed_out() {}
}
