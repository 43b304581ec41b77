//! One line of an output file, in the Batch output format.

mod reason; // why a request failed

use serde::Serialize;
use serde_json::Value;

use super::fingerprint::{Fingerprint, bare_line_id};
use super::input::BadLine;
use crate::client::PassedOn;
use crate::{Completion, Error, Repair};
use reason::{code, reason_in};

pub(super) use reason::{is_retryable, reason_of};

/// The code of a line of the input that is no request.
pub(super) const INVALID_LINE: &str = "invalid_line";

/// The code of an answer that made no sense.
const INVALID_ANSWER: &str = "invalid_answer";

/// The code of a failure that came with a status of success.
const FAILED_RESPONSE: &str = "failed_response";

/// Bytes of a line besides its answer's body, about.
const ROOM: usize = 256;

/// How each line begins.
pub(super) const LINE_START: &str = "{\"id\":\"batch_req_";

/// One finished line, as it will stand in its file: made where its answer came, so that what writes it
/// has nothing else to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) custom_id: Option<String>,
    pub(super) succeeded: bool,
    /// True when the server answered, in whatever way.
    pub(super) is_answered: bool,
    /// Why it failed, if it did: its kind in a few words, and what was said.
    pub(super) reason: Option<(String, String)>,
    /// Whether the same request may succeed when it is sent again later.
    pub(super) is_retryable: bool,
    /// Whether it was an attempt that failed, and not the request before it was sent.
    pub(super) was_attempted: bool,
    /// How its answer ended.
    pub(super) completion: Completion,
    /// JSON, with its line end.
    pub(super) line: Vec<u8>,
}

struct Line<'a> {
    id: String,
    custom_id: Option<&'a str>,
    response: Option<Answer>,
    error: Option<Failure>,
    /// What had to be repaired in the answer.
    repaired: Vec<Repair>,
}

struct Answer {
    status_code: u16,
    request_id: Option<String>,
    body: Body,
}

enum Body {
    /// JSON of the server, unchanged, on one line.
    Passed(String),
    Told(Value),
}

#[derive(Serialize)]
struct Failure {
    code: &'static str,
    message: String,
}

impl Record {
    pub(super) fn success(custom_id: String, of: Fingerprint, response: PassedOn) -> Self {
        let completion = response.completion;
        let answer = Answer {
            status_code: response.status,
            request_id: response.request_id.or_else(|| Some(own_request_id(of))),
            body: Body::Passed(on_one_line(response.body)),
        };
        let record = Self::with(
            of.line_id(),
            Some(custom_id),
            Some(answer),
            None,
            response.repaired,
        );
        Self {
            completion,
            ..record
        }
    }

    /// A request that failed. An answer with an error status is an answer; what failed without
    /// one has an `error`, and what failed with a status of success has both.
    pub(super) fn failure(custom_id: String, of: Fingerprint, error: &Error) -> Self {
        let id = of.line_id();
        match error {
            Error::Api(api) => {
                let answer = Answer {
                    status_code: api.status,
                    request_id: api.request_id.clone().or_else(|| Some(own_request_id(of))),
                    body: Body::Told(
                        api.body
                            .clone()
                            .unwrap_or_else(|| api.message.clone().into()),
                    ),
                };
                let failure = (200..300).contains(&api.status).then(|| Failure {
                    code: FAILED_RESPONSE,
                    message: error.to_string(),
                });
                let record = Self::new(id, Some(custom_id), Some(answer), failure);
                record.failed_for(error)
            }
            error => {
                let failure = Failure {
                    code: code(error),
                    message: error.to_string(),
                };
                let record = Self::new(id, Some(custom_id), None, Some(failure));
                record.failed_for(error)
            }
        }
    }

    fn failed_for(mut self, error: &Error) -> Self {
        self.reason = Some(reason_of(error));
        self.is_retryable = is_retryable(error);
        self.was_attempted = matches!(
            error,
            Error::Api(_) | Error::Transport { .. } | Error::InvalidResponse { .. }
        );
        self
    }

    pub(super) fn bad_line(line: BadLine) -> Self {
        let failure = Failure {
            code: INVALID_LINE,
            message: line.message,
        };
        Self::new(bare_line_id(), line.custom_id, None, Some(failure))
    }

    /// Marks what a simulated API answered.
    pub(super) fn mark_simulated(&mut self) {
        self.mark("\"simulated\":true");
    }

    /// Adds a field, as JSON with its name.
    pub(super) fn mark(&mut self, field: &str) {
        const END: &[u8] = b"}\n";
        if let Some(length) = self.line.len().checked_sub(END.len()) {
            self.line.truncate(length);
            self.line.push(b',');
            self.line.extend_from_slice(field.as_bytes());
            self.line.extend_from_slice(END);
        }
    }

    fn new(
        id: String,
        custom_id: Option<String>,
        response: Option<Answer>,
        error: Option<Failure>,
    ) -> Self {
        Self::with(id, custom_id, response, error, Vec::new())
    }

    fn with(
        id: String,
        custom_id: Option<String>,
        response: Option<Answer>,
        error: Option<Failure>,
        repaired: Vec<Repair>,
    ) -> Self {
        let answered = response.as_ref();
        let succeeded = error.is_none()
            && answered.is_some_and(|answer| (200..300).contains(&answer.status_code));
        let code = error.as_ref().map(|failure| failure.code);
        let line = Line {
            id,
            custom_id: custom_id.as_deref(),
            response,
            error,
            repaired,
        };
        Self {
            succeeded,
            is_answered: line.response.is_some() || code == Some(INVALID_ANSWER),
            reason: (!succeeded).then(|| line.reason()),
            is_retryable: false,
            was_attempted: false,
            completion: Completion::default(),
            line: line.to_bytes(),
            custom_id,
        }
    }
}

