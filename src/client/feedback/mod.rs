//! What an answer says, of limits above all: pure, from its headers and its body.
//!
//! Headers come before the body, so it is heard in two steps: [`Heard::read`] when the head is
//! there, [`Heard::judge`] when it is known what became of the request.

mod durations; // times in every form that servers write
mod effective; // the status that an error inside a success stands for
mod errors; //    the refusal in a body, and its kind
mod headers; //   how the limits stand
mod refusals; //  which limit a 429 is about
#[cfg(test)]
mod tests; //     whatever a server sends

use std::time::{Duration, SystemTime};

pub(super) use errors::{api_error, error_inside, quote};

use super::transport::Headers;
use crate::error::{ApiError, ErrorKind};
use crate::observation::{Observation, Outcome, Refusal};

/// What the message of a refusal says of the limit that it is for.
pub(crate) fn refusal_in(error: &ApiError) -> Refusal {
    refusals::refusal(error, false)
}

/// What one answer says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Heard {
    pub(super) request_id: Option<String>,
    /// The wait that the server asks for before the next try.
    pub(super) retry_after: Option<Duration>,
    /// Whether it asks in milliseconds; otherwise it has rounded up to seconds.
    pub(super) is_exact: bool,
    /// The server's own advice whether to try again.
    pub(super) should_retry: Option<bool>,
    /// What it says of its limits, for the limiter.
    pub(super) feedback: Observation,
}

impl Heard {
    /// Reads the headers; `now` is what dates in them count from. The verdict is still open.
    pub(super) fn read(headers: &Headers, now: SystemTime) -> Self {
        // Looked through and not looked up: a name that is looked up is hashed first, and most of the
        // names that are asked for are not there.
        let told: Vec<(&str, &str)> = headers.iter().collect();
        let get = |name: &str| {
            let mut told = told.iter();
            told.find(|(key, _)| *key == name).map(|(_, value)| *value)
        };
        Self::from_lookup(get, now)
    }

    fn from_lookup<'a>(get: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Self {
        let millis = get("retry-after-ms").and_then(durations::millis);
        let after = || get("retry-after").and_then(|text| durations::read(text, now));
        // Anthropic's has no `x-`.
        let request_id = get("x-request-id").or_else(|| get("request-id"));
        Self {
            request_id: request_id.map(str::to_owned),
            retry_after: millis.or_else(after),
            is_exact: millis.is_some(),
            should_retry: get("x-should-retry").and_then(|text| text.trim().parse().ok()),
            feedback: Observation {
                outcome: Outcome::Unknown,
                limits: headers::reports(get, now),
                retry_after: None,
            },
        }
    }

    /// Decides what became of the request: of its `status`, and of its error unless it is a
    /// success. What the headers say of limits stays, whatever the verdict.
    pub(super) fn judge(&mut self, status: u16, error: Option<&ApiError>) {
        if let Some(error) = error.filter(|error| error.kind == ErrorKind::Overloaded) {
            self.retry_after = self.retry_after.or_else(|| refusals::wait_in_body(error));
        }
        self.feedback.outcome = match error {
            Some(error) => self.outcome(error),
            None if (200..300).contains(&status) => Outcome::Admitted,
            None => Outcome::Unknown,
        };
        // Of a class of service that has no room there are too many: nobody else has to wait for it.
        let is_for_all = error.is_some_and(|error| !is_capacity(error));
        if self.feedback.outcome == Outcome::Overloaded && is_for_all {
            self.feedback.retry_after = self.retry_after;
        }
    }

    /// The wait before the next try, as exactly as the server has said it.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self.feedback.outcome {
            Outcome::Refused(refusal) => refusal.wait,
            _ => self.retry_after,
        }
    }

    fn outcome(&self, error: &ApiError) -> Outcome {
        match error.kind {
            ErrorKind::RateLimited => Outcome::Refused(refusals::refusal(error, self.is_exact)),
            ErrorKind::Overloaded => Outcome::Overloaded,
            // Before or behind the limits: these do not tell whether they were charged.
            ErrorKind::TooLarge
            | ErrorKind::Account
            | ErrorKind::Forbidden
            | ErrorKind::Request
            | ErrorKind::Conflict
            | ErrorKind::Server => Outcome::Unknown,
        }
    }
}

/// True for a refusal because a class of service has no room: no limit of the account's.
fn is_capacity(error: &ApiError) -> bool {
    let is_one = |code: &Option<String>| {
        code.as_deref()
            .is_some_and(|code| errors::CAPACITY_CODES.contains(&code))
    };
    is_one(&error.code) || is_one(&error.error_type)
}
