//! What an input holds, one by one, before it is known whether an id is new.

use std::borrow::Cow;
use std::io::BufRead;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::kind::document;
use super::lines::Lines;
use super::plain::Plain;
use super::rows::{Cell, RowFormat, Rows};
use super::shard::Shard;
use crate::batch::fingerprint::Fingerprint;
use crate::batch::json::{Json, value_of};
use crate::batch::prompt::{Edits, Prompt};
use crate::tokens::Endpoint;
use crate::{Error, Result};

/// A request before it is known whether there was one of its name before.
pub(in crate::batch) struct Draft {
    pub(in crate::batch) id: String,
    /// The request, or what is wrong with it.
    pub(in crate::batch) request: Result<Asked, String>,
}

/// What is asked of the server.
pub(in crate::batch) struct Asked {
    pub(in crate::batch) url: String,
    pub(in crate::batch) body: Value,
    /// The body as it stands in the input, which is sent: with all of its digits. `None` where it was made
    /// here, and is sent as the value has it.
    pub(in crate::batch) text: Option<String>,
}

impl Asked {
    pub(in crate::batch) fn fingerprint(&self) -> Fingerprint {
        let text = self.body.to_string();
        Fingerprint::of_exact(&self.url, &self.body, &text, self.text.as_deref())
    }
}

/// What makes requests of an input.
#[derive(Debug, Clone)]
pub(super) enum Making {
    /// Its lines are requests, in which these fields are set.
    Lines(Edits),
    /// A prompt makes them of rows.
    Rows(RowFormat, Box<Prompt>),
}

/// What an input holds, one by one.
pub(in crate::batch) struct Records {
    name: String,
    kind: Kind,
    shard: Option<Shard>,
    /// Nothing but blank lines so far.
    blank: bool,
}

enum Kind {
    Lines(Lines, Edits),
    Rows(Box<Rows>),
}

