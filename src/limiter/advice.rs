//! What a limiter makes of the end of an attempt: when the request may come back, and whether what
//! happened is its own misfortune or that of all requests.

use std::time::Duration;

use super::bucket::Tick;
use crate::cost::Cost;
use crate::observation::{Observation, Outcome};

/// The back-off of a request that fails while others succeed, as a multiple of the latency seen,
/// and within these bounds.
const ISOLATED: f64 = 1.0;
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST_FIRST: Duration = Duration::from_secs(2);
/// It doubles at most this many times.
const ISOLATED_DOUBLINGS: u32 = 3;
/// The first back-off at a server in trouble, and the longest.
const TROUBLE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// Others succeed where one was admitted since this request left, or within this many latencies.
const RECENT_LATENCIES: f64 = 4.0;
/// The share of each latency in the mean of those seen.
const SMOOTHING: f64 = 1.0 / 16.0;
/// Sizes are counted by powers of two.
const SIZES: usize = 65;

/// What a limiter says of an attempt that has ended, from
/// [`Permit::observe`](super::Permit::observe). The caller decides whether to retry.
///
/// The limiter has done its own part by then: it has refunded a refused request where that is right,
/// and it grants nothing before a retry makes sense.
///
/// ```
/// use std::time::Duration;
/// use paceline::{Cost, Limits, Observation, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
/// let mut permit = limiter.acquire(Cost::tokens(500))?;
/// // … the connection broke …
/// let advice = permit.observe(&Observation::default());
/// assert_eq!(advice.back_off(1), Duration::from_millis(500));
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// Whether other requests have been let in meanwhile: the server is well, and what happened is
    /// this attempt's misfortune.
    pub others_succeed: bool,
    /// How many requests of this size or larger have been let in since the limiter was made. Where
    /// it grows by a hundred while one is refused twenty times, that one will never pass.
    pub admitted: u64,
    /// The back-off of a first failure that no limit is the reason of.
    pub first_back_off: Duration,
}

impl Default for Advice {
    /// Of a limiter that has seen nothing yet.
    fn default() -> Self {
        Self {
            others_succeed: false,
            admitted: 0,
            first_back_off: TROUBLE,
        }
    }
}

impl Advice {
    /// How long a request waits outside the line after its `failures`th failure in a row that no
    /// limit is the reason of: it doubles, to eight times the latency seen while others succeed, and
    /// to 30 s at a server in trouble. A refused request does not wait: the line knows when it may come
    /// back.
    #[must_use]
    pub fn back_off(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let most = match self.others_succeed {
            true => ISOLATED_DOUBLINGS,
            false => 16,
        };
        let wait = self.first_back_off.saturating_mul(1 << doublings.min(most));
        wait.min(LONGEST)
    }
}

/// Which requests have been let in, and how long they took.
#[derive(Debug, Clone)]
pub(super) struct Admissions {
    /// Those of each size, by the power of two.
    by_size: Box<[u64; SIZES]>,
    last: Option<Tick>,
    /// The mean time until an answer is there, in seconds.
    latency: Option<f64>,
}

impl Default for Admissions {
    fn default() -> Self {
        Self {
            by_size: Box::new([0; SIZES]),
            last: None,
            latency: None,
        }
    }
}

impl Admissions {
    /// A request of this cost, granted at `sent`, has been answered.
    pub(super) fn observe(
        &mut self,
        cost: Cost,
        observation: &Observation,
        sent: Tick,
        now: Tick,
    ) -> Advice {
        let size = size(cost);
        // Before it counts itself.
        let others_succeed = self.others_succeed(sent, now);
        if observation.outcome == Outcome::Admitted {
            self.by_size[size] += 1;
            self.last = Some(now);
            let took = now.since(sent).as_secs_f64();
            let mean = self.latency.unwrap_or(took);
            self.latency = Some(mean + (took - mean) * SMOOTHING);
        }
        let latency = Duration::from_secs_f64(self.latency.unwrap_or_default() * ISOLATED);
        Advice {
            others_succeed,
            admitted: self.by_size[size..].iter().sum(),
            first_back_off: match others_succeed {
                true => latency.clamp(SHORTEST, LONGEST_FIRST),
                false => TROUBLE,
            },
        }
    }

    fn others_succeed(&self, sent: Tick, now: Tick) -> bool {
        let (Some(last), Some(latency)) = (self.last, self.latency) else {
            return false;
        };
        let recent = Duration::from_secs_f64(latency * RECENT_LATENCIES);
        last >= sent || now.since(last) <= recent
    }
}

/// The power of two of a size.
fn size(cost: Cost) -> usize {
    let tokens = cost.tokens.max(1);
    (u64::BITS - tokens.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Refusal;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_happens_while_others_succeed_is_one_request_s_misfortune() {
        let mut admissions = Admissions::default();
        let refused = Observation::refused(Refusal::default());
        let cost = Cost::tokens(100);
        let mut at = |observation: &Observation, sent: f64, now: f64| {
            let tick = |seconds: f64| Tick::default().after(Duration::from_secs_f64(seconds));
            admissions.observe(cost, observation, tick(sent), tick(now))
        };
        let first = at(&refused, 0.0, 0.1);
        assert!(!first.others_succeed);
        assert_eq!(first.back_off(1), TROUBLE);
        assert_eq!(first.back_off(3), TROUBLE * 4);
        assert_eq!(first.back_off(100), LONGEST);
        assert!(!at(&Observation::admitted(), 0.0, 0.2).others_succeed);
        let second = at(&refused, 0.1, 0.3);
        assert!(second.others_succeed, "one came after this was sent");
        assert_eq!(second.back_off(1), Duration::from_millis(200));
        assert_eq!(second.back_off(9), Duration::from_millis(1_600));
        assert!(at(&refused, 0.9, 1.0).others_succeed, "not long ago");
        assert!(!at(&refused, 0.9, 1.1).others_succeed, "too long ago");
    }

    #[test]
    fn requests_of_the_same_size_or_larger_are_counted() {
        let mut admissions = Admissions::default();
        for (tokens, now) in [(1, 1), (100, 2), (127, 3), (128, 4), (0, 5), (u64::MAX, 6)] {
            let now = Tick(now * SECOND);
            admissions.observe(Cost::tokens(tokens), &Observation::admitted(), now, now);
        }
        let mut of = |tokens| {
            let cost = Cost::tokens(tokens);
            let unknown = Observation::default();
            let advice = admissions.observe(cost, &unknown, Tick(0), Tick(0));
            advice.admitted
        };
        assert_eq!(
            [0, 1, 64, 127, 128, 256, u64::MAX].map(&mut of),
            [6, 6, 4, 4, 2, 1, 1]
        );
    }
}
