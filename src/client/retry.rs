//! Whether, and when, a request is sent again: a pure decision. Time and chance are passed in.

use std::time::Duration;

use super::feedback::CAPACITY_CODES;
use crate::tokens::Endpoint;
use crate::{Error, ErrorKind};

/// The wait before the first retry; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait of our own choosing.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// The most that chance adds to a wait for a rate limit: the line keeps those apart who wait
/// here, and this only those of other processes.
const MAX_LIMIT_JITTER: Duration = Duration::from_millis(100);
/// Refusals for a rate limit that weigh as much as one failure: they cost nothing, and on an
/// account with others several may come in a row.
const REFUSALS_PER_RETRY: u32 = 4;
/// Responses that are not JSON, such as the page of a portal, before the last one is final: what
/// comes twice comes always, and each may have been paid for.
const MOST_FOREIGN: u32 = 1;

/// What has become of a request so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tries {
    /// Tries that failed, other than by a rate limit.
    pub(super) failures: u32,
    /// Tries that a rate limit refused.
    pub(super) refusals: u32,
    /// Of the failures, those that brought something else than JSON.
    pub(super) foreign: u32,
}

impl Tries {
    pub(super) fn count(&mut self, error: &Error) {
        let counter = match is_rate_limit(error) {
            true => &mut self.refusals,
            false => &mut self.failures,
        };
        *counter = counter.saturating_add(1);
        if matches!(error, Error::InvalidResponse { .. }) {
            self.foreign = self.foreign.saturating_add(1);
        }
    }

    /// Whether there may be another one.
    fn leave_another(self, max_retries: u32) -> bool {
        let refusals = max_retries.saturating_mul(REFUSALS_PER_RETRY);
        self.failures <= max_retries && self.refusals <= refusals && self.foreign <= MOST_FOREIGN
    }
}

/// The bounds of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetryPolicy {
    /// Failures after which there is another try, and a quarter of the refusals.
    pub(super) max_retries: u32,
    /// Attempts and the waits of our own choosing take no longer than this in sum. What the server
    /// asks to wait is not counted, nor is the time in line.
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
    /// `told` is the wait that the server asks for, `tries` are all so far, this one included, `elapsed`
    /// is what they and the waits of our own have taken, `advice` the server's `x-should-retry`, and
    /// `random` is drawn evenly from 0 to 1.
    ///
    /// The server's `retry-after` is a minimum. To it, or to our own doubling backoff where that
    /// is longer, up to a quarter is added, so that those who failed together do not come back
    /// together.
    pub(super) fn wait(
        &self,
        error: &Error,
        told: Option<Duration>,
        advice: Option<bool>,
        tries: Tries,
        elapsed: Duration,
        random: f64,
    ) -> Option<Duration> {
        if !tries.leave_another(self.max_retries) || !may_pass(error, advice) {
            return None;
        }
        let count = tries.failures.saturating_add(tries.refusals);
        let backoff = FIRST_BACKOFF
            .saturating_mul(1 << count.saturating_sub(1).min(16))
            .min(MAX_BACKOFF);
        let (wait, most) = match told {
            // The line is where a rate limit is waited out; it needs no backoff of ours.
            Some(told) if is_rate_limit(error) => (told, MAX_LIMIT_JITTER),
            Some(told) => (told.max(backoff), Duration::MAX),
            None => (backoff, Duration::MAX),
        };
        let jitter = wait.div_f64(4.0).min(most);
        let wait = wait.saturating_add(jitter.mul_f64(random.clamp(0.0, 1.0)));
        // What the server asks for is waited out, however long it is.
        let ours = wait.saturating_sub(told.unwrap_or_default());
        (elapsed.saturating_add(ours) <= self.max_elapsed).then_some(wait)
    }
}

/// True for the 429s that pause every sharer of the limit.
pub(super) fn is_rate_limit(error: &Error) -> bool {
    matches!(error, Error::Api(error) if error.kind == ErrorKind::RateLimited)
}

