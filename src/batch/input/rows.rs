//! Rows of a table, each of which a prompt makes a request of.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};

use super::kind::document;
use super::lines::Lines;
use super::nearest::nearest;
use super::packs::{BadRow, Next, Packer};
use super::records::{Asked, Draft, object};
use super::separator::TAB;
use super::shard::Shard;
use super::table::{Fault, OTHER_ENCODING, Table};
use crate::batch::fingerprint::has_fraction;
use crate::batch::json::Json;
use crate::batch::prompt::Prompt;
use crate::{Error, Result};

/// Most columns that a message lists.
const MOST_LISTED: usize = 30;

/// What rows are written in.
///
/// ```no_run
/// use paceline::batch::{Input, Prompt, RowFormat};
///
/// let prompt = Prompt::new("gpt-4o-mini", "Translate into French: {line}")?;
/// let input = Input::rows_in("sentences.txt", RowFormat::Lines, prompt)?;
/// # let _ = input;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowFormat {
    /// CSV as in RFC 4180, with a header that names the columns. They are parted by commas, or by
    /// semicolons, tabs or `|` where those stand in the header.
    Csv,
    /// The same, parted by tabs, whatever stands in the header.
    Tsv,
    /// One JSON object a line, whose fields are its columns. What is no string is put in as JSON.
    Jsonl,
    /// Plain text, of which each line that is not blank is a row. Its one column is `line`.
    Lines,
}

/// The column of a row that is a line of text.
const LINE: &str = "line";

impl RowFormat {
    /// What the name of a file says: CSV if it ends in `.csv`, TSV if it ends in `.tsv` or `.tab`,
    /// also with `.gz` or `.zst` behind it; otherwise JSONL.
    #[must_use]
    pub fn of(path: impl AsRef<Path>) -> Self {
        let name = super::without_packing(path.as_ref());
        let extension = name.extension().unwrap_or_default();
        match extension.to_ascii_lowercase().to_str() {
            Some("csv") => Self::Csv,
            Some("tsv" | "tab") => Self::Tsv,
            _ => Self::Jsonl,
        }
    }

    /// Whether it has a header, and rows that can go over several lines.
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv)
    }
}

