//! Lines with something in them, each with its number, and none longer than memory has room for.

use std::io::{self, BufRead, Read};

use super::mark::{MARK, filled, without_mark};

/// The longest line that is read: more than any request the API takes.
pub(super) const MAX_LINE: usize = 256 * 1024 * 1024;
/// A buffer that has grown above this is given back.
const KEEP: usize = 1024 * 1024;

/// The lines of a reader, one at a time.
pub(in crate::batch) struct Lines {
    reader: Box<dyn BufRead + Send>,
    most: usize,
    number: u64,
    text: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    pub(in crate::batch) fn new(reader: Box<dyn BufRead + Send>) -> Self {
        Self {
            reader,
            most: MAX_LINE,
            number: 0,
            text: Vec::new(),
            is_too_long: false,
        }
    }

    /// Goes to the next line that is not blank. False at the end.
    pub(in crate::batch) fn advance(&mut self) -> io::Result<bool> {
        loop {
            self.text.clear();
            self.text.shrink_to(KEEP);
            let room = self.most as u64 + 1; // one more, to tell a line that just fits
            let mut rest = (&mut self.reader).take(room);
            if rest.read_until(b'\n', &mut self.text)? == 0 {
                return Ok(false);
            }
            self.number += 1;
            self.is_too_long = self.text.len() > self.most && !self.text.ends_with(b"\n");
            if self.is_too_long {
                self.text.clear();
                self.reader.skip_until(b'\n')?;
                return Ok(true);
            }
            if self.number == 1 && self.text.starts_with(MARK) {
                self.text.drain(..MARK.len());
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The number of the line, from 1.
    pub(in crate::batch) fn number(&self) -> u64 {
        self.number
    }

    /// The line, or what is wrong with it.
    pub(in crate::batch) fn text(&self) -> Result<&[u8], String> {
        match self.is_too_long {
            false => Ok(&self.text),
            true => Err(format!(
                "a line of more than {} MiB, which is left out",
                self.most >> 20
            )),
        }
    }
}

/// Lines with something in them.
pub(super) fn count_lines(reader: Box<dyn BufRead + Send>) -> io::Result<u64> {
    let mut reader = without_mark(reader)?;
    let mut count = 0;
    loop {
        let buffer = filled(&mut reader)?;
        if buffer.is_empty() {
            return Ok(count);
        }
        let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace());
        let (blank, len) = (blank.count(), buffer.len());
        reader.consume(blank);
        if blank < len {
            count += 1;
            reader.skip_until(b'\n')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: impl Into<Vec<u8>>, most: usize) -> Lines {
        Lines {
            most,
            ..Lines::new(Box::new(io::Cursor::new(text.into())))
        }
    }

    fn all(mut lines: Lines) -> Vec<(u64, Option<String>)> {
        let mut found = Vec::new();
        while lines.advance().unwrap() {
            let text = lines.text().ok();
            let text = text.map(|text| String::from_utf8(text.to_vec()).unwrap());
            found.push((lines.number(), text));
        }
        found
    }

    #[test]
    fn lines_are_counted_as_they_are_read() {
        for (text, count) in [
            ("", 0),
            ("\n \n", 0),
            ("a", 1),
            ("a\n", 1),
            ("a\n\nb\r\nc", 3),
            ("\u{feff}", 0),
            ("\u{feff}\na", 1),
            ("\u{feff}a\n\u{feff}", 2),
        ] {
            let counted = count_lines(Box::new(text.as_bytes())).unwrap();
            assert_eq!(counted, count, "{text:?}");
            assert_eq!(all(lines(text, 100)).len() as u64, count, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line_and_the_next_one_is_whole() {
        let whole = |number, text: &str| (number, Some(text.to_owned()));
        for (text, expected) in [
            ("12345\nab", vec![whole(1, "12345\n"), whole(2, "ab")]),
            ("12345", vec![whole(1, "12345")]),
            ("123456\nab", vec![(1, None), whole(2, "ab")]),
            ("1234567890123\n\nab\n", vec![(1, None), whole(3, "ab\n")]),
            ("123456", vec![(1, None)]),
        ] {
            assert_eq!(all(lines(text, 5)), expected, "{text:?}");
        }
        let mut long = lines("123456\n", 5);
        assert!(long.advance().unwrap());
        assert!(long.text.capacity() < 100, "nothing of it is kept");
        assert!(long.text().unwrap_err().contains("more than 0 MiB"));
    }
}
