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
    /// Which rate limit headers answers have. Defaults to [`LimitHeaders::All`].
    #[must_use]
    pub fn limit_headers(mut self, shown: LimitHeaders) -> Self {
        self.headers.shown = shown;
        self
    }

    /// Says how the limits stood so many answers of the model ago; the first answers repeat the
    /// oldest that there is. Refusals name the true wait all the same. Defaults to 0.
    #[must_use]
    pub fn stale_headers(mut self, answers: usize) -> Self {
        self.headers.stale = answers;
        self
    }

    /// Says this in place of each limit, as Azure sometimes says −1 or 0. Defaults to `None`: the
    /// limit itself.
    #[must_use]
    pub fn false_limit_headers(mut self, limit: Option<i64>) -> Self {
        self.headers.false_limit = limit;
        self
    }

    /// Writes resets as a bare number of seconds, rounded up, and not as `6m0s`.
    /// Defaults to false.
    #[must_use]
    pub fn bare_resets(mut self, bare: bool) -> Self {
        self.headers.bare_resets = bare;
        self
    }

    /// Says of `project-tokens` what it says of `tokens`. Defaults to false.
    #[must_use]
    pub fn project_token_headers(mut self, shown: bool) -> Self {
        self.headers.project_tokens = shown;
        self
    }

    /// Whether refusals have `retry-after` and `retry-after-ms`. Without them only the message
    /// names the wait. Defaults to true.
    #[must_use]
    pub fn retry_after(mut self, shown: bool) -> Self {
        self.headers.no_retry_after = !shown;
        self
    }
}
