//! Requests made of rows: a prompt with places for a row's values.

mod template; // a text with places for values

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::json::{Json, value_of};
use crate::providers::{CHAT, Provider};
use crate::{Error, Message, Result};
use template::Template;

/// A prompt that makes a chat request of each row of a table, as the lines of an
/// [`Input::rows`](super::Input::rows).
///
/// In its templates `{column}` stands for the value that a row has in that column; `{{` and `}}` are
/// braces. Values are put in as they are, once: braces in them mean nothing.
///
/// # A prompt over a table
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Prompt, Run, extract};
///
/// let prompt = Prompt::new("gpt-4.1-mini", "Is this {kind} review good or bad?\n\n{text}")?
///     .system("Answer in one word.")?
///     .max_completion_tokens(16)
///     .set("temperature", 0)
///     .id_column("sku");
/// let input = Input::rows("reviews.csv", prompt)?;
/// Run::new(RateLimitedClient::new()?, input).run()?;
/// extract("reviews.results.jsonl", "reviews.answers.csv")?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Prompt {
    model: String,
    system: Option<Template>,
    user: Template,
    fields: Map<String, Value>,
    id_column: Option<String>,
    /// The schema in the text of a body, and what it is to be there.
    schema_text: Option<(String, String)>,
    /// Whose form the requests have.
    provider: Option<Provider>,
}

impl Prompt {
    /// A prompt for a model: `template` is what the user says.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the template has a brace too many, with its place, or the model has no
    /// name.
    pub fn new(model: impl Into<String>, template: &str) -> Result<Self> {
        let model = model.into();
        if model.trim().is_empty() {
            let message = "the name of a model is needed for a prompt".to_owned();
            return Err(Error::Config(message));
        }
        Ok(Self {
            model,
            system: None,
            user: parse("prompt", template)?,
            fields: Map::new(),
            id_column: None,
            schema_text: None,
            provider: None,
        })
    }

    /// Sets a template for instructions that stand before the prompt. Default: none.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it has a brace too many, with its place.
    pub fn system(mut self, template: &str) -> Result<Self> {
        self.system = Some(parse("system prompt", template)?);
        Ok(self)
    }

    /// Sets the output cap in tokens, reasoning included. The unused part is reserved all the same, so
    /// a tight cap is speed. Default: the client's.
    pub fn max_completion_tokens(self, tokens: u64) -> Self {
        self.set("max_completion_tokens", tokens)
    }

    /// Sets the JSON schema that each answer has to follow, strictly. It is sent under its title
    /// where that can be a name, and otherwise as `answer`. Default: none, answers are texts.
    pub fn schema(self, schema: impl Into<Value>) -> Self {
        let schema = schema.into();
        let title = schema.get("title").and_then(Value::as_str);
        let name = title.filter(|title| is_name(title)).unwrap_or("answer");
        let format = json!({
            "type": "json_schema",
            "json_schema": {"name": name, "strict": true, "schema": schema},
        });
        self.set("response_format", format)
    }

    /// Sets the schema as [`schema`](Self::schema) does, from its text: its numbers keep their digits.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is no JSON object.
    pub fn schema_text(self, text: &str) -> Result<Self> {
        let wrong = |what: String| Error::Config(format!("schema: {what}"));
        let schema = match value_of(text.trim_start_matches('\u{feff}')) {
            Ok(schema @ Value::Object(_)) => schema,
            Ok(_) => return Err(wrong("a JSON object is needed".to_owned())),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let json = Json::read(text.trim_start_matches('\u{feff}'));
        let rounded = format!("\"schema\":{schema}");
        let exact = json.map(|json| format!("\"schema\":{}", json.compact()));
        let exact = exact.filter(|exact| *exact != rounded);
        let mut prompt = self.schema(schema);
        prompt.schema_text = exact.map(|exact| (rounded, exact));
        Ok(prompt)
    }

    /// Sets the provider in whose form requests are written: `/v1/messages` for Anthropic, and `max_tokens` for
    /// those that refuse `max_completion_tokens`. Default: `/v1/chat/completions`.
    ///
    /// ```
    /// use paceline::batch::Prompt;
    /// use paceline::providers::ProviderTable;
    ///
    /// let anthropic = ProviderTable::global().get("anthropic");
    /// let prompt = Prompt::new("claude-haiku-4-5", "Summarize: {text}")?;
    /// let prompt = match anthropic {
    ///     Some(provider) => prompt.provider(provider),
    ///     None => prompt,
    /// };
    /// # let _ = prompt;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn provider(mut self, provider: &Provider) -> Self {
        self.provider = Some(provider.clone());
        self
    }

