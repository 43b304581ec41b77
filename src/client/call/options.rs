//! Options of one call besides its request.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::client::authorization::{Secret, is_credential_header, is_of_the_wire};
use crate::client::transport::{Bounds, Timeouts};
use crate::limiter::{AcquireOptions, CancelToken, Clock, Priority};
use crate::{Error, Result};

/// The header by which a server knows a request that comes again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Options of one call: what ends it early, whose work goes first, its time-outs, headers and retries.
///
/// Every call takes them: [`chat_with`](crate::RateLimitedClient::chat_with),
/// [`chat_stream_with`](crate::RateLimitedClient::chat_stream_with),
/// [`embeddings_with`](crate::RateLimitedClient::embeddings_with),
/// [`post_with`](crate::RateLimitedClient::post_with), and the steps of a
/// [prepared](crate::Prepared) request. One set of options serves any number of calls.
///
/// ```no_run
/// use std::time::Duration;
/// use paceline::{CallOptions, CancelToken, Clock, RateLimitedClient};
///
/// let client = RateLimitedClient::new()?;
/// let stop = CancelToken::new(); // for a signal handler to cancel
/// let options = CallOptions::new()
///     .deadline(Clock::real().now() + Duration::from_secs(30))
///     .cancel(&stop);
/// let answer = client.chat_with("Name the largest moon of Saturn.", &options)?;
/// println!("{}", answer.text());
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// # Time limits
///
/// Each of them bounds something else, and the first one that passes ends what it bounds:
///
/// | limit | bounds | default | then |
/// |---|---|---|---|
/// | [`deadline`](Self::deadline) | the whole call: waits, pauses, attempts, a stream to its end | none | [`DeadlineExceeded`](crate::Error::DeadlineExceeded), with the last failure as its source |
/// | [`timeout`](Self::timeout), [`ClientBuilder::timeout`](crate::ClientBuilder::timeout) | one attempt, from connecting to the last byte | 10 min | [`Transport`](crate::Error::Transport) of kind [`Timeout`](crate::TransportKind::Timeout), retried |
/// | [`read_timeout`](Self::read_timeout), [`ClientBuilder::read_timeout`](crate::ClientBuilder::read_timeout) | each silence within a response, such as between two pieces of a stream | none | the same |
/// | [`connect_timeout`](Self::connect_timeout), [`ClientBuilder::connect_timeout`](crate::ClientBuilder::connect_timeout) | connecting, TLS included | 10 s | `Transport` of kind [`Connect`](crate::TransportKind::Connect), retried |
/// | [`ClientBuilder::retry_for`](crate::ClientBuilder::retry_for) | attempts and our own pauses together | 1 h | the error of the last attempt |
/// | [`max_retries`](Self::max_retries), [`ClientBuilder::max_retries`](crate::ClientBuilder::max_retries) | the number of attempts | 5 retries | the error of the last attempt |
/// | [`AcquireOptions::deadline`](crate::AcquireOptions::deadline) | one wait for a limiter | none | `DeadlineExceeded` |
/// | [`MapOptions::deadline`](crate::parallel::MapOptions::deadline) | starting further items of a map | none | [`Skipped`](crate::parallel::Skipped) |
/// | the deadline of a [`batch`](crate::batch) run | starting further requests; those in flight are finished | none | the run ends and can be continued |
///
/// A part of a stream that has been handed out is not sent again: there a time-out ends the stream.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CallOptions<'a> {
    wait: AcquireOptions<'a>,
    pub(super) max_retries: Option<u32>,
    timeouts: Timeouts,
    headers: Vec<(String, Secret)>,
    /// Whether the deadline and the token end waits alone.
    finishes_attempts: bool,
}