impl Line<'_> {
    /// Put together here and not by a serializer: that would want to know first whether an answer
    /// that is passed on is JSON, which has been found out already.
    fn to_bytes(&self) -> Vec<u8> {
        let room = match &self.response {
            Some(answer) => answer.body.len(),
            None => 0,
        };
        let mut line = Vec::with_capacity(room + ROOM);
        put(&mut line, "{\"id\":", &self.id);
        put(&mut line, ",\"custom_id\":", &self.custom_id);
        match &self.response {
            Some(answer) => {
                put(
                    &mut line,
                    ",\"response\":{\"status_code\":",
                    &answer.status_code,
                );
                put(&mut line, ",\"request_id\":", &answer.request_id);
                match &answer.body {
                    Body::Passed(json) => {
                        line.extend_from_slice(b",\"body\":");
                        line.extend_from_slice(json.as_bytes());
                    }
                    Body::Told(value) => put(&mut line, ",\"body\":", value),
                }
                line.push(b'}');
            }
            None => line.extend_from_slice(b",\"response\":null"),
        }
        put(&mut line, ",\"error\":", &self.error);
        if !self.repaired.is_empty() {
            put(&mut line, ",\"repaired\":", &self.repaired);
        }
        line.extend_from_slice(b"}\n");
        line
    }

    fn reason(&self) -> (String, String) {
        match (&self.response, &self.error) {
            (Some(answer), _) => {
                let Body::Told(body) = &answer.body else {
                    return (answer.status_code.to_string(), String::new());
                };
                reason_in(answer.status_code, body)
            }
            (None, Some(failure)) => (failure.code.replace('_', " "), failure.message.clone()),
            (None, None) => (String::new(), String::new()),
        }
    }
}

impl Body {
    /// About what it takes in a line.
    fn len(&self) -> usize {
        match self {
            Self::Passed(json) => json.len(),
            Self::Told(_) => ROOM,
        }
    }
}

/// What stands in place of a name that the server has not given: readers of the Batch format want a text. It
/// says whose it is.
fn own_request_id(of: Fingerprint) -> String {
    let id = of.line_id();
    format!("paceline-{}", id.trim_start_matches("batch_req_"))
}

/// Writes one field.
fn put(line: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    line.extend_from_slice(name.as_bytes());
    // Into memory, and of what can be JSON: strings, numbers, and JSON itself.
    if serde_json::to_writer(&mut *line, value).is_err() {
        line.extend_from_slice(b"null");
    }
}

/// The same JSON without the white space between its parts, of which a line end would end the line.
fn on_one_line(mut json: String) -> String {
    if !json
        .as_bytes()
        .iter()
        .any(|byte| matches!(byte, b'\n' | b'\r'))
    {
        return json;
    }
    let (mut is_in_string, mut is_escaped) = (false, false);
    json.retain(|char| {
        let is_kept = is_in_string || !char.is_ascii_whitespace();
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_in_string,
            '"' => is_in_string = !is_in_string,
            _ => {}
        }
        is_kept
    });
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(record: &Record) -> Value {
        serde_json::from_slice(&record.line).unwrap()
    }

    #[test]
    fn a_failure_without_an_answer_has_a_null_response() {
        let error = Error::Transport {
            url: "http://h".to_owned(),
            kind: crate::TransportKind::Connect,
            message: "refused".to_owned(),
            unsent: true,
            source: None,
        };
        let record = Record::failure("a".to_owned(), Fingerprint(0x17), &error);
        let line = json(&record);
        let text = String::from_utf8_lossy(&record.line);
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
    fn a_reason_is_a_kind_and_what_was_said() {
        let failed = |response, error| {
            Record::new(String::new(), None, response, error)
                .reason
                .unwrap()
        };
        let api = |body: &str| {
            let answer = Answer {
                status_code: 500,
                request_id: None,
                body: Body::Told(serde_json::from_str(body).unwrap()),
            };
            failed(Some(answer), None)
        };
        let table = [
            (
                r#"{"error":{"message":"m","type":"t","code":"c"}}"#,
                "500 c",
                "m",
            ),
            (
                r#"{"error":{"message":"m","type":"t","code":null}}"#,
                "500 t",
                "m",
            ),
            (r#"{"error":{"message":7}}"#, "500", "7"),
            (r#"{"error":"m"}"#, "500", r#"{"error":"m"}"#),
            (r#""m""#, "500", "m"),
        ];
        for (step, (body, kind, said)) in table.into_iter().enumerate() {
            assert_eq!(api(body), (kind.to_owned(), said.to_owned()), "step {step}");
        }
        let failure = Failure {
            code: "not_sent",
            message: "the limiter is closed".to_owned(),
        };
        let expected = ("not sent".to_owned(), failure.message.clone());
        assert_eq!(failed(None, Some(failure)), expected);
    }

    #[test]
    fn an_answer_is_passed_on_as_it_came_on_one_line() {
        let table = [
            ("{\"a\": 1e0}", "{\"a\": 1e0}"),
            (
                "{\r\n  \"a\": [1, \"x \\n\\\" y\"],\n\t\"b\\\\\": 0.10\n}\n",
                "{\"a\":[1,\"x \\n\\\" y\"],\"b\\\\\":0.10}",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(on_one_line(body.to_owned()), expected);
        }
    }

    #[test]
    fn what_is_simulated_is_marked() {
        let error = Error::InvalidRequest("no".to_owned());
        let mut record = Record::failure("a".to_owned(), Fingerprint(7), &error);
        let mut expected = json(&record);
        record.mark_simulated();
        expected["simulated"] = true.into();
        assert_eq!(json(&record), expected);
        assert!(record.line.ends_with(b"}\n"));
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
