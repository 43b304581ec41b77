//! The way of one request: counted, admitted by its limiter, sent, heard, settled.
//!
//! Each step is a type, and the only way to the next one is through it: what has not been
//! admitted has no `send`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::feedback::{Heard, api_error, usage, usage_in};
use super::learned::Sizes;
use super::nap::nap;
use super::response::{PassedOn, Response};
use super::retry::{Tries, is_rate_limit, is_repeatable, is_uncharged, is_undecided};
use super::transport::{Answer, without_query};
use super::{RateLimitedClient, wall_clock};
use crate::cost::{Cost, Usage};
use crate::feedback::Verdict;
use crate::limiter::{Permit, RateLimiter, Turn, Wait};
use crate::tokens::Estimate;
use crate::{Error, ErrorKind, Result};

/// A request that has been counted and waits to be admitted. Nothing is charged yet.
#[must_use = "a prepared request does nothing until it is sent"]
pub struct Prepared {
    client: RateLimitedClient,
    path: String,
    /// JSON.
    body: String,
    model: String,
    limiter: RateLimiter,
    estimate: Estimate,
    /// What is known of the answers to such requests, where that is learned.
    sizes: Option<Arc<Sizes>>,
}

impl Prepared {
    pub(crate) fn of(
        client: &RateLimitedClient,
        path: String,
        body: String,
        model: String,
        estimate: Estimate,
    ) -> Self {
        let learner = client.inner.learner.as_ref();
        let sizes = learner.and_then(|it| it.sizes(&path, &model, estimate.output));
        Self {
            client: client.clone(),
            path,
            body,
            limiter: client.registry().limiter_for(&model),
            model,
            estimate,
            sizes,
        }
    }

    /// What it will reserve. Where output sizes are
    /// [learned](super::ClientBuilder::learned_output), what it would reserve if it joined the line
    /// now.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let cap = self.estimate.output;
        let output = self.sizes.as_ref().map_or(cap, |sizes| sizes.reserve(cap));
        self.charge(output)
    }

    /// With so many tokens of output.
    fn charge(&self, output: u64) -> Cost {
        let charge = self.client.settings().charge;
        charge.reserve(self.estimate.prompt, output)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// How its size was estimated.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// The model that it is for.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The limiter that it has to pass.
    #[must_use]
    pub fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// Waits in line until the limiter admits it.
    ///
    /// # Errors
    ///
    /// Those of [`RateLimiter::acquire_with`].
    pub fn admit(self, wait: Wait<'_>) -> Result<Admitted> {
        let permit = self.limiter.acquire_with(self.cost(), wait)?.into_owned();
        Ok(Admitted {
            request: self,
            permit,
        })
    }

    /// Admits and sends it.
    ///
    /// # Errors
    ///
    /// Those of [`Prepared::admit`] and [`Admitted::send`].
    pub fn send(self) -> Result<Response> {
        self.admit(Wait::new())?.send(Wait::new())
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("path", &without_query(&self.path))
            .field("model", &self.model)
            .field("cost", &self.cost())
            .finish_non_exhaustive()
    }
}

/// A request that its limiter has admitted, to be sent now. One that will not be sent after all
/// is [withdrawn](Admitted::withdraw); dropping it keeps its charge, as dropping a permit does.
#[must_use = "an admitted request has been paid for and not sent"]
#[derive(Debug)]
pub struct Admitted {
    request: Prepared,
    permit: Permit<'static>,
}

