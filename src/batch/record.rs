//! One line of an output file, in the Batch output format.

use serde::Serialize;
use serde_json::Value;

use super::fingerprint::{Fingerprint, bare_line_id};
use super::input::BadLine;
use crate::{Error, Response};

/// The code of a line of the input that is no request.
pub(super) const INVALID_LINE: &str = "invalid_line";

/// The code of an answer that made no sense.
const INVALID_ANSWER: &str = "invalid_answer";

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
    pub(super) fn success(custom_id: String, of: Fingerprint, response: Response) -> Self {
        let answer = Answer {
            status_code: response.status,
            request_id: response.request_id,
            body: response.body,
        };
        Self::new(of.line_id(), Some(custom_id), Some(answer), None)
    }

    /// A request that failed. An answer with an error status is an answer; what failed without
    /// one has an `error`.
    pub(super) fn failure(custom_id: String, of: Fingerprint, error: &Error) -> Self {
        let id = of.line_id();
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
                Self::new(id, Some(custom_id), Some(answer), None)
            }
            error => {
                let failure = Failure {
                    code: code(error),
                    message: error.to_string(),
                };
                Self::new(id, Some(custom_id), None, Some(failure))
            }
        }
    }

    pub(super) fn bad_line(line: BadLine) -> Self {
        let failure = Failure {
            code: INVALID_LINE,
            message: line.message,
        };
        Self::new(bare_line_id(), line.custom_id, None, Some(failure))
    }

    /// True when the server answered, in whatever way.
    pub(super) fn is_answered(&self) -> bool {
        let code = self.error.as_ref().map(|failure| failure.code);
        self.response.is_some() || code == Some(INVALID_ANSWER)
    }

    fn new(
        id: String,
        custom_id: Option<String>,
        response: Option<Answer>,
        error: Option<Failure>,
    ) -> Self {
        let answered = response.as_ref();
        Self {
            succeeded: answered.is_some_and(|answer| (200..300).contains(&answer.status_code)),
            id,
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
        Error::InvalidResponse { .. } => INVALID_ANSWER,
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
        let record = Record::failure("a".to_owned(), Fingerprint(0x17), &error);
        let line = json(&record);
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.starts_with(LINE_START), "{text}");
        let id = line["id"].as_str().unwrap();
        assert!(id.starts_with("batch_req_0000000000000017-"), "{id}");
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
