//! A limiter as a place to wait in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline::{Cost, Limits, Quota, RateLimiter};

use crate::Result;
use crate::crowd::Place;

/// Longer than any measurement.
const FAR: Duration = Duration::from_secs(3600);

/// A limiter of one quota, of which each thread takes one token.
pub(crate) struct Line {
    limiter: RateLimiter,
}

impl Line {
    pub(crate) fn new(quota: Quota) -> Result<Arc<Self>> {
        let limits = Limits::builder().quota(quota).build()?;
        Ok(Arc::new(Self {
            limiter: RateLimiter::new(limits),
        }))
    }

    /// The same, and nobody gets anything before [`resume`](Line::resume).
    pub(crate) fn paused(quota: Quota) -> Result<Arc<Self>> {
        let line = Self::new(quota)?;
        line.limiter.pause_until(Instant::now() + FAR);
        Ok(line)
    }

    pub(crate) fn resume(&self) {
        self.limiter.resume();
    }

    /// Takes all that is there, so that nothing is due.
    pub(crate) fn empty(&self) -> Result<()> {
        while self.limiter.try_acquire(Cost::tokens(1)).is_ok() {}
        Ok(())
    }
}

impl Place for Line {
    fn wait(&self, _: usize) -> Result<(), String> {
        match self.limiter.acquire(Cost::tokens(1)) {
            Ok(_permit) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn has(&self, index: usize) -> bool {
        self.limiter.snapshot().waiters > index
    }

    fn end(&self) {
        self.limiter.close();
    }
}
