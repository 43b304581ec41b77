//! One line of an output file, in the Batch output format.

use serde::Serialize;
use serde_json::Value;

use super::input::BadLine;
use crate::{Error, Response};

/// How each line begins.
pub(super) const LINE_START: &str = "{\"id\":\"batch_req_";

/// One finished line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Record {
    id: String,
    pub(super) custom_id: Option<String>,
    response: Option<Answer>,
    error: Option<Failure>,
    #[serde(skip)]
    pub(super) succeeded: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Answer {
    status_code: u16,
    request_id: Option<String>,
    body: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Failure {
    code: &'static str,
    message: String,
}

impl Record {
    pub(super) fn success(custom_id: String, response: Response) -> Self {
        let answer = Answer {
            status_code: response.status,
            request_id: response.request_id,
            body: response.body,
        };
        Self::new(Some(custom_id), Some(answer), None)
    }

    /// A request that failed. An answer with an error status is an answer; what failed without
    /// one has an `error`.
    pub(super) fn failure(custom_id: String, error: &Error) -> Self {
        match error {
            Error::Api(api) => {
                let answer = Answer {
                    status_code: api.status,
                    request_id: api.request_id.clone(),
                    body: api
                        .body
                        .clone()
                        .unwrap_or_else(|| api.message.clone().into()),
                };
                Self::new(Some(custom_id), Some(answer), None)
            }
            error => {
                let failure = Failure {
                    code: code(error),
                    message: error.to_string(),
                };
                Self::new(Some(custom_id), None, Some(failure))
            }
        }
    }

    pub(super) fn bad_line(line: BadLine) -> Self {
        let failure = Failure {
            code: "invalid_line",
            message: line.message,
        };
        Self::new(line.custom_id, None, Some(failure))
    }

    fn new(custom_id: Option<String>, response: Option<Answer>, error: Option<Failure>) -> Self {
        let answered = response.as_ref();
        Self {
            succeeded: answered.is_some_and(|answer| (200..300).contains(&answer.status_code)),
            id: format!("batch_req_{:032x}", fastrand::u128(..)),
            custom_id,
            response,
            error,
        }
    }
}

fn code(error: &Error) -> &'static str {
    match error {
        Error::TooLarge { .. } => "request_too_large",
        Error::Transport { .. } => "no_answer",
        Error::InvalidResponse { .. } => "invalid_answer",
        Error::InvalidRequest(_) => "invalid_request",
        _ => "not_sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(record: &Record) -> Value {
        serde_json::to_value(record).unwrap()
    }

    #[test]
    fn a_failure_without_an_answer_has_a_null_response() {
        let error = Error::Transport {
            url: "http://h".to_owned(),
            message: "refused".to_owned(),
            unsent: true,
        };
        let record = Record::failure("a".to_owned(), &error);
        let line = json(&record);
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.starts_with(LINE_START), "{text}");
        assert_eq!(line["custom_id"], "a");
        assert_eq!(line["response"], Value::Null);
        assert_eq!(line["error"]["code"], "no_answer");
        assert_eq!(line["error"]["message"], "http://h: refused");
        assert!(!record.succeeded);
    }

    #[test]
    fn a_bad_line_may_have_no_id() {
        let record = Record::bad_line(BadLine {
            line: 3,
            custom_id: None,
            message: "in:3: no".to_owned(),
        });
        let line = json(&record);
        assert_eq!(
            (&line["custom_id"], &line["response"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(line["error"]["message"], "in:3: no");
    }
}
