//! The refill scheduler: one thread for the process, an alarm clock for the heads of all lines.
//!
//! It adds no tokens: the thread that reads a level computes it from elapsed time. It knows no
//! bucket either, only whom to call and when. So a late alarm costs latency and never tokens, and
//! while no request waits the thread sleeps without a timeout.
//!
//! # Locking
//!
//! One mutex guards the heap of alarms. It is held to put one in or take one out, never while
//! one rings, so an alarm may be set with a line's lock held: lines first, then the heap.
//! The heap keeps `Weak` references: it holds no limiter alive.
//!
//! No wake-up is lost: the thread looks at the heap and goes to sleep under one hold of the lock,
//! and an alarm that becomes the first is put in and notified under another. Only that one wakes
//! the thread: an alarm later than the first does not change when it wakes. While it rings it does
//! not sleep, and looks at the heap again before it does.

use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::alarm::{Alarm, Alarms, Due, Ring};
use crate::sync::thread::{Builder, JoinHandle, current};
use crate::sync::{AtomicU32, Condvar, Mutex, Ordering};
use crate::{AcquireError, Result};

/// The name of the thread, as debuggers and `top -H` show it.
const THREAD_NAME: &str = "paceline-refill";

/// The error of a call that would have to wait in a child of `fork`.
const FORKED: &str = "this process is a fork, and threads stay in the parent: fork before the first \
                      wait, or start a new program";

/// The scheduler's handle. The process has [one](Scheduler::global); tests make their own.
pub(crate) struct Scheduler {
    /// The process in which the thread is, 0 before it was started: what most callers of
    /// [`ready`](Alarms::ready) find, without a lock. A child of `fork` has the number and not the
    /// thread.
    process: AtomicU32,
    thread: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

/// What the thread and its callers share.
struct Shared {
    state: Mutex<State>,
    /// There is a new first alarm, or an end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pending: BinaryHeap<Alarm>,
    is_stopped: bool,
    /// How often the thread has gone to sleep.
    sleeps: u64,
}

impl Scheduler {
    pub(super) fn new() -> Self {
        Self {
            process: AtomicU32::new(0),
            thread: Mutex::new(None),
            shared: Arc::new(Shared {
                state: Mutex::new(State::default()),
                changed: Condvar::new(),
            }),
        }
    }

    /// The scheduler of every limiter with the real clock. It lives as long as the process.
    pub(crate) fn global() -> &'static Arc<Self> {
        static GLOBAL: std::sync::LazyLock<Arc<Scheduler>> =
            std::sync::LazyLock::new(|| Arc::new(Scheduler::new()));
        &GLOBAL
    }

    /// How often the thread has gone to sleep. Counted under the lock that it releases in its sleep: a
    /// test that reads the number finds it asleep, or woken since.
    #[cfg(all(test, not(paceline_loom)))]
    fn sleeps(&self) -> u64 {
        self.shared.state.lock().sleeps
    }
}

impl Alarms for Scheduler {
    fn ready(&self) -> Result<(), AcquireError> {
        let here = std::process::id();
        match self.process.load(Ordering::Acquire) {
            0 => {}
            process if process == here => return Ok(()),
            // No lock is taken: a thread that held one in the parent does not exist to release it.
            _ => return Err(AcquireError::Scheduler(io::Error::other(FORKED))),
        }
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let started = Builder::new().name(THREAD_NAME.to_owned());
            let started = started.spawn(move || shared.run());
            *thread = Some(started.map_err(AcquireError::Scheduler)?);
            self.process.store(here, Ordering::Release);
        }
        Ok(())
    }

    fn set(&self, due: Due, ring: Weak<dyn Ring>) -> bool {
        let mut state = self.shared.state.lock();
        let is_first = state.pending.peek().is_none_or(|first| due < first.due);
        state.pending.push(Alarm { due, ring });
        if is_first {
            // With the lock held: the thread cannot be between its look at the heap and its sleep.
            self.shared.changed.notify_one();
        }
        true // the thread rings at once what is due already
    }
}

impl Drop for Scheduler {
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

impl Shared {
    /// The thread: sleeps until the first alarm is due, and rings it.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that waits for real time"
    )]
    fn run(&self) {
        punctual();
        let mut state = self.state.lock();
        while !state.is_stopped {
            match state.pending.peek().map(|first| first.due.at) {
                Some(at) if at <= Instant::now() => {
                    let first = state.pending.pop();
                    drop(state);
                    let next = first.and_then(Alarm::go_off);
                    state = self.state.lock();
                    state.pending.extend(next);
                    continue;
                }
                Some(at) => {
                    state.sleeps += 1;
                    self.changed.wait_until(&mut state, at);
                }
                None => {
                    state.sleeps += 1;
                    self.changed.wait(&mut state);
                }
            }
        }
    }
}