impl Admitted {
    /// How long it stood in line.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.permit.waited()
    }

    /// What was reserved for it.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.permit.cost()
    }

    /// The model that it is for.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.request.model
    }

    /// The limiter that it has passed.
    #[must_use]
    pub fn limiter(&self) -> &RateLimiter {
        &self.request.limiter
    }

    /// Gives everything back: it will not be sent.
    pub fn withdraw(self) {
        self.permit.refund();
    }

    /// Sends it, as often as the client's settings allow while errors may pass; `wait` can end
    /// the waits between tries, not a try.
    ///
    /// # Errors
    ///
    /// [`Error::Api`], [`Error::Transport`] or [`Error::InvalidResponse`] of the last try, or
    /// what ended the wait before the next one.
    pub fn send(self, wait: Wait<'_>) -> Result<Response> {
        self.send_watched(wait, |_| {})
    }

    /// Sends it like [`send`](Admitted::send), and tells `watch` of each [`Try`] when it has ended:
    /// to count and to measure. The next one waits until `watch` returns.
    ///
    /// ```no_run
    /// use paceline::{RateLimitedClient, Wait};
    /// use serde_json::json;
    ///
    /// let client = RateLimitedClient::new()?;
    /// let request = client.prepare("/responses", &json!({"model": "gpt-4.1", "input": "Hello"}))?;
    /// let answer = request.admit(Wait::new())?.send_watched(Wait::new(), |tried| {
    ///     let outcome = tried.error.map_or("answered".to_owned(), ToString::to_string);
    ///     println!("try {}, {:?}: {outcome}", tried.number, tried.took);
    /// })?;
    /// println!("{}", answer.body["output"]);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`send`](Admitted::send).
    pub fn send_watched(self, wait: Wait<'_>, watch: impl FnMut(&Try<'_>)) -> Result<Response> {
        let (sent, body) = self.perform(wait, json::<Value>, watch)?;
        let usage = usage(&body);
        let charged = sent.settlement.settle(usage);
        Ok(Response {
            status: sent.status,
            request_id: sent.request_id,
            url: sent.answer.url(),
            body,
            usage,
            charged,
            attempts: sent.attempts,
            waited: sent.waited,
        })
    }

    /// Sends it like [`send_watched`](Admitted::send_watched), for an answer that is only passed on: it
    /// is not taken apart.
    pub(crate) fn pass_on(self, wait: Wait<'_>, watch: impl FnMut(&Try<'_>)) -> Result<PassedOn> {
        let (sent, (body, usage)) = self.perform(wait, as_it_came, watch)?;
        sent.settlement.settle(usage);
        Ok(PassedOn {
            status: sent.status,
            request_id: sent.request_id,
            body,
            usage,
            attempts: sent.attempts,
            waited: sent.waited,
        })
    }

    /// Tries until `receive` gets something out of an answer that is no error.
    pub(super) fn perform<T>(
        self,
        wait: Wait<'_>,
        mut receive: impl FnMut(&mut Answer) -> Result<T>,
        mut watch: impl FnMut(&Try<'_>),
    ) -> Result<(Sent, T)> {
        let Self {
            request,
            mut permit,
        } = self;
        let counters = &request.client.inner.counters;
        let policy = &request.client.settings().retry;
        let started = request.now();
        let last_start = started.checked_add(policy.max_elapsed);
        let mut waited = permit.waited();
        let mut attempts = 0;
        let mut tries = Tries::default();
        loop {
            attempts += 1;
            let began = request.now();
            let exchanged = request.exchange(&mut permit, &mut receive);
            watch(&Try {
                number: attempts,
                waited: permit.waited(),
                took: request.now().saturating_duration_since(began),
                error: exchanged.as_ref().err().map(|failed| &failed.error),
            });
            let Failed {
                error,
                told,
                should_retry,
            } = match exchanged {
                Ok((answer, request_id, received)) => {
                    let sent = Sent {
                        status: answer.status,
                        request_id,
                        attempts,
                        waited,
                        settlement: Settlement {
                            permit,
                            charge: request.client.settings().charge,
                            cap: request.estimate.output,
                            sizes: request.sizes,
                        },
                        answer,
                    };
                    return Ok((sent, received));
                }
                Err(failed) => failed,
            };
            if is_uncharged(&error) {
                // Any other failed try may have been charged, so its charge stays.
                permit.give_back();
            }
            tries.count(&error);
            let elapsed = request.now().saturating_duration_since(started);
            let pause = policy.wait(&error, told, should_retry, tries, elapsed, fastrand::f64());
            let pause = pause.filter(|_| !is_undecided(&error) || is_repeatable(&request.path));
            request.hold_sharers(&error, pause.or(told));
            let Some(pause) = pause else {
                return Err(error);
            };
            let path = without_query(&request.path);
            log::info!("{path}: {error}; trying again in {pause:?}");
            // Between two tries it is not in flight.
            let turn = permit.keep_turn();
            if !is_rate_limit(&error) {
                request.rest(pause, wait)?;
            }
            permit = request.admit_again(turn, wait, last_start, error)?;
            waited += permit.waited();
            counters.retried();
        }
    }
}

impl Prepared {
    /// One try: an answer with its name and what was received of it, or an error with the
    /// server's advice whether to try again. What it says of limits is told to the limiter before
    /// anything else is waited for.
    fn exchange<T>(
        &self,
        permit: &mut Permit<'_>,
        receive: &mut impl FnMut(&mut Answer) -> Result<T>,
    ) -> Result<(Answer, Option<String>, T), Failed> {
        let counters = &self.client.inner.counters;
        counters.sent();
        let failed = |error, told, should_retry| Failed {
            error,
            told,
            should_retry,
        };
        let sent = self
            .client
            .transport()
            .post(&self.path, self.body.as_bytes());
        let mut answer = sent.map_err(|error| failed(error, None, None))?;
        let mut heard = Heard::read(&answer.headers, wall_clock());
        let received = if answer.is_error() {
            // A body that does not arrive leaves the status, which says enough.
            let body = answer.read().unwrap_or_default();
            let body = self.client.transport().without_secrets(&body);
            let error = api_error(answer.status, &heard, body.as_bytes());
            heard.judge(answer.status, Some(&error));
            if let (Some(sizes), Verdict::Refused(refusal)) = (&self.sizes, heard.feedback.verdict)
            {
                let whole = self.charge(self.estimate.output);
                sizes.refused(&refusal, permit.cost().tokens, whole.tokens);
            }
            permit.hear(&heard.feedback);
            Err(Box::new(error).into())
        } else {
            heard.judge(answer.status, None);
            permit.hear(&heard.feedback);
            receive(&mut answer)
        };
        match received {
            Ok(received) => Ok((answer, heard.request_id, received)),
            Err(error) => {
                let told = heard.wait();
                Err(failed(error, told, heard.should_retry))
            }
        }
    }