impl<'a> CallOptions<'a> {
    /// Options that leave everything at the client's settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the call at `deadline`. A wait or a pause that is predicted to pass it is refused at once, and
    /// an attempt in flight ends when it comes: the server may then charge it all the same. Default:
    /// none.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.wait = self.wait.deadline(deadline);
        self
    }

    /// Ends the call as soon as `token` is cancelled, wherever it is: in a wait, in a pause, or in an
    /// attempt, whose connection is closed. Default: none.
    pub fn cancel(mut self, token: &'a CancelToken) -> Self {
        self.wait = self.wait.cancel(token);
        self
    }

    /// Sets whose work goes first at the limiter. Default: [`Priority::Interactive`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.wait = self.wait.priority(priority);
        self
    }

    /// Sets the most retries after transient errors.
    /// Default: [`ClientBuilder::max_retries`](crate::ClientBuilder::max_retries).
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Caps the time of each attempt, from connecting to the last byte.
    /// Default: [`ClientBuilder::timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.attempt = Some(timeout);
        self
    }

    /// Caps the time of connecting, TLS included.
    /// Default: [`ClientBuilder::connect_timeout`](crate::ClientBuilder::connect_timeout).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = Some(timeout);
        self
    }

    /// Caps each silence within a response, such as between two pieces of a stream.
    /// Default: [`ClientBuilder::read_timeout`](crate::ClientBuilder::read_timeout).
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.read = Some(timeout);
        self
    }

    /// Adds a header to the request, in place of the client's of the same name. The call fails with
    /// [`InvalidRequest`](crate::Error::InvalidRequest) where HTTP cannot carry it, and for
    /// [credentials](crate::is_credential_header), which belong to a client: they are hidden in all that
    /// it says. Default: none.
    ///
    /// ```
    /// use paceline::CallOptions;
    ///
    /// let options = CallOptions::new().header("OpenAI-Beta", "assistants=v2");
    /// # let _ = options;
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), Secret(value.into())));
        self
    }

    /// Sends an `Idempotency-Key`, by which a server knows a request that it has done already: so it is
    /// retried where that might otherwise do it twice. To be drawn anew for each request. Default: none.
    ///
    /// ```
    /// use paceline::CallOptions;
    ///
    /// let options = CallOptions::new().idempotency_key("order-4711");
    /// # let _ = options;
    /// ```
    pub fn idempotency_key(self, key: impl Into<String>) -> Self {
        self.header(IDEMPOTENCY_KEY, key)
    }

    /// Options that end waits alone: an attempt in flight is finished.
    pub(super) fn of_waits(wait: AcquireOptions<'a>) -> Self {
        Self {
            finishes_attempts: true,
            ..wait.into()
        }
    }

    /// What of it concerns the limiter.
    pub(crate) fn acquire(&self) -> AcquireOptions<'a> {
        self.wait
    }

    /// What of it concerns the transport.
    pub(super) fn own_terms(&self) -> Result<OwnTerms<'a>> {
        let all = [
            self.timeouts.attempt,
            self.timeouts.connect,
            self.timeouts.read,
        ];
        if all.contains(&Some(Duration::ZERO)) {
            let message = "a time-out of 0: a time above 0 is needed".to_owned();
            return Err(Error::InvalidRequest(message));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let invalid = |reason| Error::InvalidRequest(format!("header {name:?}: {reason}"));
            if is_credential_header(name) {
                return Err(invalid("credentials are a client's; set it there"));
            }
            if is_of_the_wire(name) {
                return Err(invalid("each request has its own"));
            }
            let both = HeaderName::try_from(name.as_str()).ok();
            let both = both.zip(HeaderValue::try_from(value.0.trim()).ok());
            let (name, value) =
                both.ok_or_else(|| invalid("its name or value cannot be sent in HTTP"))?;
            headers.insert(name, value);
        }
        Ok(OwnTerms {
            headers,
            timeouts: self.timeouts,
            deadline: self.wait.end().filter(|_| !self.finishes_attempts),
            cancel: self.wait.cancel_token().filter(|_| !self.finishes_attempts),
        })
    }
}

/// What each attempt of a call is sent with beside the client's settings.
pub(super) struct OwnTerms<'a> {
    pub(super) headers: HeaderMap,
    timeouts: Timeouts,
    deadline: Option<Instant>,
    cancel: Option<&'a CancelToken>,
}

impl<'a> OwnTerms<'a> {
    /// The bounds of an attempt that begins now. The deadline is one of `clock`'s instants, and the
    /// transport goes by real time.
    pub(super) fn bounds(&self, clock: &Clock) -> Bounds<'a> {
        let in_real_time = |deadline: Instant| {
            let left = deadline.saturating_duration_since(clock.now());
            Clock::real().now().checked_add(left)
        };
        Bounds {
            deadline: self.deadline.and_then(in_real_time),
            cancel: self.cancel,
            timeouts: self.timeouts,
        }
    }

    /// The headers of the call, with what its body is where that is not JSON.
    pub(super) fn with_content_type(&self, kind: Option<&str>) -> Cow<'_, HeaderMap> {
        match kind.and_then(|kind| HeaderValue::try_from(kind).ok()) {
            Some(kind) if !self.headers.contains_key(CONTENT_TYPE) => {
                let mut headers = self.headers.clone();
                headers.insert(CONTENT_TYPE, kind);
                Cow::Owned(headers)
            }
            _ => Cow::Borrowed(&self.headers),
        }
    }

    /// Whether the server knows the request when it comes again.
    pub(super) fn is_idempotent(&self) -> bool {
        self.headers.contains_key(IDEMPOTENCY_KEY)
    }
}

impl<'a> From<AcquireOptions<'a>> for CallOptions<'a> {
    fn from(wait: AcquireOptions<'a>) -> Self {
        Self {
            wait,
            ..Self::default()
        }
    }
}

impl<'a> From<&CallOptions<'a>> for CallOptions<'a> {
    fn from(options: &CallOptions<'a>) -> Self {
        options.clone()
    }
}
