//! The refill scheduler: one thread for the process, an alarm clock for the heads of all lines.
//!
//! It adds no tokens: levels are computed from elapsed time by whoever looks at them. It knows
//! no bucket either, only whom to call and when. So a late alarm costs latency and never tokens,
//! and with nobody waiting the thread sleeps without a timeout.
//!
//! # Locking
//!
//! The heap belongs to the thread alone. Others reach it through a channel that never blocks
//! them, so an alarm may be set with a line's lock held. The thread takes a line's lock while it
//! rings, and holds nothing else then. It keeps `Weak` references: it holds no limiter alive.
//!
//! No wake-up is lost: an alarm set while the thread is between looking at its heap and going to
//! sleep is in the channel, and `recv` returns at once.

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use parking_lot::Mutex;

use super::alarm::{Alarm, Alarms, Due, Ring};
use crate::{Error, Result};

/// The name of the thread, as debuggers and `top -H` show it.
const THREAD_NAME: &str = "paceline-refill";

/// The scheduler's handle. The process has [one](Scheduler::global); tests make their own.
#[derive(Default)]
pub(crate) struct Scheduler {
    thread: Mutex<Option<Running>>,
    wakes: Arc<AtomicU64>,
}

struct Running {
    alarms: Sender<Alarm>,
    handle: JoinHandle<()>,
}

impl Scheduler {
    /// The scheduler of every limiter with the real clock. It lives as long as the process.
    pub(crate) fn global() -> &'static Arc<Self> {
        static GLOBAL: std::sync::LazyLock<Arc<Scheduler>> = std::sync::LazyLock::new(Arc::default);
        &GLOBAL
    }

    /// How often the thread has woken since the start: what an idle one must not do.
    #[cfg(all(test, not(paceline_loom)))]
    pub(crate) fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }
}

impl Alarms for Scheduler {
    fn ready(&self) -> Result<()> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let (alarms, commands) = unbounded();
            let wakes = Arc::clone(&self.wakes);
            let handle = Builder::new()
                .name(THREAD_NAME.to_owned())
                .spawn(move || run(&commands, &wakes))
                .map_err(Error::Scheduler)?;
            *thread = Some(Running { alarms, handle });
        }
        Ok(())
    }

    fn set(&self, due: Due, ring: Weak<dyn Ring>) -> bool {
        if let Some(running) = &*self.thread.lock() {
            // The receiver lives until the sender is dropped, so this cannot fail.
            let _ = running.alarms.send(Alarm { due, ring });
        }
        true // the thread rings at once what is due already
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if let Some(Running { alarms, handle }) = self.thread.get_mut().take() {
            drop(alarms); // the thread's stop signal
            if handle.thread().id() != std::thread::current().id() {
                let _ = handle.join(); // a panic in it has been printed already
            }
        }
    }
}

fn run(commands: &Receiver<Alarm>, wakes: &AtomicU64) {
    let mut pending = BinaryHeap::new();
    loop {
        ring_due(&mut pending);
        let received = match pending.peek() {
            Some(Alarm { due, .. }) => commands.recv_deadline(due.at),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        wakes.fetch_add(1, Ordering::Relaxed);
        match received {
            Ok(alarm) => pending.push(alarm),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        pending.extend(commands.try_iter());
    }
}

fn ring_due(pending: &mut BinaryHeap<Alarm>) {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that waits for real time"
    )]
    while pending
        .peek()
        .is_some_and(|alarm| alarm.due.at <= Instant::now())
    {
        let next = pending.pop().and_then(Alarm::go_off);
        pending.extend(next);
    }
}

#[cfg(all(test, not(paceline_loom)))]
#[allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests are about real time and threads"
)]
mod tests {
    use std::time::Duration;

    use super::super::level::Tick;
    use super::*;

    /// Says when it was rung, and asks to be rung again as often as it was told to.
    struct Bell {
        rung: Sender<(Tick, Instant)>,
        again: Mutex<Vec<Due>>,
    }

    impl Ring for Bell {
        fn ring(&self, set_for: Tick) -> Option<Due> {
            self.rung.send((set_for, Instant::now())).unwrap();
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
            let (rung, rings) = unbounded();
            let again = Mutex::new(Vec::new());
            let scheduler = Scheduler::default();
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
        setup.set(3_600_000);
        setup.set(5);
        assert_eq!(setup.rings.recv().unwrap().0, Tick(5));
    }

    #[test]
    fn dropping_the_scheduler_ends_its_thread_and_it_holds_nobody_alive() {
        let setup = Setup::new();
        setup.set(3_600_000);
        assert_eq!(Arc::strong_count(&setup.bell), 1);
        let wakes = Arc::downgrade(&setup.scheduler.wakes);
        drop(setup.scheduler); // joins
        assert!(
            wakes.upgrade().is_none(),
            "the thread is gone with all it held"
        );
    }

    #[test]
    fn one_alarm_is_one_wake_up_and_an_idle_thread_does_not_wake() {
        let setup = Setup::new();
        setup.set(0);
        setup.rings.recv().unwrap();
        assert_eq!(setup.scheduler.wakes(), 1);
    }
}
