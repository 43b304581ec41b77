//! What a response says, for limiters before an HTTP client of the caller's own.

use std::time::SystemTime;

use super::table::ProviderTable;
use crate::observation::Observation;

impl Observation {
    /// Reads what a response says of limits, by the process's [table](ProviderTable::global) of providers:
    /// its headers, and the body of an error. For limiters before an HTTP client of one's own; `host` tells
    /// which provider it is.
    ///
    /// Of a response with a status of success the body is not looked at: give an empty one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{Cost, Limits, Observation, RateLimiter, Unit};
    ///
    /// let guess = Limits::tokens_per_minute(800_000)?.provisional();
    /// let limiter = RateLimiter::builder(guess).adaptive(Duration::from_millis(100)).build();
    /// let mut permit = limiter.acquire(Cost::sized(250, 1_000))?;
    /// // … send the request, and then:
    /// let headers = [
    ///     ("x-ratelimit-limit-tokens", "30000"),
    ///     ("x-ratelimit-remaining-tokens", "28750"),
    /// ];
    /// permit.observe(&Observation::from_http("api.openai.com", 200, headers, b""));
    /// assert_eq!(limiter.snapshot().quotas[0].quota.amount(), 30_000);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[must_use]
    pub fn from_http<'a>(
        host: &str,
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &[u8],
    ) -> Self {
        ProviderTable::global().observe(host, status, headers, body)
    }
}

impl ProviderTable {
    /// Reads what a response says of limits by this table: see [`Observation::from_http`].
    #[must_use]
    pub fn observe<'a>(
        &self,
        host: &str,
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &[u8],
    ) -> Observation {
        let headers = headers.into_iter();
        let lower: Vec<(String, &str)> = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .collect();
        let headers: Vec<(&str, &str)> = lower
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let provider = self.for_host(host).map(|provider| &**provider);
        let mut reading = self.read(provider, &headers, wall_clock());
        let error = (!(200..300).contains(&status)).then(|| {
            let text = String::from_utf8_lossy(body);
            reading.error(status, &text, serde_json::from_slice(body).ok())
        });
        reading.judge(status, error.as_ref());
        reading.feedback
    }
}

/// For headers that name a date; everything else goes by a monotonic clock.
#[allow(
    clippy::disallowed_methods,
    reason = "a date can only be compared with the wall clock"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observation::Outcome;
    use crate::unit::Unit;

    #[test]
    fn a_response_says_its_limits_and_what_became_of_the_request() {
        let headers = [
            ("X-RateLimit-Limit-Requests", " 500 "),
            ("X-RateLimit-Remaining-Requests", "499"),
            ("Retry-After", "3"),
        ];
        let refusal = br#"{"error":{"code":"rate_limit_exceeded","message":"Rate limit reached"}}"#;
        let host = "api.openai.com";
        let fine = Observation::from_http(host, 200, headers, b"");
        assert_eq!(fine.outcome, Outcome::Admitted);
        let status = fine.limits[0];
        assert_eq!(
            (status.unit, status.limit, status.remaining),
            (Unit::Requests, Some(500), Some(499))
        );

        let refused = Observation::from_http(host, 429, headers, refusal);
        let Outcome::Refused(refusal) = refused.outcome else {
            panic!("{refused:?}");
        };
        assert_eq!(refusal.wait, Some(Duration::from_secs(3)));
        let busy = Observation::from_http(host, 503, headers, b"<html>");
        assert_eq!(busy.outcome, Outcome::Overloaded);
        assert_eq!(busy.retry_after, Some(Duration::from_secs(3)));
        let no_money = br#"{"error":{"code":"insufficient_quota","message":"no money"}}"#;
        for (status, body) in [(429, &no_money[..]), (400, b"{}"), (500, b"\xff")] {
            let observed = Observation::from_http(host, status, headers, body);
            assert_eq!(observed.outcome, Outcome::Unknown, "{status}");
        }
    }

    #[test]
    fn the_host_tells_the_provider() {
        let headers = [("anthropic-ratelimit-input-tokens-remaining", "7")];
        let observed = Observation::from_http("api.anthropic.com", 200, headers, b"");
        assert_eq!(observed.limits[0].unit, Unit::InputTokens);
        assert_eq!(observed.limits[0].remaining, Some(7));
    }
}
