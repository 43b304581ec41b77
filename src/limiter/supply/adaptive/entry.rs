//! One limit that is listened to, and where among a limiter's levels it stands.

use std::time::Duration;

use super::limit_estimator::LimitEstimator;
use super::ramp::Ramp;
use super::search::LimitSearch;
use crate::limiter::bucket::{Bucket, Tick};

/// One limit, with the places of its levels.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) limit_estimator: LimitEstimator,
    pub(super) ramp: Ramp,
    /// What is left of it.
    pub(super) level: usize,
    /// What its ramp lets go.
    pub(super) ramp_level: Option<usize>,
    /// The search for it, where it began as a guess.
    pub(super) search: Option<LimitSearch>,
    /// What is left of the user's limit, where the server's is larger.
    pub(super) ceiling: Option<usize>,
    /// Whether the user states it no longer, and the server never has.
    pub(super) is_removed: bool,
    /// Whether it is being searched for and was never stated or reported.
    pub(super) is_unseen: bool,
    /// How often the server has spoken of it, and how many answers since then were silent.
    pub(super) words: u32,
    pub(super) silences: u32,
}

/// Answers without a word of a limit that was heard of once, before it is no longer believed blindly.
const SILENT: u32 = 5;

impl Entry {
    /// Holds back what the ramp does not let go yet; nothing at all of a limit that is removed.
    pub(super) fn follow_ramp(&self, levels: &mut [Bucket]) {
        if self.is_removed {
            levels[self.level].rest();
        }
        let Some(index) = self.ramp_level else {
            return;
        };
        match self.is_removed {
            true => levels[index].rest(),
            false => self
                .ramp
                .apply(&mut levels[index], self.limit_estimator.bucket()),
        }
    }

    /// It holds, whether it was removed or is only looked for.
    pub(super) fn wake(&mut self, levels: &mut [Bucket]) {
        if std::mem::take(&mut self.is_removed) | std::mem::take(&mut self.is_unseen) {
            let level = &mut levels[self.level];
            level.wake();
            level.resize(self.limit_estimator.bucket());
        }
    }

    /// Whether it is neither stated by the user nor reported by the server.
    pub(super) fn is_provisional(&self) -> bool {
        self.is_removed
            || !self.limit_estimator.is_reported() && self.limit_estimator.stated().is_none()
    }

    /// The server has spoken of it.
    pub(super) fn spoken_of(&mut self) {
        self.words = self.words.saturating_add(1);
        self.silences = 0;
    }

    /// A request was admitted, and its answer reported no limit. One report that is not repeated is a
    /// place to begin, as a preset is.
    pub(super) fn silent(&mut self) {
        if self.words != 1 || self.limit_estimator.stated().is_some() {
            return;
        }
        self.silences = self.silences.saturating_add(1);
        if self.silences == SILENT
            && let Some(search) = &mut self.search
        {
            search.begin_at(self.limit_estimator.rate());
        }
    }

    /// Whether refusals have shown a limit that is not reported.
    #[cfg(feature = "redis")]
    pub(super) fn is_found(&self) -> bool {
        let is_found = self.search.as_ref().is_some_and(LimitSearch::is_found);
        is_found && self.is_provisional() && !self.is_removed
    }

    fn is_doubtful(&self) -> bool {
        self.words == 1 && self.silences >= SILENT && self.limit_estimator.stated().is_none()
    }

    /// The search, while it lasts: as long as the limit and what is left of it are unreported.
    pub(super) fn search_mut(&mut self) -> Option<&mut LimitSearch> {
        let is_unknown = self.is_provisional() && !self.limit_estimator.is_observed();
        let is_on = !self.is_removed && (is_unknown || self.is_doubtful());
        self.search.as_mut().filter(|_| is_on)
    }

    /// Lets go what the search does. A guess that is below that is no longer one.
    pub(super) fn follow_search(&mut self, levels: &mut [Bucket]) {
        let Some(search) = self.search_mut() else {
            return;
        };
        let (rate, is_found) = (search.rate(), search.is_found());
        if rate > self.limit_estimator.rate() || is_found {
            self.limit_estimator.guess(rate, &mut levels[self.level]);
        }
        self.ramp.set_speed(rate / self.limit_estimator.rate());
        if self.is_unseen {
            levels[self.level].rest();
        }
        if let Some(index) = self.ramp_level {
            let at_once = match is_found {
                true => Ramp::AT_ONCE,
                false => Ramp::AT_ONCE_GUESSED,
            };
            let (level, bucket) = (&mut levels[index], self.limit_estimator.bucket());
            self.ramp.apply_with(at_once, level, bucket);
        }
    }

    /// The same after a refusal, when nothing was left.
    pub(super) fn follow_found(&mut self, levels: &mut [Bucket]) {
        let is_found = self.search.as_ref().is_some_and(LimitSearch::is_found);
        if is_found {
            self.is_unseen = false;
            levels[self.level].wake();
            self.limit_estimator.keep_burst(Ramp::AT_ONCE);
        }
        self.follow_search(levels);
        if let Some(index) = self.ramp_level {
            levels[index].set_units(0.0);
        }
        if is_found {
            levels[self.level].set_units(0.0);
        }
    }

    /// Counts against the user's limit all the time, and holds it where it is the smaller one: by
    /// our own count, so that nothing learned from the server can raise it.
    pub(super) fn follow_ceiling(&mut self, jitter: Duration, levels: &mut Vec<Bucket>, now: Tick) {
        let Some(stated) = self.limit_estimator.stated() else {
            if let Some(index) = self.ceiling {
                levels[index].rest();
            }
            return;
        };
        let quota = stated.allow_jitter(jitter);
        let index = *self.ceiling.get_or_insert_with(|| {
            levels.push(Bucket::full(quota, now));
            levels.len() - 1
        });
        let level = &mut levels[index];
        if level.quota() != quota {
            level.resize(quota);
        }
        match self.limit_estimator.is_capped() {
            true => level.wake(),
            false => level.rest(),
        }
    }
}
