//! Windows so short that what is left says little: by the time that an answer tells how a window of a
//! second stands, it is over.
//!
//! Requests that leave evenly and a little below the rate fit into every window, wherever it begins.
//! What they lack is a margin for their sizes, which differ. A server is met like that once its words are
//! those of a window: what remains and what comes in until it is whole again is a bucket's size at any time,
//! and any size for a window. Or once it has refused five times what seemed to be there. It is no longer met
//! like that if it does not help: then another client uses the account.

use std::time::Duration;

use crate::limiter::bucket::Tick;

/// Buckets that seem to be at most this long, in seconds, may be windows of a second.
const SHORT: f64 = 2.5;
/// Refusals before it is met like that.
const BEFORE: u32 = 5;
/// A bucket that seems to be so much smaller than it has seemed is none, once it has so often.
const SMALLER: f64 = 0.7;
const OFTEN: u32 = 3;
/// After this many reports of one size it is a bucket: of a window, every third would be smaller.
const SURELY: u32 = 20;
/// What goes at once then, in seconds of the rate: next to nothing.
pub(super) const AT_ONCE: f64 = 0.02;
/// The part of the rate that is used then.
pub(super) const USED: f64 = 0.95;
/// Where more than one refusal comes in this time on average, it does not help.
const HELPS: Duration = Duration::from_millis(1_500);
/// The same where the server's words are those of a window.
const HELPS_SURELY: Duration = Duration::from_millis(500);
/// From when on that is judged.
const JUDGED: Duration = Duration::from_secs(6);

/// Whether a limit is held over short windows.
#[derive(Debug, Clone, Default)]
pub(super) struct ShortWindows {
    refusals: u32,
    /// The largest bucket that answers seemed to speak of, in seconds, and how many seemed far smaller.
    most: f64,
    smaller: u32,
    /// How many there were.
    seen: u32,
    since: Option<Tick>,
    gave_up: bool,
}

impl ShortWindows {
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// The limit is another one: what its bucket seemed to be is no guide.
    pub(super) fn forget(&mut self) {
        (self.most, self.smaller, self.seen) = (0.0, 0, 0);
    }

    /// An answer's words are those of a bucket of this size, in seconds, of which something remains: where
    /// nothing does, a debt is counted in. Returns whether something has changed.
    pub(super) fn seems(&mut self, bucket: f64, now: Tick) -> bool {
        self.most = self.most.max(bucket);
        self.seen = self.seen.saturating_add(1);
        if self.gave_up || self.is_on() || self.most > SHORT {
            return false;
        }
        self.smaller += u32::from(bucket < SMALLER * self.most);
        if self.smaller < OFTEN {
            return false;
        }
        (self.since, self.refusals) = (Some(now), 0);
        true
    }

    /// A request was refused at `now`, of a limit whose bucket seems to be of this size, in seconds.
    /// Returns whether something has changed.
    pub(super) fn refused(&mut self, bucket: f64, now: Tick) -> bool {
        // Many words, none of which a window would say: others are there.
        let is_bucket = self.seen >= SURELY && self.smaller == 0;
        if self.gave_up || bucket <= 0.0 || bucket > SHORT || is_bucket {
            return false;
        }
        self.refusals += 1;
        match self.since {
            None if self.refusals >= BEFORE => {
                (self.since, self.refusals) = (Some(now), 0);
                true
            }
            None => false,
            Some(since) => {
                let time = now.since(since);
                let helps = match self.smaller >= OFTEN {
                    true => HELPS_SURELY,
                    false => HELPS,
                };
                self.gave_up = time > JUDGED && helps * self.refusals > time;
                if self.gave_up {
                    self.since = None;
                }
                self.gave_up
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_of_any_size_is_a_window() {
        let at = |seconds: f64| Tick::default().after(Duration::from_secs_f64(seconds));
        let mut bucket = ShortWindows::default();
        assert!((0..100).all(|_| !bucket.seems(0.98, at(1.0))));
        let mut long = ShortWindows::default();
        assert!(!long.seems(60.0, at(1.0)));
        assert!((0..100).all(|_| !long.seems(1.0, at(1.0))));
        let mut window = ShortWindows::default();
        assert!(
            [2.0, 1.0, 1.2, 1.9]
                .iter()
                .all(|it| !window.seems(*it, at(1.0)))
        );
        assert!(window.seems(0.5, at(1.1)) && window.is_on());
        let mut halved = ShortWindows::default();
        assert!(!halved.seems(2.0, at(1.0)));
        halved.forget();
        assert!((0..100).all(|_| !halved.seems(1.0, at(1.0))));
    }

    #[test]
    fn refusals_of_what_is_surely_a_bucket_are_for_others() {
        let at = |seconds: f64| Tick::default().after(Duration::from_secs_f64(seconds));
        let mut bucket = ShortWindows::default();
        assert!((0..SURELY).all(|_| !bucket.seems(1.0, at(1.0))));
        assert!((0..100).all(|_| !bucket.refused(1.0, at(1.0))));
    }

    #[test]
    fn refusals_of_a_short_bucket_start_it_and_many_more_end_it() {
        let at = |seconds: f64| Tick::default().after(Duration::from_secs_f64(seconds));
        let mut short = ShortWindows::default();
        for bucket in [0.0, 60.0, 1.0] {
            assert!(!short.refused(bucket, at(1.0)));
        }
        assert!((2..BEFORE).all(|_| !short.refused(2.0, at(1.5))));
        assert!(short.refused(2.0, at(2.0)));
        assert!(short.is_on());
        for seconds in 3..8 {
            assert!(!short.refused(2.0, at(f64::from(seconds))), "{seconds} s");
        }
        assert!(
            short.refused(2.0, at(8.5)),
            "six in 6.5 s: it does not help"
        );
        assert!(!short.is_on());
        assert!(!short.refused(2.0, at(9.0)) && !short.refused(2.0, at(9.5)));
        assert!(!short.is_on(), "once is enough");
    }
}
