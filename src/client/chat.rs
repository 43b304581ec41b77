//! Chat requests and answers, typed as far as most callers need.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::response::Response;
use crate::cost::Usage;

/// One message of a chat.
///
/// ```
/// use paceline::Message;
///
/// let messages = [Message::system("Answer in one word."), Message::user("What is the capital of Peru?")];
/// # let _ = messages;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// A string, or a list of parts: text, images, sound.
    pub content: Value,
    /// Tells participants of one role apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Any other field, such as `tool_calls`. Sent as it is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Message {
    /// A message of any role.
    #[must_use]
    pub fn new(role: impl Into<String>, content: impl Into<Value>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            name: None,
            other: Map::new(),
        }
    }

    /// Instructions.
    #[must_use]
    pub fn system(content: impl Into<Value>) -> Self {
        Self::new("system", content)
    }

    /// What the user says.
    #[must_use]
    pub fn user(content: impl Into<Value>) -> Self {
        Self::new("user", content)
    }

    /// What the model said before.
    #[must_use]
    pub fn assistant(content: impl Into<Value>) -> Self {
        Self::new("assistant", content)
    }

    /// The same message with a participant's name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// A chat request. A plain string is one user message.
///
/// ```
/// use paceline::{ChatRequest, Message};
///
/// let request = ChatRequest::new([Message::user("Name three rivers.")])
///     .model("gpt-4o-mini")
///     .max_completion_tokens(50)
///     .set("temperature", 0.2)
///     .set("seed", 7);
/// # let _ = request;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct ChatRequest {
    pub(super) messages: Vec<Message>,
    #[serde(flatten)]
    pub(super) fields: Map<String, Value>,
}

impl ChatRequest {
    /// A request with these messages, and the client's defaults for all else.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self {
            messages: messages.into_iter().collect(),
            fields: Map::new(),
        }
    }

    /// Sets the model. Defaults to the client's.
    pub fn model(self, model: impl Into<String>) -> Self {
        self.set("model", model.into())
    }

    /// Sets the output cap in tokens, reasoning included. Defaults to the client's. What is not
    /// used of it is reserved all the same, so a tight cap is speed.
    pub fn max_completion_tokens(self, tokens: u64) -> Self {
        self.set("max_completion_tokens", tokens)
    }

    /// Sets any field of the body, known to this crate or not.
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }
}

impl From<&str> for ChatRequest {
    fn from(text: &str) -> Self {
        Self::new([Message::user(text)])
    }
}

impl From<&String> for ChatRequest {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for ChatRequest {
    fn from(text: String) -> Self {
        Self::new([Message::user(text)])
    }
}

impl From<Vec<Message>> for ChatRequest {
    fn from(messages: Vec<Message>) -> Self {
        Self::new(messages)
    }
}

impl From<&[Message]> for ChatRequest {
    fn from(messages: &[Message]) -> Self {
        Self::new(messages.iter().cloned())
    }
}

/// The answer to a chat request.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatResponse(Response);

impl ChatResponse {
    pub(super) fn new(response: Response) -> Self {
        Self(response)
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

    /// Why the first choice ended: `stop`, `length`, `tool_calls`, `content_filter`; of a message `end_turn`,
    /// `max_tokens`, `tool_use`, `refusal`.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        let of_message = || self.0.body.get("stop_reason");
        self.choice("/finish_reason").or_else(of_message)?.as_str()
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