/// True for a refusal because a class of service has no room: no limit of the account's, so nobody
/// else has to wait for it.
pub(super) fn is_capacity(error: &Error) -> bool {
    let is_one = |code: &Option<String>| {
        code.as_deref()
            .is_some_and(|code| CAPACITY_CODES.contains(&code))
    };
    matches!(error, Error::Api(error) if is_one(&error.code) || is_one(&error.error_type))
}

/// Whether a request of this path can be sent a second time when nobody knows what became of the
/// first: it computes an answer, and changes nothing that would then be there twice.
pub(super) fn is_repeatable(path: &str) -> bool {
    const COMPUTING: [&str; 3] = ["images", "audio", "rerank"];
    let segments = || path.split(['/', '?', '#']);
    // A message to a model is an answer; one in a thread is kept.
    let asks = segments().any(|it| it == "messages") && !segments().any(|it| it == "threads");
    asks || Endpoint::from_path(path) != Endpoint::Other
        || segments().any(|it| COMPUTING.contains(&it))
}

/// True when the server has certainly not charged it: it never arrived, or could not pass.
pub(super) fn is_uncharged(error: &Error) -> bool {
    match error {
        Error::Transport { unsent, .. } => *unsent,
        Error::Api(api) => api.kind == ErrorKind::TooLarge,
        _ => false,
    }
}

/// True when the server may have done what it was asked although there was no answer.
pub(super) fn is_undecided(error: &Error) -> bool {
    match error {
        Error::Api(api) => api.kind == ErrorKind::Server,
        Error::Transport { unsent, .. } => !unsent,
        Error::InvalidResponse { .. } => true,
        _ => false,
    }
}

fn may_pass(error: &Error, advice: Option<bool>) -> bool {
    // The server's advice is about the request. It cannot make an account or a size right.
    let is_final = matches!(error, Error::Api(api)
        if matches!(api.kind, ErrorKind::Account | ErrorKind::TooLarge));
    !is_final && advice.unwrap_or_else(|| error.is_retryable())
}

