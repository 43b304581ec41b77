//! A limiter for each key, for as long as it matters.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use parking_lot::Mutex;

use super::RateLimiter;

/// The fewest limiters among which idle ones are looked for.
const FEW: usize = 64;

/// A limiter for each key, such as a user, a tenant or a host: made when it is first asked for, and evicted
/// when it is idle.
///
/// A limiter is idle if it has no other handle and its buckets are full, so that a new one of the same key
/// would grant the same: no eviction lets a key exceed a limit. Idle ones are looked for whenever the number
/// has doubled, so memory is at most twice what is in use. What an adaptive limiter has learnt goes with it.
///
/// ```
/// use paceline::{Cost, KeyedLimiters, Limits, RateLimiter};
///
/// let limits = Limits::builder().requests_per_minute(60).build()?;
/// let tenants = KeyedLimiters::new(move |_tenant: &String| RateLimiter::new(limits.clone()));
/// tenants.limiter("acme").acquire(Cost::tokens(0))?;
/// tenants.limiter("globex").acquire(Cost::tokens(0))?;
/// assert_eq!(tenants.len(), 2);
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// # Locking
///
/// One mutex around the map, held to look up or insert, and while idle ones are looked for, which takes each
/// limiter's lock in turn. It is not held during a wait, nor while a limiter is made.
pub struct KeyedLimiters<K> {
    make: Box<dyn Fn(&K) -> RateLimiter + Send + Sync>,
    state: Mutex<State<K>>,
}

struct State<K> {
    limiters: HashMap<K, RateLimiter>,
    /// Idle ones are looked for when there are more than this.
    full: usize,
}

impl<K: Eq + Hash> KeyedLimiters<K> {
    /// Limiters that `make` makes. It may be called twice for a key whose limiter two threads ask for at
    /// once; one of the two is dropped.
    #[must_use]
    pub fn new(make: impl Fn(&K) -> RateLimiter + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            state: Mutex::new(State {
                limiters: HashMap::new(),
                full: FEW,
            }),
        }
    }

    /// The limiter of a key: the same one for every caller.
    #[must_use]
    pub fn limiter<Q>(&self, key: &Q) -> RateLimiter
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(limiter) = self.state.lock().limiters.get(key) {
            return limiter.clone();
        }
        let key = key.to_owned();
        let made = (self.make)(&key);
        let mut state = self.state.lock();
        let limiter = state.limiters.entry(key).or_insert(made).clone();
        if state.limiters.len() > state.full {
            state.evict();
        }
        limiter
    }

    /// How many limiters it keeps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().limiters.len()
    }

    /// True when it keeps none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Evicts the idle ones now, and returns how many they were.
    pub fn evict(&self) -> usize {
        self.state.lock().evict()
    }
}

impl<K: Eq + Hash> State<K> {
    fn evict(&mut self) -> usize {
        let before = self.limiters.len();
        self.limiters.retain(|_, limiter| !limiter.is_idle());
        let left = self.limiters.len();
        self.full = left.saturating_mul(2).max(FEW);
        before - left
    }
}

impl<K> fmt::Debug for KeyedLimiters<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimiters")
            .field("limiters", &self.state.lock().limiters.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(paceline_loom)))]
#[allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::quota::Limits;
    use crate::{Cost, ManualClock};

    fn keyed(clock: &ManualClock) -> KeyedLimiters<u32> {
        let clock = clock.clone();
        KeyedLimiters::new(move |_| {
            let limits = Limits::tokens_per_minute(60).unwrap();
            RateLimiter::builder(limits).clock(&clock).build()
        })
    }

    #[test]
    fn a_key_has_one_limiter_until_it_is_idle() {
        let clock = ManualClock::new();
        let keyed = keyed(&clock);
        assert!(keyed.is_empty());
        let one = keyed.limiter(&1);
        assert!(one.is_same(&keyed.limiter(&1)));
        assert!(!one.is_same(&keyed.limiter(&2)));
        assert_eq!(
            keyed.evict(),
            1,
            "the second is full, and no caller holds it"
        );
        drop(one.acquire(Cost::tokens(10)).unwrap());
        drop(one);
        clock.advance(Duration::from_millis(9_999));
        assert_eq!(keyed.evict(), 0, "not full again");
        clock.advance(Duration::from_millis(1));
        assert_eq!(keyed.evict(), 1);
        assert!(keyed.is_empty());
    }

    #[test]
    fn what_is_paused_held_or_closed_stays() {
        let clock = ManualClock::new();
        let keyed = keyed(&clock);
        keyed
            .limiter(&1)
            .pause_until(clock.now() + Duration::from_secs(1));
        keyed.limiter(&2).close();
        let held = keyed
            .limiter(&3)
            .acquire(Cost::tokens(0))
            .unwrap()
            .into_owned();
        assert_eq!(keyed.evict(), 0);
        drop(held);
        clock.advance(Duration::from_secs(1));
        assert_eq!((keyed.evict(), keyed.len()), (2, 1));
    }

    #[test]
    fn keys_that_come_once_do_not_pile_up() {
        let clock = ManualClock::new();
        let keyed = keyed(&clock);
        for key in 0..10_000 {
            drop(keyed.limiter(&key));
            assert!(keyed.len() <= FEW + 1);
        }
        // Those in use stay, however many they are.
        let held: Vec<_> = (0..1_000).map(|key| keyed.limiter(&key)).collect();
        assert!(keyed.len() >= held.len());
    }
}
