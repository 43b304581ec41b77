//! Chat answers, typed as far as most callers need.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Completion;
use super::message::Message;
use super::response::Response;
use crate::cost::Usage;
use crate::{Error, Result};

/// The answer to a chat request.
///
/// ```no_run
/// let client = paceline::RateLimitedClient::new()?;
/// let answer = client.chat("Name the largest moon of Saturn.")?;
/// println!("{} ({:?})", answer.text(), answer.completion());
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ChatResponse(Response);

impl ChatResponse {
    pub(super) fn new(response: Response) -> Self {
        Self(response)
    }

    /// An answer with this text, for tests of code that takes answers.
    ///
    /// ```
    /// let answer = paceline::ChatResponse::from_text("Titan");
    /// assert_eq!((answer.text(), answer.finish_reason()), ("Titan", Some("stop")));
    /// ```
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        let message = json!({"role": "assistant", "content": text.into()});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        Self(Response::from_body(
            json!({"object": "chat.completion", "choices": [choice]}),
        ))
    }

    /// The text of the first choice, or of a message's first block of text; empty when it has none, as with
    /// tool calls.
    #[must_use]
    pub fn text(&self) -> &str {
        let blocks = self.0.body.get("content").and_then(Value::as_array);
        let mut blocks = blocks.into_iter().flatten();
        let text = || blocks.find_map(|block| block.get("text"));
        let found = self.choice("/message/content").or_else(text);
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// Reads the text of the first choice as JSON: for requests that ask for
    /// [JSON of a schema](super::ChatRequest::json_schema).
    ///
    /// ```
    /// use paceline::ChatResponse;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct City {
    ///     name: String,
    /// }
    ///
    /// let answer = ChatResponse::from_text(r#"{"name": "Lima"}"#);
    /// let city: City = answer.json()?;
    /// assert_eq!(city.name, "Lima");
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidResponse`], which says whether the model refused, the answer was cut off at its
    /// cap, or it is not JSON of that type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let error = match serde_json::from_str(self.text()) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let message = match (self.refusal(), self.completion()) {
            (Some(refusal), _) => format!("the model refused: {refusal}"),
            (None, Completion::CutOff) => format!("cut off at the output cap: {error}"),
            (None, _) => format!("the answer is not of the type asked for: {error}"),
        };
        Err(Error::InvalidResponse {
            url: self.0.url.clone(),
            message,
        })
    }

    /// The functions that the first choice calls, in their order.
    ///
    /// ```no_run
    /// # let client = paceline::RateLimitedClient::new()?;
    /// # let request = paceline::ChatRequest::from("How warm is it in Lima?");
    /// let answer = client.chat(&request)?;
    /// let mut next = request.message(answer.message());
    /// for call in answer.tool_calls() {
    ///     let result = match call.name {
    ///         "temperature" => "21 °C",
    ///         _ => "no such tool",
    ///     };
    ///     next = next.message(paceline::Message::tool(call.id, result));
    /// }
    /// let answer = client.chat(next)?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn tool_calls(&self) -> impl Iterator<Item = ToolCall<'_>> {
        let calls = self.choice("/message/tool_calls").and_then(Value::as_array);
        calls.into_iter().flatten().filter_map(ToolCall::read)
    }

    /// The refusal of the first choice, where the model says that it will not answer.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.choice("/message/refusal")?.as_str()
    }

    /// The message of the first choice, unchanged, for the next request of the conversation. Without a
    /// choice it is an empty message of the assistant.
    #[must_use]
    pub fn message(&self) -> Message {
        let message = self.choice("/message").cloned();
        let message = message.and_then(|message| serde_json::from_value(message).ok());
        message.unwrap_or_else(|| Message::assistant(""))
    }

    /// Why the first choice ended: `stop`, `length`, `tool_calls`, `content_filter`; of a message `end_turn`,
    /// `max_tokens`, `tool_use`, `refusal`.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        let of_message = || self.0.body.get("stop_reason");
        self.choice("/finish_reason").or_else(of_message)?.as_str()
    }

    /// How the answer ended.
    #[must_use]
    pub fn completion(&self) -> Completion {
        self.0.completion
    }

    /// What the request used.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.0.usage
    }

    /// The whole answer.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.0
    }

    /// The whole answer, to take apart.
    #[must_use]
    pub fn into_response(self) -> Response {
        self.0
    }

    fn choice(&self, pointer: &str) -> Option<&Value> {
        self.0.body.pointer("/choices/0")?.pointer(pointer)
    }
}

/// A function that the model calls: see [`ChatResponse::tool_calls`].
///
/// ```no_run
/// let client = paceline::RateLimitedClient::new()?;
/// let answer = client.chat("How warm is it in Lima?")?;
/// for call in answer.tool_calls() {
///     println!("{call:?}");
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCall<'a> {
    /// Names the call in the [message](Message::tool) that answers it.
    pub id: &'a str,
    /// The function.
    pub name: &'a str,
    /// JSON as the model wrote it, which may be wrong.
    pub arguments: &'a str,
}

impl<'a> ToolCall<'a> {
    fn read(call: &'a Value) -> Option<Self> {
        let function = call.get("function")?;
        Some(Self {
            id: call.get("id").and_then(Value::as_str).unwrap_or_default(),
            name: function.get("name")?.as_str()?,
            arguments: function
                .get("arguments")
                .and_then(Value::as_str)
                .unwrap_or("{}"),
        })
    }

    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// That of the JSON, when they are not of that type. Most callers tell the model.
    pub fn arguments<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(message: &Value, completion: Completion) -> ChatResponse {
        let mut response = Response::from_body(json!({"choices": [{"message": message}]}));
        response.completion = completion;
        ChatResponse(response)
    }

    #[test]
    fn an_answer_that_is_not_of_the_type_says_why() {
        let table = [
            (
                json!({"content": "[1]"}),
                Completion::Complete,
                "not of the type",
            ),
            (
                json!({"content": "{\"a\": 1"}),
                Completion::CutOff,
                "cut off at the output cap",
            ),
            (
                json!({"refusal": "I cannot."}),
                Completion::Refused,
                "refused: I cannot.",
            ),
            (
                json!({"content": null}),
                Completion::Empty,
                "not of the type",
            ),
        ];
        for (step, (message, completion, expected)) in table.into_iter().enumerate() {
            let answer = answer(&message, completion);
            let error = answer
                .json::<std::collections::BTreeMap<String, u8>>()
                .unwrap_err();
            assert!(error.to_string().contains(expected), "step {step}: {error}");
        }
    }

    #[test]
    fn calls_are_read_and_can_be_answered() {
        let calls = json!([
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 2}"}},
            {"id": "b", "type": "custom", "custom": {}},
            {"function": {"name": "g"}},
        ]);
        let answer = answer(
            &json!({"role": "assistant", "content": null, "tool_calls": calls}),
            Completion::Complete,
        );
        let found: Vec<_> = answer
            .tool_calls()
            .map(|call| (call.id, call.name))
            .collect();
        assert_eq!(found, [("a", "f"), ("", "g")]);
        let first = answer.tool_calls().next().unwrap();
        assert_eq!(first.arguments::<Value>().unwrap(), json!({"x": 2}));
        assert_eq!(answer.text(), "");
        let message = answer.message();
        assert_eq!(message.other["tool_calls"], calls);
        assert_eq!(message.content, Value::Null);
    }
}
