//! Rows of a CSV file, as RFC 4180 has them: a header, quoted fields, line ends in fields.

use std::io::{self, BufRead, Read};
use std::mem;

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::lines::MAX_LINE;

/// A record that has grown above this is given back.
const KEEP: usize = 1024 * 1024;

/// A CSV file: its columns, and its rows one at a time.
pub(super) struct Table {
    reader: Reader<Tap>,
    columns: Vec<String>,
    record: ByteRecord,
    line: u64,
}

impl Table {
    /// Reads the header. `None` when there is none, because the file is empty.
    pub(super) fn open(reader: Box<dyn BufRead + Send>) -> Result<Option<Self>, Fault> {
        let tap = Tap {
            reader: without_mark(reader).map_err(Fault::Io)?,
            filter: Filter::default(),
            room: MAX_LINE,
            ended: false,
        };
        let mut table = Self {
            // A row that is too long or too short is one row's mistake, and told by us.
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(tap),
            columns: Vec::new(),
            record: ByteRecord::new(),
            line: 1,
        };
        if !table.advance()? {
            return Ok(None);
        }
        table.columns = table.fields().map_err(|message| Fault::Table {
            line: table.line,
            message,
        })?;
        Ok(Some(table))
    }

    /// The names in the header.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Goes to the next row. False at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Fault> {
        if self.record.as_slice().len() > KEEP {
            self.record = ByteRecord::new();
        }
        loop {
            self.reader.get_mut().room = MAX_LINE;
            let begun = self.line;
            let read = self.reader.read_byte_record(&mut self.record);
            let is_there = read.map_err(|error| match error.into_kind() {
                csv::ErrorKind::Io(error) if self.reader.get_ref().room > 0 => Fault::Io(error),
                _ => Fault::Table {
                    line: begun + 1,
                    message: format!(
                        "a row of more than {} MiB; is a quote left open?",
                        MAX_LINE >> 20
                    ),
                },
            })?;
            let in_fields = self
                .record
                .as_slice()
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            let at_end = u64::from(!self.reader.get_ref().ended);
            let behind = self.reader.position().line();
            self.line = behind.saturating_sub(in_fields as u64 + at_end);
            // A line of spaces is blank.
            let is_blank = self.record.as_slice().trim_ascii().is_empty() && self.record.len() == 1;
            if !is_there || !is_blank || self.columns.len() == 1 {
                return Ok(is_there);
            }
        }
    }

    /// The line in which the row begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The values of the row, as many as there are columns, or what is wrong with it.
    pub(super) fn row(&self) -> Result<Vec<String>, String> {
        let (found, needed) = (self.record.len(), self.columns.len());
        let fields = self.fields()?;
        match found == needed {
            true => Ok(fields),
            false => Err(format!(
                "{found} fields, where the header has {needed}; is a comma or a quote missing?"
            )),
        }
    }

    fn fields(&self) -> Result<Vec<String>, String> {
        let tap = self.reader.get_ref();
        if tap.ended && tap.filter.place == Place::Quoted {
            return Err("a quote that is not closed before the end of the file".to_owned());
        }
        let fields = self.record.iter().enumerate().map(|(at, field)| {
            let column = self.columns.get(at);
            let name = || column.map_or_else(|| (at + 1).to_string(), |name| format!("{name:?}"));
            let text = str::from_utf8(field);
            text.map(str::to_owned)
                .map_err(|_| format!("column {}: invalid UTF-8", name()))
        });
        fields.collect()
    }
}

/// Why no more rows can be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file cannot be read on.
    Io(io::Error),
    /// What follows is no table.
    Table { line: u64, message: String },
}

/// What goes to the parser.
struct Tap {
    reader: Box<dyn BufRead + Send>,
    filter: Filter,
    /// Bytes that the row may still take.
    room: usize,
    ended: bool,
}

/// What the parser does not do: tell when a quote is left open, behind which it takes all that
/// follows for one field; and count lines that end in another way than with `\n` alone.
#[derive(Default)]
struct Filter {
    place: Place,
    /// A `\r` that ends a line, and may have a `\n` behind it.
    held: bool,
}

/// Where in a row the last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Start,
    Plain,
    Quoted,
    /// Behind a quote in quotes: the first of two, or the last.
    Closed,
}

impl Filter {
    /// Copies bytes, with `\n` at the end of each line. Returns how many were taken, and given.
    fn pass(&mut self, bytes: &[u8], buffer: &mut [u8]) -> (usize, usize) {
        let (mut taken, mut given) = (0, 0);
        for byte in bytes {
            if given + 2 > buffer.len() {
                break; // a line end that was held may come before the byte
            }
            taken += 1;
            if mem::take(&mut self.held) && *byte != b'\n' {
                buffer[given] = b'\n';
                given += 1;
            }
            self.place = match (self.place, byte) {
                (Place::Quoted, b'"') => Place::Closed,
                (Place::Quoted, _) | (Place::Start | Place::Closed, b'"') => Place::Quoted,
                (_, b',' | b'\n' | b'\r') => Place::Start,
                _ => Place::Plain,
            };
            self.held = *byte == b'\r' && self.place == Place::Start;
            if !self.held {
                buffer[given] = *byte;
                given += 1;
            }
        }
        (taken, given)
    }

    /// What is given at the end.
    fn finish(&mut self, buffer: &mut [u8]) -> usize {
        match buffer.first_mut() {
            Some(first) if mem::take(&mut self.held) => {
                *first = b'\n';
                1
            }
            _ => 0,
        }
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.room == 0 || buffer.len() < 2 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        loop {
            let bytes = filled(&mut self.reader)?;
            let given = if bytes.is_empty() {
                let given = self.filter.finish(buffer);
                self.ended = given == 0;
                given
            } else {
                let (taken, given) = self.filter.pass(bytes, buffer);
                self.reader.consume(taken);
                given
            };
            self.room = self.room.saturating_sub(given);
            if given > 0 || self.ended {
                return Ok(given);
            }
        }
    }
}

/// The reader without a byte order mark, as some editors leave it.
fn without_mark(mut reader: Box<dyn BufRead + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    for found in 0..MARK.len() {
        if filled(&mut reader)?.first() != Some(&MARK[found]) {
            return Ok(Box::new(MARK[..found].chain(reader)));
        }
        reader.consume(1);
    }
    Ok(reader)
}

/// `fill_buf`, which is called again when a signal comes in between: the parser would end there.
fn filled(reader: &mut dyn BufRead) -> io::Result<&[u8]> {
    loop {
        match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Asked twice because what is returned in a loop is borrowed beyond it; the second
            // time it is there.
            Ok(_) => return reader.fill_buf(),
            Err(error) => return Err(error),
        }
    }
}
