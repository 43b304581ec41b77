//! An error that the server gave as its answer.

use std::fmt;
use std::time::Duration;

/// The server's answer when it refuses a request: any HTTP status but 200 to 299, or one of those with
/// a body that is a failure.
///
/// Its `Display` is one line for a person. The body's fields are as the server sent them.
///
/// ```
/// use paceline::{Error, ErrorKind};
///
/// fn explain(error: &Error) -> String {
///     match error {
///         Error::Api(api) if api.kind == ErrorKind::Account => {
///             format!("look at your account: {}", api.message)
///         }
///         Error::Api(api) => format!("status {}: {}", api.status, api.message),
///         other => other.to_string(),
///     }
/// }
/// # assert_eq!(explain(&Error::Closed), "the limiter is closed");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// What kind of refusal it is, which decides what to do.
    pub kind: ErrorKind,
    /// The HTTP status. 200 to 299 where the failure is in the body alone.
    pub status: u16,
    /// The status that the error in such a body stands for, by its `code` or `type`, and by which it
    /// is treated. `None` where it names none, which is treated as a 500, and under any other status.
    pub effective_status: Option<u16>,
    /// `error.message` of the body, or the beginning of a body that is not the API's JSON.
    pub message: String,
    /// `error.type` of the body.
    pub error_type: Option<String>,
    /// `error.code` of the body.
    pub code: Option<String>,
    /// The `x-request-id` or `request-id` header, for the provider's support.
    pub request_id: Option<String>,
    /// The wait that the `retry-after-ms` or `retry-after` header asks for, or the time until the day ends for
    /// whose limit it is.
    pub retry_after: Option<Duration>,
    /// The whole body, when it is JSON.
    #[cfg(feature = "providers")]
    pub body: Option<serde_json::Value>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)?;
        match self.effective_status {
            Some(status) => write!(f, ", but failed with {status}")?,
            None if (200..300).contains(&self.status) => f.write_str(", but failed")?,
            None => {}
        }
        if let Some(code) = self.code.as_ref().or(self.error_type.as_ref()) {
            write!(f, " ({code})")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for ApiError {}

/// The kinds of refusal that call for different things to do.
///
/// ```
/// use paceline::ErrorKind;
///
/// assert!(ErrorKind::RateLimited.is_retryable());
/// assert!(!ErrorKind::Account.is_retryable());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// 429: over the rate limit. Everyone who shares the limit waits, then the request is sent
    /// again.
    RateLimited,
    /// 429 (from some 413) "Request too large": above the limit by itself. Final for this request.
    TooLarge,
    /// Out of money (`insufficient_quota` and its kin, mostly as 429), 401 or 402. Final for the
    /// account.
    Account,
    /// 403: moderation, a firewall, or a model without access. Final for this request, and for the
    /// account only where nothing has ever succeeded.
    Forbidden,
    /// 400, 404, 413, 422 and other 4xx: the request itself is refused. 501, 505, 506, 508 and 510,
    /// which the next attempt would meet again, and redirects, which are not followed. Final for this
    /// request.
    Request,
    /// 408, 409, 425 or 499 (a proxy gave up). Sent again.
    Conflict,
    /// 500, 502, 504, 511 and other 5xx, Cloudflare's 520 to 530 among them. Also a 2xx whose body is a
    /// failure that names no status. Sent again after a growing pause.
    Server,
    /// 503, 529 or `overloaded_error`: too much at once. Sent again after a growing pause.
    Overloaded,
    /// A class of service has no room: 429 `resource_unavailable` of a flex tier, 498. No limit of the
    /// account's, and not charged. This request alone is sent again after a growing pause.
    Capacity,
}

impl ErrorKind {
    /// True when the same request may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        match self {
            Self::RateLimited
            | Self::Conflict
            | Self::Server
            | Self::Overloaded
            | Self::Capacity => true,
            Self::TooLarge | Self::Account | Self::Forbidden | Self::Request => false,
        }
    }
}
