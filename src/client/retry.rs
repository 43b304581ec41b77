//! Whether, and when, a request is sent again: a pure decision. Time and chance are passed in.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// The wait before the first retry; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait of our own choosing.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The bounds of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetryPolicy {
    /// Tries after the first.
    pub(super) max_retries: u32,
    /// No try begins later than this after the first.
    pub(super) max_elapsed: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 5,
            max_elapsed: Duration::from_secs(600),
        }
    }
}

impl RetryPolicy {
    /// How long to wait before the request is sent again, or `None` when the error is final.
    ///
    /// `retries` is how many there were already, `elapsed` the time since the first try,
    /// `advice` the server's `x-should-retry`, and `random` is drawn evenly from 0 to 1.
    ///
    /// The server's `retry-after` is a minimum. To it, or to our own doubling backoff where that
    /// is longer, up to a quarter is added, so that those who failed together do not come back
    /// together.
    pub(super) fn wait(
        &self,
        error: &Error,
        advice: Option<bool>,
        retries: u32,
        elapsed: Duration,
        random: f64,
    ) -> Option<Duration> {
        if retries >= self.max_retries || !may_pass(error, advice) {
            return None;
        }
        let backoff = FIRST_BACKOFF
            .saturating_mul(1 << retries.min(16))
            .min(MAX_BACKOFF);
        let wait = match error.retry_after() {
            // The line is where a rate limit is waited out; it needs no backoff of ours.
            Some(told) if is_rate_limit(error) => told,
            Some(told) => told.max(backoff),
            None => backoff,
        };
        let wait = wait.saturating_add(wait.div_f64(4.0).mul_f64(random.clamp(0.0, 1.0)));
        (elapsed.saturating_add(wait) <= self.max_elapsed).then_some(wait)
    }
}

/// True for the 429s that pause every sharer of the limit.
pub(super) fn is_rate_limit(error: &Error) -> bool {
    matches!(error, Error::Api(error) if error.kind == ErrorKind::RateLimited)
}

fn may_pass(error: &Error, advice: Option<bool>) -> bool {
    // The server's advice is about the request. It cannot make an account or a size right.
    let is_final = matches!(error, Error::Api(api)
        if matches!(api.kind, ErrorKind::Account | ErrorKind::TooLarge));
    !is_final && advice.unwrap_or_else(|| error.is_retryable())
}

#[cfg(test)]
mod tests {
    use super::super::feedback::{Heard, api_error};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn api(status: u16, code: &str, retry_after: Option<Duration>) -> Error {
        let heard = Heard {
            retry_after,
            ..Heard::default()
        };
        let body = format!(r#"{{"error":{{"code":"{code}","message":""}}}}"#);
        Error::Api(Box::new(api_error(status, &heard, body.as_bytes())))
    }

    fn wait(error: &Error, retries: u32) -> Option<Duration> {
        RetryPolicy::default().wait(error, None, retries, Duration::ZERO, 0.0)
    }

    #[test]
    fn backoff_doubles_up_to_its_bound_and_ends_with_the_count() {
        let policy = RetryPolicy {
            max_retries: 9,
            max_elapsed: Duration::MAX,
        };
        let waits = (0..10).map(|retries| {
            let wait = policy.wait(&api(500, "", None), None, retries, Duration::ZERO, 0.0);
            wait.map(|wait| wait.as_millis())
        });
        let expected = [
            500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
        ];
        let expected = expected.into_iter().map(Some).chain([None]);
        assert!(waits.eq(expected));
    }

    #[test]
    fn final_errors_are_final() {
        let table = [
            api(400, "", Some(SECOND)),
            api(401, "", Some(SECOND)),
            api(404, "", None),
            api(429, "insufficient_quota", Some(SECOND)),
            Error::Closed,
            Error::Cancelled,
        ];
        for (step, error) in table.iter().enumerate() {
            assert_eq!(wait(error, 0), None, "step {step}: {error}");
        }
        let out_of_money = api(429, "insufficient_quota", None);
        let advised =
            RetryPolicy::default().wait(&out_of_money, Some(true), 0, Duration::ZERO, 0.0);
        assert_eq!(advised, None, "no advice makes an account right");
    }

    #[test]
    fn the_server_s_wait_is_a_minimum_and_its_advice_is_taken() {
        assert_eq!(wait(&api(503, "", Some(SECOND * 7)), 0), Some(SECOND * 7));
        assert_eq!(
            wait(&api(503, "", Some(SECOND / 100)), 0),
            Some(FIRST_BACKOFF)
        );
        assert_eq!(
            wait(&api(429, "", Some(SECOND / 100)), 0),
            Some(SECOND / 100)
        );
        let policy = RetryPolicy::default();
        let advised = |status, advice| {
            let error = api(status, "", None);
            policy.wait(&error, Some(advice), 0, Duration::ZERO, 0.0)
        };
        assert_eq!(advised(500, false), None);
        assert_eq!(advised(400, true), Some(FIRST_BACKOFF));
    }

    #[test]
    fn time_is_bounded_and_jitter_only_adds() {
        let policy = RetryPolicy {
            max_retries: 5,
            max_elapsed: SECOND * 10,
        };
        let error = api(503, "", Some(SECOND * 4));
        let wait = |elapsed, random| policy.wait(&error, None, 0, elapsed, random);
        assert_eq!(wait(SECOND * 5, 0.0), Some(SECOND * 4));
        assert_eq!(wait(SECOND * 5, 1.0), Some(SECOND * 5));
        assert_eq!(wait(SECOND * 6, 1.0), None);
        let endless = api(503, "", Some(Duration::MAX));
        assert_eq!(policy.wait(&endless, None, 0, Duration::ZERO, 1.0), None);
    }
}