impl Records {
    pub(super) fn open(
        name: &str,
        reader: Box<dyn BufRead + Send>,
        making: Making,
        shard: Option<Shard>,
    ) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            kind: match making {
                Making::Lines(edits) => Kind::Lines(Lines::new(reader), edits),
                Making::Rows(format, prompt) => {
                    Kind::Rows(Box::new(Rows::open(name, reader, format, *prompt, shard)?))
                }
            },
            shard,
            blank: true,
        })
    }

    /// Goes to the next one of the shard. False at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the input cannot be read on, [`Error::Batch`] when it ends and held
    /// nothing.
    pub(in crate::batch) fn advance(&mut self) -> Result<bool> {
        let is_there = match &mut self.kind {
            Kind::Rows(rows) => {
                let is_there = rows.advance()?;
                self.blank = rows.number() == 0;
                is_there
            }
            Kind::Lines(lines, _) => loop {
                let advanced = lines.advance();
                if !advanced.map_err(|error| Error::io(&self.name, error))? {
                    break false;
                }
                if self.blank {
                    let first = document(lines.text().unwrap_or_default());
                    first.map_err(|foreign| foreign.error(&self.name))?;
                }
                self.blank = false;
                if self.shard.is_none_or(|shard| is_of(shard, lines)) {
                    break true;
                }
            },
        };
        match self.blank {
            true => Err(Error::Input {
                message: format!("{}: no requests in it", self.name),
                looks_like: None,
            }),
            false => Ok(is_there),
        }
    }

    pub(in crate::batch) fn line(&self) -> u64 {
        match &self.kind {
            Kind::Lines(lines, _) => lines.number(),
            Kind::Rows(rows) => rows.line(),
        }
    }

    /// The bytes of a line. Those of a row are not known.
    pub(super) fn size(&self) -> usize {
        match &self.kind {
            Kind::Lines(lines, _) => lines.text().map_or(0, <[u8]>::len),
            Kind::Rows(_) => usize::MAX,
        }
    }

    /// What messages call the input.
    pub(in crate::batch) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is one part of several.
    pub(super) fn is_part(&self) -> bool {
        self.shard.is_some()
    }

    /// Whether a prompt makes its requests.
    pub(super) fn has_prompt(&self) -> bool {
        matches!(self.kind, Kind::Rows(_))
    }

    /// The line, where JSON is read.
    pub(super) fn json(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Lines(lines, _) => lines.text().ok(),
            Kind::Rows(rows) => rows.json(),
        }
    }

    /// What names the line and its request, where that is seen without reading it in full.
    pub(in crate::batch) fn plain<'a>(&'a self, buffer: &mut Vec<u8>) -> Option<Plain<'a>> {
        match &self.kind {
            Kind::Lines(lines, edits) if edits.is_empty() => {
                Plain::read(lines.text().ok()?, buffer)
            }
            Kind::Lines(..) | Kind::Rows(_) => None,
        }
    }

    /// The id of the line or row, or why it has none.
    pub(in crate::batch) fn id(&self) -> Result<String, String> {
        match &self.kind {
            Kind::Rows(rows) => rows.row_id(),
            Kind::Lines(lines, _) => match serde_json::from_slice::<Id>(lines.text()?) {
                Ok(id) => Ok(id.custom_id),
                Err(error) => Err(said(&error, 0)),
            },
        }
    }

    /// The number of the row, from 1.
    pub(in crate::batch) fn number(&self) -> u64 {
        match &self.kind {
            Kind::Rows(rows) => rows.number(),
            Kind::Lines(lines, _) => lines.number(),
        }
    }

    /// What a row has in a column.
    pub(in crate::batch) fn value(&self, column: &str) -> Result<String, String> {
        match &self.kind {
            Kind::Rows(rows) => rows.value(column),
            Kind::Lines(..) => Err(format!("no column {column:?}")),
        }
    }

    /// The columns of a table that has a header.
    pub(in crate::batch) fn header(&self) -> Option<&[String]> {
        match &self.kind {
            Kind::Rows(rows) => rows.header(),
            Kind::Lines(..) => Some(&[]),
        }
    }

    /// The values of a row by their columns; of a line of requests none.
    pub(in crate::batch) fn cells(&self) -> Vec<(Cow<'_, str>, Cell<'_>)> {
        match &self.kind {
            Kind::Rows(rows) => rows.cells(),
            Kind::Lines(..) => Vec::new(),
        }
    }

    pub(in crate::batch) fn draft(&self) -> Result<Draft, String> {
        match &self.kind {
            Kind::Rows(rows) => rows.draft(),
            Kind::Lines(lines, edits) => {
                let text = lines.text()?;
                let mut fields = Fields::read(text)?;
                match fields.custom_id.take() {
                    Some(Value::String(id)) => Ok(Draft {
                        request: check(fields, text, |body| edited(edits, body, &id)),
                        id,
                    }),
                    _ => Err("custom_id: a string is needed".to_owned()),
                }
            }
        }
    }
}

/// All that is read of a line to tell whose it is.
#[derive(Deserialize)]
struct Id {
    custom_id: String,
}

fn is_of(shard: Shard, lines: &Lines) -> bool {
    let text = lines.text().unwrap_or_default();
    match serde_json::from_slice::<Id>(text) {
        Ok(id) => shard.has(&id.custom_id),
        Err(_) => shard.has_line(lines.number()),
    }
}

/// What is read of a line. The names of its fields are not kept, nor what else it holds.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(deserialize_with = "stated")]
    custom_id: Option<Value>,
    #[serde(deserialize_with = "stated")]
    method: Option<Value>,
    #[serde(deserialize_with = "stated")]
    url: Option<Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Null is something too, and wrong.
fn stated<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(field).map(Some)
}

