//! The alarm clock thread: arming, ringing, ending. Time stands still, so an alarm is due or never.

use std::sync::{Arc, Weak};
use std::time::Instant;

use loom::sync::{Condvar, Mutex};

use super::*;
use crate::limiter::alarm::{Alarms, Due, Ring};
use crate::limiter::bucket::Tick;
use crate::limiter::refill::Scheduler;

/// Longer than any of this takes.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Notifies its waiter that it rang, and asks for a fixed number of further alarms.
#[derive(Default)]
struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Default)]
struct BellState {
    rung: Vec<u64>,
    again: Vec<Due>,
    /// What goes with a ring.
    held: Option<Arc<Scheduler>>,
}

impl Bell {
    /// Waits until it has been rung `count` times, and returns what for, sorted.
    fn rings(&self, count: usize) -> Vec<u64> {
        let mut state = self.state.lock().unwrap();
        while state.rung.len() < count {
            state = self.rung.wait(state).unwrap();
        }
        let mut rung = state.rung.clone();
        rung.sort_unstable();
        rung
    }
}

impl Ring for Bell {
    fn ring(&self, set_for: Tick) -> Option<Due> {
        assert!(set_for < Tick::NEVER, "rung early");
        let mut state = self.state.lock().unwrap();
        state.rung.push(set_for.0);
        self.rung.notify_one();
        let held = state.held.take();
        let again = state.again.pop();
        drop(state);
        drop(held);
        again
    }
}

struct Setup {
    scheduler: Arc<Scheduler>,
    bell: Arc<Bell>,
}

impl Setup {
    fn new() -> Self {
        let scheduler = Arc::new(Scheduler::new());
        scheduler.ready().unwrap();
        let bell = Arc::new(Bell::default());
        Self { scheduler, bell }
    }

    fn set(&self, due: Due) {
        assert!(self.scheduler.set(due, self.bell()));
    }

    fn bell(&self) -> Weak<dyn Ring> {
        Arc::downgrade(&self.bell) as Weak<dyn Ring>
    }

    /// The same in another thread.
    fn setting(&self, due: Due) -> thread::JoinHandle<()> {
        let (scheduler, bell) = (Arc::clone(&self.scheduler), self.bell());
        thread::spawn(move || assert!(scheduler.set(due, bell)))
    }

    /// Ends the thread, and with it all that it held; nothing rings any more.
    fn end(self, rung: &[u64]) {
        let Self { scheduler, bell } = self;
        let scheduler = Arc::into_inner(scheduler).unwrap();
        drop(scheduler); // joins
        assert_eq!(Arc::strong_count(&bell), 1);
        assert_eq!(Arc::weak_count(&bell), 0, "the alarms are gone");
        assert_eq!(bell.rings(0), rung);
    }
}

/// A time that has come. The ticks tell alarms apart.
fn past(tick: u64) -> Due {
    let at = now();
    let tick = Tick(tick);
    Due { at, tick }
}

/// A time that does not come.
fn never() -> Due {
    let at = now() + CENTURY;
    let tick = Tick::NEVER;
    Due { at, tick }
}

fn now() -> Instant {
    Instant::now()
}

#[test]
fn an_alarm_meets_the_thread_wherever_it_is() {
    check(|| {
        let setup = Setup::new();
        setup.set(past(1));
        assert_eq!(setup.bell.rings(1), [1]);
        setup.set(past(2));
        assert_eq!(setup.bell.rings(2), [1, 2]);
        setup.end(&[1, 2]);
    });
}

#[test]
fn an_alarm_far_ahead_does_not_hide_one_that_is_near() {
    check(|| {
        let setup = Setup::new();
        setup.set(never());
        setup.set(past(1));
        assert_eq!(setup.bell.rings(1), [1]);
        setup.end(&[1]);
    });
}

#[test]
fn a_ring_that_names_the_next_time_meets_another_alarm() {
    check(|| {
        let setup = Setup::new();
        setup.bell.state.lock().unwrap().again.push(past(2));
        setup.set(past(1));
        setup.set(past(3));
        assert_eq!(setup.bell.rings(3), [1, 2, 3]);
        setup.end(&[1, 2, 3]);
    });
}

#[test]
fn two_alarms_are_set_at_once() {
    check(|| {
        let setup = Setup::new();
        let other = setup.setting(past(1));
        setup.set(past(2));
        assert_eq!(setup.bell.rings(2), [1, 2]);
        other.join().unwrap();
        setup.end(&[1, 2]);
    });
}

