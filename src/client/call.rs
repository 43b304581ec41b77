//! The way of one request: counted, admitted by its limiter, sent, heard, settled.
//!
//! Each step is a type, and the only way to the next one is through it: what has not been
//! admitted has no `send`.

mod attempts; //   a request from its first attempt to its last
mod exchange; //   one attempt
mod options; //    options of one call
mod reading; //    the body of a response
#[cfg(feature = "gateway")]
mod relay; //      requests and responses of another program's
mod settlement; // what is left to do when a response is there

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use attempts::AfterAttempt;
pub use attempts::Attempt;
pub use options::CallOptions;
use reading::invalid;
pub(super) use reading::{Context, Receive, Unreceived, Whole, quote_without};
#[cfg(feature = "gateway")]
pub(crate) use relay::{RelayBody, RelayRequest, Relayed};
pub(super) use settlement::{Sent, Settlement};

use super::RateLimitedClient;
use super::answer::{Body, value};
use super::headers::ResponseHeaders;
use super::learned::Sizes;
use super::raw::ApiRequest;
use super::response::{PassedOn, Response};
use super::secrets::Secrets;
use super::transport::without_query;
use crate::Result;
use crate::cost::{Cost, ServiceTier};
use crate::limiter::{AcquireOptions, Permit, RateLimiter};
use crate::tokens::{Endpoint, Estimate};

/// A request that has been counted and waits to be admitted. Nothing is charged yet.
///
/// ```no_run
/// use serde_json::json;
///
/// let client = paceline::RateLimitedClient::new()?;
/// let request = client.prepare("/responses", &json!({"model": "gpt-4.1", "input": "Hello"}))?;
/// println!("{} tokens for {}", request.cost().tokens, request.model());
/// let answer = request.send()?;
/// println!("{}", answer.body["output"]);
/// # Ok::<(), paceline::Error>(())
/// ```
#[must_use = "a prepared request does nothing until it is sent"]
pub struct Prepared {
    client: RateLimitedClient,
    path: String,
    /// JSON.
    body: String,
    model: String,
    limiter: RateLimiter,
    estimate: Estimate,
    tier: ServiceTier,
    /// Whether its body names a model.
    has_model: bool,
    /// What is known of the answers to such requests, where that is learned.
    sizes: Option<Arc<Sizes>>,
    /// What is sent in place of a JSON body, and whether its cost is stated.
    raw: Option<Box<(ApiRequest, bool)>>,
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
            tier: ServiceTier::default(),
            has_model: true,
            sizes,
            raw: None,
        }
    }

    /// A request that no limit is for.
    #[cfg(feature = "gateway")]
    fn free(client: &RateLimitedClient, path: String) -> Self {
        Self {
            client: client.clone(),
            path,
            body: String::new(),
            limiter: RateLimiter::new(crate::Limits::none()),
            model: String::new(),
            estimate: Estimate::default(),
            tier: ServiceTier::default(),
            has_model: false,
            sizes: None,
            raw: None,
        }
    }

    /// What is left to do when its answer has begun to arrive.
    #[cfg(feature = "gateway")]
    fn settlement(&self, permit: Permit<'static>) -> Settlement {
        Settlement {
            permit,
            accounting: self.client.settings().accounting,
            cached_is_free: self.client.cached_is_free(),
            prompt: self.estimate.prompt,
            cap: self.estimate.output,
            sizes: self.sizes.clone(),
        }
    }

    /// What it will reserve. Where output sizes are
    /// [learned](super::ClientBuilder::learned_output), what it would reserve if it joined the line
    /// now.
    #[must_use]
    pub fn cost(&self) -> Cost {
        if let Some((raw, true)) = self.raw.as_deref() {
            return raw.stated_cost();
        }
        let cap = self.estimate.output;
        let output = self.sizes.as_ref().map_or(cap, |sizes| sizes.reserve(cap));
        self.charge(output)
    }

    /// The cost with this number of output tokens.
    fn charge(&self, output: u64) -> Cost {
        let charge = self.client.settings().accounting;
        charge.reserve(self.estimate.prompt, output)
    }

    /// The same in a class of service, which its price depends on.
    pub(crate) fn in_tier(mut self, tier: ServiceTier) -> Self {
        self.tier = tier;
        self
    }

    pub(crate) fn with_model(mut self, has_model: bool) -> Self {
        self.has_model = has_model;
        self
    }

    /// The same of another method, or with another body. `is_stated` says whether its cost is.
    pub(super) fn with_raw(mut self, raw: ApiRequest, is_stated: bool) -> Self {
        self.raw = Some(Box::new((raw, is_stated)));
        self
    }

    /// Whether a model is missing that its server is known to ask for.
    pub(crate) fn lacks_model(&self) -> bool {
        let is_hosted = self.client.provider().is_some_and(|it| !it.is_local());
        let endpoint = Endpoint::from_path(&self.path);
        let needs_one = match endpoint {
            Endpoint::Moderations | Endpoint::Other => false,
            // A stored prompt brings its own.
            Endpoint::Responses => !self.body.contains("\"prompt\""),
            _ => !self.client.has_deployment(),
        };
        !self.has_model && is_hosted && needs_one
    }

    /// The class of service that it asks for.
    pub(crate) fn tier(&self) -> ServiceTier {
        self.tier
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
    pub fn admit(self, wait: AcquireOptions<'_>) -> Result<Admitted> {
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
        self.call(&CallOptions::new())
    }

    /// Admits and sends it, with options for the whole call.
    ///
    /// # Errors
    ///
    /// Those of [`Prepared::admit`] and [`Admitted::send`].
    pub fn call(self, options: &CallOptions<'_>) -> Result<Response> {
        self.admit(options.acquire())?.send(options)
    }
}