    /// Lets everyone who shares the limit wait, whether or not this request tries again.
    fn hold_sharers(&self, error: &Error, pause: Option<Duration>) {
        let hold = match error {
            error if is_rate_limit(error) => {
                self.client.inner.counters.rate_limited();
                pause
            }
            // Its own backoff is this request's alone.
            Error::Api(api) if api.kind == ErrorKind::Overloaded => api.retry_after,
            _ => None,
        };
        // A pause past the end of time is one that no clock can keep.
        if let Some(until) = hold.and_then(|hold| self.now().checked_add(hold)) {
            self.limiter.pause_until(until);
        }
    }

    /// Waits between two tries outside of the line, where nobody else has to wait for it.
    fn rest(&self, pause: Duration, wait: Wait<'_>) -> Result<()> {
        let end = self.now().checked_add(pause);
        if let Some(deadline) = wait.end()
            && end.is_none_or(|end| end > deadline)
        {
            return Err(Error::DeadlineExceeded { wait: pause });
        }
        nap(pause, wait.cancel_token())
    }

    /// Waits in line for a try that begins no later than `last_start`, or gives up with `error`,
    /// which says more than that time has run out.
    fn admit_again(
        &self,
        turn: Turn,
        wait: Wait<'_>,
        last_start: Option<Instant>,
        error: Error,
    ) -> Result<Permit<'static>> {
        let callers = wait.end();
        match last_start {
            Some(ours) if callers.is_none_or(|callers| ours < callers) => {
                let admitted = turn.acquire(self.cost(), wait.deadline(ours));
                admitted.map_err(|refused| match refused {
                    Error::DeadlineExceeded { .. } => error,
                    other => other,
                })
            }
            _ => turn.acquire(self.cost(), wait),
        }
    }

    fn now(&self) -> Instant {
        self.limiter.clock().now()
    }
}

/// Reads an answer that has to be JSON.
fn json<T: DeserializeOwned>(answer: &mut Answer) -> Result<T> {
    let bytes = answer.read()?;
    serde_json::from_slice(&bytes).map_err(|error| makes_no_sense(answer, &error))
}

/// Reads an answer that has to be JSON, with the usage that it states, and leaves it as it is.
fn as_it_came(answer: &mut Answer) -> Result<(String, Option<Usage>)> {
    let text = String::from_utf8(answer.read()?);
    let text = text.map_err(|error| makes_no_sense(answer, &error))?;
    let usage = usage_in(&text).map_err(|error| makes_no_sense(answer, &error))?;
    Ok((text, usage))
}

fn makes_no_sense(answer: &Answer, error: &dyn fmt::Display) -> Error {
    Error::InvalidResponse {
        url: answer.url(),
        message: error.to_string(),
    }
}

/// One try to send a request, when it has ended. See [`Admitted::send_watched`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Try<'a> {
    /// Which one it was: 1 is the first, and those above are retries.
    pub number: u32,
    /// How long it stood in its limiter's line; a pause after an error is not part of that.
    pub waited: Duration,
    /// How long it took from sending until the answer was there, or until it failed.
    pub took: Duration,
    /// Why it failed, if it did. Whether it is sent again, the next try shows.
    pub error: Option<&'a Error>,
}

/// A try without success, with the server's advice when and whether to try again.
struct Failed {
    error: Error,
    told: Option<Duration>,
    should_retry: Option<bool>,
}

/// A request whose answer has begun to arrive.
pub(super) struct Sent {
    pub(super) status: u16,
    pub(super) request_id: Option<String>,
    pub(super) attempts: u32,
    pub(super) waited: Duration,
    pub(super) settlement: Settlement,
    pub(super) answer: Answer,
}

/// A permit that still has to hear what its request used. Dropped, it keeps its charge.
#[derive(Debug)]
pub(super) struct Settlement {
    permit: Permit<'static>,
    charge: crate::Charge,
    /// The most tokens of the answer.
    cap: u64,
    sizes: Option<Arc<Sizes>>,
}

impl Settlement {
    /// Settles with the usage if it is known, and returns what the request cost in the end.
    pub(super) fn settle(self, usage: Option<Usage>) -> Cost {
        let reserved = self.permit.cost();
        let Some(usage) = usage else {
            return reserved;
        };
        if let Some(sizes) = &self.sizes {
            sizes.answered(usage.output_tokens, self.cap);
        }
        let actual = self.charge.settle(reserved, usage);
        self.permit.settle(actual);
        actual
    }
}
