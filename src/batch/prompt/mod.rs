//! Requests made of rows: a prompt with places for a row's values.

mod ask; //           what a row asks, in the form of a chat request
mod edits; //         fields that are set by their paths
mod files; //         images and files that a table names
mod form; //          the form of other endpoints
mod json_template; // JSON with places for values
mod template; //      a text with places for values

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::json::{Json, value_of};
use crate::providers::{Provider, messages_body};
use crate::{Error, Result};
use ask::Ask;
use files::Folders;
use json_template::JsonTemplate;
use template::Template;

pub(super) use ask::Packing;
pub use edits::Edits;
pub use form::RequestForm;

/// Inputs that a request for embeddings has at most, as OpenAI has it.
const MOST_INPUTS: usize = 2_048;
/// Bytes that their texts have at most. A request may have 300,000 tokens.
const MOST_BYTES: usize = 300_000;

/// A prompt that makes a request of each row of a table, as the lines of an
/// [`Input::rows`](super::Input::rows).
///
/// In its templates `{column}` stands for the value that a row has in that column; `{{` and `}}` are
/// braces. Values are put in as they are, once: braces in them mean nothing.
///
/// | made by | each row is |
/// |---|---|
/// | [`Prompt::new`] | a prompt, with values in it |
/// | [`Prompt::messages_column`] | several turns: JSON in a column |
/// | [`Prompt::body`] | a body of the API's, with values in its strings |
/// | [`Prompt::embed_column`] | a text to embed, several rows in one request |
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
    model: Option<String>,
    system: Option<Template>,
    ask: Ask,
    images: Vec<String>,
    folders: Folders,
    fields: Map<String, Value>,
    edits: Edits,
    id_column: Option<String>,
    /// The schema in the text of a body, and what it is to be there.
    schema_text: Option<(String, String)>,
    /// Whose form the requests have.
    provider: Option<Provider>,
    form: Option<RequestForm>,
}

impl Prompt {
    /// A prompt for a model: `template` is what the user says.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the template has a brace too many, with its place, or the model has no
    /// name.
    pub fn new(model: impl Into<String>, template: &str) -> Result<Self> {
        Self::of(Some(model.into()), Ask::User(parse("prompt", template)?))
    }

    /// A prompt of several turns: `column` holds them as JSON, a list of messages as the API has them. A text
    /// that is no list is what the user says.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the model has no name.
    pub fn messages_column(model: impl Into<String>, column: impl Into<String>) -> Result<Self> {
        Self::of(Some(model.into()), Ask::Turns(column.into()))
    }

    /// A whole body: JSON as the API takes it, in whose strings `{column}` takes a row's value.
    /// It is sent as it stands, so [`system`](Self::system), [`schema`](Self::schema), [`set`](Self::set) and
    /// the form of a [`provider`](Self::provider) do not apply; [`edit`](Self::edit) does.
    ///
    /// ```
    /// use paceline::batch::Prompt;
    ///
    /// let body = r#"{"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Summarize: {text}"}]}"#;
    /// let prompt = Prompt::body(body)?;
    /// assert!(prompt.names_columns());
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is no JSON object, or a string has a brace too many.
    pub fn body(json: &str) -> Result<Self> {
        let wrong = |what: String| Error::config("body", format!("body: {what}"));
        let text = json.trim_start_matches('\u{feff}');
        match value_of(text) {
            Ok(Value::Object(_)) => {}
            Ok(_) => return Err(wrong("a JSON object is needed".to_owned())),
            Err(error) => return Err(wrong(error.to_string())),
        }
        let template = JsonTemplate::read(text);
        let template = template.ok_or_else(|| wrong("a JSON object is needed".to_owned()))?;
        Self::of(None, Ask::Body(template.map_err(wrong)?))
    }

    /// Texts in a column to embed. Rows are packed in their order into requests of up to 2,048 inputs and 300 kB of
    /// text, which is never more than the 300,000 tokens that an endpoint takes; vectors are asked for in base64.
    /// A request is called `rows-1-750` by its first and last row. An empty text, and one that a
    /// `text-embedding-` model has no room for, fails its row alone. [`ExtractRows`](super::ExtractRows) finds
    /// the vector of each row.
    ///
    /// ```
    /// use paceline::batch::Prompt;
    ///
    /// let prompt = Prompt::embed_column("text-embedding-3-small", "text")?.pack(1_000, 100_000);
    /// # let _ = prompt;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the model has no name.
    pub fn embed_column(model: impl Into<String>, column: impl Into<String>) -> Result<Self> {
        let model = model.into();
        let packing = Packing {
            model: model.clone(),
            column: column.into(),
            most_inputs: MOST_INPUTS,
            most_bytes: MOST_BYTES,
        };
        Self::of(Some(model), Ask::Embed(packing))
    }

