//! What answers say of the limits.

use super::SimConfig;

/// Which of the `x-ratelimit-*` headers an answer has.
///
/// ```
/// use paceline::sim::{LimitHeaders, SimConfig};
///
/// let config = SimConfig::new().limit_headers(LimitHeaders::None);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LimitHeaders {
    /// Limit, remaining and reset of each limit. The default.
    #[default]
    All,
    /// Only what remains of each limit.
    Remaining,
    /// None at all.
    None,
}

#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct HeaderRules {
    pub(in crate::sim) shown: LimitHeaders,
    pub(in crate::sim) stale: usize,
    pub(in crate::sim) false_limit: Option<i64>,
    pub(in crate::sim) bare_resets: bool,
    pub(in crate::sim) project_tokens: bool,
    pub(in crate::sim) no_retry_after: bool,
}

/// What answers say of the limits.
impl SimConfig {
    /// Sets which rate limit headers responses have. Default: [`LimitHeaders::All`].
    #[must_use]
    pub fn limit_headers(mut self, shown: LimitHeaders) -> Self {
        self.headers.shown = shown;
        self
    }

    /// Delays the reported levels by this number of answers of the model; the first answers repeat
    /// the oldest levels. Refusals still name the true wait. Default: 0.
    #[must_use]
    pub fn stale_headers(mut self, answers: usize) -> Self {
        self.headers.stale = answers;
        self
    }

    /// Reports this value in place of each limit, as Azure sometimes reports −1 or 0. Default: `None`,
    /// the limit itself.
    #[must_use]
    pub fn false_limit_headers(mut self, limit: Option<i64>) -> Self {
        self.headers.false_limit = limit;
        self
    }

    /// Writes resets as a bare number of seconds, rounded up, and not as `6m0s`.
    /// Default: false.
    #[must_use]
    pub fn bare_resets(mut self, bare: bool) -> Self {
        self.headers.bare_resets = bare;
        self
    }

    /// Adds headers of `project-tokens` with the values of those of `tokens`. Default: false.
    #[must_use]
    pub fn project_token_headers(mut self, shown: bool) -> Self {
        self.headers.project_tokens = shown;
        self
    }

    /// Sends `retry-after` and `retry-after-ms` with refusals. Without them only the message names
    /// the wait. Default: true.
    #[must_use]
    pub fn retry_after(mut self, shown: bool) -> Self {
        self.headers.no_retry_after = !shown;
        self
    }
}