    /// Sets any other field of the requests, known to this crate or not.
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }

    /// Sets the column whose values are the `custom_id`s, which identify results and rows of a resumed
    /// run. Default: the number of the row, `row-1`, `row-2` and so on. These stay right as long as rows
    /// are added at the end alone.
    pub fn id_column(mut self, column: impl Into<String>) -> Self {
        self.id_column = Some(column.into());
        self
    }

    /// The `custom_id` of a row.
    pub(super) fn id<'a>(
        &self,
        number: u64,
        value: impl Fn(&str) -> Result<Cow<'a, str>, String>,
    ) -> Result<String, String> {
        let Some(column) = &self.id_column else {
            return Ok(format!("row-{number}"));
        };
        match value(column)? {
            id if id.trim().is_empty() => Err(format!("column {column:?}: an id is needed")),
            id => Ok(id.into_owned()),
        }
    }

    /// The request that a row makes: its URL and its body, and the text of that where it has digits that the
    /// value has not.
    pub(super) fn request<'a>(
        &self,
        value: impl Fn(&str) -> Result<Cow<'a, str>, String>,
    ) -> Result<(String, Value, Option<String>), String> {
        let mut messages = Vec::with_capacity(2);
        if let Some(system) = &self.system {
            messages.push(Message::system(system.render(&value)?));
        }
        let user = self.user.render(&value)?;
        if user.trim().is_empty() {
            return Err(self.is_empty());
        }
        messages.push(Message::user(user));
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.clone().into());
        body.insert("messages".to_owned(), json!(messages));
        let more = self.fields.iter();
        let more = more.filter(|(field, _)| !matches!(field.as_str(), "model" | "messages"));
        body.extend(more.map(|(field, value)| (field.clone(), value.clone())));
        let (url, body) = match &self.provider {
            Some(provider) => (provider.chat_path(), provider.chat_body(body)),
            None => (CHAT, body),
        };
        let body = Value::Object(body);
        let text = self.schema_text.as_ref().map(|(rounded, exact)| {
            // In a text it would have its quotes escaped.
            body.to_string().replacen(rounded, exact, 1)
        });
        Ok((url.to_owned(), body, text))
    }

    /// True when ids are the numbers of rows.
    pub(super) fn has_ids_by_position(&self) -> bool {
        self.id_column.is_none()
    }

    fn is_empty(&self) -> String {
        let columns: Vec<_> = self
            .user
            .columns()
            .map(|name| format!("{name:?}"))
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

    /// Whether it puts in a value of the row: if not, every row makes the same request.
    #[must_use]
    pub fn names_columns(&self) -> bool {
        let system = self.system.iter().flat_map(Template::columns);
        self.user.columns().chain(system).next().is_some()
    }

    /// The model that is asked.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// The columns that it needs, each with what needs it.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let system = self.system.iter().flat_map(Template::columns);
        let user = self.user.columns().map(|column| ("the prompt", column));
        let system = system.map(|column| ("the system prompt", column));
        let id = self
            .id_column
            .iter()
            .map(|column| ("the id", column.as_str()));
        user.chain(system).chain(id)
    }
}

fn parse(what: &str, template: &str) -> Result<Template> {
    Template::parse(template).map_err(|fault| Error::Config(format!("{what}: {fault}")))
}