    /// Sets how many rows and how many bytes of their texts a request for embeddings has at most, at least 1.
    /// Default: 2,048 and 300,000.
    pub fn pack(mut self, rows: usize, bytes: usize) -> Self {
        if let Ask::Embed(packing) = &mut self.ask {
            packing.most_inputs = rows.max(1);
            packing.most_bytes = bytes.max(1);
        }
        self
    }

    /// How rows are packed, where they are.
    pub(super) fn packing(&self) -> Option<&Packing> {
        match &self.ask {
            Ask::Embed(packing) => Some(packing),
            _ => None,
        }
    }

    /// The request for these texts.
    pub(super) fn embedding(
        &self,
        input: Value,
    ) -> Result<(String, Value, Option<String>), String> {
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.clone().into());
        body.insert("input".to_owned(), input);
        body.insert("encoding_format".to_owned(), "base64".into());
        body.extend(self.fields.clone());
        let path = RequestForm::Embeddings.path().to_owned();
        let body = Value::Object(body);
        if self.edits.is_empty() {
            return Ok((path, body, None));
        }
        let value = |column: &str| Err(format!("no column {column:?} for several rows at once"));
        let text = self.edits.apply(&body.to_string(), value)?;
        let body = value_of(&text).map_err(|error| error.to_string())?;
        Ok((path, body, Some(text)))
    }

    /// One that tells the ids of rows and asks nothing.
    pub(super) fn for_ids(id_column: Option<&str>) -> Self {
        let mut prompt = Self::asking(None, Ask::Nothing);
        prompt.id_column = id_column.map(str::to_owned);
        prompt
    }

    fn of(model: Option<String>, ask: Ask) -> Result<Self> {
        if model.as_ref().is_some_and(|model| model.trim().is_empty()) {
            let message = "the name of a model is needed for a prompt";
            return Err(Error::config("model", message));
        }
        Ok(Self::asking(model, ask))
    }

    fn asking(model: Option<String>, ask: Ask) -> Self {
        Self {
            model,
            system: None,
            ask,
            images: Vec::new(),
            folders: Folders::default(),
            fields: Map::new(),
            edits: Edits::new(),
            id_column: None,
            schema_text: None,
            provider: None,
            form: None,
        }
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

    /// Adds a column with an image for each row: an `https://` or `data:` address, or the path of a file in a
    /// [folder that is allowed](Self::files_in), PNG, JPEG, GIF, WebP or PDF. A cell may be empty. Default:
    /// none.
    pub fn image_column(mut self, column: impl Into<String>) -> Self {
        self.images.push(column.into());
        self
    }

    /// Allows files of a folder in [image columns](Self::image_column), those in folders within it too. Paths
    /// that are not absolute begin in the first such folder. What links and `..` lead to elsewhere is refused.
    /// Default: no files.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there is no such folder.
    pub fn files_in(mut self, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let allowed = self.folders.allow(folder);
        allowed.map_err(|error| Error::io(folder, error))?;
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
        let wrong = |what: String| Error::config("schema", format!("schema: {what}"));
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

    /// Sets the endpoint for which requests are written. Default: the provider's, or chat.
    pub fn form(mut self, form: RequestForm) -> Self {
        self.form = Some(form);
        self
    }

    /// Sets fields by their paths, after all else. Default: none.
    pub fn edit(mut self, edits: Edits) -> Self {
        self.edits = edits;
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
        let (url, body, text) = self.unedited(&value)?;
        if self.edits.is_empty() {
            return Ok((url, body, text));
        }
        let text = text.unwrap_or_else(|| body.to_string());
        let text = self.edits.apply(&text, value)?;
        let body = value_of(&text).map_err(|error| error.to_string())?;
        Ok((url, body, Some(text)))
    }

    fn unedited<'a>(
        &self,
        value: &impl Fn(&str) -> Result<Cow<'a, str>, String>,
    ) -> Result<(String, Value, Option<String>), String> {
        if let Ask::Body(template) = &self.ask {
            let text = template.render(value)?;
            let body = value_of(&text).map_err(|error| error.to_string())?;
            let form = self.form.unwrap_or(RequestForm::Chat);
            return Ok((form.path().to_owned(), body, Some(text)));
        }
        let messages = self.ask.messages(self.system.as_ref(), value)?;
        let messages = self.with_images(messages, value)?;
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.clone().into());
        if self.form == Some(RequestForm::Embeddings) {
            let text = messages.last().and_then(|message| message.get("content"));
            body.insert("input".to_owned(), text.cloned().unwrap_or_default());
        } else {
            body.insert("messages".to_owned(), json!(messages));
        }
        let more = self.fields.iter();
        let more = more.filter(|(field, _)| !matches!(field.as_str(), "model" | "messages"));
        body.extend(more.map(|(field, value)| (field.clone(), value.clone())));
        let takes_messages = self.provider.as_ref().is_some_and(Provider::takes_messages);
        let usual = match takes_messages {
            true => RequestForm::Messages,
            false => RequestForm::Chat,
        };
        let form = self.form.unwrap_or(usual);
        let body = match (form, &self.provider) {
            (RequestForm::Messages, _) => {
                form::with_blocks(&mut body);
                messages_body(body)
            }
            (RequestForm::Responses, _) => form::responses(body),
            (RequestForm::Chat, Some(provider)) if !takes_messages => provider.chat_body(body),
            (RequestForm::Chat | RequestForm::Embeddings, _) => body,
        };
        let body = Value::Object(body);
        let text = self.schema_text.as_ref().map(|(rounded, exact)| {
            // In a text it would have its quotes escaped.
            body.to_string().replacen(rounded, exact, 1)
        });
        Ok((form.path().to_owned(), body, text))
    }

    /// With the images of a row in what the user says last.
    fn with_images<'a>(
        &self,
        mut messages: Vec<Value>,
        value: &impl Fn(&str) -> Result<Cow<'a, str>, String>,
    ) -> Result<Vec<Value>, String> {
        let mut parts = Vec::new();
        for column in &self.images {
            let part = self.folders.part(&value(column)?);
            parts.extend(part.map_err(|what| format!("column {column:?}: {what}"))?);
        }
        if parts.is_empty() {
            return match self.ask.is_empty(&messages) {
                true => Err(self.ask.emptiness()),
                false => Ok(messages),
            };
        }
        let is_user = |message: &&mut Value| message.get("role") == Some(&json!("user"));
        let last = messages.iter_mut().rev().find(is_user);
        let last = last.ok_or("there is no message of the user's to put an image into")?;
        let content = last.get("content").cloned().unwrap_or_default();
        let content = match content {
            Value::Array(before) => before.into_iter().chain(parts).collect(),
            Value::String(text) if text.trim().is_empty() => parts,
            Value::Null => parts,
            text => std::iter::once(json!({"type": "text", "text": text}))
                .chain(parts)
                .collect(),
        };
        last["content"] = Value::Array(content);
        Ok(messages)
    }

    /// True when ids are the numbers of rows.
    pub(super) fn has_ids_by_position(&self) -> bool {
        self.id_column.is_none()
    }

    /// Whether it puts in a value of the row: if not, every row makes the same request.
    #[must_use]
    pub fn names_columns(&self) -> bool {
        let system = self.system.iter().flat_map(Template::columns);
        let own = self.ask.columns().map(|(_, column)| column).chain(system);
        let edited = self.edits.columns();
        let images = self.images.iter().map(String::as_str);
        own.chain(edited).chain(images).next().is_some()
    }

    /// The model that is asked. `None` when it depends on the row.
    pub(super) fn model(&self) -> Option<String> {
        let stated = self.edits.stated_model().or_else(|| self.model.clone());
        stated.or_else(|| match &self.ask {
            Ask::Body(template) => {
                let text = template
                    .render(|column| Ok(format!("{{{column}}}").into()))
                    .ok()?;
                let model = Json::read(&text)?.field("model")?.text()?.into_owned();
                (!model.contains('{')).then_some(model)
            }
            Ask::User(_) | Ask::Turns(_) | Ask::Embed(_) | Ask::Nothing => None,
        })
    }

    /// The columns that it needs, each with what needs it.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let system = self.system.iter().flat_map(Template::columns);
        let system = system.map(|column| ("the system prompt", column));
        let images = self
            .images
            .iter()
            .map(|column| ("an image", column.as_str()));
        let edited = self.edits.columns().map(|column| ("a field", column));
        let id = self
            .id_column
            .iter()
            .map(|column| ("the id", column.as_str()));
        self.ask
            .columns()
            .chain(system)
            .chain(images)
            .chain(edited)
            .chain(id)
    }
}

fn parse(what: &str, template: &str) -> Result<Template> {
    Template::parse(template).map_err(|fault| Error::config(what, format!("{what}: {fault}")))
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
