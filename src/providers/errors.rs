//! The error in a body, and what kind it is.

use std::fmt::Display;

use serde_json::Value;

use super::dialect::{Asked, SHORTEST_OF_DAY, until_day_ends};
use super::file::Meaning;
use super::reading::Reading;
use super::{effective, quotas, refusals};
use crate::error::{ApiError, ErrorKind};

/// The longest part of a body that is quoted, in characters.
const MAX_QUOTE: usize = 300;

/// Where the error stands in a body whose status is one of success.
#[derive(Clone, Copy)]
pub(crate) struct Inside<'a> {
    /// In one of its choices, and not at its top.
    pub(crate) in_choice: bool,
    /// Why it is a failure, where it does not say so itself.
    pub(crate) fault: &'a dyn Display,
}

impl Reading {
    /// The error that a response with an error status is. `json` is its body, where that is some.
    pub(crate) fn error(&self, status: u16, text: &str, json: Option<Value>) -> ApiError {
        let said = Said::of(json.as_ref().map(error_in), self);
        let message = said.message.clone().unwrap_or_else(|| quote(text));
        self.api_error(status, None, said, message, json)
    }

    /// The error that a response with a status of success is.
    pub(crate) fn error_inside(
        &self,
        status: u16,
        text: &str,
        json: Option<Value>,
        inside: Inside<'_>,
    ) -> ApiError {
        let error = json.as_ref().map(|body| match inside.in_choice {
            true => error_in_choices(body).unwrap_or(body),
            false => error_in(body),
        });
        let said = Said::of(error, self);
        let effective_status = error.and_then(|error| effective::status(error, self.words()));
        let fault = inside.fault;
        let message = said.message.clone();
        let message = message.unwrap_or_else(|| format!("{fault}: {}", quote(text)));
        // One that says nothing of itself may pass, as the servers' own do.
        let effective = effective_status.or(Some(500));
        let mut error = self.api_error(status, effective, said, message, json);
        error.effective_status = effective_status;
        error
    }

    fn api_error(
        &self,
        status: u16,
        effective: Option<u16>,
        said: Said,
        message: String,
        json: Option<Value>,
    ) -> ApiError {
        let quotas = json.as_ref().map(quotas::names).unwrap_or_default();
        let words = said.words();
        let asked = Asked {
            status: effective.unwrap_or(status),
            words: &words,
            message: &message,
            limit: refusals::limit_named(&message),
            quotas: &quotas,
            zeros: &self.zeros,
        };
        let meaning = self.dialect.meaning(&asked);
        let kind = kind(asked.status, meaning.map(|(means, _)| means));
        let mut error = ApiError {
            kind,
            status,
            effective_status: None,
            message,
            error_type: said.error_type,
            code: said.code,
            request_id: self.request_id.clone(),
            retry_after: self.retry_after,
            body: json,
        };
        if let Some((Meaning::Day, end)) = meaning {
            let named = refusals::wait_in_body(&error, self.words());
            let named = named.max(error.retry_after);
            if named.is_none_or(|wait| wait < SHORTEST_OF_DAY) {
                error.retry_after = until_day_ends(end, self.now).or(error.retry_after);
            }
        }
        error
    }
}

/// The fields of an error.
#[derive(Default)]
struct Said {
    code: Option<String>,
    error_type: Option<String>,
    message: Option<String>,
    /// What stands elsewhere and says as much as a code.
    more: Vec<String>,
}

impl Said {
    fn of(error: Option<&Value>, reading: &Reading) -> Self {
        let Some(error) = error else {
            return Self::default();
        };
        let field = |name: &str| error.get(name)?.as_str().map(str::to_owned);
        // Google's types are called so.
        let is_type = |word: &String| reading.words().status_of(word).is_some();
        let status = field("status").filter(is_type);
        let reasons = quotas::reasons(error).into_iter().map(str::to_owned);
        Self {
            code: field("code"),
            more: status.clone().into_iter().chain(reasons).collect(),
            error_type: field("type").or(status),
            message: field("message")
                // Some servers put the sentence itself in `error`.
                .or_else(|| error.as_str().map(str::to_owned)),
        }
    }

    fn words(&self) -> Vec<&str> {
        let fields = [&self.code, &self.error_type];
        let fields = fields.into_iter().flatten();
        fields.chain(&self.more).map(String::as_str).collect()
    }
}

/// The error of a body, or else the body: some have its fields at the top, some in a list.
fn error_in<'a>(body: &'a Value) -> &'a Value {
    let body = match body {
        Value::Array(list) => list.first().unwrap_or(body),
        _ => body,
    };
    let error = |body: &'a Value| body.get("error").filter(|error| !error.is_null());
    // In an event of a stream of responses it stands a floor below.
    error(body)
        .or_else(|| error(body.get("response")?))
        .unwrap_or(body)
}

fn error_in_choices(body: &Value) -> Option<&Value> {
    let choices = body.get("choices")?.as_array()?;
    let mut errors = choices.iter().filter_map(|choice| choice.get("error"));
    errors.find(|error| !error.is_null())
}

/// What to do about an error. Words are asked before the status where they say more: a gateway
/// may pass them on under a status of its own.
fn kind(status: u16, means: Option<Meaning>) -> ErrorKind {
    match (means, status) {
        (Some(Meaning::Wait | Meaning::Day), _) => ErrorKind::RateLimited,
        (Some(Meaning::Request), _) => ErrorKind::Request,
        (Some(Meaning::Account), _) => ErrorKind::Account,
        (Some(Meaning::Capacity), _) => ErrorKind::Capacity,
        (Some(Meaning::Server), _) => ErrorKind::Server,
        (Some(Meaning::Overloaded), _) => ErrorKind::Overloaded,
        // The status says more of these.
        (_, 401 | 402) => ErrorKind::Account,
        (_, 403) => ErrorKind::Forbidden,
        (Some(Meaning::TooLarge), _) => ErrorKind::TooLarge,
        (None, 429) => ErrorKind::RateLimited,
        (None, 408 | 409 | 425 | 499) => ErrorKind::Conflict,
        (None, 498 | 503 | 529) => ErrorKind::Overloaded,
        // What is not implemented today is not tomorrow.
        (None, 501 | 505 | 506 | 508 | 510) => ErrorKind::Request,
        (None, 500..) => ErrorKind::Server,
        (None, _) => ErrorKind::Request,
    }
}

/// The beginning of a body, on one line and without what a terminal would obey.
pub(crate) fn quote(body: &str) -> String {
    let is_parted = |char: char| char.is_whitespace() || char.is_control();
    let words = body.split(is_parted).filter(|word| !word.is_empty());
    // No more words than characters are kept.
    let line = words.take(MAX_QUOTE).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no message".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests;
