//! One message of a chat.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One message of a chat.
///
/// ```
/// use paceline::Message;
///
/// let messages = [Message::system("Answer in one word."), Message::user("What is the capital of Peru?")];
/// # let _ = messages;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// A string, or a list of parts: text, images, sound. Null where there are only tool calls.
    #[serde(default)]
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

    /// The result of a tool call, by the [id](super::ToolCall::id) of the call.
    ///
    /// The call itself stands in the message before: see
    /// [`ChatResponse::message`](super::ChatResponse::message).
    ///
    /// ```
    /// let message = paceline::Message::tool("call_1", r#"{"celsius": 21}"#);
    /// assert_eq!(message.other["tool_call_id"], "call_1");
    /// ```
    #[must_use]
    pub fn tool(call_id: impl Into<String>, content: impl Into<Value>) -> Self {
        Self::new("tool", content).set("tool_call_id", call_id.into())
    }

    /// An image from the user, by its URL (`https:` or `data:`).
    ///
    /// ```
    /// use paceline::Message;
    ///
    /// let message = Message::image("https://example.com/cat.png");
    /// assert_eq!(message.content[0]["type"], "image_url");
    /// ```
    #[must_use]
    pub fn image(url: impl Into<String>) -> Self {
        Self::user(Value::Array(Vec::new())).with_image(url)
    }

    /// Adds an image by its URL (`https:` or `data:`), behind what the message has already.
    ///
    /// ```
    /// use paceline::Message;
    ///
    /// let message = Message::user("What is this?").with_image("https://example.com/cat.png");
    /// assert_eq!(message.content[0]["text"], "What is this?");
    /// assert_eq!(message.content[1]["image_url"]["url"], "https://example.com/cat.png");
    /// ```
    #[must_use]
    pub fn with_image(self, url: impl Into<String>) -> Self {
        self.with_part(json!({"type": "image_url", "image_url": {"url": url.into()}}))
    }

    /// Adds an image by its bytes, of this media type: `image/png`, `image/jpeg`.
    ///
    /// ```
    /// use paceline::Message;
    ///
    /// let message = Message::user("What is this?").with_image_bytes("image/gif", b"GIF89a");
    /// assert_eq!(message.content[1]["image_url"]["url"], "data:image/gif;base64,R0lGODlh");
    /// ```
    #[must_use]
    pub fn with_image_bytes(self, media_type: &str, bytes: &[u8]) -> Self {
        let mut url = format!("data:{media_type};base64,");
        encode(bytes, &mut url);
        self.with_image(url)
    }

    /// Adds a content part of any kind: sound, a file. A text becomes the first part.
    #[must_use]
    pub fn with_part(mut self, part: Value) -> Self {
        let mut parts = match self.content {
            Value::Array(parts) => parts,
            Value::Null => Vec::new(),
            text => vec![json!({"type": "text", "text": text})],
        };
        parts.push(part);
        self.content = Value::Array(parts);
        self
    }

    /// The same message with a participant's name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets any other field of the message.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.other.insert(field.into(), value.into());
        self
    }
}

/// Appends bytes in Base64, as `data:` URLs have them.
fn encode(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    text.reserve(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for index in 0..3 {
            bits = bits << 8 | u32::from(group.get(index).copied().unwrap_or(0));
        }
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(match digit <= group.len() {
                true => char::from(DIGITS[index as usize]),
                false => '=',
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_rfc_4648_has_them() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in table {
            let mut text = String::new();
            encode(plain.as_bytes(), &mut text);
            assert_eq!(text, encoded, "{plain:?}");
        }
        let mut text = String::new();
        encode(&[0xfb, 0xff, 0xfe], &mut text);
        assert_eq!(text, "+//+");
    }

    #[test]
    fn parts_join_what_is_there() {
        let image = Message::image("data:,a").with_image("data:,b");
        assert_eq!(image.content.as_array().map(Vec::len), Some(2));
        let text = Message::user("a").with_part(json!({"type": "file"}));
        assert_eq!(text.content[0], json!({"type": "text", "text": "a"}));
        assert_eq!(text.content[1], json!({"type": "file"}));
        let calls: Message =
            serde_json::from_value(json!({"role": "assistant", "tool_calls": []})).unwrap();
        assert_eq!(calls.content, Value::Null);
    }
}
