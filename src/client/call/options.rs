//! What one call may be told beside its request.

use std::time::Instant;

use crate::limiter::{AcquireOptions, CancelToken, Priority};

/// Options of one call: what ends it early, whose work goes first, how often it is retried.
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
/// | [`deadline`](Self::deadline) | the wait for the limiter and pauses; no attempt begins after it | none | [`DeadlineExceeded`](crate::Error::DeadlineExceeded), with the last failure as its source |
/// | [`ClientBuilder::timeout`](crate::ClientBuilder::timeout) | one attempt, from connecting to the last byte | 10 min | [`Transport`](crate::Error::Transport) of kind [`Timeout`](crate::TransportKind::Timeout), retried |
/// | [`ClientBuilder::connect_timeout`](crate::ClientBuilder::connect_timeout) | connecting, TLS included | 10 s | `Transport` of kind [`Connect`](crate::TransportKind::Connect), retried |
/// | [`ClientBuilder::retry_for`](crate::ClientBuilder::retry_for) | attempts and our own pauses together | 1 h | the error of the last attempt |
/// | [`max_retries`](Self::max_retries), [`ClientBuilder::max_retries`](crate::ClientBuilder::max_retries) | the number of attempts | 5 retries | the error of the last attempt |
/// | [`MapOptions::deadline`](crate::parallel::MapOptions::deadline) | starting further items of a map | none | [`Skipped`](crate::parallel::Skipped) |
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CallOptions<'a> {
    wait: AcquireOptions<'a>,
    pub(super) max_retries: Option<u32>,
}

impl<'a> CallOptions<'a> {
    /// Options that leave everything at the client's settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the waits of the call at `deadline`, and begins no attempt after it: a wait or a pause that
    /// is predicted to pass it is refused at once. An attempt that has begun then is ended by its
    /// [time-out](crate::ClientBuilder::timeout). Default: none.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.wait = self.wait.deadline(deadline);
        self
    }

    /// Ends the waits of the call as soon as `token` is cancelled, and begins no attempt after that. An
    /// attempt that has begun then is finished. Default: none.
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

    /// What of it concerns the limiter.
    pub(crate) fn acquire(&self) -> AcquireOptions<'a> {
        self.wait
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
