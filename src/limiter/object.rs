//! Acquiring and settling behind trait objects.

use super::{AcquireOptions, Advice, Permit, RateLimiter};
use crate::cost::Cost;
use crate::observation::Observation;
use crate::{AcquireError, Result};

/// What acquires: for libraries that take any limiter, and tests that put one of their own in its place.
///
/// ```
/// use paceline::{AcquireOptions, Cost, Limiter, Limits, RateLimiter, Result};
///
/// fn fetch(limiter: &dyn Limiter) -> Result<String> {
///     let reserved = limiter.reserve(Cost::sized(100, 500), AcquireOptions::new())?;
///     // … send the request …
///     reserved.settle(Cost::sized(100, 20));
///     Ok("answer".to_owned())
/// }
///
/// fetch(&RateLimiter::new(Limits::tokens_per_minute(30_000)?))?;
/// fetch(&RateLimiter::new(Limits::none()))?;
/// # Ok::<(), paceline::Error>(())
/// ```
pub trait Limiter: Send + Sync {
    /// Blocks until `cost` is granted, and takes it.
    ///
    /// # Errors
    ///
    /// Those of [`RateLimiter::acquire_with`].
    fn reserve(
        &self,
        cost: Cost,
        options: AcquireOptions<'_>,
    ) -> Result<Box<dyn Reservation>, AcquireError>;
}

/// A granted cost behind a trait object: see [`Permit`], which is one. Dropped, it keeps its charge.
///
/// ```
/// use paceline::{Cost, Reservation};
///
/// /// Ends a request of which it is known what it used, or that it was not sent.
/// fn end(reserved: Box<dyn Reservation>, used: Option<u64>) {
///     match used {
///         Some(tokens) => reserved.settle(Cost::tokens(tokens)),
///         None => reserved.refund(),
///     }
/// }
/// # let _ = end;
/// ```
pub trait Reservation: Send {
    /// What was granted, and has not been given back since.
    fn cost(&self) -> Cost;

    /// Tells the limiter what a response says of its limits.
    fn observe(&mut self, observation: &Observation) -> Advice;

    /// Ends it with what the request really cost.
    fn settle(self: Box<Self>, actual: Cost);

    /// Ends it and gives everything back: the request was not sent.
    fn refund(self: Box<Self>);
}

impl Limiter for RateLimiter {
    fn reserve(
        &self,
        cost: Cost,
        options: AcquireOptions<'_>,
    ) -> Result<Box<dyn Reservation>, AcquireError> {
        let permit = self.acquire_with(cost, options)?;
        Ok(Box::new(permit.into_owned()))
    }
}

impl Reservation for Permit<'static> {
    fn cost(&self) -> Cost {
        Permit::cost(self)
    }

    fn observe(&mut self, observation: &Observation) -> Advice {
        Permit::observe(self, observation)
    }

    fn settle(self: Box<Self>, actual: Cost) {
        Permit::settle(*self, actual);
    }

    fn refund(self: Box<Self>) {
        Permit::refund(*self);
    }
}

#[cfg(all(test, not(paceline_loom)))]
mod tests {
    use super::*;
    use crate::quota::Limits;
    use crate::{AcquireError, ManualClock};

    #[test]
    fn an_object_acquires_settles_and_refunds() {
        let limits = Limits::tokens_per_minute(1_000).unwrap();
        let limiter = RateLimiter::builder(limits)
            .clock(&ManualClock::new())
            .build();
        let object: &dyn Limiter = &limiter;
        let level = || limiter.snapshot().quotas[0].level;
        let reserve = |tokens| object.reserve(Cost::tokens(tokens), AcquireOptions::new());
        let mut reserved = reserve(600).unwrap();
        assert_eq!((reserved.cost(), level()), (Cost::tokens(600), 400));
        reserved.observe(&Observation::admitted());
        reserved.settle(Cost::tokens(100));
        assert_eq!(level(), 900);
        reserve(900).unwrap().refund();
        assert_eq!(level(), 900);
        drop(reserve(900).unwrap());
        assert_eq!(level(), 0);
        assert!(matches!(reserve(1_001), Err(AcquireError::TooLarge { .. })));
    }
}