impl<'a> Fields<'a> {
    fn read(text: &'a [u8]) -> Result<Self, String> {
        // An array would be taken for one field after the other.
        let is_object = text.trim_ascii_start().starts_with(b"{");
        match serde_json::from_slice(text) {
            Ok(fields) if is_object => Ok(fields),
            // Something stands there twice, of which the last counts; or this says what is wrong.
            _ => object(text).map(|mut fields| Self {
                custom_id: fields.remove("custom_id"),
                method: fields.remove("method"),
                url: fields.remove("url"),
                body: last_body(text),
            }),
        }
    }
}

/// The body of a line in which something stands twice: the last counts.
fn last_body(text: &[u8]) -> Option<&RawValue> {
    let line = Json::read(std::str::from_utf8(text).ok()?)?;
    serde_json::from_str(line.field("body")?.as_str()).ok()
}

/// The JSON object of a line. A number that is too large is a large one in it.
pub(super) fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    let value = match std::str::from_utf8(text) {
        Ok(text) => value_of(text),
        Err(_) => serde_json::from_slice(text), // says where it is no text
    };
    match value {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("a JSON object is needed".to_owned()),
        Err(error) => Err(said(&error, 0)),
    }
}

/// What is wrong, of JSON that begins at a column of its line.
fn said(error: &serde_json::Error, column: usize) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("column {}: {what}", column + error.column())
}

/// The body of a request with the fields that are set.
fn edited<'a>(edits: &Edits, body: &'a str, id: &str) -> Result<Cow<'a, str>, String> {
    if edits.is_empty() {
        return Ok(body.into());
    }
    let value = |column: &str| match column {
        "custom_id" => Ok(Cow::from(id)),
        column => Err(format!("no column {column:?}; there is \"custom_id\"")),
    };
    edits.apply(body, value).map(Cow::from)
}

/// What a line asks for, if it makes a request.
fn check<'a>(
    fields: Fields<'a>,
    line: &[u8],
    edited: impl FnOnce(&'a str) -> Result<Cow<'a, str>, String>,
) -> Result<Asked, String> {
    match fields.method {
        None => {}
        Some(Value::String(method)) if method == "POST" => {}
        Some(other) => return Err(format!("method: \"POST\" is needed, not {other}")),
    }
    let url = match fields.url {
        Some(Value::String(url)) if is_path(&url) => url,
        Some(Value::String(url)) => {
            return Err(format!(
                "url: {url:?} is no path such as \"/v1/chat/completions\""
            ));
        }
        _ => return Err("url: an endpoint such as \"/v1/chat/completions\" is needed".to_owned()),
    };
    let text = fields.body.map_or("null", RawValue::get);
    // Where it begins in the line, of which it is a piece.
    let column = (text.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
    let read = |text: &str| match value_of(text) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err("body: an object is needed".to_owned()),
        Err(error) => Err(said(&error, column)),
    };
    let mut body = read(text)?;
    let text = edited(text).map_err(|what| format!("body.{what}"))?;
    if let Cow::Owned(text) = &text {
        body = read(text)?;
    }
    match body.get("model") {
        // Some endpoints need none, and some servers know which one they have.
        None => {}
        Some(Value::String(model)) if !model.trim().is_empty() => {}
        _ => return Err("body.model: the name of a model is needed".to_owned()),
    }
    if body.get("stream") == Some(&Value::Bool(true)) {
        return Err("body.stream: a result is one line; leave it out".to_owned());
    }
    Ok(Asked {
        url,
        body: Value::Object(body),
        text: Some(text.into_owned()),
    })
}

fn is_path(url: &str) -> bool {
    let name = url.strip_prefix('/').unwrap_or_default();
    !name.is_empty() && !name.starts_with('/') && !url.contains(['?', '#', ' '])
}

/// Whether it is known what a request for this path holds.
pub(super) fn is_known(url: &str) -> bool {
    Endpoint::from_path(url) != Endpoint::Other || url.starts_with("/v1/images/")
}