#[test]
fn a_near_alarm_and_one_far_ahead_are_set_at_once() {
    check(|| {
        let setup = Setup::new();
        let other = setup.setting(never());
        setup.set(past(1));
        assert_eq!(setup.bell.rings(1), [1]);
        other.join().unwrap();
        setup.end(&[1]);
    });
}

#[test]
fn two_who_need_the_thread_at_once_start_one() {
    check(|| {
        let scheduler = Arc::new(Scheduler::new());
        let bell = Arc::new(Bell::default());
        let setup = Setup { scheduler, bell };
        let (scheduler, bell) = (Arc::clone(&setup.scheduler), setup.bell());
        let other = thread::spawn(move || {
            scheduler.ready().unwrap();
            assert!(scheduler.set(past(1), bell));
        });
        setup.scheduler.ready().unwrap();
        setup.set(past(2));
        assert_eq!(setup.bell.rings(2), [1, 2]);
        other.join().unwrap();
        setup.end(&[1, 2]); // a second thread would not hear of it
    });
}

#[test]
fn an_alarm_set_before_there_is_a_thread_rings() {
    check(|| {
        let scheduler = Arc::new(Scheduler::new());
        let bell = Arc::new(Bell::default());
        let setup = Setup { scheduler, bell };
        setup.set(past(1));
        setup.scheduler.ready().unwrap();
        assert_eq!(setup.bell.rings(1), [1]);
        setup.end(&[1]);
    });
}

#[test]
fn the_end_meets_the_thread_wherever_it_is() {
    check(|| Setup::new().end(&[]));
    check(|| {
        let setup = Setup::new();
        setup.set(never());
        setup.end(&[]);
    });
    check(|| {
        let setup = Setup::new();
        setup.set(past(1));
        assert_eq!(setup.bell.rings(1), [1]);
        setup.end(&[1]);
    });
}

#[test]
fn the_end_does_not_wait_for_alarms() {
    check(|| {
        let setup = Setup::new();
        for due in [never(), past(1), past(2)] {
            setup.set(due);
        }
        let Setup { scheduler, bell } = setup;
        drop(Arc::into_inner(scheduler).unwrap());
        assert!(bell.rings(0).len() <= 2);
        assert_eq!(Arc::weak_count(&bell), 0, "the alarms are gone");
    });
}

#[test]
fn a_ring_that_ends_the_scheduler_does_not_wait_for_itself() {
    check(|| {
        let Setup { scheduler, bell } = Setup::new();
        let ring = Arc::downgrade(&bell) as Weak<dyn Ring>;
        let set = Arc::clone(&scheduler);
        bell.state.lock().unwrap().held = Some(scheduler);
        assert!(set.set(past(1), ring));
        drop(set);
        assert_eq!(bell.rings(1), [1]);
    });
}

#[test]
fn an_alarm_whose_owner_goes_is_forgotten_and_the_next_one_rings() {
    check(|| {
        let setup = Setup::new();
        let gone = Arc::new(Bell::default());
        let ring = Arc::downgrade(&gone) as Weak<dyn Ring>;
        assert!(setup.scheduler.set(past(1), ring));
        let leaving = thread::spawn(move || {
            let rung = gone.rings(0); // so that this is a step of its own
            drop(gone);
            rung.len()
        });
        setup.set(past(2));
        assert_eq!(setup.bell.rings(1), [2]);
        assert!(leaving.join().unwrap() <= 1);
        setup.end(&[2]);
    });
}

/// A line's place in this: it sets alarms with a lock held that it takes when it is rung.
struct Locked {
    bell: Bell,
    line: Mutex<()>,
}

impl Ring for Locked {
    fn ring(&self, set_for: Tick) -> Option<Due> {
        let _line = self.line.lock().unwrap();
        self.bell.ring(set_for)
    }
}

#[test]
fn an_alarm_is_set_with_the_lock_held_that_its_ring_takes() {
    check(|| {
        let setup = Setup::new();
        let locked = Arc::new(Locked {
            bell: Bell::default(),
            line: Mutex::new(()),
        });
        for tick in [1, 2] {
            let _line = locked.line.lock().unwrap();
            let ring = Arc::downgrade(&locked) as Weak<dyn Ring>;
            assert!(setup.scheduler.set(past(tick), ring));
        }
        assert_eq!(locked.bell.rings(2), [1, 2]);
        setup.end(&[]);
    });
}