/// True for what the API takes as the name of a schema.
fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&text.len()) && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(column: &str) -> Result<Cow<'static, str>, String> {
        match column {
            "text" => Ok("{kind} of tea".into()),
            "kind" => Ok("cup".into()),
            "empty" => Ok(" ".into()),
            column => Err(format!("no {column}")),
        }
    }

    #[test]
    fn a_row_makes_a_chat_request() {
        let prompt = Prompt::new("m", "A {kind}: {text}").unwrap();
        let (url, body, _) = prompt.request(value).unwrap();
        assert_eq!(url, "/v1/chat/completions");
        let user = json!({"role": "user", "content": "A cup: {kind} of tea"});
        assert_eq!(body, json!({"model": "m", "messages": [user]}));

        let schema = json!({"title": "kinds_1", "type": "object"});
        let prompt = prompt.system("{{}} {kind}").unwrap();
        let prompt = prompt.max_completion_tokens(7).schema(schema.clone());
        let (_, body, _) = prompt.set("model", "other").request(value).unwrap();
        let format = json!({"name": "kinds_1", "strict": true, "schema": schema});
        let expected = json!({
            "model": "m",
            "messages": [{"role": "system", "content": "{} cup"}, user],
            "max_completion_tokens": 7,
            "response_format": {"type": "json_schema", "json_schema": format},
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_row_that_makes_an_empty_prompt_makes_no_request() {
        for (template, said) in [
            ("{empty}", "nothing stands in column \"empty\""),
            (" {empty}\n", "nothing stands in column \"empty\""),
            ("{empty}{empty}", "in columns \"empty\", \"empty\""),
            ("", "the prompt is empty"),
        ] {
            let error = Prompt::new("m", template).unwrap().request(value);
            let error = error.unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let names = |template: &str| Prompt::new("m", template).unwrap().names_columns();
        assert!(names("{text}") && !names("{{text}}") && !names(""));
        let system = Prompt::new("m", "a").unwrap().system("{kind}").unwrap();
        assert!(system.names_columns());
    }

    #[test]
    fn an_id_is_the_number_or_what_the_column_says() {
        let prompt = Prompt::new("m", "{text}").unwrap();
        assert_eq!(prompt.id(3, value).unwrap(), "row-3");
        let id = |column: &str| prompt.clone().id_column(column).id(3, value);
        assert_eq!(id("kind").unwrap(), "cup");
        assert_eq!(
            id("empty").unwrap_err(),
            "column \"empty\": an id is needed"
        );
        assert_eq!(id("none").unwrap_err(), "no none");
    }

    #[test]
    fn a_schema_has_a_name_that_the_api_takes() {
        let prompt = Prompt::new("m", "x").unwrap();
        for (schema, name) in [
            (json!({"title": "Good_-9"}), "Good_-9"),
            (json!({"title": "two words"}), "answer"),
            (json!({"title": "x".repeat(65)}), "answer"),
            (json!({"title": ""}), "answer"),
            (json!({"title": 7}), "answer"),
            (json!({}), "answer"),
        ] {
            let (_, body, _) = prompt.clone().schema(schema).request(value).unwrap();
            assert_eq!(body["response_format"]["json_schema"]["name"], name);
        }
    }

    #[test]
    fn a_schema_from_a_text_keeps_its_digits() {
        let schema = r#"{"minimum": 1.10, "maximum": 1e400, "x": "\"schema\""}"#;
        let prompt = Prompt::new("m", "{text}")
            .unwrap()
            .schema_text(schema)
            .unwrap();
        let (_, body, text) = prompt.max_completion_tokens(3).request(value).unwrap();
        let text = text.unwrap();
        assert!(
            text.contains(r#""schema":{"minimum":1.10,"maximum":1e400,"x":"\"schema\""}"#),
            "{text}"
        );
        assert_eq!(value_of(&text).unwrap(), body);
        let plain = Prompt::new("m", "x")
            .unwrap()
            .schema_text(r#"{ "minimum": 1.5 }"#)
            .unwrap();
        assert_eq!(plain.request(value).unwrap().2, None);
        for wrong in ["[]", "{", ""] {
            let error = Prompt::new("m", "")
                .unwrap()
                .schema_text(wrong)
                .unwrap_err();
            assert!(error.to_string().starts_with("schema: "), "{error}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_template_and_place() {
        let error = Prompt::new("m", "a\nb}").unwrap_err().to_string();
        assert!(
            error.starts_with("prompt: line 2, character 2: a }"),
            "{error}"
        );
        let prompt = Prompt::new("m", "").unwrap();
        let error = prompt.system("{").unwrap_err().to_string();
        assert!(
            error.starts_with("system prompt: line 1, character 1: a {"),
            "{error}"
        );
        let error = Prompt::new(" ", "").unwrap_err().to_string();
        assert!(error.contains("the name of a model"), "{error}");
    }
}
