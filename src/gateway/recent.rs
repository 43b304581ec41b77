//! The last refusals of the gateway's own.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::refusal::Refusal;

/// How many are kept.
const MOST: usize = 20;
/// The longest message that is kept, in characters.
const LONGEST: usize = 300;

/// When, the status, the code and the message.
pub(super) type Recorded = (u64, u16, &'static str, String);

#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Recorded>>);

impl Recent {
    pub(super) fn add(&self, refusal: &Refusal) {
        let message = refusal.message.chars().take(LONGEST).collect();
        let mut all = self.0.lock();
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back((unix_seconds(), refusal.status, refusal.code, message));
    }

    /// The oldest first.
    pub(super) fn all(&self) -> Vec<Recorded> {
        self.0.lock().iter().cloned().collect()
    }
}

/// The seconds since 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "a time of day for people; nothing waits by it"
)]
pub(super) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
