//! Rows of a CSV file, as RFC 4180 has them: a header, quoted fields, line ends in fields.

use std::io::{self, BufRead};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::lines::MAX_LINE;
use super::tap::Tap;

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
        let tap = Tap::new(reader).map_err(Fault::Io)?;
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
                "{found} fields, where the header has {needed}; is a comma or a quote missing?"
            )),
        }
    }

    fn fields(&self) -> Result<Vec<String>, String> {
        if self.reader.get_ref().ended_in_quotes() {
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn open(text: impl Into<Vec<u8>>) -> Result<Option<Table>, Fault> {
        Table::open(Box::new(io::Cursor::new(text.into())))
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
        let found = rows(b"a,b\n1\n1,2,3\n\xff,2\n1,\xff\n5,6\n7,\"open\n8,9\n".to_vec());
        let table = [
            (2, "1 fields, where the header has 2"),
            (3, "3 fields, where the header has 2"),
            (4, "column \"a\": invalid UTF-8"),
            (5, "column \"b\": invalid UTF-8"),
        ];
        for ((line, message), (found, row)) in table.into_iter().zip(&found) {
            assert_eq!(line, *found);
            assert!(row.as_ref().unwrap_err().starts_with(message), "{row:?}");
        }
        assert_eq!(found[4], row(6, ["5", "6"]));
        assert_eq!(found.len(), 6);
        let (line, open) = &found[5];
        assert_eq!(
            (*line, open.as_ref().unwrap_err().as_str()),
            (7, "a quote that is not closed before the end of the file")
        );
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
            (b"\n\n\"a\n1,2", 3, "not closed"),
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
        let mut table = Table::open(Box::new(endless)).unwrap().unwrap();
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
                while table.advance().unwrap() {
                    prop_assert!(table.line() > before, "{} after {before}", table.line());
                    before = table.line();
                    let _ = table.row();
                }
            }
        }
    }
}