/// A value of a row.
pub(in crate::batch) enum Cell<'a> {
    Text(Cow<'a, str>),
    /// As it stands in its line.
    Json(Json<'a>),
}

/// The rows of an input.
pub(super) struct Rows {
    name: String,
    prompt: Prompt,
    shard: Option<Shard>,
    source: Source,
    /// Rows so far, which are their numbers.
    number: u64,
    /// Where rows are packed: what packs them, and what came of them.
    packer: Option<(Packer, Option<Next>)>,
}

enum Source {
    Table(Option<Table>),
    Jsonl(Lines),
    Lines(Lines),
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
            RowFormat::Lines => {
                check(name, None, &[LINE.to_owned()], &prompt)?;
                Source::Lines(Lines::new(reader))
            }
            RowFormat::Csv | RowFormat::Tsv => {
                let needed: Vec<&str> = prompt.columns().map(|(_, column)| column).collect();
                let stated = (format == RowFormat::Tsv).then_some(TAB);
                let table = Table::open(reader, stated, &needed);
                let table = table.map_err(|fault| error(name, fault))?;
                if let Some(table) = &table {
                    check(name, Some(table.line()), table.columns(), &prompt)?;
                }
                Source::Table(table)
            }
        };
        let packer = prompt.packing().map(|it| (Packer::new(it.clone()), None));
        Ok(Self {
            name: name.to_owned(),
            prompt,
            shard,
            source,
            number: 0,
            packer,
        })
    }

    /// Goes to the next row of the shard, or to the next pack of rows. False at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        let Some((mut packer, _)) = self.packer.take() else {
            return self.advance_row(true);
        };
        let next = self.pack(&mut packer);
        let next =
            next.inspect_err(|_| self.packer = Some((Packer::new(packer.packing()), None)))?;
        let is_there = next.is_some();
        self.packer = Some((packer, next));
        Ok(is_there)
    }

    /// Reads rows until a pack is full, or a row cannot be sent.
    fn pack(&mut self, packer: &mut Packer) -> Result<Option<Next>> {
        loop {
            while let Some(next) = packer.next() {
                let is_ours = self.shard.is_none_or(|shard| match &next {
                    Next::Pack(pack) => shard.has(&pack.id()),
                    Next::Bad(row) => match &row.id {
                        Ok(id) => shard.has(id),
                        Err(_) => shard.has_line(row.line),
                    },
                });
                if is_ours {
                    return Ok(Some(next));
                }
            }
            if !self.advance_row(false)? {
                packer.end();
                match packer.has_any() {
                    true => continue,
                    false => return Ok(None),
                }
            }
            let column = packer.column().to_owned();
            let text = self
                .row()
                .and_then(|row| row.value(&column).map(Cow::into_owned));
            let fault = match &text {
                Ok(text) => packer.fault(text),
                Err(fault) => Some(fault.clone()),
            };
            match (text, fault) {
                (Ok(text), None) => packer.put(self.number, self.line_of_row(), text),
                (_, fault) => packer.refuse(BadRow {
                    line: self.line_of_row(),
                    id: self.row_id(),
                    message: fault.unwrap_or_default(),
                }),
            }
        }
    }

    /// Goes to the next row, of the shard or of all.
    fn advance_row(&mut self, of_shard: bool) -> Result<bool> {
        loop {
            let is_there = match &mut self.source {
                Source::Table(None) => false,
                Source::Table(Some(table)) => {
                    table.advance().map_err(|fault| error(&self.name, fault))?
                }
                Source::Jsonl(lines) | Source::Lines(lines) => {
                    let advanced = lines.advance();
                    advanced.map_err(|error| Error::io(&self.name, error))?
                }
            };
            if !is_there {
                return Ok(false);
            }
            if let (0, Source::Jsonl(lines)) = (self.number, &self.source) {
                let first = document(lines.text().unwrap_or_default());
                first.map_err(|foreign| foreign.error(&self.name))?;
            }
            self.number += 1;
            let shard = self.shard.filter(|_| of_shard);
            let is_ours = shard.is_none_or(|shard| {
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

    /// The line in which the row begins, or the first one of a pack.
    pub(super) fn line(&self) -> u64 {
        match &self.packer {
            Some((_, Some(Next::Pack(pack)))) => pack.line,
            Some((_, Some(Next::Bad(row)))) => row.line,
            _ => self.line_of_row(),
        }
    }

    fn line_of_row(&self) -> u64 {
        match &self.source {
            Source::Table(table) => table.as_ref().map_or(0, Table::line),
            Source::Jsonl(lines) | Source::Lines(lines) => lines.number(),
        }
    }

    /// The line of a JSONL file.
    pub(super) fn json(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Jsonl(lines) => lines.text().ok(),
            Source::Table(_) | Source::Lines(_) => None,
        }
    }

    /// The request that the row makes.
    pub(super) fn draft(&self) -> Result<Draft, String> {
        let asked = |(url, body, text)| Asked { url, body, text };
        match &self.packer {
            Some((_, Some(Next::Pack(pack)))) => {
                return Ok(Draft {
                    id: pack.id(),
                    request: self.prompt.embedding(pack.input()).map(asked),
                });
            }
            Some((_, Some(Next::Bad(row)))) => {
                return Ok(Draft {
                    id: row.id.clone()?,
                    request: Err(row.message.clone()),
                });
            }
            Some((_, None)) => return Err("no row".to_owned()),
            None => {}
        }
        let row = self.row()?;
        Ok(Draft {
            id: self.id(&row)?,
            request: self.prompt.request(|column| row.value(column)).map(asked),
        })
    }

    /// The id of the row, or why it has none.
    pub(super) fn row_id(&self) -> Result<String, String> {
        self.row().and_then(|row| self.id(&row))
    }

    /// What the row has in a column.
    pub(super) fn value(&self, column: &str) -> Result<String, String> {
        self.row()
            .and_then(|row| row.value(column).map(Cow::into_owned))
    }

    /// The columns of a table, which stand in its header.
    pub(super) fn header(&self) -> Option<&[String]> {
        match &self.source {
            Source::Table(table) => Some(table.as_ref().map_or(&[], Table::columns)),
            Source::Jsonl(_) | Source::Lines(_) => None,
        }
    }

    /// The values of the row by their columns, also of one that makes no request.
    pub(super) fn cells(&self) -> Vec<(Cow<'_, str>, Cell<'_>)> {
        match &self.source {
            Source::Table(None) => Vec::new(),
            Source::Table(Some(table)) => {
                let columns = table.columns().iter().map(|name| Cow::from(name.as_str()));
                let cells = table
                    .row_or_less()
                    .into_iter()
                    .map(|it| Cell::Text(it.into()));
                columns.zip(cells).collect()
            }
            Source::Jsonl(lines) => {
                let text = lines.text().ok().and_then(|text| str::from_utf8(text).ok());
                let fields = text.and_then(Json::read).and_then(Json::fields);
                let fields = fields.unwrap_or_default().into_iter();
                fields
                    .map(|(name, value)| (name, Cell::Json(value)))
                    .collect()
            }
            Source::Lines(lines) => {
                let text = String::from_utf8_lossy(lines.text().unwrap_or_default());
                let text = text.trim_end_matches(['\r', '\n']).to_owned();
                vec![(LINE.into(), Cell::Text(text.into()))]
            }
        }
    }

    fn id(&self, row: &Row<'_>) -> Result<String, String> {
        self.prompt.id(self.number, |column| row.value(column))
    }

    fn row(&self) -> Result<Row<'_>, String> {
        Ok(match &self.source {
            Source::Table(None) => return Err("no row".to_owned()),
            Source::Table(Some(table)) => Row::Table {
                columns: table.columns(),
                fields: table.row()?,
            },
            Source::Jsonl(lines) => {
                let text = lines.text()?;
                Row::Object(object(text)?, str::from_utf8(text).unwrap_or_default())
            }
            Source::Lines(lines) => {
                let text = str::from_utf8(lines.text()?);
                let text = text.map_err(|_| format!("invalid UTF-8; {OTHER_ENCODING}"))?;
                Row::Line(text.trim_end_matches(['\r', '\n']))
            }
        })
    }
}

/// The values of a row.
enum Row<'a> {
    Table {
        columns: &'a [String],
        fields: Vec<String>,
    },
    /// With the text that it is.
    Object(Map<String, Value>, &'a str),
    Line(&'a str),
}

impl Row<'_> {
    fn value(&self, column: &str) -> Result<Cow<'_, str>, String> {
        let value = match self {
            Self::Table { columns, fields } => {
                let at = columns.iter().position(|name| name == column);
                at.and_then(|at| fields.get(at)).map(Cow::from)
            }
            Self::Object(fields, line) => fields.get(column).map(|value| match value {
                Value::String(text) => Cow::from(text),
                // With the digits that stand there.
                other if has_fraction(other) => {
                    let value = Json::read(line).and_then(|line| line.field(column));
                    Cow::from(value.map_or_else(|| other.to_string(), Json::compact))
                }
                other => Cow::from(other.to_string()),
            }),
            Self::Line(text) => (column == LINE).then_some(Cow::from(*text)),
        };
        value.ok_or_else(|| {
            let columns: Vec<&str> = match self {
                Self::Table { columns, .. } => columns.iter().map(String::as_str).collect(),
                Self::Object(fields, _) => fields.keys().map(String::as_str).collect(),
                Self::Line(_) => vec![LINE],
            };
            format!("no column {column:?}; {}", there_are(column, &columns))
        })
    }
}

