//! Requests that wait for long between two attempts, because an answer asked for it: of each model the
//! last one, which is enough to say so.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::limiter::Clock;

/// Waits from this on are remembered: shorter ones get no notice, see `standstill::LONG`.
const LONG: Duration = Duration::from_secs(60 * 60);
/// Requests that are remembered, at most: it bounds memory.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(in crate::batch) struct Resting {
    /// By `custom_id`: the model, until when, and why.
    requests: HashMap<String, (String, Instant, String)>,
}

impl Resting {
    /// An attempt of a request has failed, and its answer asked for a wait.
    pub(in crate::batch) fn rests(
        &mut self,
        custom_id: &str,
        model: &str,
        wait: Duration,
        reason: String,
    ) {
        // Beyond all clocks it is a century.
        let wait = wait.min(LONG * 24 * 36_500);
        if wait >= LONG
            && self.requests.len() < MOST
            && let Some(until) = Clock::real().now().checked_add(wait)
        {
            let resting = (model.to_owned(), until, reason);
            self.requests.insert(custom_id.to_owned(), resting);
        }
    }

    /// A request is no longer in flight.
    pub(in crate::batch) fn ended(&mut self, custom_id: &str) {
        if !self.requests.is_empty() {
            self.requests.remove(custom_id);
        }
    }

    /// Those that still rest: their model, for how long, and why.
    pub(in crate::batch) fn now(&mut self) -> Vec<(String, Duration, String)> {
        if self.requests.is_empty() {
            return Vec::new();
        }
        let now = Clock::real().now();
        self.requests.retain(|_, (_, until, _)| *until > now);
        let left = |until: &Instant| until.saturating_duration_since(now);
        let all = self.requests.values();
        all.map(|(model, until, reason)| (model.clone(), left(until), reason.clone()))
            .collect()
    }
}
