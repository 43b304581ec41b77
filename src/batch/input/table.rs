//! Rows of a CSV file, as RFC 4180 has them: a header, quoted fields, line ends in fields. Columns
//! may be parted by another character than a comma.

use std::io::{self, BufRead};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::lines::MAX_LINE;
use super::mark::without_mark;
use super::separator::separator;
use super::tap::Tap;

/// A record that has grown above this is given back.
const KEEP: usize = 1024 * 1024;

const LEFT_OPEN: &str = "a quote is opened in this row and not closed in its field, so the rows behind \
                         it cannot be found; close it, and write a quote in quotes twice";
const TEXT_AFTER_QUOTE: &str =
    "text behind a closing quote; write a quote in quotes twice, as in \"5\"\" pipe\"";
pub(super) const OTHER_ENCODING: &str =
    "if the file is in Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 converts it";

/// A CSV file: its columns, and its rows one at a time.
pub(super) struct Table {
    reader: Reader<Tap>,
    columns: Vec<String>,
    record: ByteRecord,
    line: u64,
    /// Text stands behind a closing quote.
    has_text_after_quote: bool,
}

impl Table {
    /// Reads the header. `None` when there is none, because the file is empty.
    ///
    /// Columns are parted by `stated`, or else by what the header says; `needed` are columns that
    /// it has if it is read right.
    pub(super) fn open(
        reader: Box<dyn BufRead + Send>,
        stated: Option<u8>,
        needed: &[&str],
    ) -> Result<Option<Self>, Fault> {
        let reader = without_mark(reader).map_err(Fault::Io)?;
        let (found, reader) = match stated {
            Some(stated) => (stated, reader),
            None => separator(reader, needed).map_err(Fault::Io)?,
        };
        let tap = Tap::new(reader, found);
        let mut table = Self {
            // A row that is too long or too short is one row's mistake; `Rows` reports it with its line.
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(found)
                .from_reader(tap),
            columns: Vec::new(),
            record: ByteRecord::new(),
            line: 1,
            has_text_after_quote: false,
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
        loop {
            self.reader.get_mut().room = MAX_LINE;
            let is_there = self.read()?;
            // A line of spaces is blank.
            let is_blank = self.record.len() == 1 && self.record[0].trim_ascii().is_empty();
            if !is_there || !is_blank || self.columns.len() == 1 {
                return Ok(is_there);
            }
        }
    }

    fn read(&mut self) -> Result<bool, Fault> {
        if self.record.as_slice().len() > KEEP {
            self.record = ByteRecord::new();
        }
        let begun = self.reader.position().line();
        let read = self.reader.read_byte_record(&mut self.record);
        if let Some(line) = self.reader.get_ref().left_open() {
            return Err(Fault::Table {
                line,
                message: LEFT_OPEN.to_owned(),
            });
        }
        let is_there = read.map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) if self.reader.get_ref().room > 0 => Fault::Io(error),
            _ => Fault::Table {
                line: begun,
                message: format!(
                    "a row of more than {} MiB; is a quote left open?",
                    MAX_LINE >> 20
                ),
            },
        })?;
        // The parser tells where it is: behind the row, and behind what ended it.
        let fields = self.record.as_slice().iter();
        let inside = fields.filter(|byte| **byte == b'\n').count() as u64;
        let end = u64::from(!self.reader.get_ref().has_ended());
        let behind = self.reader.position().line();
        self.line = behind.saturating_sub(inside + end);
        let last = self.line.saturating_add(inside);
        let tap = self.reader.get_mut();
        self.has_text_after_quote = tap.has_text_after_quote(self.line, last);
        Ok(is_there)
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
                "{found} fields, where the header has {needed}; is a separator or a quote missing?"
            )),
        }
    }

    /// The values of the row as far as it has any: as many as there are columns, what is no UTF-8 as U+FFFD.
    pub(super) fn row_or_less(&self) -> Vec<String> {
        let field = |at: usize| self.record.get(at).map(String::from_utf8_lossy);
        let fields = (0..self.columns.len()).map(|at| field(at).unwrap_or_default().into_owned());
        fields.collect()
    }

    fn fields(&self) -> Result<Vec<String>, String> {
        if self.has_text_after_quote {
            return Err(TEXT_AFTER_QUOTE.to_owned());
        }
        let fields = self.record.iter().enumerate().map(|(at, field)| {
            let column = self.columns.get(at);
            let name = || column.map_or_else(|| (at + 1).to_string(), |name| format!("{name:?}"));
            let text = str::from_utf8(field);
            text.map(str::to_owned)
                .map_err(|_| format!("column {}: invalid UTF-8; {OTHER_ENCODING}", name()))
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn open(text: impl Into<Vec<u8>>) -> Result<Option<Table>, Fault> {
        Table::open(Box::new(io::Cursor::new(text.into())), None, &[])
    }

    /// Each row with its line, or what is wrong with it.
    fn rows(text: impl Into<Vec<u8>>) -> Vec<(u64, Result<Vec<String>, String>)> {
        let mut table = open(text).unwrap().unwrap();
        let mut rows = Vec::new();
        while table.advance().unwrap() {
            rows.push((table.line(), table.row()));
        }
        rows
    }

    fn row(line: u64, fields: [&str; 2]) -> (u64, Result<Vec<String>, String>) {
        (line, Ok(fields.map(str::to_owned).to_vec()))
    }

    #[test]
    fn rows_are_read_as_rfc_4180_has_them() {
        let expected = [
            row(2, ["1", "plain"]),
            row(3, ["a, b", "\"so\""]),
            row(4, ["two\nlines", ""]),
            row(8, ["5\" pipe", " spaced "]),
        ];
        let text =
            "id,text\n1,plain\n\"a, b\",\"\"\"so\"\"\"\n\"two\nlines\",\n\n  \n5\" pipe, spaced \n";
        assert_eq!(rows(text), expected);
        assert_eq!(
            rows(format!("\u{feff}{}", text.trim_end_matches('\n'))),
            expected
        );
        // In quotes a line end stays what it is.
        let table = open("\u{feff}\"id\",\"te\r\nxt\"\r\n1,2").unwrap().unwrap();
        assert_eq!(table.columns(), ["id", "te\r\nxt"]);
        let dos = "id,text\r\n1,plain\r\n\"a, b\",\"\"\"so\"\"\"\r\n\"two\nlines\",\r\n\r\n  \r\n5\" pipe, spaced \r\n";
        assert_eq!(rows(dos), expected);
        assert_eq!(
            rows(dos.trim_end()),
            expected[..3]
                .iter()
                .cloned()
                .chain([row(8, ["5\" pipe", " spaced"])])
                .collect::<Vec<_>>()
        );
        assert_eq!(
            rows("id,text\r1,plain\r\"a, b\",x\r"),
            [row(2, ["1", "plain"]), row(3, ["a, b", "x"])]
        );
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said_and_the_next_one_is_read() {
        let found =
            rows(b"a,b\n1\n1,2,3\n\xff,2\n1,\xff\n\"so\" it is,6\n5,6\n\"7\" ,8\n".to_vec());
        let table = [
            (2, "1 fields, where the header has 2"),
            (3, "3 fields, where the header has 2"),
            (4, "column \"a\": invalid UTF-8"),
            (5, "column \"b\": invalid UTF-8"),
            (6, "text behind a closing quote"),
        ];
        for ((line, message), (found, row)) in table.into_iter().zip(&found) {
            assert_eq!(line, *found);
            assert!(row.as_ref().unwrap_err().starts_with(message), "{row:?}");
        }
        assert_eq!(found[5..], [row(7, ["5", "6"]), row(8, ["7 ", "8"])]);
    }

    #[test]
    fn a_quote_left_open_ends_the_table_at_its_row() {
        for (text, expected) in [
            ("a,b\n1,2\n7,\"open\n8,9\n", 3),
            ("a,b\r\n1,2\r\n7,\"open\r\n8,9", 3),
            ("a,b\n1,2\n7,\"open\n8,\"x\"\n9,10\n", 3), // closed by the quote of another row
            ("a,b\n1,\"x\ny\"\n7,\"open\n", 4),
        ] {
            let mut table = open(text).unwrap().unwrap();
            assert!(table.advance().unwrap(), "the row before it");
            let Err(Fault::Table { line, message }) = table.advance() else {
                panic!("{text:?} has no fault");
            };
            assert_eq!(line, expected, "{text:?}");
            assert!(message.contains("a quote is opened"), "{message}");
        }
    }

    #[test]
    fn columns_are_parted_by_what_the_header_says() {
        for (text, stated) in [
            ("id;text\n1;\"a; b, \"\"c\"\"\"\n", None),
            ("id\ttext\n1\t\"a; b, \"\"c\"\"\"\n", None),
            ("id\ttext\n1\t\"a; b, \"\"c\"\"\"\n", Some(b'\t')),
            ("id|text\r\n1|\"a; b, \"\"c\"\"\"\r\n", None),
        ] {
            let reader = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
            let mut table = Table::open(reader, stated, &[]).unwrap().unwrap();
            assert_eq!(table.columns(), ["id", "text"]);
            assert!(table.advance().unwrap());
            assert_eq!(table.row().unwrap(), ["1", "a; b, \"c\""]);
        }
        let mut stated = open("sep=;\nid;text\n1;2\n").unwrap().unwrap();
        assert_eq!(stated.columns(), ["id", "text"]);
        assert!(stated.advance().unwrap());
        assert_eq!(stated.line(), 3);
    }

    #[test]
    fn a_header_is_needed_and_has_to_be_text() {
        // What only begins as a byte order mark does is a name.
        for name in ["\u{fefe}", "\u{ff41}"] {
            let table = open(format!("{name},b\n")).unwrap().unwrap();
            assert_eq!(table.columns(), [name, "b"]);
        }
        for text in ["", "\n \r\n", "\u{feff}", "\u{feff}\n"] {
            assert!(open(text).unwrap().is_none(), "{text:?}");
        }
        for (text, line, part) in [
            (&b"a,\xff\n"[..], 1, "column 2: invalid UTF-8"),
            (b"\n\n\"a\n1,2", 3, "a quote is opened"),
        ] {
            let Err(Fault::Table {
                line: found,
                message,
            }) = open(text)
            else {
                panic!("{text:?} is a header");
            };
            assert_eq!(found, line, "{text:?}");
            assert!(message.contains(part), "{message}");
        }
    }

    /// As `"` and endless: what a quote that is left open makes of a large file.
    struct Endless(bool);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'x');
            buffer[9..]
                .iter_mut()
                .step_by(10)
                .for_each(|byte| *byte = b'\n');
            if !self.0 {
                self.0 = true;
                buffer[..5].copy_from_slice(b"a\n1\n\"");
            }
            Ok(buffer.len())
        }
    }

    #[test]
    fn a_quote_left_open_ends_before_memory_does() {
        let endless = io::BufReader::new(Endless(false));
        let mut table = Table::open(Box::new(endless), None, &[]).unwrap().unwrap();
        assert!(table.advance().unwrap());
        table.reader.get_mut().room = 100_000;
        let read = table.read();
        let Err(Fault::Table { line, message }) = read else {
            panic!("{read:?}");
        };
        assert_eq!(line, 3);
        assert!(message.contains("is a quote left open?"), "{message}");
        assert!(table.record.as_slice().len() < 300_000);
    }

    /// Fields in which what matters is frequent.
    fn field() -> impl Strategy<Value = String> {
        prop::collection::vec(prop_oneof!["\"|,|\n|\r|\r\n| ", "[aé]"], 0..6)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            table in prop::collection::vec((field(), field()), 0..8),
            end in "\n|\r\n|\r",
        ) {
            let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let mut text = format!("a,b{end}");
            let mut expected = Vec::new();
            for (a, b) in &table {
                text += &format!("{},{}{end}", quoted(a), quoted(b));
                expected.push(vec![a.clone(), b.clone()]);
            }
            let found: Vec<_> = rows(text).into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_panic_and_lines_go_up(
            bytes in prop::collection::vec(
                prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), any::<u8>()],
                0..200,
            ),
        ) {
            if let Ok(Some(mut table)) = open(bytes) {
                let mut before = 0;
                while let Ok(true) = table.advance() {
                    prop_assert!(table.line() > before, "{} after {before}", table.line());
                    before = table.line();
                    let _ = table.row();
                }
            }
        }
    }
}
