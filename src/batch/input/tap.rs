//! The bytes of a table on their way to its parser, watched for what that one does not tell.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::mem;

use super::mark::filled;

/// What goes to the parser.
pub(super) struct Tap {
    reader: Box<dyn BufRead + Send>,
    filter: Filter,
    /// Bytes that the row may still take. At 0 reading fails.
    pub(super) room: usize,
    ended: bool,
    /// The parser has come to a quote that was left open.
    stopped: bool,
}

impl Tap {
    pub(super) fn new(reader: Box<dyn BufRead + Send>, separator: u8) -> Self {
        Self {
            reader,
            filter: Filter::new(separator),
            room: 0,
            ended: false,
            stopped: false,
        }
    }

    /// True when the parser has asked for more than there is.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The line of a quote that was left open, when the parser has come to its row: behind it rows
    /// would be taken for the text of one field.
    pub(super) fn left_open(&self) -> Option<u64> {
        let at_end = self.ended && self.filter.place == Place::Quoted;
        (self.stopped || at_end).then_some(self.filter.opened)
    }

    /// Whether text stands behind a closing quote in one of the lines from `first` to `last`.
    /// Forgets the lines before them.
    pub(super) fn has_text_after_quote(&mut self, first: u64, last: u64) -> bool {
        let lines = &mut self.filter.text_after_quote;
        while lines.front().is_some_and(|line| *line < first) {
            lines.pop_front();
        }
        lines.front().is_some_and(|line| *line <= last)
    }
}

/// What the parser does not do: tell when a quote is left open, behind which it takes all that
/// follows for one field; and count lines that end in another way than with `\n` alone.
struct Filter {
    separator: u8,
    place: Place,
    /// A `\r` that ends a line, and may have a `\n` behind it.
    held: bool,
    /// The line that is read, from 1.
    line: u64,
    /// The line in which the last field in quotes begins.
    opened: u64,
    /// Its quote was not closed where it should have been.
    left_open: bool,
    /// Lines in which text stands behind a closing quote, ahead of the parser.
    text_after_quote: VecDeque<u64>,
}

/// Where in a row the last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// Behind a quote in quotes: the first of two, or the last.
    Closed,
    /// Spaces behind the last.
    Behind,
}

impl Filter {
    fn new(separator: u8) -> Self {
        Self {
            separator,
            place: Place::Start,
            held: false,
            line: 1,
            opened: 1,
            left_open: false,
            text_after_quote: VecDeque::new(),
        }
    }

    fn next_place(&mut self, byte: u8) -> Place {
        match (self.place, byte) {
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted, _) | (Place::Closed, b'"') => Place::Quoted,
            (Place::Start, b'"') => {
                self.opened = self.line;
                Place::Quoted
            }
            (_, b'\n' | b'\r') => Place::Start,
            (_, byte) if byte == self.separator => Place::Start,
            (Place::Closed | Place::Behind, b' ') => Place::Behind,
            (Place::Closed | Place::Behind, _) => {
                // A field that goes over several lines and then on behind its quote is several
                // rows, the last of which has quotes of its own.
                match self.opened == self.line {
                    true => self.text_after_quote.push_back(self.line),
                    false => self.left_open = true,
                }
                Place::Plain
            }
            _ => Place::Plain,
        }
    }

    /// Copies bytes, with `\n` at the end of each line. Returns how many were taken, and given.
    fn pass(&mut self, bytes: &[u8], buffer: &mut [u8]) -> (usize, usize) {
        let (mut taken, mut given) = (0, 0);
        for byte in bytes {
            // A line end that was held may come before the byte.
            if given + 2 > buffer.len() || self.left_open {
                break;
            }
            taken += 1;
            if mem::take(&mut self.held) && *byte != b'\n' {
                buffer[given] = b'\n';
                given += 1;
                self.line += 1;
            }
            self.place = self.next_place(*byte);
            self.held = *byte == b'\r' && self.place == Place::Start;
            if !self.held {
                buffer[given] = *byte;
                given += 1;
                self.line += u64::from(*byte == b'\n');
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
        self.stopped = self.filter.left_open;
        if self.room == 0 || buffer.len() < 2 || self.stopped {
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