/// Says which column the prompt needs and the table has not, or has twice. The columns stand in
/// `line`, if they stand anywhere.
fn check(name: &str, line: Option<u64>, columns: &[String], prompt: &Prompt) -> Result<()> {
    for (what, needed) in prompt.columns() {
        let found = columns.iter().filter(|column| *column == needed).count();
        if found == 1 {
            continue;
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let has_numbers = columns.iter().any(|column| column.parse::<f64>().is_ok());
        let message = match found {
            0 => format!(
                "no column {needed:?}, which {what} names; {}{}",
                there_are(needed, &columns),
                match has_numbers {
                    true => "; is a header missing above this row?",
                    false => "",
                }
            ),
            _ => format!(
                "{found} columns are called {needed:?}, which {what} names; rename all but one"
            ),
        };
        let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
        return Err(Error::Input {
            message: format!("{place}: {message}"),
            looks_like: None,
        });
    }
    Ok(())
}

/// The columns, and the one that is nearest to what was asked for.
fn there_are(needed: &str, columns: &[&str]) -> String {
    let near = nearest(needed, columns.iter().copied());
    let near = near.map_or_else(String::new, |near| format!("; is {near:?} meant?"));
    format!("there are {}{near}", listed(columns))
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
        Fault::Table { line, message } => Error::Input {
            message: format!("{name}:{line}: {message}"),
            looks_like: None,
        },
    }
}
