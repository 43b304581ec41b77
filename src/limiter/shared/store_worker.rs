//! The thread that goes to the store, for all lines of one process that share it.
//!
//! It sleeps until a queue calls, which it does under no lock of its own: when a waiter has no booking,
//! when there is something to report, or when the store said to come again. All that call at the same
//! time go in one trip, and those that call meanwhile go with the next: so the more wait, the fewer
//! trips there are for each.
//!
//! # Locking
//!
//! One mutex guards the calls. It is held for one look, never while on the connection or in a queue, and
//! no line's lock is held while it is taken. No call is lost: the thread looks at the calls and goes
//! to sleep under one hold of the lock, and a call that is earlier than the first is put in and
//! notified under another. A line is taken off the list of calls before it is asked what it has to
//! say, so what it gets to say later calls again.
//!
//! The thread holds lines by `Weak` references, and no line holds its lock while it is on the connection.
//! It ends with the last limiter and the last [`SharedStore`](super::SharedStore), once all have
//! taken their leave.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::super::clock::Clock;
use super::super::core::Core;
use super::connection::{Keys, StoreConnection, StoreError};
use super::store::Settings;
use super::sync::SyncRequest;
use super::wait_after;
use crate::sync::thread::{Builder, JoinHandle, current};
use crate::sync::{AtomicBool, Condvar, Mutex, Ordering};
use crate::{AcquireError, Result};

/// The name of the thread, as debuggers and `top -H` show it.
const THREAD_NAME: &str = "paceline-store";

/// The thread's handle. Each [`SharedStore`](super::SharedStore) has one.
pub(in crate::limiter) struct StoreWorker {
    is_ready: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    clock: Clock,
    state: Mutex<State>,
    /// There is an earlier call, a leave, or an end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    seats: HashMap<u64, Called>,
    leaves: Vec<(Keys, SyncRequest)>,
    next_seat: u64,
    is_stopped: bool,
}

struct Called {
    core: Weak<Core>,
    keys: Keys,
    /// When to sync the store for it.
    at: Option<Instant>,
}

/// A line's place with the store worker.
pub(in crate::limiter) struct Registration {
    store_worker: Arc<StoreWorker>,
    id: u64,
    keys: Keys,
}

impl Registration {
    pub(in crate::limiter) fn ready(&self) -> Result<(), AcquireError> {
        self.store_worker.ready()
    }

    /// Has the store synced at `at`, or earlier.
    pub(in crate::limiter) fn call(&self, at: Instant) {
        let mut state = self.store_worker.shared.state.lock();
        let Some(called) = state.seats.get_mut(&self.id) else {
            return;
        };
        if called.at.is_none_or(|set| at < set) {
            called.at = Some(at);
            // With the lock held: the thread cannot be between its look at the calls and its sleep.
            self.store_worker.shared.changed.notify_one();
        }
    }

    /// The line is gone; this is the last that it has to say.
    pub(in crate::limiter) fn leave(&self, sync: Option<SyncRequest>) {
        let mut state = self.store_worker.shared.state.lock();
        state.seats.remove(&self.id);
        if let Some(sync) = sync {
            state.leaves.push((self.keys.clone(), sync));
            self.store_worker.shared.changed.notify_one();
        }
    }
}

impl StoreWorker {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            is_ready: AtomicBool::new(false),
            thread: Mutex::new(None),
            shared: Arc::new(Shared {
                settings,
                clock: Clock::real(),
                state: Mutex::new(State::default()),
                changed: Condvar::new(),
            }),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(super) fn registration(self: &Arc<Self>, core: Weak<Core>, limiter: &str) -> Registration {
        let keys = Keys::new(&self.shared.settings.prefix, limiter);
        let mut state = self.shared.state.lock();
        let id = state.next_seat;
        state.next_seat += 1;
        let called = Called {
            core,
            keys: keys.clone(),
            at: None,
        };
        state.seats.insert(id, called);
        Registration {
            store_worker: Arc::clone(self),
            id,
            keys,
        }
    }

    fn ready(&self) -> Result<(), AcquireError> {
        if self.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let started = Builder::new().name(THREAD_NAME.to_owned());
            let started = started.spawn(move || Trips::new(&shared).run());
            *thread = Some(started.map_err(AcquireError::Scheduler)?);
            self.is_ready.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Drop for StoreWorker {
    fn drop(&mut self) {
        let Some(handle) = self.thread.lock().take() else {
            return;
        };
        self.shared.state.lock().is_stopped = true;
        // It looks at the flag under the lock before it sleeps, so it is asleep now or will see it.
        self.shared.changed.notify_one();
        if handle.thread().id() != current().id() {
            let _ = handle.join(); // a panic in it has been printed already
        }
    }
}

/// What the thread has to do next.
enum Task {
    SyncRequest(Vec<(Arc<Core>, Keys)>),
    Leave(Vec<(Keys, SyncRequest)>),
    Knock,
    End,
}

/// The thread.
struct Trips<'a> {
    shared: &'a Shared,
    connection: StoreConnection,
    /// Trips that failed in a row.
    failures: u32,
    /// When to try again, if the store cannot be reached.
    down: Option<Instant>,
    /// Whether the log says that it cannot be used, and not yet that it can be again.
    is_reported: bool,
}

impl<'a> Trips<'a> {
    fn new(shared: &'a Shared) -> Self {
        let settings = &shared.settings;
        Self {
            shared,
            connection: StoreConnection::new(settings.address.clone(), settings.timeouts),
            failures: 0,
            down: None,
            is_reported: false,
        }
    }

