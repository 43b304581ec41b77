//! A request from its first attempt to its last.

use std::time::{Duration, Instant};

use super::exchange::Failed;
use super::reading::Receive;
use super::settlement::{Sent, Settlement};
use super::{Admitted, CallOptions, Prepared};
use crate::client::retry::{
    Failure, Tries, is_rate_limit, is_repeatable, is_uncharged, is_undecided,
};
use crate::client::sleep_until::sleep_until;
use crate::client::transport::without_query;
use crate::limiter::AcquireOptions;
use crate::{AcquireError, Error, Result};

/// One try to send a request, when it has ended. See [`Admitted::send_with`].
///
/// ```no_run
/// use paceline::{AcquireOptions, Attempt, RateLimitedClient};
/// use serde_json::json;
///
/// fn measure(attempt: &Attempt<'_>) {
///     println!("attempt {} took {:?}", attempt.number, attempt.took);
/// }
///
/// let client = RateLimitedClient::new()?;
/// let request = client.prepare("/responses", &json!({"model": "gpt-4.1", "input": "Hello"}))?;
/// request.admit(AcquireOptions::new())?.send_with(AcquireOptions::new(), measure)?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// Which one it was: 1 is the first, and those above are retries.
    pub number: u32,
    /// How long it stood in its limiter's line; a pause after an error is not part of that.
    pub waited: Duration,
    /// How long it took from sending until the answer was there, or until it failed.
    pub took: Duration,
    /// Why it failed, if it did. Whether it is sent again, the next try shows.
    pub error: Option<&'a Error>,
}

/// What becomes of the bounds of trying again, after an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterAttempt {
    /// It counts.
    Count,
    /// It does not, neither in number nor in time: what failed has nothing to do with this request.
    /// It is sent again at once, unless that could do something twice: the caller has waited already.
    Free,
}

impl Admitted {
    /// Tries until `receive` gets something out of an answer that is no error. `name` is what the log
    /// calls the request; without one, its path.
    pub(in crate::client) fn perform<R: Receive>(
        self,
        name: Option<&str>,
        options: &CallOptions<'_>,
        receive: &R,
        mut watch: impl FnMut(&Attempt<'_>) -> AfterAttempt,
    ) -> Result<(Sent, R::Received)> {
        let Self {
            request,
            mut permit,
        } = self;
        let counters = &request.client.inner.counters;
        let wait = options.acquire();
        let own = match options.own_terms() {
            Ok(own) => own,
            Err(error) => {
                permit.refund();
                return Err(error);
            }
        };
        let mut policy = request.client.settings().retry;
        policy.max_retries = options.max_retries.unwrap_or(policy.max_retries);
        let mut waited = permit.waited();
        let mut attempts = 0;
        let mut tries = Tries::default();
        let started = request.now();
        // What of the policy's time is used up: attempts, and waits of our own choosing.
        let mut elapsed = Duration::ZERO;
        loop {
            attempts += 1;
            let began = request.now();
            let exchanged = request.exchange(&mut permit, receive, &own);
            let took = request.now().saturating_duration_since(began);
            let tried = Attempt {
                number: attempts,
                waited: permit.waited(),
                took,
                error: None,
            };
            let failed = match exchanged {
                Ok((answer, request_id, received)) => {
                    watch(&tried);
                    let sent = Sent {
                        status: answer.status,
                        request_id,
                        attempts,
                        waited,
                        settlement: Settlement {
                            permit,
                            accounting: request.client.settings().accounting,
                            cached_is_free: request.client.cached_is_free(),
                            prompt: request.estimate.prompt,
                            cap: request.estimate.output,
                            sizes: request.sizes,
                        },
                        answer,
                    };
                    return Ok((sent, received));
                }
                Err(failed) => failed,
            };
            let Failed {
                error,
                told,
                should_retry,
                advice,
            } = failed;
            if is_rate_limit(&error) {
                counters.rate_limited();
            }
            if is_uncharged(&error) {
                // Any other failed try may have been charged, so its charge stays.
                permit.give_back();
            }
            // Between two tries it is not in flight, however long `watch` may hold it.
            let turn = permit.keep_place();
            let after = watch(&Attempt {
                error: Some(&error),
                ..tried
            });
            if after == AfterAttempt::Count {
                let passed = request.now().saturating_duration_since(started);
                tries.count(&error, &advice, passed <= policy.max_elapsed);
                elapsed = elapsed.saturating_add(took);
            }
            let failure = Failure {
                error: &error,
                told,
                should_retry,
                advice,
            };
            let pause = match after {
                AfterAttempt::Count => policy.wait(&failure, tries, elapsed, fastrand::f64()),
                AfterAttempt::Free => Some(Duration::ZERO),
            };
            let raw = request.raw.as_deref();
            let is_repeatable = own.is_idempotent()
                || raw.is_some_and(|(raw, _)| raw.is_idempotent())
                || is_repeatable(&request.path);
            let pause = pause.filter(|_| !is_undecided(&error) || is_repeatable);
            let Some(pause) = pause else {
                return Err(error);
            };
            // What the server asks for is not our time.
            elapsed = elapsed.saturating_add(pause.saturating_sub(told.unwrap_or_default()));
            let path = without_query(&request.path);
            match name {
                Some(name) => log::info!("{name}: {error}; trying again in {pause:?}"),
                None => log::info!("{path}: {error}; trying again in {pause:?}"),
            }
            if !is_rate_limit(&error) && request.rest(pause, wait)? == Rest::PastDeadline {
                return Err(Error::DeadlineExceeded {
                    wait: pause,
                    last: Some(Box::new(error)),
                });
            }
            permit = match turn.acquire(request.cost(), wait) {
                Ok(permit) => permit,
                Err(AcquireError::DeadlineExceeded { wait }) => {
                    return Err(Error::DeadlineExceeded {
                        wait,
                        last: Some(Box::new(error)),
                    });
                }
                Err(ended) => return Err(ended.into()),
            };
            waited += permit.waited();
            if after == AfterAttempt::Count {
                counters.retried();
            }
        }
    }
}

/// What became of a pause.
#[derive(Debug, PartialEq, Eq)]
enum Rest {
    Over,
    /// It would end behind the deadline.
    PastDeadline,
}

impl Prepared {
    /// Waits between two attempts outside of the queue, so that no other request waits for it. Does
    /// not begin a pause that ends after the deadline.
    fn rest(&self, pause: Duration, wait: AcquireOptions<'_>) -> Result<Rest> {
        let end = self.now().checked_add(pause);
        if let Some(deadline) = wait.end()
            && end.is_none_or(|end| end > deadline)
        {
            return Ok(Rest::PastDeadline);
        }
        sleep_until(pause, wait.cancel_token()).map(|()| Rest::Over)
    }

    fn now(&self) -> Instant {
        self.limiter.clock().now()
    }
}
