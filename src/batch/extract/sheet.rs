//! A table as it is written: the input's columns, and those that are added.

use std::borrow::Cow;
use std::io::{self, Write};

use super::answer::Said;
use super::format::Format;
use super::{formula, plain};
use crate::batch::input::Cell;
use crate::batch::json::quoted;

/// A table that is written row by row.
pub(super) enum Sheet<'a> {
    Separated {
        writer: Box<csv::Writer<&'a mut dyn Write>>,
        /// The input's columns.
        own: Vec<String>,
        is_raw: bool,
        record: csv::ByteRecord,
    },
    Jsonl(&'a mut dyn Write),
}

impl<'a> Sheet<'a> {
    pub(super) fn new(
        writer: &'a mut dyn Write,
        format: Format,
        own: Vec<String>,
        is_raw: bool,
    ) -> Self {
        let delimiter = match format {
            Format::Jsonl | Format::Npy => return Self::Jsonl(writer),
            Format::Csv => b',',
            Format::Tsv => b'\t',
        };
        let writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .from_writer(writer);
        Self::Separated {
            writer: Box::new(writer),
            own,
            is_raw,
            record: csv::ByteRecord::new(),
        }
    }

    pub(super) fn begin(&mut self, added: &[String]) -> io::Result<()> {
        match self {
            Self::Separated { writer, own, .. } => {
                let names = own.iter().chain(added);
                writer.write_record(names).map_err(plain)
            }
            Self::Jsonl(_) => Ok(()),
        }
    }

    /// Writes a row: its own cells as they are, and those that are added.
    pub(super) fn put(
        &mut self,
        cells: &[(Cow<'_, str>, Cell<'_>)],
        names: &[String],
        added: &[Said],
    ) -> io::Result<()> {
        match self {
            Self::Separated {
                writer,
                own,
                is_raw,
                record,
            } => {
                record.clear();
                for (at, name) in own.iter().enumerate() {
                    // Nearly always the cells are those of the header, in its order.
                    let is_here =
                        |(column, _): &&(Cow<'_, str>, Cell<'_>)| *column == name.as_str();
                    let cell = cells.get(at).filter(is_here);
                    let cell = cell.or_else(|| cells.iter().find(is_here));
                    let text = cell.map_or(Cow::Borrowed(""), |(_, cell)| text_of(cell));
                    record.push_field(text.as_bytes());
                }
                for said in added {
                    let text = match is_raw {
                        true => Cow::Borrowed(said.plain()),
                        false => formula::marked(said.plain()),
                    };
                    record.push_field(text.as_bytes());
                }
                writer.write_byte_record(record).map_err(plain)
            }
            Self::Jsonl(writer) => {
                let mut line = String::from("{");
                let mut put = |name: &str, json: &str| {
                    if line.len() > 1 {
                        line.push(',');
                    }
                    line.push_str(&quoted(name));
                    line.push(':');
                    line.push_str(json);
                };
                for (name, cell) in cells {
                    match cell {
                        Cell::Text(text) => put(name, &quoted(text)),
                        Cell::Json(json) => put(name, &json.compact()),
                    }
                }
                for (name, said) in names.iter().zip(added) {
                    put(name, &said.json());
                }
                line.push_str("}\n");
                writer.write_all(line.as_bytes())
            }
        }
    }

    pub(super) fn end(self) -> io::Result<()> {
        match self {
            Self::Separated { mut writer, .. } => writer.flush(),
            Self::Jsonl(_) => Ok(()),
        }
    }
}

fn text_of<'a>(cell: &'a Cell<'_>) -> Cow<'a, str> {
    match cell {
        Cell::Text(text) => Cow::Borrowed(text),
        Cell::Json(json) if json.is_null() => "".into(),
        Cell::Json(json) => json.text().unwrap_or_else(|| json.compact().into()),
    }
}
