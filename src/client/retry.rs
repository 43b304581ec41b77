//! Whether, and when, a request is sent again: a pure decision. Time and chance are passed in.

use std::time::Duration;

use crate::limiter::Advice;
use crate::tokens::Endpoint;
use crate::{Error, ErrorKind};

/// Waits are spread by a quarter, and by no more than that of this: a spread counts as our own time, and
/// must not use up what a request may take where a server names hours.
const MOST_SPREAD: Duration = Duration::from_secs(240);
/// Refusals for a rate limit that weigh as much as one failure: they cost nothing, and on an
/// account with others several may come in a row.
const REFUSALS_PER_RETRY: u32 = 4;
/// Refusals of one request, while [`OTHERS`] requests of its size or larger are admitted, after which
/// it will never pass. Until then no refusal counts while others succeed: only its moment was bad.
const MOST_UNLUCKY: u32 = 20;
const OTHERS: u64 = 100;
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
    /// Refusals while others succeeded.
    unlucky: u32,
    /// How many others had been let in at the first of those, and since.
    others: Option<(u64, u64)>,
}

impl Tries {
    /// Counts a failed attempt. `is_early` says whether there is time for a refusal that does not
    /// count.
    pub(super) fn count(&mut self, error: &Error, advice: &Advice, is_early: bool) {
        if is_refusal(error) && advice.others_succeed && is_early {
            self.unlucky = self.unlucky.saturating_add(1);
            let (first, _) = self.others.unwrap_or((advice.admitted, 0));
            self.others = Some((first, advice.admitted.saturating_sub(first)));
            return;
        }
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
    pub(super) fn leave_another(self, max_retries: u32) -> bool {
        let refusals = max_retries.saturating_mul(REFUSALS_PER_RETRY);
        let is_hopeless =
            self.unlucky >= MOST_UNLUCKY && self.others.is_some_and(|(_, others)| others >= OTHERS);
        let is_within = self.failures <= max_retries && self.refusals <= refusals;
        // With 0 retries, a refusal while others succeed is not retried either.
        let is_wanted = max_retries > 0 || self.unlucky == 0;
        is_wanted && is_within && self.foreign <= MOST_FOREIGN && !is_hopeless
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
            max_elapsed: Duration::from_secs(3_600),
        }
    }
}

/// An attempt that failed, as far as it matters to the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure<'a> {
    pub(super) error: &'a Error,
    /// The wait that the server asks for.
    pub(super) told: Option<Duration>,
    /// The server's `x-should-retry`.
    pub(super) should_retry: Option<bool>,
    /// What the limiter makes of it.
    pub(super) advice: Advice,
}

impl RetryPolicy {
    /// How long to wait before the request is sent again, or `None` when the error is final.
    ///
    /// `tries` are all so far, this one included, `elapsed` is what they and the waits of our own have
    /// taken, and `random` is drawn evenly from 0 to 1.
    ///
    /// A rate limit is waited out in line, where the limiter knows when it makes sense. For anything
    /// else the server's `retry-after` is a minimum. To it, or to the limiter's doubling back-off where
    /// that is longer, up to a quarter is added, so that requests that failed together do not retry
    /// together.
    pub(super) fn wait(
        &self,
        failure: &Failure<'_>,
        tries: Tries,
        elapsed: Duration,
        random: f64,
    ) -> Option<Duration> {
        let Failure { error, told, .. } = *failure;
        if !tries.leave_another(self.max_retries) || !may_pass(error, failure.should_retry) {
            return None;
        }
        if is_rate_limit(error) {
            return (elapsed <= self.max_elapsed).then(|| told.unwrap_or_default());
        }
        let count = tries.failures.max(tries.unlucky);
        let backoff = failure.advice.back_off(count);
        let wait = told.map_or(backoff, |told| told.max(backoff));
        let jitter = wait.min(MOST_SPREAD).div_f64(4.0);
        let jitter = jitter.mul_f64(random.clamp(0.0, 1.0));
        let wait = wait.saturating_add(jitter);
        // What the server asks for is waited out, however long it is.
        let ours = wait.saturating_sub(told.unwrap_or_default());
        (elapsed.saturating_add(ours) <= self.max_elapsed).then_some(wait)
    }
}

/// True for the 429s that pause every sharer of the limit.
pub(super) fn is_rate_limit(error: &Error) -> bool {
    matches!(error, Error::Api(error) if error.kind == ErrorKind::RateLimited)
}

/// True where the server did not take a request on, be it for a limit or for want of room.
fn is_refusal(error: &Error) -> bool {
    let kind = |kind| {
        let kinds = [
            ErrorKind::RateLimited,
            ErrorKind::Overloaded,
            ErrorKind::Capacity,
        ];
        kinds.contains(&kind)
    };
    matches!(error, Error::Api(error) if kind(error.kind))
}

