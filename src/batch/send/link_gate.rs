//! The gate of a link: no request begins while the server cannot be reached. See [`Link`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::batch::events::hold::Hold;
use crate::batch::events::notice::Notice;
use crate::batch::events::{Events, RunEvent};
use crate::batch::send::link::{Due, Failed, Link, Passage};
use crate::batch::wait::{Gate, Look, start};
use crate::client::OnConnection;
use crate::limiter::{CancelToken, Clock};
use crate::{RateLimitedClient, Result};

/// The queue of threads that are held.
const HELD: usize = 0;
/// The queue of the thread that sees to what is due.
const DUE: usize = 1;

/// # Locking
///
/// The lock is held for one look. No callback is called under it.
pub(in crate::batch) struct LinkGate {
    gate: Arc<Gate<Link, 2>>,
    /// True while there is nothing to learn from a success: the link is up, and was reached.
    is_fine: AtomicBool,
    /// True while requests are held.
    is_down: AtomicBool,
    has_ended: AtomicBool,
    base_url: String,
    events: Arc<Events>,
    clock: Clock,
}

impl LinkGate {
    pub(in crate::batch) fn new(
        client: &RateLimitedClient,
        patience: Duration,
        events: &Arc<Events>,
        stop: &CancelToken,
    ) -> Arc<Self> {
        // Its connections may still be open.
        let was_reached = client.connections().opened() > 0;
        let gate = Arc::new(Self {
            gate: Gate::new(Link::new(patience, was_reached), stop),
            is_fine: AtomicBool::new(was_reached),
            is_down: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            base_url: client.shown_base_url(),
            events: Arc::clone(events),
            clock: Clock::real(),
        });
        let told = Arc::downgrade(&gate) as Weak<dyn OnConnection>;
        client.connections().tell(&told);
        gate
    }

    /// Starts the thread that says that nothing was reached, and calls `give_up` with the reason when
    /// patience ends. It ends when the server is reached, the run is stopped or the timer is
    /// dropped.
    pub(in crate::batch) fn start_timer(
        self: &Arc<Self>,
        give_up: impl FnOnce(String) + Send + 'static,
    ) -> Result<LinkTimer> {
        let gate = Arc::clone(self);
        start("paceline-link", move || {
            if let Some(reason) = gate.watch() {
                give_up(format!("{}: {reason}", gate.base_url));
            }
        })?;
        Ok(LinkTimer(Arc::clone(self)))
    }

    fn watch(&self) -> Option<String> {
        let mut link = self.gate.lock();
        loop {
            let (mut is_over, mut due) = (false, Due::Nothing(None));
            let look = |link: &mut Link| {
                is_over = link.was_reached() || self.has_ended.load(Ordering::SeqCst);
                if is_over {
                    return Look::Pass;
                }
                due = link.due(self.clock.now());
                match due {
                    Due::Nothing(None) => Look::Wait,
                    Due::Nothing(Some(end)) => Look::Until(end),
                    Due::Silence | Due::GiveUp(_) => Look::Pass,
                }
            };
            if !self.gate.wait(DUE, &mut link, look) || is_over {
                return None;
            }
            if let Due::GiveUp(reason) = due {
                let silence = || "no connection was established".to_owned();
                return Some(reason.unwrap_or_else(silence));
            }
            MutexGuard::unlocked(&mut link, || {
                let base_url = self.base_url.clone();
                let notice = Notice::Connecting { base_url };
                self.events.emit(RunEvent::Notice(&notice));
            });
        }
    }

    /// Whether the server was ever reached: if not, nothing in flight can have an answer.
    pub(in crate::batch) fn was_reached(&self) -> bool {
        self.is_fine.load(Ordering::SeqCst) || self.gate.lock().was_reached()
    }

    /// Waits while the link is down, unless it is to probe or the run is stopped.
    pub(in crate::batch) fn pass(self: &Arc<Self>) -> Pass {
        let mut pass = Pass {
            gate: Arc::clone(self),
            probes: false,
        };
        if self.is_down.load(Ordering::SeqCst) {
            self.hold(&mut pass.probes);
        }
        pass
    }

