//! The gate of a link: no request begins while the server cannot be reached. See [`Link`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::count::start;
use super::hold::{Hold, Holds};
use super::link::{Due, Failed, Link, Passage};
use super::notice::{Notice, Notices};
use crate::client::OnConnection;
use crate::limiter::{CancelToken, Clock, Watcher};
use crate::{RateLimitedClient, Result};

/// # Locking
///
/// The lock is held for one look. Whatever ends a wait (a link that is up, a prober that leaves, a
/// run that is stopped) notifies under it: a thread between its check and its wait would miss a
/// notice without the lock. No callback is called under it.
pub(super) struct LinkGate {
    link: Mutex<Link>,
    /// For threads that are held.
    changed: Condvar,
    /// For the thread that sees to what is due.
    becomes_due: Condvar,
    /// True while there is nothing to learn from a success: the link is up, and was reached.
    is_fine: AtomicBool,
    /// True while requests are held.
    is_down: AtomicBool,
    has_ended: AtomicBool,
    base_url: String,
    holds: Holds,
    notices: Notices,
    stop: CancelToken,
    clock: Clock,
}

impl LinkGate {
    pub(super) fn new(
        client: &RateLimitedClient,
        patience: Duration,
        holds: Holds,
        notices: Notices,
        stop: &CancelToken,
    ) -> Arc<Self> {
        // Its connections may still be open.
        let was_reached = client.connections().opened() > 0;
        let gate = Arc::new(Self {
            link: Mutex::new(Link::new(patience, was_reached)),
            changed: Condvar::new(),
            becomes_due: Condvar::new(),
            is_fine: AtomicBool::new(was_reached),
            is_down: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            base_url: client.shown_base_url(),
            holds,
            notices,
            stop: stop.clone(),
            clock: Clock::real(),
        });
        stop.watch(&(Arc::downgrade(&gate) as Weak<dyn Watcher>));
        let told = Arc::downgrade(&gate) as Weak<dyn OnConnection>;
        client.connections().tell(&told);
        gate
    }

    /// Starts the thread that says that nothing was reached, and calls `give_up` with the reason when
    /// patience ends. It ends when the server is reached, the run is stopped or the timer is
    /// dropped.
    pub(super) fn start_timer(
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
        let mut link = self.link.lock();
        loop {
            let is_over = self.stop.is_cancelled() || self.has_ended.load(Ordering::SeqCst);
            if is_over || link.was_reached() {
                return None;
            }
            match link.due(self.clock.now()) {
                Due::Nothing(None) => self.becomes_due.wait(&mut link),
                Due::Nothing(Some(due)) => {
                    self.becomes_due.wait_until(&mut link, due);
                }
                Due::Silence => MutexGuard::unlocked(&mut link, || {
                    let base_url = self.base_url.clone();
                    self.notices.tell(&Notice::Connecting { base_url });
                }),
                Due::GiveUp(reason) => {
                    let silence = || "no connection was established".to_owned();
                    return Some(reason.unwrap_or_else(silence));
                }
            }
        }
    }

    /// Whether the server was ever reached: if not, nothing in flight can have an answer.
    pub(super) fn was_reached(&self) -> bool {
        self.is_fine.load(Ordering::SeqCst) || self.link.lock().was_reached()
    }

    /// Waits while the link is down, unless it is to probe or the run is stopped.
    pub(super) fn pass(self: &Arc<Self>) -> Pass {
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
        let mut link = self.link.lock();
        while !self.stop.is_cancelled() {
            match link.passage(*probes) {
                Passage::Free => {
                    *probes = false;
                    return;
                }
                Passage::Wait => self.changed.wait(&mut link),
                Passage::Probe(from) => {
                    *probes = true;
                    if from <= self.clock.now() {
                        return;
                    }
                    self.changed.wait_until(&mut link, from);
                }
            }
        }
    }

    /// Publishes the state of the link for threads that look without the lock. The caller holds it.
    fn publish(&self, link: &Link) {
        let is_down = !link.is_up();
        self.is_fine
            .store(!is_down && link.was_reached(), Ordering::SeqCst);
        let was_down = self.is_down.swap(is_down, Ordering::SeqCst);
        let hold = link.outage().map(|(since, reason)| Hold::Unreachable {
            reason: format!("{}: {reason}", self.base_url),
            since,
        });
        self.holds.link(hold);
        if was_down && !is_down {
            self.changed.notify_all();
        }
        if link.was_reached() {
            self.becomes_due.notify_all();
        }
    }

    fn is_back(&self, after: Option<Duration>) {
        if let Some(after) = after {
            self.notices.tell(&Notice::Reached { after });
        }
    }
}

impl Watcher for LinkGate {
    fn cancelled(&self) {
        let _looking = self.link.lock(); // no thread is between its check and its wait
        self.changed.notify_all();
        self.becomes_due.notify_all();
    }
}

impl OnConnection for LinkGate {
    fn connected(&self) {
        if self.is_fine.load(Ordering::SeqCst) {
            return;
        }
        let mut link = self.link.lock();
        let after = link.connected(self.clock.now());
        self.publish(&link);
        drop(link);
        self.is_back(after);
    }
}

/// A request that the gate has let through, until this is dropped.
pub(super) struct Pass {
    gate: Arc<LinkGate>,
    /// Whether all others wait for what becomes of it.
    probes: bool,
}

impl Pass {
    /// Its first attempt begins.
    pub(super) fn begun(&self) {
        let gate = &*self.gate;
        if gate.is_fine.load(Ordering::SeqCst) {
            return;
        }
        let mut link = gate.link.lock();
        if link.begun(gate.clock.now()) {
            gate.becomes_due.notify_all();
        }
    }

    /// Where it goes, and what was said of that.
    pub(super) fn says(&self, message: &str) -> String {
        format!("{}: {message}", self.gate.base_url)
    }

    /// An attempt that took this long has reached the server, whatever came of it.
    pub(super) fn reached(&mut self, took: Duration) {
        let gate = &*self.gate;
        if gate.is_fine.load(Ordering::SeqCst) {
            return;
        }
        let mut link = gate.link.lock();
        let now = gate.clock.now();
        let after = link.reached(before(now, took), now);
        self.probes &= !link.is_up();
        gate.publish(&link);
        drop(link);
        gate.is_back(after);
    }

    /// An attempt that took this long has not reached the server, for this reason. Waits until the
    /// next one may begin, or the run is stopped.
    pub(super) fn unreached(&mut self, took: Duration, reason: String) {
        let gate = &*self.gate;
        let mut link = gate.link.lock();
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
            gate.notices.tell(&Notice::Unreachable {
                base_url: gate.base_url.clone(),
                reason,
                was_reached,
            });
        }
        gate.hold(&mut self.probes);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probes {
            let mut link = self.gate.link.lock();
            link.prober_left();
            // Notifies under the lock: the thread that takes its place would miss it between its check and
            // its wait. One is enough, for one request probes at a time.
            self.gate.changed.notify_one();
        }
    }
}

/// The thread of a gate, until this is dropped.
pub(super) struct LinkTimer(Arc<LinkGate>);

impl Drop for LinkTimer {
    fn drop(&mut self) {
        let _looking = self.0.link.lock();
        self.0.has_ended.store(true, Ordering::SeqCst);
        self.0.becomes_due.notify_all();
    }
}

fn before(now: Instant, took: Duration) -> Instant {
    now.checked_sub(took).unwrap_or(now)
}

#[cfg(test)]
#[path = "link/gate_tests.rs"]
mod tests;
