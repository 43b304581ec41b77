//! Chat requests.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::message::Message;

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

    /// Adds a message at the end: the next turn of a conversation.
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// Sets the model. Default: the client's.
    pub fn model(self, model: impl Into<String>) -> Self {
        self.set("model", model.into())
    }

    /// Sets the output cap in tokens, reasoning included. What is not used of it is reserved all
    /// the same, so a tight cap is speed. Default: the client's.
    pub fn max_completion_tokens(self, tokens: u64) -> Self {
        self.set("max_completion_tokens", tokens)
    }

    /// Adds a function that the model may call, with the JSON schema of its arguments.
    ///
    /// ```
    /// use paceline::ChatRequest;
    /// use serde_json::json;
    ///
    /// let request = ChatRequest::from("How warm is it in Lima?").tool(
    ///     "temperature",
    ///     "The current temperature of a city",
    ///     json!({"type": "object", "properties": {"city": {"type": "string"}}}),
    /// );
    /// # let _ = request;
    /// ```
    pub fn tool(mut self, name: &str, description: &str, parameters: impl Into<Value>) -> Self {
        let parameters: Value = parameters.into();
        let function = json!({
            "type": "function",
            "function": {"name": name, "description": description, "parameters": parameters},
        });
        match self.fields.get_mut("tools").and_then(Value::as_array_mut) {
            Some(tools) => tools.push(function),
            None => self = self.set("tools", json!([function])),
        }
        self
    }

    /// Asks for an answer that follows this JSON schema, for
    /// [`ChatResponse::json`](super::ChatResponse::json) to read. `name` is shown to the model.
    ///
    /// ```
    /// use paceline::ChatRequest;
    /// use serde_json::json;
    ///
    /// let request = ChatRequest::from("Name a city in Peru.").json_schema("city", json!({
    ///     "type": "object",
    ///     "properties": {"name": {"type": "string"}},
    ///     "required": ["name"],
    ///     "additionalProperties": false,
    /// }));
    /// # let _ = request;
    /// ```
    pub fn json_schema(self, name: &str, schema: impl Into<Value>) -> Self {
        let schema: Value = schema.into();
        let format = json!({
            "type": "json_schema",
            "json_schema": {"name": name, "strict": true, "schema": schema},
        });
        self.set("response_format", format)
    }

    /// Asks for an answer of this type, by its JSON schema, for
    /// [`ChatResponse::json`](super::ChatResponse::json) to read.
    ///
    /// As strict schemas demand, objects get all their properties required and no others.
    ///
    /// ```
    /// use paceline::ChatRequest;
    ///
    /// #[derive(schemars::JsonSchema)]
    /// struct City {
    ///     name: String,
    ///     inhabitants: u64,
    /// }
    ///
    /// let request = ChatRequest::from("Name a city in Peru.").answer::<City>();
    /// # let _ = request;
    /// ```
    #[cfg(feature = "schemars")]
    pub fn answer<T: schemars::JsonSchema>(self) -> Self {
        let (name, schema) = super::schema::strict::<T>();
        self.json_schema(&name, schema)
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

impl From<Message> for ChatRequest {
    fn from(message: Message) -> Self {
        Self::new([message])
    }
}

impl From<Vec<Message>> for ChatRequest {
    fn from(messages: Vec<Message>) -> Self {
        Self {
            messages,
            fields: Map::new(),
        }
    }
}

impl From<&Vec<Message>> for ChatRequest {
    fn from(messages: &Vec<Message>) -> Self {
        Self::from(messages.clone())
    }
}

impl From<&[Message]> for ChatRequest {
    fn from(messages: &[Message]) -> Self {
        Self::from(messages.to_vec())
    }
}

impl<const N: usize> From<[Message; N]> for ChatRequest {
    fn from(messages: [Message; N]) -> Self {
        Self::new(messages)
    }
}

impl<const N: usize> From<&[Message; N]> for ChatRequest {
    fn from(messages: &[Message; N]) -> Self {
        Self::from(messages.to_vec())
    }
}

impl From<&ChatRequest> for ChatRequest {
    fn from(request: &ChatRequest) -> Self {
        request.clone()
    }
}