    fn run(&mut self) {
        loop {
            match self.next() {
                Task::SyncRequest(lines) => self.sync(&lines),
                Task::Leave(leaves) => {
                    let syncs: Vec<_> = leaves.iter().map(|(keys, sync)| (keys, sync)).collect();
                    // A store that does not hear of it finds out by itself.
                    if self
                        .connection
                        .go(&syncs, &self.shared.settings.identity)
                        .is_err()
                    {
                        self.connection.close();
                    }
                }
                Task::Knock => self.knock(),
                Task::End => return,
            }
        }
    }

    /// Sleeps until there is something to do.
    fn next(&self) -> Task {
        let mut state = self.shared.state.lock();
        loop {
            let now = self.shared.clock.now();
            let leaves = std::mem::take(&mut state.leaves);
            if !leaves.is_empty() && self.down.is_none() {
                return Task::Leave(leaves);
            }
            if state.is_stopped {
                return Task::End;
            }
            let first = match self.down {
                Some(at) => (!state.seats.is_empty()).then_some(at),
                None => state.seats.values().filter_map(|called| called.at).min(),
            };
            match first {
                Some(at) if at <= now && self.down.is_some() => return Task::Knock,
                Some(at) if at <= now => {
                    let due = state.seats.values_mut();
                    let due = due.filter(|called| called.at.is_some_and(|at| at <= now));
                    let lines = due.filter_map(|called| {
                        called.at = None;
                        Some((called.core.upgrade()?, called.keys.clone()))
                    });
                    return Task::SyncRequest(lines.collect());
                }
                Some(at) => drop(self.shared.changed.wait_until(&mut state, at)),
                None => self.shared.changed.wait(&mut state),
            }
        }
    }

    fn sync(&mut self, lines: &[(Arc<Core>, Keys)]) {
        let calls = lines.iter().filter_map(|(core, keys)| {
            let sync = core.sync()?;
            Some((core, keys, sync))
        });
        let calls: Vec<_> = calls.collect();
        if calls.is_empty() {
            return;
        }
        let syncs: Vec<_> = calls
            .iter()
            .map(|(_, keys, (sync, _))| (*keys, sync))
            .collect();
        match self.connection.go(&syncs, &self.shared.settings.identity) {
            Ok(answers) => {
                self.failures = 0;
                if std::mem::take(&mut self.is_reported) {
                    log::warn!(
                        "the store {} can be used again",
                        self.shared.settings.address
                    );
                }
                let received = self.shared.clock.now();
                for ((core, _, sync), answer) in calls.iter().zip(&answers) {
                    core.heard(sync, answer, received);
                }
            }
            Err(error) => {
                self.connection.close();
                self.failures = self.failures.saturating_add(1);
                for (core, ..) in &calls {
                    core.unanswered();
                }
                // A connection that was lost is made anew once, without a word.
                if self.failures > 1 {
                    self.go_down(&error);
                }
            }
        }
    }

    fn go_down(&mut self, error: &StoreError) {
        let settings = &self.shared.settings;
        if !std::mem::replace(&mut self.is_reported, true) {
            log::warn!(
                "the store {} cannot be used: {}; {}",
                settings.address,
                error.0,
                settings.on_outage
            );
        }
        let wait = wait_after(self.failures, settings.identity.horizon);
        self.down = Some(self.shared.clock.now() + wait);
        for core in self.lines() {
            core.cut(settings.on_outage);
        }
    }

    /// Tries whether the store can be reached again. One that can be reached may still refuse what is
    /// asked: only an answer to a sync shows that it can be used.
    fn knock(&mut self) {
        match self.connection.open() {
            Ok(()) => {
                self.down = None;
                for core in self.lines() {
                    core.back();
                }
            }
            Err(_) => {
                self.failures = self.failures.saturating_add(1);
                let wait = wait_after(self.failures, self.shared.settings.identity.horizon);
                self.down = Some(self.shared.clock.now() + wait);
                // Those that came meanwhile have not heard of it.
                for core in self.lines() {
                    core.cut(self.shared.settings.on_outage);
                }
            }
        }
    }

    fn lines(&self) -> Vec<Arc<Core>> {
        let state = self.shared.state.lock();
        let lines = state.seats.values();
        lines.filter_map(|called| called.core.upgrade()).collect()
    }
}
