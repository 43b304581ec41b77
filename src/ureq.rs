//! A limit for an agent of `ureq` that is there already.
//!
//! [`RateLimit`] is a middleware: each request of the agent passes a limiter first, and what its response says
//! of limits is observed. What a request costs, its deadline and its token go in the request's extensions.
//!
//! ```no_run
//! use std::time::Duration;
//! use paceline::ureq::{Deadline, RateLimit, Reserved};
//! use paceline::{CancelToken, Clock, Cost, Limits, RateLimiter};
//! use ureq::Agent;
//!
//! let limiter = RateLimiter::builder(Limits::tokens_per_minute(30_000)?)
//!     .adaptive(Duration::from_millis(100)) // follows what responses say
//!     .build();
//! let agent: Agent = Agent::config_builder()
//!     .middleware(RateLimit::new(limiter))
//!     .http_status_as_error(false) // so that the waits of refusals are read
//!     .build()
//!     .into();
//!
//! let stop = CancelToken::new();
//! let response = agent
//!     .post("https://api.openai.com/v1/responses")
//!     .header("authorization", "Bearer …")
//!     .extension(Cost::sized(250, 1_000))
//!     .extension(Deadline::at(Clock::real().now() + Duration::from_secs(30)))
//!     .extension(stop.clone())
//!     .send(r#"{"model": "gpt-4.1", "input": "Hello"}"#)
//!     .expect("an answer");
//! if let Some(reserved) = response.extensions().get::<Reserved>() {
//!     reserved.settle(Cost::sized(250, 77)); // what the body says that it used
//! }
//! # Ok::<(), paceline::Error>(())
//! ```

use std::fmt;
use std::io::{Cursor, ErrorKind, Read};
use std::sync::Arc;
use std::time::Instant;

use ::ureq::http::{Request, Response};
use ::ureq::middleware::{Middleware, MiddlewareNext};
use ::ureq::{Body, Error, SendBody, Timeout};
use parking_lot::Mutex;

use crate::cost::Cost;
use crate::limiter::{AcquireOptions, CancelToken, Permit, Priority, RateLimiter};
use crate::observation::Observation;

/// The most that is read of a refusal's body to see which limit it is for, in bytes.
const MOST: u64 = 64 * 1024;

/// Has each request of an agent pass a limiter.
///
/// Of a request's extensions it reads a [`Cost`], a [`Deadline`], a
/// [`CancelToken`] and a [`Priority`]. The deadline and the token end the wait; an attempt
/// is ended by the agent's own time-outs. A request that is not granted fails with
/// [`Error::Other`], inside of which is an [`AcquireError`](crate::AcquireError).
///
/// A response carries a [`Reserved`] in its extensions. With `http_status_as_error` (ureq's default) the
/// headers of a refusal are not seen, and the wait that it names is not known.
///
/// ```
/// use paceline::ureq::RateLimit;
/// use paceline::{Cost, Limits, RateLimiter};
/// use ureq::Agent;
///
/// let limiter = RateLimiter::new(Limits::builder().requests_per_minute(60).build()?);
/// let agent: Agent = Agent::config_builder()
///     .middleware(RateLimit::new(limiter).default_cost(Cost::tokens(0)))
///     .build()
///     .into();
/// # let _ = agent;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RateLimit {
    limiter: RateLimiter,
    cost: Cost,
}

impl RateLimit {
    /// A middleware before which requests wait for `limiter`.
    pub fn new(limiter: RateLimiter) -> Self {
        Self {
            limiter,
            cost: Cost::tokens(0),
        }
    }

    /// Sets the cost of requests that have none in their extensions. Default: one request without tokens.
    pub fn default_cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }
}

/// When a request gives up waiting for its limiter, for the extensions of a request.
///
/// ```
/// use std::time::Duration;
/// use paceline::Clock;
/// use paceline::ureq::Deadline;
/// use ureq::Agent;
///
/// let agent = Agent::new_with_defaults();
/// let deadline = Deadline::at(Clock::real().now() + Duration::from_secs(30));
/// let request = agent.get("https://api.openai.com/v1/models").extension(deadline);
/// # let _ = request;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// At this time of the limiter's clock.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }
}

