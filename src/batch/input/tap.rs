//! The bytes of a table on their way to its parser, watched for what that one does not tell.

use std::io::{self, BufRead, Read};
use std::mem;

use super::mark::{filled, without_mark};

/// What goes to the parser.
pub(super) struct Tap {
    reader: Box<dyn BufRead + Send>,
    filter: Filter,
    /// Bytes that the row may still take. At 0 reading fails.
    pub(super) room: usize,
    ended: bool,
}

impl Tap {
    pub(super) fn new(reader: Box<dyn BufRead + Send>) -> io::Result<Self> {
        Ok(Self {
            reader: without_mark(reader)?,
            filter: Filter::default(),
            room: 0,
            ended: false,
        })
    }

    /// True when the parser has asked for more than there is.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// True when that was in quotes.
    pub(super) fn ended_in_quotes(&self) -> bool {
        self.ended && self.filter.place == Place::Quoted
    }
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
