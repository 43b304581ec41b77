//! Finds the separator of a table's columns in its header.

use std::io::{self, BufRead, Read};

use csv::{ByteRecord, ReaderBuilder};

use super::mark::filled;

/// In the order in which one is preferred when several are as likely.
const KNOWN: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Bytes of a header, at most: behind them nothing is looked for.
const MOST: usize = 1 << 20;

/// What parts columns when nothing says so.
pub(super) const COMMA: u8 = b',';
pub(super) const TAB: u8 = b'\t';

/// Reads the header and tells what parts its columns: a comma, a semicolon, a tab or `|`. The
/// reader that comes back starts at its beginning again.
///
/// `needed` are columns that the header has if it is read right.
pub(super) fn separator(
    mut reader: Box<dyn BufRead + Send>,
    needed: &[&str],
) -> io::Result<(u8, Box<dyn BufRead + Send>)> {
    let mut header = header(&mut reader)?;
    if let Some((end, stated)) = stated(&header) {
        // The line stays as an empty one, so that lines keep their numbers.
        header.drain(..end);
        return Ok((stated, Box::new(io::Cursor::new(header).chain(reader))));
    }
    let found = of_header(&header, needed);
    Ok((found, Box::new(io::Cursor::new(header).chain(reader))))
}

/// What Excel writes above a header: `sep=;`. Returns where its line ends, too.
fn stated(header: &[u8]) -> Option<(usize, u8)> {
    match header {
        [
            b's' | b'S',
            b'e' | b'E',
            b'p' | b'P',
            b'=',
            separator,
            b'\r' | b'\n',
            ..,
        ] if KNOWN.contains(separator) => Some((5, *separator)),
        _ => None,
    }
}

/// The first line that is not blank, with its end and what stands before it.
fn header(reader: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    let mut quotes = Quotes::default();
    let mut is_blank = true;
    loop {
        let bytes = filled(reader)?;
        let mut taken = 0;
        let mut has_ended = bytes.is_empty();
        for byte in bytes {
            taken += 1;
            let in_quotes = quotes.hold(*byte);
            header.push(*byte);
            is_blank &= matches!(byte, b' ' | b'\r' | b'\n');
            let ends_line = matches!(byte, b'\n' | b'\r') && !in_quotes && !is_blank;
            if ends_line || header.len() == MOST {
                has_ended = true;
                break;
            }
        }
        reader.consume(taken);
        if has_ended {
            return Ok(header);
        }
    }
}

/// Whether a field can begin behind this byte.
fn is_edge(byte: u8) -> bool {
    KNOWN.contains(&byte) || matches!(byte, b'\n' | b'\r')
}

fn of_header(header: &[u8], needed: &[&str]) -> u8 {
    let outside = outside_quotes(header);
    let count = |separator: u8| outside.iter().filter(|byte| **byte == separator).count();
    let has_needed = |separator: u8| {
        let columns = columns(header, separator);
        let has = |name: &&str| columns.iter().any(|column| column == name.as_bytes());
        needed.iter().all(has)
    };
    let candidates = KNOWN.into_iter().filter(|separator| count(*separator) > 0);
    // `max_by_key` takes the last of equals, and the first is preferred.
    let best = candidates
        .rev()
        .max_by_key(|separator| (has_needed(*separator), count(*separator)));
    match best {
        // One column, whose name has a separator in it.
        Some(best) if !has_needed(best) && has_needed(0) => COMMA,
        Some(best) => best,
        None => COMMA,
    }
}

/// The bytes of a header that stand in no quotes.
fn outside_quotes(header: &[u8]) -> Vec<u8> {
    let mut quotes = Quotes::default();
    let outside = header.iter().copied();
    outside.filter(|byte| !quotes.hold(*byte)).collect()
}

/// Where quotes begin and end, whatever parts the columns.
#[derive(Default)]
struct Quotes {
    are_open: bool,
    last: Option<u8>,
    /// The last byte was a quote in quotes: the end of them, or the first of two.
    may_go_on: bool,
}

impl Quotes {
    /// Whether the next byte is part of what stands in quotes.
    fn hold(&mut self, byte: u8) -> bool {
        let was_open = self.are_open;
        if byte == b'"' && (was_open || self.may_go_on || self.last.is_none_or(is_edge)) {
            self.are_open = !was_open;
        }
        self.may_go_on = byte == b'"' && was_open;
        self.last = Some(byte);
        was_open || self.are_open
    }
}

fn columns(header: &[u8], separator: u8) -> ByteRecord {
    let mut record = ByteRecord::new();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(header);
    // Bytes in memory can be read.
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        if record.iter().any(|name| !name.trim_ascii().is_empty()) {
            break;
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_parts_its_columns() {
        let table: [(&str, &[&str], u8); 14] = [
            ("id,text\n1;2;3,4", &[], b','),
            ("id;text\n1,2,3;4", &[], b';'),
            ("id\ttext\n", &[], b'\t'),
            ("id|text\r", &[], b'|'),
            ("text\n1;2\n", &["text"], b','),
            ("", &[], b','),
            ("\n \nid;text\n", &[], b';'),
            ("\"a,b\";\"c,\nd,\"\",e\"\n", &[], b';'),
            ("id;name, full;text", &[], b';'),
            ("id,Options (a;b;c;d)\n", &["id"], b','),
            ("id,Options (a;b;c;d)\n", &[], b';'),
            ("a,b;c", &[], b','),
            ("a|b\n", &["a|b"], b','),
            ("a;\"b\n", &[], b';'),
        ];
        for (step, (text, needed, expected)) in table.into_iter().enumerate() {
            let reader = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
            let (found, mut reader) = separator(reader, needed).unwrap();
            assert_eq!(found, expected, "step {step}: {text:?}");
            let mut whole = String::new();
            reader.read_to_string(&mut whole).unwrap();
            assert_eq!(whole, text, "step {step}");
        }
    }

    #[test]
    fn a_line_that_states_it_is_no_header() {
        let reader = Box::new(io::Cursor::new(b"sep=;\r\na,b;c\r\n".to_vec()));
        let (found, mut reader) = separator(reader, &[]).unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!((found, rest.as_str()), (b';', "\r\na,b;c\r\n"));
    }
}