#[cfg(test)]
mod documented;
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

    fn after(error: &Error, times: u32) -> Tries {
        let mut tries = Tries::default();
        (0..times).for_each(|_| tries.count(error));
        tries
    }

    fn wait(error: &Error, times: u32) -> Option<Duration> {
        let tries = after(error, times);
        RetryPolicy::default().wait(error, error.retry_after(), None, tries, Duration::ZERO, 0.0)
    }

    #[test]
    fn backoff_doubles_up_to_its_bound_and_ends_with_the_count() {
        let policy = RetryPolicy {
            max_retries: 9,
            max_elapsed: Duration::MAX,
        };
        let error = api(500, "", None);
        let waits = (1..11).map(|times| {
            let tries = after(&error, times);
            let wait = policy.wait(
                &error,
                error.retry_after(),
                None,
                tries,
                Duration::ZERO,
                0.0,
            );
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
            assert_eq!(wait(error, 1), None, "step {step}: {error}");
        }
        let out_of_money = api(429, "insufficient_quota", None);
        let policy = RetryPolicy::default();
        let tries = after(&out_of_money, 1);
        let advised = policy.wait(
            &out_of_money,
            out_of_money.retry_after(),
            Some(true),
            tries,
            Duration::ZERO,
            0.0,
        );
        assert_eq!(advised, None, "no advice makes an account right");
    }

    #[test]
    fn the_server_s_wait_is_a_minimum_and_its_advice_is_taken() {
        assert_eq!(wait(&api(503, "", Some(SECOND * 7)), 1), Some(SECOND * 7));
        assert_eq!(
            wait(&api(503, "", Some(SECOND / 100)), 1),
            Some(FIRST_BACKOFF)
        );
        assert_eq!(
            wait(&api(429, "", Some(SECOND / 100)), 1),
            Some(SECOND / 100)
        );
        let policy = RetryPolicy::default();
        let advised = |status, advice| {
            let error = api(status, "", None);
            policy.wait(
                &error,
                error.retry_after(),
                Some(advice),
                after(&error, 1),
                Duration::ZERO,
                0.0,
            )
        };
        assert_eq!(wait(&api(501, "", None), 1), None);
        assert_eq!(advised(500, false), None);
        assert_eq!(advised(400, true), Some(FIRST_BACKOFF));
    }

    #[test]
    fn our_own_time_is_bounded_and_jitter_only_adds() {
        let policy = RetryPolicy {
            max_retries: 5,
            max_elapsed: SECOND * 10,
        };
        let wait = |error: &Error, elapsed, random| {
            let tries = after(error, 3);
            policy.wait(error, error.retry_after(), None, tries, elapsed, random)
        };
        let silent = api(500, "", None);
        assert_eq!(wait(&silent, SECOND * 7, 0.0), Some(SECOND * 2));
        assert_eq!(wait(&silent, SECOND * 7, 1.0), Some(SECOND * 5 / 2));
        assert_eq!(wait(&silent, SECOND * 8, 0.0), Some(SECOND * 2));
        assert_eq!(wait(&silent, SECOND * 8, 1.0), None);
        // What the server asks for is waited out.
        for status in [429, 503, 529] {
            let told = api(status, "", Some(SECOND * 660));
            assert_eq!(
                wait(&told, SECOND * 10, 0.0),
                Some(SECOND * 660),
                "{status}"
            );
            assert_eq!(wait(&told, SECOND * 11, 0.0), None, "{status}");
        }
        let endless = api(503, "", Some(Duration::MAX));
        assert_eq!(wait(&endless, SECOND, 1.0), Some(Duration::MAX));
    }

    #[test]
    fn what_is_no_json_is_asked_for_once_more() {
        let page = Error::InvalidResponse {
            url: String::new(),
            message: String::new(),
        };
        assert_eq!(wait(&page, 1), Some(FIRST_BACKOFF));
        assert_eq!(wait(&page, 2), None);
        let mut tries = after(&page, 1);
        tries.count(&api(500, "", None));
        assert!(tries.leave_another(2));
    }

    #[test]
    fn refusals_weigh_a_quarter_and_are_hardly_jittered() {
        let refused = api(429, "", Some(SECOND * 8));
        assert_eq!(wait(&refused, 20), Some(SECOND * 8));
        assert_eq!(wait(&refused, 21), None);
        let policy = RetryPolicy::default();
        let most = policy.wait(
            &refused,
            refused.retry_after(),
            None,
            after(&refused, 1),
            Duration::ZERO,
            1.0,
        );
        assert_eq!(most, Some(SECOND * 8 + MAX_LIMIT_JITTER));
        let mut tries = after(&refused, 20);
        (0..5).for_each(|_| tries.count(&api(500, "", None)));
        assert!(tries.leave_another(5));
        tries.count(&api(500, "", None));
        assert!(!tries.leave_another(5));
    }

    #[test]
    fn what_would_then_be_there_twice_is_not_sent_again_blindly() {
        let table = [
            ("/v1/chat/completions", true),
            ("responses", true),
            ("https://gateway.example/v1/embeddings?x=1", true),
            ("/v1/images/generations", true),
            ("/v1/messages", true),
            ("/v1/threads/t1/messages", false),
            ("/v1/fine_tuning/jobs", false),
            ("/v1/batches", false),
        ];
        for (step, (path, repeatable)) in table.into_iter().enumerate() {
            assert_eq!(is_repeatable(path), repeatable, "step {step}: {path}");
        }
        let lost = |unsent| Error::Transport {
            url: String::new(),
            kind: crate::TransportKind::Other,
            message: String::new(),
            unsent,
        };
        let undecided = [api(500, "", None), lost(false)];
        let decided = [api(429, "", None), api(503, "", None), lost(true)];
        assert!(undecided.iter().all(is_undecided));
        assert!(!decided.iter().any(is_undecided));
    }
}