/// Whether a request of this path can be sent a second time when the outcome of the first is
/// unknown: it computes an answer, and changes nothing that would then be there twice.
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
        Error::Api(api) => matches!(api.kind, ErrorKind::TooLarge | ErrorKind::Capacity),
        Error::DeadlineExceeded { last, .. } => last.as_deref().is_some_and(is_uncharged),
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
    // Nor can it make a deadline or a token of the caller's come undone.
    let is_ended = matches!(error, Error::DeadlineExceeded { .. } | Error::Cancelled);
    !is_final && !is_ended && advice.unwrap_or_else(|| error.is_retryable())
}

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests {
    use super::super::errors::api_error;
    use super::*;
    use crate::providers::Reading;

    const SECOND: Duration = Duration::from_secs(1);
    const FIRST_BACKOFF: Duration = Duration::from_millis(500);
    /// A server at which no request succeeds.
    const TROUBLE: Advice = Advice {
        others_succeed: false,
        admitted: 0,
        first_back_off: FIRST_BACKOFF,
    };

    /// What the policy decides of an error that comes with this `x-should-retry`.
    fn decide(
        policy: &RetryPolicy,
        error: &Error,
        should_retry: Option<bool>,
        tries: Tries,
        elapsed: Duration,
        random: f64,
    ) -> Option<Duration> {
        let failure = Failure {
            error,
            told: error.retry_after(),
            should_retry,
            advice: TROUBLE,
        };
        policy.wait(&failure, tries, elapsed, random)
    }

    fn api(status: u16, code: &str, retry_after: Option<Duration>) -> Error {
        let heard = Reading {
            retry_after,
            ..Reading::default()
        };
        let body = format!(r#"{{"error":{{"code":"{code}","message":""}}}}"#);
        Error::Api(Box::new(api_error(status, &heard, body.as_bytes())))
    }

    fn after(error: &Error, times: u32) -> Tries {
        let mut tries = Tries::default();
        (0..times).for_each(|_| tries.count(error, &TROUBLE, true));
        tries
    }

    fn wait(error: &Error, times: u32) -> Option<Duration> {
        let tries = after(error, times);
        decide(
            &RetryPolicy::default(),
            error,
            None,
            tries,
            Duration::ZERO,
            0.0,
        )
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
            let wait = decide(&policy, &error, None, tries, Duration::ZERO, 0.0);
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
        let advised = decide(
            &policy,
            &out_of_money,
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
            decide(
                &policy,
                &error,
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
            decide(&policy, error, None, tries, elapsed, random)
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
        tries.count(&api(500, "", None), &TROUBLE, true);
        assert!(tries.leave_another(2));
    }

    #[test]
    fn refusals_weigh_a_quarter_and_are_waited_out_in_line() {
        let refused = api(429, "", Some(SECOND * 8));
        assert_eq!(wait(&refused, 20), Some(SECOND * 8));
        assert_eq!(wait(&refused, 21), None);
        let policy = RetryPolicy::default();
        let most = decide(
            &policy,
            &refused,
            None,
            after(&refused, 1),
            Duration::ZERO,
            1.0,
        );
        assert_eq!(most, Some(SECOND * 8), "the line keeps them apart");
        let mut tries = after(&refused, 20);
        (0..5).for_each(|_| tries.count(&api(500, "", None), &TROUBLE, true));
        assert!(tries.leave_another(5));
        tries.count(&api(500, "", None), &TROUBLE, true);
        assert!(!tries.leave_another(5));
    }

    #[test]
    fn a_refusal_does_not_count_while_others_succeed_unless_it_never_ends() {
        let among = |admitted| Advice {
            others_succeed: true,
            admitted,
            ..TROUBLE
        };
        for error in [api(429, "", None), api(503, "", None)] {
            let mut tries = Tries::default();
            for admitted in 0..100 {
                tries.count(&error, &among(admitted), true);
                assert!(tries.leave_another(1), "{admitted} others: {error}");
            }
            tries.count(&error, &among(100), true);
            assert!(!tries.leave_another(5), "100 others: {error}");
            let mut few = Tries::default();
            (0..19).for_each(|at| few.count(&error, &among(at * 1_000), true));
            assert!(few.leave_another(1), "19 refusals");
            assert!(!few.leave_another(0), "none are wanted");
            (0..9).for_each(|at| few.count(&error, &among(at), false));
            assert!(!few.leave_another(1), "no time is left for that");
        }
        let mut failed = Tries::default();
        failed.count(&api(500, "", None), &among(5), true);
        assert!(!failed.leave_another(0), "a failure is none");
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
            source: None,
        };
        let undecided = [api(500, "", None), lost(false)];
        let decided = [api(429, "", None), api(503, "", None), lost(true)];
        assert!(undecided.iter().all(is_undecided));
        assert!(!decided.iter().any(is_undecided));
    }
}
