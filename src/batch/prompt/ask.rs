//! What a row asks, in the form of a chat request.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::json_template::JsonTemplate;
use super::template::Template;
use crate::Message;
use crate::batch::json::value_of;

/// What a row asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ask {
    /// What the user says.
    User(Template),
    /// The column that holds several turns.
    Turns(String),
    /// The whole body.
    Body(JsonTemplate),
    /// Texts that are embedded, several rows in one request.
    Embed(Packing),
    /// Rows are read for their ids alone.
    Nothing,
}

/// How rows are packed into requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::batch) struct Packing {
    pub(in crate::batch) model: String,
    /// What holds the texts.
    pub(in crate::batch) column: String,
    pub(in crate::batch) most_inputs: usize,
    /// A token has one byte at least, so this bounds the tokens, too.
    pub(in crate::batch) most_bytes: usize,
}

impl Ask {
    /// The messages of a row, the instructions before them.
    pub(super) fn messages<'a>(
        &self,
        system: Option<&Template>,
        value: &impl Fn(&str) -> Result<Cow<'a, str>, String>,
    ) -> Result<Vec<Value>, String> {
        let mut messages = Vec::with_capacity(2);
        if let Some(system) = system {
            messages.push(json!(Message::system(system.render(value)?)));
        }
        match self {
            Self::User(template) => messages.push(json!(Message::user(template.render(value)?))),
            Self::Turns(column) => messages.extend(turns(column, &value(column)?)?),
            Self::Body(_) | Self::Embed(_) | Self::Nothing => {}
        }
        Ok(messages)
    }

    /// Whether nothing is asked: nothing stands in the columns.
    pub(super) fn is_empty(&self, messages: &[Value]) -> bool {
        match (self, messages.last()) {
            (Self::User(_), Some(message)) => {
                let text = message.get("content").and_then(Value::as_str);
                text.is_some_and(|text| text.trim().is_empty())
            }
            (Self::Turns(_) | Self::Nothing, last) => last.is_none(),
            _ => false,
        }
    }

    /// Why nothing is asked.
    pub(super) fn emptiness(&self) -> String {
        let columns: Vec<_> = self
            .columns()
            .map(|(_, name)| format!("{name:?}"))
            .collect();
        match columns.as_slice() {
            [] => "the prompt is empty".to_owned(),
            [column] => format!("the prompt is empty: nothing stands in column {column}"),
            columns => format!(
                "the prompt is empty: nothing stands in columns {}",
                columns.join(", ")
            ),
        }
    }

    /// The columns that it needs, each with what needs it.
    pub(super) fn columns(&self) -> Box<dyn Iterator<Item = (&'static str, &str)> + '_> {
        match self {
            Self::User(template) => Box::new(template.columns().map(|name| ("the prompt", name))),
            Self::Turns(column) => Box::new(std::iter::once(("the messages", column.as_str()))),
            Self::Body(template) => Box::new(template.columns().map(|name| ("the body", name))),
            Self::Embed(packing) => {
                Box::new(std::iter::once(("the texts", packing.column.as_str())))
            }
            Self::Nothing => Box::new(std::iter::empty()),
        }
    }
}

/// The turns in a cell: a list of messages as JSON, or else what the user says.
fn turns(column: &str, cell: &str) -> Result<Vec<Value>, String> {
    let wrong = |what: &str| format!("column {column:?}: {what}");
    if cell.trim().is_empty() {
        return Err(format!(
            "the prompt is empty: nothing stands in column {column:?}"
        ));
    }
    if !cell.trim_start().starts_with('[') {
        return Ok(vec![json!(Message::user(cell))]);
    }
    let messages = match value_of(cell) {
        Ok(Value::Array(messages)) => messages,
        Ok(_) => return Err(wrong("a JSON list of messages is needed")),
        Err(error) => return Err(wrong(&error.to_string())),
    };
    let is_message = |message: &Value| message.get("role").is_some_and(Value::is_string);
    match messages.iter().position(|message| !is_message(message)) {
        Some(at) => Err(wrong(&format!("message {} has no role", at + 1))),
        None if messages.is_empty() => Err(wrong("there is no message in the list")),
        None => Ok(messages),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_holds_a_list_of_messages_or_what_the_user_says() {
        let cell = r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]"#;
        assert_eq!(turns("x", cell).unwrap().len(), 3);
        assert_eq!(
            turns("x", "Hi").unwrap(),
            [json!({"role": "user", "content": "Hi"})]
        );
        for (cell, said) in [
            (" ", "nothing stands in column \"x\""),
            ("[1", "column \"x\": EOF"),
            ("[{\"role\":\"user\"},{}]", "message 2 has no role"),
            ("[]", "no message"),
        ] {
            assert!(turns("x", cell).unwrap_err().contains(said), "{cell}");
        }
    }
}