/// Headers without the credentials that a server quotes in them.
pub(super) fn hidden<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    secrets: &Secrets,
) -> ResponseHeaders {
    headers
        .map(|(name, value)| (name, secrets.hide(value)))
        .collect()
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
///
/// ```no_run
/// use paceline::{AcquireOptions, RateLimitedClient};
/// use serde_json::json;
///
/// let client = RateLimitedClient::new()?;
/// let request = client.prepare("/responses", &json!({"model": "gpt-4.1", "input": "Hello"}))?;
/// let admitted = request.admit(AcquireOptions::new())?;
/// println!("waited {:?}", admitted.waited());
/// admitted.withdraw(); // it is not needed after all
/// # Ok::<(), paceline::Error>(())
/// ```
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

    /// The request that it is.
    pub(crate) fn request(&self) -> &Prepared {
        &self.request
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

    /// Sends it, as often as the client's settings allow after transient errors. The options are
    /// [`CallOptions`], or those of a wait alone.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api), [`Error::Transport`](crate::Error::Transport) or [`Error::InvalidResponse`](crate::Error::InvalidResponse) of the last try, or
    /// what ended the wait before the next one.
    pub fn send<'a>(self, options: impl Into<CallOptions<'a>>) -> Result<Response> {
        self.send_with(options, |_| {})
    }

    /// Sends it like [`send`](Admitted::send), and tells `watch` of each [`Attempt`] when it has ended:
    /// to count and to measure. The next one waits until `watch` returns.
    ///
    /// ```no_run
    /// use paceline::{RateLimitedClient, AcquireOptions};
    /// use serde_json::json;
    ///
    /// let client = RateLimitedClient::new()?;
    /// let request = client.prepare("/responses", &json!({"model": "gpt-4.1", "input": "Hello"}))?;
    /// let answer = request.admit(AcquireOptions::new())?.send_with(AcquireOptions::new(), |tried| {
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
    pub fn send_with<'a>(
        self,
        options: impl Into<CallOptions<'a>>,
        mut watch: impl FnMut(&Attempt<'_>),
    ) -> Result<Response> {
        let client = self.request.client.clone();
        let (sent, body) = self.perform(None, &options.into(), &Whole::default(), |tried| {
            watch(tried);
            AfterAttempt::Count
        })?;
        let usage = sent.settlement.believed(body.usage);
        let charged = sent.settlement.settle(usage);
        let url = sent.answer.url();
        let told = value(&body.text).map_err(|error| invalid(&sent.answer, error.to_string()))?;
        Ok(Response {
            status: sent.status,
            request_id: sent.request_id,
            headers: hidden(sent.answer.headers.iter(), client.secrets()),
            url,
            body: told,
            completion: body.completion,
            repaired: body.repaired,
            usage,
            service_tier: body.tier,
            charged,
            attempts: sent.attempts,
            waited: sent.waited,
        })
    }

    /// Sends it like [`send_with`](Admitted::send_with), for an answer that is only passed on: it
    /// is not taken apart. After each attempt `watch` says what it counts as; until it has, the
    /// request is not in flight and is not sent again. `name` is what the log calls it. `holds` is
    /// called with the bytes of the response that are held while it is read, and may wait. An attempt
    /// in flight continues after the deadline of `wait` and after its token is cancelled.
    pub(crate) fn pass_on(
        self,
        name: &str,
        wait: AcquireOptions<'_>,
        holds: &dyn Fn(usize),
        watch: impl FnMut(&Attempt<'_>) -> AfterAttempt,
    ) -> Result<PassedOn> {
        let options = CallOptions::of_waits(wait);
        let (sent, body) = self.perform(Some(name), &options, &Whole { holds }, watch)?;
        let usage = sent.settlement.believed(body.usage);
        sent.settlement.settle(usage);
        let Body {
            text,
            repaired,
            usage: _,
            tier,
            completion,
            output_tokens: _,
            is_stop: _,
            fault: _,
        } = body;
        Ok(PassedOn {
            status: sent.status,
            request_id: sent.request_id,
            body: text,
            completion,
            repaired,
            usage,
            tier,
            attempts: sent.attempts,
            waited: sent.waited,
        })
    }
}
