//! The gate of what this side has room for. See [`Capacity`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::batch::events::notice::Notice;
use crate::batch::events::{Events, RunEvent};
use crate::batch::send::capacity::Capacity;
use crate::batch::wait::{Gate, Look};
use crate::limiter::{CancelToken, Clock};

/// The pause of a request after its first attempt that found nothing left; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest. Another program may hold what is missing, and the system does not signal its return.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The queue of threads that have had their pause and wait for a place.
const PLACE: usize = 0;
/// The queue of threads in their pause, which a place that gets free is not for.
const IN_PAUSE: usize = 1;

/// # Locking
///
/// Whatever lowers the number in flight notifies under the lock, once there is a limit. Until then no
/// thread takes the lock: a request that gets through while the first one fails is one more, which does
/// no harm.
pub(in crate::batch) struct CapacityGate {
    active: AtomicUsize,
    is_limited: AtomicBool,
    gate: Arc<Gate<State, 2>>,
    events: Arc<Events>,
    clock: Clock,
}

struct State {
    capacity: Capacity,
    was_told: bool,
}

impl CapacityGate {
    pub(in crate::batch) fn new(
        most: usize,
        events: &Arc<Events>,
        stop: &CancelToken,
    ) -> Arc<Self> {
        let state = State {
            capacity: Capacity::new(most),
            was_told: false,
        };
        Arc::new(Self {
            active: AtomicUsize::new(0),
            is_limited: AtomicBool::new(false),
            gate: Gate::new(state, stop),
            events: Arc::clone(events),
            clock: Clock::real(),
        })
    }

    /// Waits until there is room, or the run is stopped.
    pub(in crate::batch) fn enter(self: &Arc<Self>) -> Room {
        if self.is_limited.load(Ordering::SeqCst) {
            self.take_room(Duration::ZERO);
        } else {
            self.active.fetch_add(1, Ordering::SeqCst);
        }
        Room {
            gate: Arc::clone(self),
            pause: PAUSE,
        }
    }

    fn take_room(&self, pause: Duration) {
        let mut state = self.gate.lock();
        let end = self.clock.now() + pause;
        let look = |_: &mut State| match self.clock.now() < end {
            true => Look::Until(end),
            false => Look::Pass,
        };
        self.gate.wait(IN_PAUSE, &mut state, look);
        let look = |state: &mut State| {
            let active = self.active.load(Ordering::SeqCst);
            match active < state.capacity.allowed() {
                true => Look::Pass,
                false => Look::Wait,
            }
        };
        self.gate.wait(PLACE, &mut state, look);
        self.active.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.active.fetch_sub(1, Ordering::SeqCst);
        if self.is_limited.load(Ordering::SeqCst) {
            self.gate.notify_one(&self.gate.lock(), PLACE);
        }
    }

    fn show(&self, state: &State, reason: Option<&str>) {
        let is_limited = state.capacity.is_limited();
        self.is_limited.store(is_limited, Ordering::SeqCst);
        let in_flight = state.capacity.allowed();
        self.events.emit(RunEvent::Exhausted {
            is_limited,
            in_flight,
            reason,
        });
    }
}

/// Room for one request in flight, until this is dropped.
pub(in crate::batch) struct Room {
    gate: Arc<CapacityGate>,
    pause: Duration,
}

impl Room {
    /// An attempt found nothing left, for this reason. Waits until there is room for another one, or
    /// the run is stopped.
    pub(in crate::batch) fn exhausted(&mut self, reason: &str) {
        let gate = &*self.gate;
        let mut state = gate.gate.lock();
        let others = gate.active.fetch_sub(1, Ordering::SeqCst) - 1;
        state.capacity.exhausted(others);
        let is_first = !std::mem::replace(&mut state.was_told, true);
        gate.show(&state, Some(reason));
        drop(state);
        if is_first {
            let reason = reason.to_owned();
            let notice = Notice::Exhausted { reason };
            gate.events.emit(RunEvent::Notice(&notice));
        }
        gate.take_room(self.pause);
        self.pause = MAX_PAUSE.min(self.pause * 2);
    }

    /// The request succeeded.
    pub(in crate::batch) fn succeeded(&self) {
        let gate = &*self.gate;
        if !gate.is_limited.load(Ordering::SeqCst) {
            return;
        }
        let mut state = gate.gate.lock();
        if state.capacity.succeeded() {
            gate.show(&state, None);
            gate.gate.notify_all(&state, PLACE);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.gate.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::batch::events::hold::Hold;
    use crate::batch::events::listener::Listener;
    use crate::batch::events::notice::Notices;

    fn gate(most: usize, stop: &CancelToken) -> Arc<CapacityGate> {
        CapacityGate::new(
            most,
            &Events::of_test(Listener::default(), Notices::new(|_| {}), stop),
            stop,
        )
    }

    #[test]
    fn who_finds_nothing_left_waits_for_another_to_end() {
        let stop = CancelToken::new();
        let gate = gate(2, &stop);
        let (first, mut second) = (gate.enter(), gate.enter());
        thread::scope(|scope| {
            let (told, tells) = mpsc::channel();
            scope.spawn(move || {
                second.exhausted("too many open files");
                told.send(()).unwrap();
                drop(second);
            });
            while gate.active.load(Ordering::SeqCst) > 1 {
                thread::yield_now();
            }
            assert!(tells.try_recv().is_err());
            assert!(matches!(
                gate.events.watch().held(),
                Some(Hold::Exhausted { in_flight: 1, .. })
            ));
            drop(first);
            tells.recv().unwrap();
        });
        assert_eq!(gate.active.load(Ordering::SeqCst), 0);
        gate.enter().succeeded();
        assert_eq!(gate.events.watch().held(), None);
        let both = (gate.enter(), gate.enter());
        drop(both);
    }

    #[test]
    fn a_run_that_is_stopped_holds_nobody() {
        let stop = CancelToken::new();
        let gate = gate(2, &stop);
        let (_first, mut second) = (gate.enter(), gate.enter());
        thread::scope(|scope| {
            let held = scope.spawn(|| second.exhausted("no port is free"));
            while gate.active.load(Ordering::SeqCst) > 1 {
                thread::yield_now();
            }
            stop.cancel();
            held.join().unwrap();
        });
    }
}
