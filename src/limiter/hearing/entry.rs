//! One limit that is listened to, and where among a limiter's levels it stands.

use std::time::Duration;

use super::super::level::{Level, Tick};
use super::observer::Observer;
use super::ramp::Ramp;

/// One limit, with the places of its levels.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) observer: Observer,
    pub(super) ramp: Ramp,
    /// What is left of it.
    pub(super) level: usize,
    /// What its ramp lets go.
    pub(super) ramp_level: Option<usize>,
    /// What is left of the user's limit, where the server's is larger.
    pub(super) ceiling: Option<usize>,
    /// Whether the user states it no longer, and the server never has.
    pub(super) is_removed: bool,
}

impl Entry {
    /// Holds back what the ramp does not let go yet; nothing at all of a limit that is removed.
    pub(super) fn follow_ramp(&self, levels: &mut [Level]) {
        if self.is_removed {
            levels[self.level].rest();
        }
        let Some(index) = self.ramp_level else {
            return;
        };
        match self.is_removed {
            true => levels[index].rest(),
            false => self.ramp.apply(&mut levels[index], self.observer.bucket()),
        }
    }

    /// Counts against the user's limit all the time, and holds it where it is the smaller one: by
    /// our own count, so that nothing learned from the server can raise it.
    pub(super) fn follow_ceiling(&mut self, jitter: Duration, levels: &mut Vec<Level>, now: Tick) {
        let Some(stated) = self.observer.stated() else {
            if let Some(index) = self.ceiling {
                levels[index].rest();
            }
            return;
        };
        let quota = stated.allow_jitter(jitter);
        let index = *self.ceiling.get_or_insert_with(|| {
            levels.push(Level::full(quota, now));
            levels.len() - 1
        });
        let level = &mut levels[index];
        if level.quota() != quota {
            level.resize(quota);
        }
        match self.observer.is_capped() {
            true => level.wake(),
            false => level.rest(),
        }
    }
}
