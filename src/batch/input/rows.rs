//! Rows of a table, each of which a prompt makes a request of.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};

use super::lines::Lines;
use super::records::{Draft, object};
use super::shard::Shard;
use super::table::{Fault, Table};
use crate::batch::prompt::Prompt;
use crate::{Error, Result};

/// Most columns that a message lists.
const MOST_LISTED: usize = 30;

/// What rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowFormat {
    /// CSV as in RFC 4180, with a header that names the columns.
    Csv,
    /// One JSON object a line, whose fields are its columns. What is no string is put in as JSON.
    Jsonl,
}

impl RowFormat {
    /// What the name of a file says: CSV if it ends in `.csv`, or in that and `.gz` or `.zst`,
    /// otherwise JSONL.
    #[must_use]
    pub fn of(path: impl AsRef<Path>) -> Self {
        let name = super::without_packing(path.as_ref());
        let extension = name.extension();
        match extension.is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
            true => Self::Csv,
            false => Self::Jsonl,
        }
    }
}

/// The rows of an input.
pub(super) struct Rows {
    name: String,
    prompt: Prompt,
    shard: Option<Shard>,
    source: Source,
    /// Rows so far, which are their numbers.
    number: u64,
}

enum Source {
    Csv(Option<Table>),
    Jsonl(Lines),
}

impl Rows {
    /// Reads the header of a CSV file, and checks that the prompt's columns are in it.
    pub(super) fn open(
        name: &str,
        reader: Box<dyn BufRead + Send>,
        format: RowFormat,
        prompt: Prompt,
        shard: Option<Shard>,
    ) -> Result<Self> {
        let source = match format {
            RowFormat::Jsonl => Source::Jsonl(Lines::new(reader)),
            RowFormat::Csv => {
                let table = Table::open(reader).map_err(|fault| error(name, fault))?;
                if let Some(table) = &table {
                    check(name, table.columns(), &prompt)?;
                }
                Source::Csv(table)
            }
        };
        Ok(Self {
            name: name.to_owned(),
            prompt,
            shard,
            source,
            number: 0,
        })
    }

    /// Goes to the next row of the shard. False at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        loop {
            let is_there = match &mut self.source {
                Source::Csv(None) => false,
                Source::Csv(Some(table)) => {
                    table.advance().map_err(|fault| error(&self.name, fault))?
                }
                Source::Jsonl(lines) => {
                    let advanced = lines.advance();
                    advanced.map_err(|error| Error::io(&self.name, error))?
                }
            };
            if !is_there {
                return Ok(false);
            }
            self.number += 1;
            let is_ours = self.shard.is_none_or(|shard| {
                let id = self.row().and_then(|row| self.id(&row));
                id.map_or_else(|_| shard.has_line(self.number), |id| shard.has(&id))
            });
            if is_ours {
                return Ok(true);
            }
        }
    }

    /// How many rows there are, of all shards, up to here.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The line in which the row begins.
    pub(super) fn line(&self) -> u64 {
        match &self.source {
            Source::Csv(table) => table.as_ref().map_or(0, Table::line),
            Source::Jsonl(lines) => lines.number(),
        }
    }

    /// The request that the row makes.
    pub(super) fn draft(&self) -> Result<Draft, String> {
        let row = self.row()?;
        Ok(Draft {
            id: self.id(&row)?,
            request: self.prompt.request(|column| row.value(column)),
        })
    }

    fn id(&self, row: &Row<'_>) -> Result<String, String> {
        self.prompt.id(self.number, |column| row.value(column))
    }

    fn row(&self) -> Result<Row<'_>, String> {
        Ok(match &self.source {
            Source::Csv(None) => return Err("no row".to_owned()),
            Source::Csv(Some(table)) => Row::Csv {
                columns: table.columns(),
                fields: table.row()?,
            },
            Source::Jsonl(lines) => Row::Object(object(lines.text()?)?),
        })
    }
}

/// The values of a row.
enum Row<'a> {
    Csv {
        columns: &'a [String],
        fields: Vec<String>,
    },
    Object(Map<String, Value>),
}

impl Row<'_> {
    fn value(&self, column: &str) -> Result<Cow<'_, str>, String> {
        let value = match self {
            Self::Csv { columns, fields } => {
                let at = columns.iter().position(|name| name == column);
                at.and_then(|at| fields.get(at)).map(Cow::from)
            }
            Self::Object(fields) => fields.get(column).map(|value| match value {
                Value::String(text) => Cow::from(text),
                other => Cow::from(other.to_string()),
            }),
        };
        value.ok_or_else(|| {
            let columns: Vec<&str> = match self {
                Self::Csv { columns, .. } => columns.iter().map(String::as_str).collect(),
                Self::Object(fields) => fields.keys().map(String::as_str).collect(),
            };
            format!("no column {column:?}; there are {}", listed(&columns))
        })
    }
}

/// Says which column the prompt needs and the table has not, or has twice.
fn check(name: &str, columns: &[String], prompt: &Prompt) -> Result<()> {
    for (what, needed) in prompt.columns() {
        let found = columns.iter().filter(|column| *column == needed).count();
        if found == 1 {
            continue;
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let message = match found {
            0 => format!(
                "no column {needed:?}, which {what} names; there are {}",
                listed(&columns)
            ),
            _ => format!("{found} columns are called {needed:?}, which {what} names"),
        };
        return Err(Error::Batch(format!("{name}: {message}")));
    }
    Ok(())
}

fn listed(columns: &[&str]) -> String {
    let named = columns.iter().take(MOST_LISTED);
    let named: Vec<_> = named.map(|column| format!("{column:?}")).collect();
    let more = columns.len().saturating_sub(MOST_LISTED);
    match (columns.len(), more) {
        (0, _) => "none".to_owned(),
        (_, 0) => named.join(", "),
        (_, more) => format!("{} and {more} more", named.join(", ")),
    }
}

fn error(name: &str, fault: Fault) -> Error {
    match fault {
        Fault::Io(error) => Error::io(name, error),
        Fault::Table { line, message } => Error::Batch(format!("{name}:{line}: {message}")),
    }
}
