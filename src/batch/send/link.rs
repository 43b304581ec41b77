//! Whether the server can be reached: a link that is down is one fact, not one failure of each
//! request. Pure: the caller passes the time and the ends of attempts;
//! [`LinkGate`](crate::batch::send::link_gate) waits.
//!
//! While the link is down one request at a time probes it: the first that failed, again and again
//! after growing pauses. An attempt that began before the link changed says nothing of it since.

use std::time::{Duration, Instant};

/// Pauses before the second, third … probe. The last one stays.
const PAUSES: [Duration; 6] = [
    Duration::ZERO, // most refusals are of a moment, such as a full backlog
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// An outage is reported when a probe fails this long after its first failed attempt began: an outage
/// of a moment is not reported, and a port without a listener is within 3 s, as `link/tests.rs` checks.
const TOLD_AFTER: Duration = Duration::from_secs(1);
/// From the first attempt to the notice that no connection has been established, which is due within
/// 3 s. Checked by `a_connect_that_hangs_is_told_of_once_and_only_while_nothing_else_is_known`.
const SILENCE: Duration = Duration::from_millis(2_500);

/// The state of the link.
#[derive(Debug)]
pub(in crate::batch) struct Link {
    /// For how long a server that was never reached is tried.
    patience: Duration,
    /// When the first attempt began.
    first_attempt: Option<Instant>,
    was_reached: bool,
    state: State,
    /// What failed last.
    reason: Option<String>,
    /// Whether it was said that no connection is established.
    told_of_silence: bool,
}

#[derive(Debug)]
enum State {
    Up {
        since: Option<Instant>,
    },
    Down {
        /// When the attempt began that failed first.
        since: Instant,
        /// When that was known.
        known: Instant,
        probes: usize,
        /// Not before this time.
        next_probe: Instant,
        has_prober: bool,
        was_told: bool,
    },
}

/// What a failed attempt is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Failed {
    /// The link is up all the same.
    Again,
    /// The link is down: wait, as the prober if `probes` is true.
    Hold {
        probes: bool,
        /// The outage is to be reported, for the first time.
        tell: bool,
    },
}

/// What a thread that wants to send has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Passage {
    Free,
    /// Another thread probes.
    Wait,
    /// It is the prober, from this time on.
    Probe(Instant),
}

/// What has become due although nothing was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::batch) enum Due {
    /// Nothing before this time, if ever.
    Nothing(Option<Instant>),
    /// No connection yet, and no failure either.
    Silence,
    /// Patience has ended; this is what failed last.
    GiveUp(Option<String>),
}

impl Link {
    /// A link of which nothing is known, unless the server `was_reached` before.
    pub(in crate::batch) fn new(patience: Duration, was_reached: bool) -> Self {
        Self {
            patience,
            first_attempt: None,
            was_reached,
            state: State::Up { since: None },
            reason: None,
            told_of_silence: false,
        }
    }

    pub(in crate::batch) fn was_reached(&self) -> bool {
        self.was_reached
    }

    pub(in crate::batch) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Since when the link is down, and what failed last.
    pub(in crate::batch) fn outage(&self) -> Option<(Instant, &str)> {
        match self.state {
            State::Up { .. } => None,
            State::Down { since, .. } => Some((since, self.reason.as_deref().unwrap_or_default())),
        }
    }

    /// An attempt begins. True for the first one.
    pub(in crate::batch) fn begun(&mut self, now: Instant) -> bool {
        let is_first = self.first_attempt.is_none();
        self.first_attempt.get_or_insert(now);
        is_first
    }

    /// An attempt that began at `began` did not reach the server. `probes` says whether it was that
    /// of the prober.
    pub(in crate::batch) fn failed(
        &mut self,
        began: Instant,
        now: Instant,
        reason: String,
        probes: bool,
    ) -> Failed {
        match &mut self.state {
            State::Up { since } if since.is_some_and(|since| began < since) => Failed::Again,
            State::Up { .. } => {
                self.reason = Some(reason);
                let tell = now.saturating_duration_since(began) >= TOLD_AFTER;
                self.state = State::Down {
                    since: began,
                    known: now,
                    probes: 0,
                    next_probe: now + PAUSES[0],
                    has_prober: true,
                    was_told: tell,
                };
                Failed::Hold { probes: true, tell }
            }
            State::Down {
                since,
                probes: count,
                next_probe,
                has_prober,
                was_told,
                ..
            } => {
                self.reason = Some(reason);
                let probes = probes || !*has_prober;
                *has_prober = true;
                if probes {
                    *count += 1;
                    let pause = PAUSES.get(*count).or(PAUSES.last());
                    *next_probe = now + pause.copied().unwrap_or_default();
                }
                let is_long = now.saturating_duration_since(*since) >= TOLD_AFTER;
                let tell = is_long && !*was_told;
                *was_told |= tell;
                Failed::Hold { probes, tell }
            }
        }
    }

    /// An attempt that began at `began` reached the server, whatever came of it. Returns for how
    /// long the link was down, if the outage was reported.
    pub(in crate::batch) fn reached(&mut self, began: Instant, now: Instant) -> Option<Duration> {
        match self.state {
            // It left before the link was lost.
            State::Down { known, .. } if began < known => None,
            _ => self.connected(now),
        }
    }

    /// A connection was established. Returns for how long the link was down, if the outage was
    /// reported.
    pub(in crate::batch) fn connected(&mut self, now: Instant) -> Option<Duration> {
        self.was_reached = true;
        let State::Down {
            since, was_told, ..
        } = self.state
        else {
            return None;
        };
        self.state = State::Up { since: Some(now) };
        was_told.then(|| now.saturating_duration_since(since))
    }

    /// What a thread that wants to send may do; `probes` says whether it is the prober.
    pub(in crate::batch) fn passage(&mut self, probes: bool) -> Passage {
        match &mut self.state {
            State::Up { .. } => Passage::Free,
            State::Down {
                next_probe,
                has_prober,
                ..
            } if probes || !*has_prober => {
                *has_prober = true;
                Passage::Probe(*next_probe)
            }
            State::Down { .. } => Passage::Wait,
        }
    }

    /// The prober's request has ended otherwise: another one has to take its place.
    pub(in crate::batch) fn prober_left(&mut self) {
        if let State::Down { has_prober, .. } = &mut self.state {
            *has_prober = false;
        }
    }

    /// What is due while nothing was ever reached.
    pub(in crate::batch) fn due(&mut self, now: Instant) -> Due {
        let Some(first) = self.first_attempt.filter(|_| !self.was_reached) else {
            return Due::Nothing(None);
        };
        // None is never.
        let gives_up = first.checked_add(self.patience);
        if gives_up.is_some_and(|end| end <= now) {
            return Due::GiveUp(self.reason.clone());
        }
        let speaks = first + SILENCE;
        if self.told_of_silence || self.reason.is_some() {
            return Due::Nothing(gives_up);
        }
        if speaks <= now {
            self.told_of_silence = true;
            return Due::Silence;
        }
        Due::Nothing(Some(gives_up.map_or(speaks, |end| end.min(speaks))))
    }
}

#[cfg(test)]
#[path = "link/tests.rs"]
mod tests;