    fn hold(&self, probes: &mut bool) {
        let mut link = self.gate.lock();
        self.gate
            .wait(HELD, &mut link, |link| match link.passage(*probes) {
                Passage::Free => {
                    *probes = false;
                    Look::Pass
                }
                Passage::Wait => Look::Wait,
                Passage::Probe(from) => {
                    *probes = true;
                    match from <= self.clock.now() {
                        true => Look::Pass,
                        false => Look::Until(from),
                    }
                }
            });
    }

    /// Publishes the state of the link, also for threads that look without the lock.
    fn publish(&self, link: &MutexGuard<'_, Link>) {
        let is_down = !link.is_up();
        self.is_fine
            .store(!is_down && link.was_reached(), Ordering::SeqCst);
        let was_down = self.is_down.swap(is_down, Ordering::SeqCst);
        let hold = link.outage().map(|(since, reason)| Hold::Unreachable {
            reason: format!("{}: {reason}", self.base_url),
            since,
        });
        self.events.emit(RunEvent::Unreachable(hold.as_ref()));
        if was_down && !is_down {
            self.gate.notify_all(link, HELD);
        }
        if link.was_reached() {
            self.gate.notify_all(link, DUE);
        }
    }

    fn is_back(&self, after: Option<Duration>) {
        if let Some(after) = after {
            let notice = Notice::Reached { after };
            self.events.emit(RunEvent::Notice(&notice));
        }
    }
}

impl OnConnection for LinkGate {
    fn connected(&self) {
        if self.is_fine.load(Ordering::SeqCst) {
            return;
        }
        let mut link = self.gate.lock();
        let after = link.connected(self.clock.now());
        self.publish(&link);
        drop(link);
        self.is_back(after);
    }
}

/// A request that the gate has let through, until this is dropped.
pub(in crate::batch) struct Pass {
    gate: Arc<LinkGate>,
    /// Whether all others wait for what becomes of it.
    probes: bool,
}

impl Pass {
    /// Its first attempt begins.
    pub(in crate::batch) fn begun(&self) {
        let gate = &*self.gate;
        if gate.is_fine.load(Ordering::SeqCst) {
            return;
        }
        let mut link = gate.gate.lock();
        if link.begun(gate.clock.now()) {
            gate.gate.notify_all(&link, DUE);
        }
    }

    /// Where it goes, and what was said of that.
    pub(in crate::batch) fn says(&self, message: &str) -> String {
        format!("{}: {message}", self.gate.base_url)
    }

    /// An attempt that took this long has reached the server, whatever came of it.
    pub(in crate::batch) fn reached(&mut self, took: Duration) {
        let gate = &*self.gate;
        if gate.is_fine.load(Ordering::SeqCst) {
            return;
        }
        let mut link = gate.gate.lock();
        let now = gate.clock.now();
        let after = link.reached(before(now, took), now);
        self.probes &= !link.is_up();
        gate.publish(&link);
        drop(link);
        gate.is_back(after);
    }

    /// An attempt that took this long has not reached the server, for this reason. Waits until the
    /// next one may begin, or the run is stopped.
    pub(in crate::batch) fn unreached(&mut self, took: Duration, reason: String) {
        let gate = &*self.gate;
        let mut link = gate.gate.lock();
        let now = gate.clock.now();
        let failed = link.failed(before(now, took), now, reason.clone(), self.probes);
        let was_reached = link.was_reached();
        gate.publish(&link);
        drop(link);
        let Failed::Hold { probes, tell } = failed else {
            return;
        };
        self.probes = probes;
        if tell {
            let notice = Notice::Unreachable {
                base_url: gate.base_url.clone(),
                reason,
                was_reached,
            };
            gate.events.emit(RunEvent::Notice(&notice));
        }
        gate.hold(&mut self.probes);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probes {
            let gate = &*self.gate.gate;
            let mut link = gate.lock();
            link.prober_left();
            // One is enough, for one request probes at a time.
            gate.notify_one(&link, HELD);
        }
    }
}

/// The thread of a gate, until this is dropped.
pub(in crate::batch) struct LinkTimer(Arc<LinkGate>);

impl Drop for LinkTimer {
    fn drop(&mut self) {
        let link = self.0.gate.lock();
        self.0.has_ended.store(true, Ordering::SeqCst);
        self.0.gate.notify_all(&link, DUE);
    }
}

fn before(now: Instant, took: Duration) -> Instant {
    now.checked_sub(took).unwrap_or(now)
}

#[cfg(test)]
#[path = "link/gate_tests.rs"]
mod tests;