/// Asks the system not to let this thread's timers be late for the sake of saving power: Linux
/// puts them off by 50 µs to have several at once.
fn punctual() {
    #[cfg(target_os = "linux")]
    // Refused, it is as late as others are.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

#[cfg(all(test, not(paceline_loom)))]
#[allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests are about real time and threads"
)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::super::bucket::Tick;
    use super::*;

    /// Records when it was rung, and asks for a fixed number of further alarms.
    struct Bell {
        rung: Mutex<Sender<(Tick, Instant)>>,
        again: Mutex<Vec<Due>>,
    }

    impl Ring for Bell {
        fn ring(&self, set_for: Tick) -> Option<Due> {
            self.rung.lock().send((set_for, Instant::now())).unwrap();
            self.again.lock().pop()
        }
    }

    struct Setup {
        start: Instant,
        scheduler: Scheduler,
        bell: Arc<Bell>,
        rings: Receiver<(Tick, Instant)>,
    }

    impl Setup {
        fn new() -> Self {
            let (rung, rings) = channel();
            let (rung, again) = (Mutex::new(rung), Mutex::new(Vec::new()));
            let scheduler = Scheduler::new();
            scheduler.ready().unwrap();
            Self {
                start: Instant::now(),
                scheduler,
                bell: Arc::new(Bell { rung, again }),
                rings,
            }
        }

        fn due(&self, millis: u64) -> Due {
            let at = self.start + Duration::from_millis(millis);
            Due {
                at,
                tick: Tick(millis),
            }
        }

        fn set(&self, millis: u64) {
            let bell = Arc::downgrade(&self.bell) as Weak<dyn Ring>;
            assert!(self.scheduler.set(self.due(millis), bell));
        }

        /// Until the thread sleeps, or has slept, for the `count`th time.
        fn asleep(&self, count: u64) {
            while self.scheduler.sleeps() < count {
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn every_alarm_rings_and_none_early() {
        let setup = Setup::new();
        for millis in [30, 10, 20, 0] {
            setup.set(millis);
        }
        let mut rung: Vec<u64> = Vec::new();
        for (tick, at) in setup.rings.iter().take(4) {
            assert!(at >= setup.due(tick.0).at, "{tick:?} rang early");
            rung.push(tick.0);
        }
        rung.sort_unstable();
        assert_eq!(rung, [0, 10, 20, 30]);
    }

    #[test]
    fn a_ring_can_name_the_next_time() {
        let setup = Setup::new();
        setup.bell.again.lock().push(setup.due(2));
        setup.set(0);
        let rung: Vec<_> = setup.rings.iter().take(2).map(|(tick, _)| tick.0).collect();
        assert_eq!(rung, [0, 2]);
    }

    #[test]
    fn an_alarm_far_ahead_does_not_hide_one_that_is_near() {
        let setup = Setup::new();
        setup.asleep(1);
        setup.set(3_600_000);
        setup.asleep(2);
        setup.set(5);
        assert_eq!(setup.rings.recv().unwrap().0, Tick(5));
    }

    #[test]
    fn dropping_the_scheduler_ends_its_thread_and_it_holds_nobody_alive() {
        let setup = Setup::new();
        setup.set(3_600_000);
        assert_eq!(Arc::strong_count(&setup.bell), 1);
        let shared = Arc::downgrade(&setup.scheduler.shared);
        drop(setup.scheduler); // joins
        assert!(
            shared.upgrade().is_none(),
            "the thread is gone with all it held"
        );
    }

    #[test]
    fn a_child_of_a_fork_gets_an_error_and_does_not_wait() {
        let scheduler = Scheduler::new();
        scheduler.ready().unwrap();
        // As if its number were another process's. Its lock is held, as it may be in a child.
        let _held = scheduler.thread.lock();
        scheduler.ready().unwrap();
        scheduler.process.fetch_add(1, Ordering::SeqCst);
        let error = scheduler.ready().unwrap_err();
        assert!(error.to_string().contains("a fork"), "{error}");
    }

    #[test]
    fn only_an_alarm_that_is_the_first_wakes_the_thread() {
        let setup = Setup::new();
        setup.asleep(1);
        setup.set(3_600_000);
        setup.asleep(2);
        for _ in 0..100 {
            setup.set(3_600_000);
            setup.set(3_600_001);
            std::thread::yield_now(); // a thread that is woken can run
        }
        setup.set(0);
        setup.rings.recv().unwrap();
        setup.asleep(3);
        assert_eq!(setup.scheduler.sleeps(), 3);
    }
}
