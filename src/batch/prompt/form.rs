//! The form of a request: its path, and a chat request's body in the form of other endpoints.

use serde_json::{Map, Value, json};

use crate::providers::CHAT;

/// The endpoint for which requests are written.
///
/// ```
/// use paceline::batch::{Prompt, RequestForm};
///
/// let prompt = Prompt::new("gpt-4.1-mini", "Summarize: {text}")?.form(RequestForm::Responses);
/// # let _ = prompt;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestForm {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/responses`.
    Responses,
    /// `/v1/embeddings`: the prompt is the input.
    Embeddings,
    /// `/v1/messages`.
    Messages,
}

impl RequestForm {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => CHAT,
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
            Self::Messages => "/v1/messages",
        }
    }
}

/// A chat body as `/v1/responses` takes it. Fields that have no other form stay as they are.
pub(super) fn responses(body: Map<String, Value>) -> Map<String, Value> {
    let mut made = Map::new();
    for (name, value) in body {
        match name.as_str() {
            "messages" => {
                let Value::Array(mut messages) = value else {
                    made.insert("input".to_owned(), value);
                    continue;
                };
                for message in &mut messages {
                    each_part(message, response_part);
                }
                made.insert("input".to_owned(), Value::Array(messages));
            }
            "max_completion_tokens" | "max_tokens" => {
                made.insert("max_output_tokens".to_owned(), value);
            }
            "response_format" => {
                let mut format = Map::new();
                format.insert("type".to_owned(), "json_schema".into());
                match value.get("json_schema") {
                    Some(Value::Object(schema)) => format.extend(schema.clone()),
                    _ => format = value.as_object().cloned().unwrap_or_default(),
                }
                made.insert("text".to_owned(), json!({"format": format}));
            }
            _ => drop(made.insert(name, value)),
        }
    }
    made
}

/// Changes the images and files of chat messages to what `/v1/messages` takes.
pub(super) fn with_blocks(body: &mut Map<String, Value>) {
    if let Some(Value::Array(messages)) = body.get_mut("messages") {
        for message in messages {
            each_part(message, |part, _| message_block(part));
        }
    }
}

fn each_part(message: &mut Value, change: impl Fn(&Value, bool) -> Option<Value>) {
    let is_answer = message.get("role").and_then(Value::as_str) == Some("assistant");
    if let Some(Value::Array(parts)) = message.get_mut("content") {
        for part in parts {
            if let Some(changed) = change(part, is_answer) {
                *part = changed;
            }
        }
    }
}

fn response_part(part: &Value, is_answer: bool) -> Option<Value> {
    let kind = part.get("type").and_then(Value::as_str)?;
    match kind {
        "text" => {
            let kind = if is_answer {
                "output_text"
            } else {
                "input_text"
            };
            Some(json!({"type": kind, "text": part.get("text")?}))
        }
        "image_url" => {
            let image = part.get("image_url")?;
            let mut made = json!({"type": "input_image", "image_url": image.get("url")?});
            if let Some(detail) = image.get("detail") {
                made["detail"] = detail.clone();
            }
            Some(made)
        }
        "file" => {
            let mut made = part.get("file")?.as_object()?.clone();
            made.insert("type".to_owned(), "input_file".into());
            Some(Value::Object(made))
        }
        _ => None,
    }
}

fn message_block(part: &Value) -> Option<Value> {
    let kind = part.get("type").and_then(Value::as_str)?;
    let (block, address) = match kind {
        "image_url" => ("image", part.pointer("/image_url/url")?.as_str()?),
        "file" => ("document", part.pointer("/file/file_data")?.as_str()?),
        _ => return None,
    };
    let data = address
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    let source = match data {
        Some((media, data)) => json!({"type": "base64", "media_type": media, "data": data}),
        None => json!({"type": "url", "url": address}),
    };
    Some(json!({"type": block, "source": source}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> Map<String, Value> {
        let parts = json!([
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA="}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBB="}},
        ]);
        let body = json!({
            "model": "m",
            "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": parts}],
            "max_completion_tokens": 7,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {}}},
            "temperature": 0,
        });
        body.as_object().unwrap().clone()
    }

    #[test]
    fn a_chat_request_is_one_of_responses() {
        let expected = json!({
            "model": "m",
            "input": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": [
                    {"type": "input_text", "text": "What is it?"},
                    {"type": "input_image", "image_url": "https://h/a.png"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAA="},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBB="},
                ]},
            ],
            "max_output_tokens": 7,
            "text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {}}},
            "temperature": 0,
        });
        assert_eq!(Value::Object(responses(chat())), expected);
    }

    #[test]
    fn images_and_files_are_blocks_of_messages() {
        let mut body = chat();
        with_blocks(&mut body);
        let expected = json!([
            {"type": "text", "text": "What is it?"},
            {"type": "image", "source": {"type": "url", "url": "https://h/a.png"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAA="}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBB="}},
        ]);
        assert_eq!(body["messages"][1]["content"], expected);
    }
}