/// What was reserved for a request, in the extensions of its response: to be settled with what it used.
/// Dropped with the response, it keeps its charge.
///
/// ```no_run
/// use paceline::Cost;
/// use paceline::ureq::Reserved;
/// use ureq::Agent;
///
/// let agent = Agent::new_with_defaults(); // with the middleware
/// let response = agent.get("https://api.openai.com/v1/models").call().expect("an answer");
/// if let Some(reserved) = response.extensions().get::<Reserved>() {
///     reserved.settle(Cost::tokens(77));
/// }
/// ```
#[derive(Clone)]
pub struct Reserved(Arc<Mutex<Option<Permit<'static>>>>);

impl Reserved {
    /// Corrects the charge to what the request really cost. The first call counts.
    pub fn settle(&self, actual: Cost) {
        if let Some(permit) = self.0.lock().take() {
            permit.settle(actual);
        }
    }

    /// What was reserved, until it is settled.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        self.0.lock().as_ref().map(Permit::cost)
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reserved").field(&self.cost()).finish()
    }
}

impl Middleware for RateLimit {
    fn handle(
        &self,
        request: Request<SendBody>,
        next: MiddlewareNext,
    ) -> Result<Response<Body>, Error> {
        let extensions = request.extensions();
        let cost = extensions.get::<Cost>().copied().unwrap_or(self.cost);
        let cancel = extensions.get::<CancelToken>().cloned();
        let mut wait = AcquireOptions::new();
        if let Some(Deadline(deadline)) = extensions.get() {
            wait = wait.deadline(*deadline);
        }
        if let Some(priority) = extensions.get::<Priority>() {
            wait = wait.priority(*priority);
        }
        if let Some(token) = &cancel {
            wait = wait.cancel(token);
        }
        let host = request.uri().host().unwrap_or_default().to_owned();
        let permit = self.limiter.acquire_with(cost, wait);
        let mut permit = permit
            .map_err(|error| Error::Other(Box::new(error)))?
            .into_owned();
        match next.handle(request) {
            Ok(mut response) => {
                observe(&mut permit, &host, &mut response);
                let reserved = Reserved(Arc::new(Mutex::new(Some(permit))));
                response.extensions_mut().insert(reserved);
                Ok(response)
            }
            Err(error) => {
                match &error {
                    Error::StatusCode(status) => {
                        let seen = Observation::from_http(&host, *status, [], b"");
                        permit.observe(&seen);
                    }
                    error if is_unsent(error) => permit.refund(),
                    _ => {
                        permit.observe(&Observation::default());
                    }
                }
                Err(error)
            }
        }
    }
}

/// Whether the request cannot have reached the server.
fn is_unsent(error: &Error) -> bool {
    use ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    match error {
        Error::HostNotFound | Error::ConnectionFailed | Error::BadUri(_) => true,
        Error::Timeout(timeout) => matches!(timeout, Timeout::Resolve | Timeout::Connect),
        Error::Io(error) => matches!(
            error.kind(),
            AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable
        ),
        _ => false,
    }
}

/// Tells the limiter what a response says. The body of a refusal is read for it, and put back.
fn observe(permit: &mut Permit<'_>, host: &str, response: &mut Response<Body>) {
    let status = response.status().as_u16();
    let body = match status {
        429 | 503 | 529 => peek(response.body_mut()),
        _ => Vec::new(),
    };
    let headers = response.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    permit.observe(&Observation::from_http(host, status, headers, &body));
}

/// The beginning of a body, which stays to be read from its first byte.
fn peek(body: &mut Body) -> Vec<u8> {
    let kind = body.mime_type().map(str::to_owned);
    let taken = std::mem::replace(body, Body::builder().data(Vec::new()));
    let mut reader = taken.into_reader();
    let mut start = Vec::new();
    // What cannot be read fails again for the next reader.
    let _ = reader.by_ref().take(MOST).read_to_end(&mut start);
    let builder = match kind {
        Some(kind) => Body::builder().mime_type(kind),
        None => Body::builder(),
    };
    *body = builder.reader(Cursor::new(start.clone()).chain(reader));
    start
}
