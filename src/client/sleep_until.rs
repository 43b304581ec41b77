//! A wait between two tries, which a token can end.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::limiter::{CancelToken, Watcher};
use crate::{Error, Result};

#[derive(Default)]
struct Sleeper {
    called: Mutex<bool>,
    changed: Condvar,
}

impl Watcher for Sleeper {
    fn cancelled(&self) {
        // Set under the lock that the sleeper holds until it waits: no wake-up is lost.
        *self.called.lock() = true;
        self.changed.notify_one();
    }
}

/// Blocks for `duration`, or until the token is cancelled.
pub(super) fn sleep_until(duration: Duration, cancel: Option<&CancelToken>) -> Result<()> {
    let sleeper = Arc::new(Sleeper::default());
    if let Some(token) = cancel {
        token.watch(&(Arc::downgrade(&sleeper) as Weak<dyn Watcher>));
        // Cancelled before the watch began: the token will not call.
        if token.is_cancelled() {
            return Err(Error::Cancelled);
        }
    }
    let mut called = sleeper.called.lock();
    let end = sleeper
        .changed
        .wait_while_for(&mut called, |called| !*called, duration);
    if end.timed_out() {
        Ok(())
    } else {
        Err(Error::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_the_wait_before_and_while_it_lasts() {
        let token = CancelToken::new();
        let hour = Duration::from_secs(3_600);
        std::thread::scope(|scope| {
            let napping = scope.spawn(|| sleep_until(hour, Some(&token)));
            token.cancel();
            assert!(matches!(napping.join().unwrap(), Err(Error::Cancelled)));
        });
        assert!(matches!(
            sleep_until(hour, Some(&token)),
            Err(Error::Cancelled)
        ));
        assert!(sleep_until(Duration::from_millis(1), None).is_ok());
    }
}
