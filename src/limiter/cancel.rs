//! Calling waiters back from another thread.

use std::collections::HashSet;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};

use crate::sync::{AtomicBool, Mutex, Ordering};

/// Ends waits from another thread: every wait that was given this token, in any limiter, returns
/// [`AcquireError::Cancelled`](crate::AcquireError::Cancelled) at once, and so does every later one. Clones are
/// the same token, and it stays cancelled.
///
/// ```
/// use paceline::{AcquireError, AcquireOptions, CancelToken, Cost, Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000)?);
/// let token = CancelToken::new();
/// limiter.acquire(Cost::tokens(1_000))?; // the next one has to wait
/// std::thread::scope(|scope| {
///     let waiting = scope.spawn(|| limiter.acquire_with(Cost::tokens(900), AcquireOptions::new().cancel(&token)));
///     token.cancel();
///     assert!(matches!(waiting.join().unwrap(), Err(AcquireError::Cancelled)));
/// });
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// # Locking
///
/// The flag is set before the list of watchers is read, and a waiter is put on that list before
/// it looks at the flag under its line's lock. So either the canceller finds the line, or the
/// waiter finds the flag. A line's lock may be held while the list is locked, never the reverse.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Shared>);

// No code of the caller's runs under its lock, so a panic leaves nothing half done.
impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}

struct Shared {
    cancelled: AtomicBool,
    watchers: Mutex<Watchers>,
}

/// The watchers to call, in order of registration.
#[derive(Default)]
struct Watchers {
    all: Vec<Weak<dyn Watcher>>,
    /// Of these. A weak reference keeps its address from being used again.
    addresses: HashSet<usize>,
    /// The dead make room when there are as many as this, so that watching takes constant time.
    full: usize,
}

/// The fewest watchers among which the dead are looked for.
const FEW: usize = 8;

impl Default for Shared {
    fn default() -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            watchers: Mutex::new(Watchers::default()),
        }
    }
}

/// Something with waiters that may have to go.
pub(crate) trait Watcher: Send + Sync {
    /// Some token was cancelled: answer every waiter whose token is.
    fn cancelled(&self);
}

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the waits. A second call does nothing.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        let watchers = std::mem::take(&mut *self.0.watchers.lock());
        for watcher in watchers.all.iter().filter_map(Weak::upgrade) {
            watcher.cancelled();
        }
    }

    /// True once [`cancel`](CancelToken::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Registers `watcher` for the cancellation. The caller checks the flag afterwards: a token that was
    /// cancelled before does not call.
    pub(crate) fn watch(&self, watcher: &Weak<dyn Watcher>) {
        let mut watchers = self.0.watchers.lock();
        let Watchers {
            all,
            addresses,
            full,
        } = &mut *watchers;
        // One that stands already takes no second place.
        if addresses.insert(address(watcher)) {
            all.push(Weak::clone(watcher));
        }
        if all.len() > *full {
            all.retain(|known| known.strong_count() > 0);
            *addresses = all.iter().map(address).collect();
            *full = all.len().saturating_mul(2).max(FEW);
        }
    }
}

fn address(watcher: &Weak<dyn Watcher>) -> usize {
    watcher.as_ptr().cast::<()>().addr()
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(paceline_loom)))]
mod tests {
    use super::*;

    /// Not of size 0: those share an address.
    struct Core(#[allow(dead_code, reason = "it has to be somewhere")] u8);

    impl Watcher for Core {
        fn cancelled(&self) {}
    }

    #[test]
    fn a_core_is_told_once_and_those_that_are_gone_make_room() {
        let token = CancelToken::new();
        let watchers = || token.0.watchers.lock().all.len();
        let watch = |core: &Arc<Core>| token.watch(&(Arc::downgrade(core) as Weak<dyn Watcher>));
        let cores = [(); 2].map(|()| Arc::new(Core(1)));
        cores.iter().chain(&cores).for_each(watch);
        assert_eq!(watchers(), 2);
        for _ in 0..1_000 {
            watch(&Arc::new(Core(2)));
            assert!(watchers() <= FEW + 1);
        }
    }
}
