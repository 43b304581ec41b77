//! What one response says, of limits above all.
//!
//! Headers come before the body, so it is read in two steps: [`Reading::read`] when the head is there,
//! [`Reading::judge`] when it is known what became of the request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::dialect::{Dialect, Words};
use super::refusals;
use super::table::ProviderTable;
use crate::error::{ApiError, ErrorKind};
use crate::observation::{Observation, Outcome};

/// What one response says.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) request_id: Option<String>,
    /// The wait that the server asks for before the next attempt.
    pub(crate) retry_after: Option<Duration>,
    /// Whether it asks in milliseconds; otherwise it has rounded up to seconds.
    pub(crate) is_exact: bool,
    /// The server's own advice whether to try again.
    pub(crate) should_retry: Option<bool>,
    /// What it says of its limits, for the limiter.
    pub(crate) feedback: Observation,
    /// Headers that seem to report limits and are in no table.
    pub(crate) unknown: Vec<String>,
    /// Headers of limits that are 0 or less.
    pub(crate) zeros: Vec<String>,
    pub(crate) now: SystemTime,
    pub(crate) dialect: Arc<Dialect>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            request_id: None,
            retry_after: None,
            is_exact: false,
            should_retry: None,
            feedback: Observation::default(),
            unknown: Vec::new(),
            zeros: Vec::new(),
            now: SystemTime::UNIX_EPOCH,
            dialect: Arc::clone(ProviderTable::global().any()),
        }
    }
}

impl Reading {
    /// Reads headers with lower-case names; `now` is what dates in them count from. What became of the request
    /// is still open.
    pub(super) fn read(dialect: &Arc<Dialect>, headers: &[(&str, &str)], now: SystemTime) -> Self {
        let get = |name: &str| {
            let mut headers = headers.iter();
            headers
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        };
        let mut waits = dialect.words.waits.iter();
        let wait = waits.find_map(|(name, clock)| {
            let is_exact = *clock == super::clock::Clock::Milliseconds;
            Some((clock.read(get(name)?, now)?, is_exact))
        });
        // Anthropic's has no `x-`.
        let request_id = get("x-request-id").or_else(|| get("request-id"));
        let limits = dialect
            .limits
            .read(headers.iter().copied(), &dialect.words.silent, now);
        let feedback = Observation {
            limits: limits.reports,
            ..Observation::default()
        };
        Self {
            request_id: request_id.map(str::to_owned),
            retry_after: wait.map(|(wait, _)| wait),
            is_exact: wait.is_some_and(|(_, is_exact)| is_exact),
            should_retry: get("x-should-retry").and_then(|text| text.trim().parse().ok()),
            feedback,
            unknown: limits.unknown,
            zeros: limits.zeros,
            now,
            dialect: Arc::clone(dialect),
        }
    }

    pub(super) fn words(&self) -> &Words {
        &self.dialect.words
    }

    /// Decides what became of the request: of its `status`, and of its error unless it is a success. What
    /// the headers say of limits stays, whatever became of it.
    pub(crate) fn judge(&mut self, status: u16, error: Option<&ApiError>) {
        let names_a_wait = |kind| matches!(kind, ErrorKind::Overloaded | ErrorKind::Capacity);
        if let Some(error) = error.filter(|error| names_a_wait(error.kind)) {
            let named = || refusals::wait_in_body(error, self.words());
            self.retry_after = self.retry_after.or_else(named);
        }
        self.feedback.outcome = match error {
            Some(error) => self.outcome(error),
            None if (200..300).contains(&status) => Outcome::Admitted,
            None => Outcome::Unknown,
        };
        if self.feedback.outcome == Outcome::Overloaded {
            self.feedback.retry_after = self.retry_after;
        }
    }

    /// The wait before the next attempt, as exactly as the server has said it.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self.feedback.outcome {
            Outcome::Refused(refusal) => refusal.wait,
            _ => self.retry_after,
        }
    }

    fn outcome(&self, error: &ApiError) -> Outcome {
        match error.kind {
            ErrorKind::RateLimited => {
                Outcome::Refused(refusals::refusal(error, self.is_exact, self.words()))
            }
            ErrorKind::Overloaded => Outcome::Overloaded,
            // Before or behind the limits: these do not show whether they were charged. A full class of
            // service is full for its own requests alone: no other request has to wait for it.
            ErrorKind::Capacity
            | ErrorKind::TooLarge
            | ErrorKind::Account
            | ErrorKind::Forbidden
            | ErrorKind::Request
            | ErrorKind::Conflict
            | ErrorKind::Server => Outcome::Unknown,
        }
    }
}
