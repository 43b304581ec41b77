//! Answers that a test has written.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::SimConfig;

/// A request as a [script](SimConfig::answer) sees it.
///
/// ```
/// use paceline::sim::{SimAnswer, SimRequest};
///
/// fn script(request: &SimRequest<'_>) -> SimAnswer {
///     match request.number() {
///         0 => SimAnswer::status(503, "warming up"),
///         _ => SimAnswer::text(format!("You said: {}", request.text())),
///     }
/// }
/// # let _ = paceline::sim::SimConfig::new().answer(script);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SimRequest<'a> {
    pub(in crate::sim) number: u64,
    pub(in crate::sim) path: &'a str,
    pub(in crate::sim) body: &'a Value,
}

impl<'a> SimRequest<'a> {
    /// Its number in the order of arrival, from 0. Requests that are malformed or not authorized have
    /// none.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The path, such as `/v1/chat/completions`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &'a Value {
        self.body
    }

    /// The text of the last message; of other requests the `input` or the `prompt`. Empty where there is
    /// none.
    #[must_use]
    pub fn text(&self) -> &'a str {
        let messages = self.body.get("messages").and_then(Value::as_array);
        let last = messages.and_then(|messages| messages.last()?.get("content"));
        let other = || self.body.get("input").or_else(|| self.body.get("prompt"));
        match last.or_else(other) {
            Some(Value::String(text)) => text,
            Some(Value::Array(parts)) => {
                let mut texts = parts.iter().filter_map(|part| match part {
                    Value::String(text) => Some(text.as_str()),
                    part => part.get("text").and_then(Value::as_str),
                });
                texts.next_back().unwrap_or_default()
            }
            _ => "",
        }
    }
}

/// An answer that a [script](SimConfig::answer) gives. It has the shape that the request asks for, chat
/// or response, whole or as a stream.
///
/// ```
/// use paceline::sim::SimAnswer;
/// use serde_json::json;
///
/// let answers = [
///     SimAnswer::text("It is sunny."),
///     SimAnswer::json(&json!({"city": "Lima"})),
///     SimAnswer::tool_call("weather", &json!({"city": "Lima"})),
///     SimAnswer::status(500, "out of order"),
///     SimAnswer::made_up(),
/// ];
/// # let _ = answers;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct SimAnswer(pub(in crate::sim) Said);

#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) enum Said {
    MadeUp,
    Text(String),
    Call {
        name: String,
        arguments: String,
    },
    Status {
        status: u16,
        message: String,
        retry_after: Option<Duration>,
        headers: Vec<(&'static str, String)>,
    },
}

impl SimAnswer {
    /// A text, cut at the request's output cap.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Said::Text(text.into()))
    }

    /// A text that is this JSON, such as a structured answer.
    pub fn json(value: &Value) -> Self {
        Self::text(value.to_string())
    }

    /// A call of a tool with these arguments.
    pub fn tool_call(name: impl Into<String>, arguments: &Value) -> Self {
        Self(Said::Call {
            name: name.into(),
            arguments: arguments.to_string(),
        })
    }

    /// An error with this status, at once and before the limits: it charges nothing. A status below 400
    /// becomes 500.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self(Said::Status {
            status: if status < 400 { 500 } else { status },
            message: message.into(),
            retry_after: None,
            headers: Vec::new(),
        })
    }

    /// The same error with a `retry-after-ms`. Changes no other answer.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        if let Said::Status { retry_after, .. } = &mut self.0 {
            *retry_after = Some(wait);
        }
        self
    }

    /// The same error with a header, such as `x-ratelimit-reset-tokens`. Changes no other answer.
    ///
    /// ```
    /// use paceline::sim::SimAnswer;
    ///
    /// let answer = SimAnswer::status(429, "").header("x-ratelimit-reset-tokens", "6m0s");
    /// # let _ = answer;
    /// ```
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Said::Status { headers, .. } = &mut self.0 {
            headers.push((name, value.into()));
        }
        self
    }

    /// What the simulator answers without a script: words of its own, or JSON that satisfies the schema
    /// of the request.
    pub fn made_up() -> Self {
        Self(Said::MadeUp)
    }
}

/// What answers a request, if a test has written it.
#[derive(Clone, Default)]
pub(in crate::sim) struct Script(Option<Arc<Answers>>);

type Answers = dyn Fn(&SimRequest<'_>) -> SimAnswer + Send + Sync;

impl Script {
    pub(in crate::sim) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(in crate::sim) fn answer(&self, request: &SimRequest<'_>) -> SimAnswer {
        let script = self.0.as_ref();
        script.map_or_else(SimAnswer::made_up, |script| script(request))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "Fn" })
    }
}

/// Scripted answers.
impl SimConfig {
    /// Lets `script` answer each request, for unit tests of code that calls a model. Limits, headers,
    /// latency and faults do not change. The threads of the connections call it, several at once. Of
    /// embeddings and moderations it decides the status alone. Default: generated answers.
    ///
    /// ```
    /// use paceline::RateLimitedClient;
    /// use paceline::sim::{SimAnswer, SimConfig, Simulator};
    ///
    /// let script = SimConfig::new().answer(|request| match request.text() {
    ///     "ping" => SimAnswer::text("pong"),
    ///     other => SimAnswer::status(400, format!("not in the script: {other}")),
    /// });
    /// let simulator = Simulator::start(script).expect("a free port");
    /// let client = RateLimitedClient::builder()
    ///     .base_url(simulator.base_url())
    ///     .api_key("any")
    ///     .build()?;
    /// assert_eq!(client.chat("ping")?.text(), "pong");
    /// assert!(client.chat("pong").is_err());
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[must_use]
    pub fn answer(
        mut self,
        script: impl Fn(&SimRequest<'_>) -> SimAnswer + Send + Sync + 'static,
    ) -> Self {
        self.script = Script(Some(Arc::new(script)));
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_of_a_request_is_its_last() {
        let table = [
            (
                json!({"messages": [{"content": "a"}, {"content": "b"}]}),
                "b",
            ),
            (
                json!({"messages": [{"content": [{"type": "text", "text": "c"}]}]}),
                "c",
            ),
            (json!({"input": "d"}), "d"),
            (json!({"input": ["e", "f"]}), "f"),
            (json!({"prompt": "g"}), "g"),
            (json!({"messages": []}), ""),
            (json!({"messages": 7}), ""),
        ];
        for (body, expected) in table {
            let request = SimRequest {
                number: 0,
                path: "",
                body: &body,
            };
            assert_eq!(request.text(), expected, "{body}");
        }
    }
}
