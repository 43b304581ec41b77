//! A chat request in a provider's own form.

use serde_json::{Map, Value, json};

use super::provider::{OutputCap, Provider};

/// Where chat requests go at most providers.
pub(crate) const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

/// The output cap of a message that states none, which it has to.
const DEFAULT_CAP: u64 = 1_000;

impl Provider {
    /// The path of its chat requests.
    pub(crate) fn chat_path(&self) -> &'static str {
        match self.takes_messages() {
            true => MESSAGES,
            false => CHAT,
        }
    }

    /// The body of a chat request as this provider takes it. Fields that it has no form for stay as they are.
    pub(crate) fn chat_body(&self, mut body: Map<String, Value>) -> Map<String, Value> {
        if self.takes_messages() {
            return messages_body(body);
        }
        let (wanted, other) = match self.output_cap() {
            OutputCap::MaxTokens => ("max_tokens", "max_completion_tokens"),
            OutputCap::MaxCompletionTokens => return body,
        };
        if !body.contains_key(wanted) {
            rename(&mut body, other, wanted);
        }
        body
    }
}

/// Gives a field another name in its place.
fn rename(body: &mut Map<String, Value>, old: &str, new: &str) {
    if !body.contains_key(old) {
        return;
    }
    let fields = std::mem::take(body);
    body.extend(fields.into_iter().map(|(name, value)| match name == old {
        true => (new.to_owned(), value),
        false => (name, value),
    }));
}

/// A body for `/v1/messages`.
pub(crate) fn messages_body(body: Map<String, Value>) -> Map<String, Value> {
    let mut made = Map::new();
    let mut instructions = Vec::new();
    let mut cap = None;
    for (name, value) in body {
        match name.as_str() {
            "messages" => {
                let messages = conversation(value, &mut instructions);
                if let Some(system) = system(std::mem::take(&mut instructions)) {
                    made.insert("system".to_owned(), system);
                }
                made.insert(name, messages);
            }
            "max_completion_tokens" | "max_tokens" => cap = cap.or(Some(value)),
            "response_format" => {
                let schema = value.pointer("/json_schema/schema").cloned();
                match schema {
                    Some(schema) => {
                        let format = json!({"type": "json_schema", "schema": schema});
                        made.insert("output_config".to_owned(), json!({"format": format}));
                    }
                    None => drop(made.insert(name, value)),
                }
            }
            "stop" => {
                let sequences = match value {
                    Value::String(one) => json!([one]),
                    list => list,
                };
                made.insert("stop_sequences".to_owned(), sequences);
            }
            _ => drop(made.insert(name, value)),
        }
    }
    let cap = cap.unwrap_or_else(|| DEFAULT_CAP.into());
    made.insert("max_tokens".to_owned(), cap);
    made
}

/// The messages without instructions, which stand beside them.
fn conversation(messages: Value, instructions: &mut Vec<Value>) -> Value {
    let Value::Array(messages) = messages else {
        return messages;
    };
    let (own, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| {
        let role = message.get("role").and_then(Value::as_str);
        matches!(role, Some("system" | "developer"))
    });
    let content = |message: Value| match message {
        Value::Object(mut fields) => fields.remove("content"),
        _ => None,
    };
    instructions.extend(own.into_iter().filter_map(content));
    Value::Array(others)
}

/// One text, or a list of blocks where there are several or such as are not text.
fn system(mut instructions: Vec<Value>) -> Option<Value> {
    if instructions.len() < 2 {
        return instructions.pop();
    }
    let blocks = instructions.into_iter().flat_map(|content| match content {
        Value::Array(blocks) => blocks,
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        other => vec![other],
    });
    Some(blocks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::ProviderTable;

    fn made(provider: &str, body: &Value) -> Value {
        let provider = ProviderTable::global().get(provider).cloned().unwrap();
        let fields = body.as_object().cloned().unwrap_or_default();
        Value::Object(provider.chat_body(fields))
    }

    #[test]
    fn each_provider_gets_its_own_form() {
        let user = json!({"role": "user", "content": "Hi"});
        let system = |text: &str| json!({"role": "system", "content": text});
        let chat = json!({"model": "m", "messages": [user], "max_completion_tokens": 7, "seed": 1});
        assert_eq!(made("openai", &chat), chat);
        let renamed = json!({"model": "m", "messages": [user], "max_tokens": 7, "seed": 1});
        assert_eq!(made("mistral", &chat), renamed);
        assert_eq!(made("mistral", &renamed), renamed);

        let schema = json!({"type": "object"});
        let given = json!({
            "model": "m",
            "messages": [system("Be short."), user],
            "max_completion_tokens": 7,
            "stop": "END",
            "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
        });
        let expected = json!({
            "model": "m",
            "system": "Be short.",
            "messages": [user],
            "stop_sequences": ["END"],
            "temperature": 0,
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
            "max_tokens": 7,
        });
        assert_eq!(made("anthropic", &given), expected);
        let two = json!({"messages": [system("A"), system("B"), user]});
        let blocks = json!([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]);
        let expected = json!({"system": blocks, "messages": [user], "max_tokens": 1_000});
        assert_eq!(made("anthropic", &two), expected);
    }
}
